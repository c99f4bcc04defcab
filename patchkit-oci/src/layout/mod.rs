//! Images in folders: OCI image layouts (OCI image specification, "Image Layout").

mod disk;
mod document;
mod garbage;
mod index;
mod store;
mod view;
mod write;

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use patchkit_core::{
    Blob, ByteRange, ByteStream, Context, DeleteManifest, Descriptor, Digest, Error, ListTags, ManifestBytes, Plugin,
    PluginInfo, PutManifest, Reference, ReferrersFilter, Registry, Repository, Result,
};

pub(crate) use disk::{Lock, clean, hidden, publish};
pub(crate) use document::{Document, MAX_MANIFEST};
pub use garbage::Collected;
pub(crate) use index::MARKER;
pub use index::{IndexFile, ParseLayoutError, parse_marker};
pub use store::Store;
pub(crate) use view::{Blobs, OWN_REPOSITORY, Referrers, View, manifest};

use crate::file::{FilePart, blocking, on};

/// The most bytes of an `index.json`: some hundred thousand images.
const MAX_INDEX: u64 = 64 << 20;

/// A folder with images in it, as skopeo's and podman's `oci:` name it: a registry of one repository.
///
/// A tag in the layout's own repository stands in `index.json` as it is; one in another repository stands there with
/// its full name. A manifest that is put without a tag gets an entry without a name, unless an index that is there
/// names it; one that refers to another keeps such an entry always, since that is how referrers are found.
///
/// Many processes may write at once, and may be killed at any moment: what is visible is always whole. A manifest that
/// lost its tag can still be had by its digest until [`collect_garbage`](Self::collect_garbage) takes it.
///
/// What is put under a digest that is there already is not written again. Up to 1 MiB it is read and hashed before it
/// is believed; a larger blob is believed by its size, as other tools do, since a layout that is filled again and again
/// would be read whole each time. Damage in it is found by whoever reads it: every blob is hashed while it is read.
///
/// ```
/// use patchkit_core::{Context, Registry};
/// use patchkit_oci::Layout;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let layout = Layout::create(folder.path()).await.unwrap();
/// let reference = layout.find(Some("1.0")).await.unwrap();
/// assert!(layout.resolve(&reference, &Context::new()).await.is_err());
/// # });
/// ```
#[derive(Clone, Debug)]
pub struct Layout(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    folder: Folder,
    own: Repository,
    referrers: Referrers,
}

/// The folder of a layout. Everything it does blocks.
#[derive(Clone, Debug)]
struct Folder(PathBuf);

impl Layout {
    /// Opens a layout that is there, and removes what writers left that were killed.
    ///
    /// # Errors
    /// [`NotFound`](patchkit_core::ErrorKind::NotFound) where there is none;
    /// [`Corrupt`](patchkit_core::ErrorKind::Corrupt), naming the file, where it is damaged;
    /// [`Unsupported`](patchkit_core::ErrorKind::Unsupported) for a version other than 1.
    pub async fn open(folder: impl Into<PathBuf>) -> Result<Self> {
        let folder = Folder(folder.into());
        blocking(move || {
            folder.open()?;
            Ok(Self::new(folder, own_repository()))
        })
        .await
        .map_err(|error| error.during("open layout"))
    }

    /// Opens a layout, and makes it first where there is none.
    ///
    /// # Errors
    /// As [`open`](Self::open); those of making folders and files.
    pub async fn create(folder: impl Into<PathBuf>) -> Result<Self> {
        let folder = Folder(folder.into());
        blocking(move || {
            folder.create()?;
            Ok(Self::new(folder, own_repository()))
        })
        .await
        .map_err(|error| error.during("create layout"))
    }

    fn new(folder: Folder, own: Repository) -> Self {
        Self(Arc::new(Inner { folder, own, referrers: Referrers::default() }))
    }

    /// The same layout as the given repository: its tags stand in `index.json` without the repository's name.
    #[must_use]
    pub fn as_repository(&self, repository: &Repository) -> Self {
        Self::new(self.0.folder.clone(), repository.clone())
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.0.folder.0
    }

    /// The layout's own repository: `localhost/layout` unless it was given another name.
    #[must_use]
    pub fn repository(&self) -> &Repository {
        &self.0.own
    }

    /// The reference to what a user calls by this name: a tag or the full name of an image. Without a name it is the
    /// only image there. What is not there yet gets the name that it would be put under.
    ///
    /// # Errors
    /// [`Invalid`](patchkit_core::ErrorKind::Invalid) for a name that can be none, and where no name is given but
    /// there is not exactly one image; the message lists the names. As [`open`](Self::open).
    pub async fn find(&self, name: Option<&str>) -> Result<Reference> {
        let name = name.map(str::to_owned);
        self.read(move |view| view.find(name.as_deref())).await.map_err(|error| error.on(self.folder().display()))
    }

    /// The size of a blob in bytes.
    ///
    /// # Errors
    /// [`NotFound`](patchkit_core::ErrorKind::NotFound).
    pub async fn blob_size(&self, digest: &Digest) -> Result<u64> {
        let (layout, digest) = (self.clone(), *digest);
        blocking(move || Ok(layout.0.folder.open_blob(&digest)?.len())).await
    }

    /// Deletes a blob, whoever names it.
    ///
    /// # Errors
    /// [`NotFound`](patchkit_core::ErrorKind::NotFound).
    pub async fn delete_blob(&self, digest: &Digest) -> Result<()> {
        let (layout, digest) = (self.clone(), *digest);
        blocking(move || layout.0.folder.delete_blob(&digest)).await
    }

    /// Runs something that reads on one state of the index.
    async fn read<T: Send + 'static>(&self, work: impl FnOnce(View<'_>) -> Result<T> + Send + 'static) -> Result<T> {
        let layout = self.clone();
        blocking(move || {
            let Inner { folder, own, .. } = &*layout.0;
            work(View { index: &folder.index()?, blobs: folder, own })
        })
        .await
    }
}

