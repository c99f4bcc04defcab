//! Unpacked layers on disk, shared by all containers.
//!
//! A layer is unpacked once, over what is below it, and kept under its chain id (OCI image specification, "Layer
//! ChainID"): what its names and hard links mean depends on the layers below. Where overlays can be mounted, each layer
//! is a folder of its own changes; elsewhere each image is one whole folder, which shares the files of what it is based
//! on.

mod apply;
mod lock;
mod overlay;
mod tree;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use patchkit_core::{Context, Digest, Error, Image, Layer, Result};

use self::{
    apply::{Apply, Owners},
    lock::Lock,
};
use crate::file::{blocking, on};

pub(super) use self::{
    overlay::{Overlay, unmount},
    tree::{Copying, Tree, copy},
};

/// How long something half made, or a container that nobody holds, is left alone before it is taken for abandoned.
const ABANDONED: Duration = Duration::from_secs(60);

/// A folder of unpacked layers. Clones share it, and so may several processes.
#[derive(Clone, Debug)]
pub struct LayerStore {
    root: Arc<PathBuf>,
    way: Way,
}

/// How layers come over each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Each image is a whole folder.
    Flat,
    /// Each layer is a folder, and overlays show them as one.
    Overlay,
}

/// The folders of an unpacked image, which stay as long as this lives.
#[derive(Debug)]
pub(super) struct Unpacked {
    /// The topmost first.
    pub(super) folders: Vec<PathBuf>,
    _used: Vec<Lock>,
}

