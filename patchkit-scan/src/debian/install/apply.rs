//! The whole way from packages to a layer.

use std::{collections::BTreeSet, fs::File, path::PathBuf, sync::Arc};

use jiff::Timestamp;
use patchkit_core::{
    BlobSource, Context, Error, Image, Layer, Note, NoteClass, Result,
    image::{Compression, FilePath, FileTree},
};
use tokio::task::spawn_blocking;

use super::{
    Installation,
    archive::{Archive, Store},
    base::{Answers, ImageFiles, Questions},
    bytecode,
    ca_certificates::{self, Updated},
    keeps, layer, ldcache,
    tree::Tree,
};

/// What is to be done to an image.
#[derive(Clone, Debug, Default)]
pub struct Work {
    /// The verified packages to install, as files.
    pub install: Vec<PathBuf>,
    /// The packages to remove: name and architecture.
    pub remove: Vec<(String, String)>,
}

/// What came of it.
#[derive(Debug)]
pub enum Installed {
    /// The layer, and what a person should know about it.
    Layer {
        /// The layer.
        layer: Box<Layer>,
        /// What was not done, or done in another way, sorted.
        notes: Vec<Note>,
    },
    /// The result would be broken; nothing was made.
    Refused(Vec<Note>),
}

/// Reads an image as far as putting packages into it needs.
///
/// # Errors
/// Those of reading the image.
pub async fn read(image: &Image, cx: &Context) -> Result<Arc<ImageFiles>> {
    let files = image.files(keeps, cx).await?;
    let conffiles = unkept_conffiles(&files)?;
    let files = match conffiles.is_empty() {
        true => files,
        // A conffile outside /etc: it is read with the rest, in a second pass that few images need.
        false => image.files(move |path, size| keeps(path, size) || conffiles.contains(path), cx).await?,
    };
    Ok(Arc::new(ImageFiles(files)))
}

/// Puts packages into an image, of which the files have been [read], and makes the layer of what that changes. Nothing
/// is executed; the same packages and timestamp give the same layer.
///
/// # Errors
/// Those of reading the image and the packages, and of [`Installation`].
pub async fn install(
    image: &Image,
    base: Arc<ImageFiles>,
    work: Work,
    timestamp: Timestamp,
    cx: &Context,
) -> Result<Installed> {
    let store = Store::new(cx.scratch().create()?);
    let (tree, timestamp) = (Tree::new(base.clone()), timestamp.as_second());
    let inner = cx.clone();
    let unpacked = spawn_blocking(move || unpack(tree, store, &work, timestamp, &inner));
    let (mut installation, store) = unpacked.await.map_err(|error| Error::unexpected(error.to_string()))??;
    if let Some(refused) = installation.refusal() {
        return Ok(Installed::Refused(refused));
    }
    let questions = installation.questions()?;
    let answers = questions.ask(image, &base.0, cx).await?;
    installation.run_triggers(&base.0, &answers)?;
    let (tree, notes) = installation.finish();
    let layer = write(image, &base.0, (&tree, &answers), store, cx).await?;
    Ok(Installed::Layer { layer: Box::new(layer), notes })
}

async fn write(
    image: &Image,
    files: &FileTree,
    (tree, answers): (&Tree, &Answers),
    store: Arc<dyn BlobSource>,
    cx: &Context,
) -> Result<Layer> {
    let operations = layer::operations(tree, files, answers)?;
    layer::write(operations, tree, store, compression_of(image), cx).await
}

fn unpack(
    tree: Tree,
    mut store: Store,
    work: &Work,
    timestamp: i64,
    cx: &Context,
) -> Result<(Installation, Arc<dyn BlobSource>)> {
    let mut installation = Installation::open(tree, timestamp)?;
    let mut archives = Vec::with_capacity(work.install.len());
    for path in &work.install {
        cx.check()?;
        let name = path.display().to_string();
        let file = File::open(path).map_err(|error| Error::unexpected(error.to_string()).on(&name))?;
        archives.push(Archive::read(file, &mut store).map_err(|error| error.on(&name))?);
    }
    let identities: Vec<_> = archives.iter().map(Archive::identity).collect::<Result<_>>()?;
    installation.expect(identities.into_iter().chain(work.remove.iter().cloned()));
    for (name, architecture) in &work.remove {
        installation.remove(name, architecture)?;
    }
    for archive in &archives {
        cx.check()?;
        installation.unpack(archive)?;
    }
    installation.configure()?;
    Ok((installation, store.finish()?))
}

/// Conffiles of the image whose content [`keeps`] does not keep.
fn unkept_conffiles(files: &FileTree) -> Result<BTreeSet<FilePath>> {
    let status = FilePath::new("var/lib/dpkg/status").expect("a constant path");
    let Some(status) = files.read(&status)? else { return Ok(BTreeSet::new()) };
    let status = crate::debian::dpkg::status::StatusFile::read("status", &status).map_err(super::database::damaged)?;
    let conffiles = status.packages().flat_map(|package| &package.conffiles);
    let places = conffiles.filter_map(|conffile| files.resolve(&super::archive::file_path(&conffile.path)));
    let size = |path: &FilePath| files.get(path).and_then(patchkit_core::image::Node::size);
    Ok(places.filter(|path| size(path).is_some_and(|size| !keeps(path, size) && size <= super::MAX_READ)).collect())
}

/// The compression of the image's top layer, so that whoever can read the image can read the new layer.
fn compression_of(image: &Image) -> Compression {
    let top = image.layers().last().map(|layer| layer.blob().descriptor().media_type.to_string());
    match top.as_deref() {
        Some(media_type) if media_type.ends_with("zstd") => Compression::Zstd(3),
        Some(media_type) if media_type.ends_with("tar") => Compression::None,
        _ => Compression::Gzip(6),
    }
}

impl Installation {
    /// The notes, where one of them says that the result would be broken.
    fn refusal(&self) -> Option<Vec<Note>> {
        let refused = self.notes.iter().any(|note| note.class == NoteClass::Refuse);
        refused.then(|| {
            let mut notes = self.notes.clone();
            notes.sort();
            notes.dedup();
            notes
        })
    }

    /// What has to be known of files of the image before the triggers can be done and the layer written.
    fn questions(&mut self) -> Result<Questions> {
        let libraries = match self.needs_ldconfig {
            true => ldcache::libraries(&mut self.tree, &self.architecture)?,
            false => BTreeSet::new(),
        };
        Ok(Questions { digests: layer::undecided(&self.tree), libraries })
    }

    /// Does what the triggers would: with everything unpacked, and the image's libraries looked at.
    fn run_triggers(&mut self, files: &FileTree, answers: &Answers) -> Result<()> {
        if self.needs_ldconfig {
            ldcache::refresh(&mut self.tree, answers, &self.architecture, self.timestamp)?;
        }
        if self.configure_certificates {
            ca_certificates::configure(&mut self.tree, self.timestamp)?;
        }
        if self.needs_certificates {
            self.update_certificates()?;
        }
        let changed = layer::changed(&self.tree, files, answers);
        bytecode::remove_stale(&mut self.tree, &changed);
        Ok(())
    }

    fn update_certificates(&mut self) -> Result<()> {
        if ca_certificates::update(&mut self.tree, self.timestamp)? == Updated::Unknown {
            let message =
                "the bundle /etc/ssl/certs/ca-certificates.crt has certificates of its own and was left as it is";
            let subject = "ca-certificates postinst".into();
            self.notes.push(Note { class: NoteClass::Review, subject, message: message.into() });
        }
        Ok(())
    }
}