/// The repository that a layout is.
pub(crate) fn own_repository() -> Repository {
    OWN_REPOSITORY.parse().expect("it is a repository")
}

impl Folder {
    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn open(&self) -> Result<()> {
        let path = self.path("oci-layout");
        let marker = fs::read(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                Error::not_found("no OCI image layout here (no file oci-layout)").on(self.0.display()).because(error)
            }
            _ => on(&path)(error),
        })?;
        parse_marker(&marker).map_err(|error| damaged(&path, error))?;
        self.index()?;
        disk::clean(&self.0)
    }

    /// `oci-layout` comes last, so that what has one is whole.
    fn create(&self) -> Result<()> {
        fs::create_dir_all(&self.0).map_err(on(&self.0))?;
        let lock = disk::Lock::exclusive(&self.0)?;
        let (index, marker) = (self.path("index.json"), self.path("oci-layout"));
        if !marker.exists() {
            let blobs = self.path("blobs/sha256");
            fs::create_dir_all(&blobs).map_err(on(&blobs))?;
            if !index.exists() {
                disk::write(&self.0, &index, &IndexFile::default().render(), &lock)?;
            }
            disk::write(&self.0, &marker, index::MARKER, &lock)?;
        }
        drop(lock);
        self.open()
    }

    fn index(&self) -> Result<IndexFile> {
        let path = self.path("index.json");
        let file = File::open(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::corrupt("the layout has no index.json").on(path.display()),
            _ => on(&path)(error),
        })?;
        let bytes =
            FilePart::whole(file).map_err(on(&path))?.read(MAX_INDEX).map_err(|error| error.on(path.display()))?;
        IndexFile::parse(&bytes).map_err(|error| damaged(&path, error))
    }

    fn open_blob(&self, digest: &Digest) -> Result<FilePart> {
        let path = disk::blob_path(&self.0, digest);
        let file = File::open(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::not_found("no such blob").on(digest).because(error),
            _ => on(&path)(error),
        })?;
        FilePart::whole(file).map_err(on(&path))
    }
}

impl Blobs for Folder {
    fn open(&self, digest: &Digest) -> Result<FilePart> {
        self.open_blob(digest)
    }
}

fn damaged(path: &Path, error: ParseLayoutError) -> Error {
    let message = error.to_string();
    let error = match error {
        ParseLayoutError::Version(_) => Error::unsupported(message).because(error),
        _ => Error::corrupt(message).because(error),
    };
    error.on(path.display())
}

impl Plugin for Layout {
    fn info(&self) -> PluginInfo {
        let info = PluginInfo::new("oci-layout", env!("CARGO_PKG_VERSION"));
        info.configured(&self.folder().display().to_string())
    }
}

#[async_trait]
impl Registry for Layout {
    async fn resolve(&self, reference: &Reference, cx: &Context) -> Result<Descriptor> {
        cx.check()?;
        let reference = reference.clone();
        self.read(move |view| view.resolve(&reference)).await
    }

    async fn manifest(&self, _repository: &Repository, digest: &Digest, cx: &Context) -> Result<ManifestBytes> {
        cx.check()?;
        let (layout, digest) = (self.clone(), *digest);
        blocking(move || manifest(&layout.0.folder, &digest)).await
    }

    async fn blob(
        &self,
        _repository: &Repository,
        digest: &Digest,
        range: ByteRange,
        cx: &Context,
    ) -> Result<ByteStream> {
        cx.check()?;
        let (layout, wanted) = (self.clone(), *digest);
        let blob = blocking(move || layout.0.folder.open_blob(&wanted)).await?;
        read_blob(&blob, digest, range, cx)
    }

    async fn put_blob(&self, _repository: &Repository, blob: &Blob, cx: &Context) -> Result<()> {
        self.store_blob(blob, cx).await.map_err(|error| error.during("put blob"))
    }

    async fn put_manifest(
        &self,
        reference: &Reference,
        manifest: &ManifestBytes,
        options: &PutManifest,
        cx: &Context,
    ) -> Result<Descriptor> {
        cx.check()?;
        self.store_manifest(reference, manifest, options).await.map_err(|error| error.during("put manifest"))
    }

    async fn referrers(
        &self,
        _repository: &Repository,
        digest: &Digest,
        filter: &ReferrersFilter,
        cx: &Context,
    ) -> Result<Vec<Descriptor>> {
        cx.check()?;
        let (layout, digest, filter) = (self.clone(), *digest, filter.clone());
        self.read(move |view| view.referrers(&layout.0.referrers, &digest, &filter)).await
    }
}

/// Opens a blob or a part of it; the whole is checked while it is read.
pub(crate) fn read_blob(blob: &FilePart, digest: &Digest, range: ByteRange, cx: &Context) -> Result<ByteStream> {
    let part = blob.range(range).map_err(|error| error.on(digest))?.stream(cx);
    if !range.is_full() {
        return Ok(part);
    }
    let descriptor = Descriptor::new(patchkit_core::MediaType::new("application/octet-stream"), *digest, blob.len());
    Ok(part.verified(&descriptor))
}

#[async_trait]
impl ListTags for Layout {
    async fn tags(&self, repository: &Repository, cx: &Context) -> Result<Vec<String>> {
        cx.check()?;
        let repository = repository.clone();
        self.read(move |view| view.tags(&repository)).await
    }
}

#[async_trait]
impl DeleteManifest for Layout {
    async fn delete(&self, reference: &Reference, cx: &Context) -> Result<()> {
        cx.check()?;
        self.forget(reference).await.map_err(|error| error.during("delete"))
    }
}