impl LayerStore {
    /// The store in a folder, which is made where it does not exist, and should not be reached by others. What processes
    /// that died have left half made in it is removed.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self> {
        let root = root.into();
        for part in ["layers", "tmp", "containers"] {
            let folder = root.join(part);
            fs::create_dir_all(&folder).map_err(on(&folder))?;
        }
        let root = fs::canonicalize(&root).map_err(on(&root))?;
        rustix::fs::chmod(&root, rustix::fs::Mode::RWXU).map_err(|error| on(&root)(error.into()))?;
        sweep(&root.join("tmp"));
        let way = if overlays_work(&root) { Way::Overlay } else { Way::Flat };
        Ok(Self { root: Arc::new(root), way })
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.root
    }

    pub(super) fn way(&self) -> Way {
        self.way
    }

    /// Where containers have their folders.
    pub(super) fn containers(&self) -> PathBuf {
        self.root.join("containers")
    }

    /// Unpacks the layers of an image that are not there yet. A layer that is there is not read again.
    ///
    /// # Errors
    /// As [`Layer::visit`](patchkit_core::Layer::visit); [`Corrupt`](patchkit_core::ErrorKind::Corrupt) for a hard link
    /// to what does not exist, and for something in what is no directory. Nothing then is left of the layer.
    pub async fn unpack(&self, image: &Image, cx: &Context) -> Result<()> {
        self.prepare(image, cx).await.map(drop)
    }

    pub(super) async fn prepare(&self, image: &Image, cx: &Context) -> Result<Unpacked> {
        let chain = chain(image.layers());
        let deep = chain.len() * (self.layer(&chain[0]).as_os_str().len() + 1) > MOST_LOWER;
        match self.way {
            Way::Overlay if !deep => self.prepare_each(image.layers(), &chain, cx).await,
            _ => self.prepare_whole(image.layers(), &chain, cx).await,
        }
    }

    async fn prepare_each(&self, layers: &[Layer], chain: &[String], cx: &Context) -> Result<Unpacked> {
        let (mut folders, mut used) = (Vec::new(), Vec::new());
        for (layer, id) in layers.iter().zip(chain) {
            let (target, lower) = (self.layer(id), folders.clone());
            used.push(self.make(&target, cx, async |work| self.unpack_over(layer, lower, work, cx).await).await?);
            folders.insert(0, target.join("fs"));
        }
        Ok(Unpacked { folders, _used: used })
    }

    /// The whole image in one folder, starting with the longest beginning of it that is there.
    async fn prepare_whole(&self, layers: &[Layer], chain: &[String], cx: &Context) -> Result<Unpacked> {
        let flat = |id: &String| self.root.join("layers").join(format!("whole-{id}"));
        let top = flat(chain.last().expect("an image has a layer"));
        let base = chain.iter().rposition(|id| flat(id).exists());
        let used = self.make(&top, cx, async |work| {
            let work = work.to_owned();
            let fs = work.join("fs");
            if let Some(base) = base {
                let (base, fs) = (flat(&chain[base]).join("fs"), fs.clone());
                blocking(move || copy(&base, &fs, Copying::Links).map_err(on(&fs))).await?;
            }
            for layer in &layers[base.map_or(0, |base| base + 1)..] {
                let tree = Tree::at(&fs).map_err(on(&fs))?;
                self.apply(layer, tree, cx).await?;
            }
            Ok(())
        });
        let used = used.await?;
        Ok(Unpacked { folders: vec![top.join("fs")], _used: vec![used] })
    }

    fn layer(&self, id: &str) -> PathBuf {
        self.root.join("layers").join(id)
    }

    /// Unpacks a layer into the folder `fs` of a work folder, seen over what is below.
    async fn unpack_over(&self, layer: &Layer, lower: Vec<PathBuf>, work: &Path, cx: &Context) -> Result<()> {
        let work = work.to_owned();
        let open = move || {
            let (fs, empty, at) = (work.join("fs"), work.join("work"), work.join("at"));
            if lower.is_empty() {
                return Tree::at(&fs).map_err(on(&fs));
            }
            [&empty, &at].iter().try_for_each(|folder| fs::create_dir(folder).map_err(on(folder)))?;
            let root = Overlay { lower: &lower, upper: &fs, work: &empty }.mount_unnamed(&at);
            root.map(Tree::new).map_err(|error| on(&at)(error).during("mount the layers below"))
        };
        self.apply(layer, blocking(open).await?, cx).await
    }

    async fn apply(&self, layer: &Layer, tree: Tree, cx: &Context) -> Result<()> {
        let owners = if rustix::process::geteuid().is_root() { Owners::Kept } else { Owners::Ours };
        let applied = layer.visit(Apply::new(tree, owners), cx).await;
        let applied = applied.map_err(|error| error.during("unpack layer").on(layer.digest()))?;
        blocking(move || applied.finish().map_err(|error| Error::unexpected(error.to_string()).because(error))).await
    }

    /// Makes a folder whole or not at all, unless it is there: others who want to make it wait.
    async fn make(&self, target: &Path, cx: &Context, fill: impl AsyncFnOnce(&Path) -> Result<()>) -> Result<Lock> {
        let lock = lock_of(target);
        if !target.exists() {
            let _making = Lock::exclusive(&lock, cx).await?;
            if !target.exists() {
                self.make_now(target, fill).await?;
            }
        }
        let used = Lock::shared(&lock, cx).await?;
        used.touch();
        if target.exists() { Ok(used) } else { Err(Error::conflict("it was removed meanwhile").on(target.display())) }
    }

    async fn make_now(&self, target: &Path, fill: impl AsyncFnOnce(&Path) -> Result<()>) -> Result<()> {
        let work = tempfile::Builder::new().prefix("").tempdir_in(self.root.join("tmp")).map_err(on(&self.root))?;
        let _held = Lock::try_exclusive(&work.path().join("lock")).map_err(on(work.path()))?;
        let fs = work.path().join("fs");
        fs::create_dir(&fs).map_err(on(&fs))?;
        rustix::fs::chmod(&fs, 0o755.into()).map_err(|error| on(&fs)(error.into()))?;
        fill(work.path()).await?;
        let (from, to) = (work.path().to_owned(), target.to_owned());
        blocking(move || finish(&from, &to)).await
    }

    /// Removes layers that no container uses, those first that were not used for longest, until the others take no more
    /// than so many bytes on disk. Says how many bytes were removed.
    ///
    /// # Errors
    /// Those of the file system; [`Cancel`](patchkit_core::ErrorKind::Cancel).
    pub async fn prune(&self, keep: u64, cx: &Context) -> Result<u64> {
        let (layers, cx) = (self.root.join("layers"), cx.clone());
        blocking(move || prune(&layers, keep, &cx)).await
    }
}

/// How many bytes of an overlay's options may be the names of layers.
const MOST_LOWER: usize = 3500;

/// The names of a chain's layers: chain ids, cut where nobody can find two that are the same.
fn chain(layers: &[Layer]) -> Vec<String> {
    let mut above: Option<Digest> = None;
    let ids = layers.iter().map(|layer| {
        let id = above.map_or(*layer.diff_id(), |above| Digest::of(format!("{above} {}", layer.diff_id())));
        above = Some(id);
        id.hex().chars().take(40).collect()
    });
    ids.collect()
}

fn lock_of(target: &Path) -> PathBuf {
    target.with_extension("lock")
}

/// Moves what was made to its place, once it is on the disk.
fn finish(work: &Path, target: &Path) -> Result<()> {
    let made = work.join("made");
    fs::create_dir(&made).map_err(on(&made))?;
    fs::rename(work.join("fs"), made.join("fs")).map_err(on(&made))?;
    let synced = fs::File::open(&made).and_then(|folder| Ok(rustix::fs::syncfs(folder)?));
    synced.map_err(on(&made))?;
    fs::rename(&made, target).map_err(on(target))
}

/// Removes what nobody makes any more.
fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let old = entry.metadata().and_then(|metadata| metadata.modified()).is_ok_and(is_abandoned);
        if old && Lock::try_exclusive(&path.join("lock")).is_ok_and(|lock| lock.is_some()) {
            let _ = unmount(&path.join("at"));
            let _ = fs::remove_dir_all(&path);
        }
    }
}

fn is_abandoned(time: SystemTime) -> bool {
    time.elapsed().is_ok_and(|age| age > ABANDONED)
}

/// Whether an overlay can be mounted here, found out by mounting one.
fn overlays_work(root: &Path) -> bool {
    let Ok(work) = tempfile::Builder::new().tempdir_in(root.join("tmp")) else { return false };
    let [lower, upper, empty, at] = ["lower", "upper", "work", "at"].map(|name| work.path().join(name));
    let made = [&lower, &upper, &empty, &at].iter().try_for_each(fs::create_dir);
    let overlay = Overlay { lower: &[lower], upper: &upper, work: &empty };
    made.and_then(|()| overlay.mount_unnamed(&at)).is_ok()
}

fn prune(layers: &Path, keep: u64, cx: &Context) -> Result<u64> {
    let mut all = Vec::new();
    for entry in fs::read_dir(layers).map_err(on(layers))? {
        cx.check()?;
        let path = entry.map_err(on(layers))?.path();
        if path.extension().is_none() {
            let used = fs::metadata(lock_of(&path)).and_then(|lock| lock.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
            all.push((used, size(&path.join("fs")).map_err(on(&path))?, path));
        }
    }
    all.sort();
    let (mut left, mut removed) = (all.iter().map(|(_, size, _)| size).sum::<u64>(), 0);
    for (_, size, path) in all {
        if left > keep && remove_unused(&path, layers)? {
            left -= size;
            removed += size;
        }
    }
    Ok(removed)
}

fn remove_unused(path: &Path, layers: &Path) -> Result<bool> {
    let Some(_held) = Lock::try_exclusive(&lock_of(path)).map_err(on(path))? else { return Ok(false) };
    let gone = tempfile::Builder::new().tempdir_in(layers.with_file_name("tmp")).map_err(on(path))?;
    // In one step, so that nobody ever sees half a layer.
    fs::rename(path, gone.path().join("fs")).map_err(on(path))?;
    Ok(true)
}

/// How many bytes the files below a folder take on disk.
fn size(folder: &Path) -> io::Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let mut sum = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        sum += metadata.blocks() * 512;
        if metadata.is_dir() {
            sum += size(&entry.path())?;
        }
    }
    Ok(sum)
}
