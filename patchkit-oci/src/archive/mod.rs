//! Images in tar archives: `oci-archive:` and `docker-archive:`, read in place and written at once.

mod docker;
mod tar;
mod write;

use std::{
    collections::HashMap,
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use patchkit_core::{
    Blob, ByteRange, ByteStream, Context, Descriptor, Digest, Error, ListTags, ManifestBytes, Plugin, PluginInfo,
    PutManifest, Reference, ReferrersFilter, Registry, Repository, Result,
};

pub use docker::{DockerImage, ParseDockerManifestError, parse_docker_manifest};
pub use tar::{ParseTarError, TarFault, index_archive};
pub use write::write_archive;

use crate::{
    file::{FilePart, blocking, on},
    layout::{Blobs, IndexFile, Referrers, View, manifest, own_repository, parse_marker, read_blob},
};
use tar::Members;

/// The most bytes of an archive's `index.json` or `manifest.json`.
const MAX_INDEX: u64 = 64 << 20;

/// How the images in a tar archive are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ArchiveFormat {
    /// As `docker save` writes them, with a `manifest.json`.
    Docker,
    /// As an OCI image layout, with an `index.json`.
    Oci,
}

/// A tar archive with images in it: a registry that can only be read.
///
/// The archive is indexed once and read where it lies; nothing is unpacked. Archives of Docker's get the manifests that
/// they lack: of OCI's type, naming configuration and layers as they are stored.
#[derive(Clone, Debug)]
pub struct Archive(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    format: ArchiveFormat,
    index: IndexFile,
    own: Repository,
    content: Content,
    referrers: Referrers,
}

/// Where the blobs are in the file.
#[derive(Debug)]
struct Content {
    file: FilePart,
    members: Members,
    /// What an archive of Docker's does not keep under its digest.
    made: HashMap<Digest, FilePart>,
}

impl Archive {
    /// Opens an archive. The file must not change while it is open.
    ///
    /// # Errors
    /// [`NotFound`](patchkit_core::ErrorKind::NotFound) where there is no file;
    /// [`Corrupt`](patchkit_core::ErrorKind::Corrupt) where it is damaged, hostile, or has no images of this format;
    /// [`Unsupported`](patchkit_core::ErrorKind::Unsupported) where the whole archive is compressed.
    pub async fn open(path: impl Into<PathBuf>, format: ArchiveFormat) -> Result<Self> {
        let path = path.into();
        blocking(move || {
            let opened = open(&path, format);
            opened.map_err(|error| error.on(path.display()).during("open archive"))
        })
        .await
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// The reference to what a user calls by this name: a tag, or the full name of an image. Without a name it is the
    /// only image there.
    ///
    /// # Errors
    /// [`Invalid`](patchkit_core::ErrorKind::Invalid) for a name that can be none, and where no name is given but
    /// there is not exactly one image; the message lists the names.
    pub fn find(&self, name: Option<&str>) -> Result<Reference> {
        let Inner { path, format, .. } = &*self.0;
        if let (ArchiveFormat::Docker, Some(name)) = (format, name) {
            // Docker's names are always full, however short they are written.
            return name.parse().map_err(|error| Error::invalid(format!("{error}")).because(error));
        }
        self.view().find(name).map_err(|error| error.on(path.display()))
    }

    fn view(&self) -> View<'_> {
        let Inner { index, own, content, .. } = &*self.0;
        View { index, blobs: content, own }
    }

    /// Runs something that reads the file.
    async fn read<T: Send + 'static>(&self, work: impl FnOnce(&Inner) -> Result<T> + Send + 'static) -> Result<T> {
        let archive = self.clone();
        blocking(move || work(&archive.0)).await
    }
}

fn open(path: &Path, format: ArchiveFormat) -> Result<Archive> {
    let file = File::open(path).and_then(FilePart::whole).map_err(on(path))?;
    refuse_compressed(&file)?;
    let members = Members::of(&file).map_err(|error| Error::corrupt(format!("tar: {error}")).because(error))?;
    let mut content = Content { file, members, made: HashMap::new() };
    let index = match format {
        ArchiveFormat::Docker => content.docker()?,
        ArchiveFormat::Oci => content.oci()?,
    };
    let own = own_repository();
    let referrers = Referrers::default();
    Ok(Archive(Arc::new(Inner { path: path.into(), format, index, own, content, referrers })))
}

fn refuse_compressed(file: &FilePart) -> Result<()> {
    let mut magic = [0; 4];
    let tool = match file.fill(&mut magic, 0).map(|()| magic) {
        Ok([0x1f, 0x8b, ..]) => "gunzip",
        Ok([0x28, 0xb5, 0x2f, 0xfd]) => "unzstd",
        Ok([0xfd, b'7', b'z', b'X']) => "unxz",
        _ => return Ok(()),
    };
    Err(Error::unsupported(format!("the whole archive is compressed, so it cannot be read in place; {tool} it first")))
}

impl Content {
    fn oci(&self) -> Result<IndexFile> {
        let corrupt = |name: &'static str| move |error| Error::corrupt(format!("{name}: {error}")).because(error);
        parse_marker(&self.file("oci-layout", "OCI layout")?).map_err(corrupt("oci-layout"))?;
        IndexFile::parse(&self.file("index.json", "OCI layout")?).map_err(corrupt("index.json"))
    }

    fn docker(&mut self) -> Result<IndexFile> {
        let images = parse_docker_manifest(&self.file("manifest.json", "archive of Docker's")?);
        let images = images.map_err(|error| Error::corrupt(format!("manifest.json: {error}")).because(error))?;
        let docker::Converted { index, blobs } = docker::convert(&images, &self.file, &self.members)?;
        self.made = blobs;
        Ok(index)
    }

    fn file(&self, name: &str, what: &str) -> Result<bytes::Bytes> {
        let found = self.members.get(name);
        let (start, len) = found.ok_or_else(|| Error::corrupt(format!("no {what}: there is no {name}")))?;
        self.file.part(start, len).read(MAX_INDEX)
    }
}

impl Blobs for Content {
    fn open(&self, digest: &Digest) -> Result<FilePart> {
        if let Some(made) = self.made.get(digest) {
            return Ok(made.clone());
        }
        let found = self.members.get(&format!("blobs/{}/{}", digest.algorithm().as_str(), digest.hex()));
        let (start, len) = found.ok_or_else(|| Error::not_found("no such blob").on(digest))?;
        Ok(self.file.part(start, len))
    }
}

impl Plugin for Archive {
    fn info(&self) -> PluginInfo {
        let name = match self.0.format {
            ArchiveFormat::Docker => "docker-archive",
            ArchiveFormat::Oci => "oci-archive",
        };
        PluginInfo::new(name, env!("CARGO_PKG_VERSION")).configured(&self.path().display().to_string())
    }
}

#[async_trait]
impl Registry for Archive {
    async fn resolve(&self, reference: &Reference, cx: &Context) -> Result<Descriptor> {
        cx.check()?;
        let (archive, reference) = (self.clone(), reference.clone());
        blocking(move || archive.view().resolve(&reference)).await
    }

    async fn manifest(&self, _repository: &Repository, digest: &Digest, cx: &Context) -> Result<ManifestBytes> {
        cx.check()?;
        let digest = *digest;
        self.read(move |inner| manifest(&inner.content, &digest)).await
    }

    async fn blob(
        &self,
        _repository: &Repository,
        digest: &Digest,
        range: ByteRange,
        cx: &Context,
    ) -> Result<ByteStream> {
        cx.check()?;
        read_blob(&self.0.content.open(digest)?, digest, range, cx)
    }

    async fn put_blob(&self, _repository: &Repository, _blob: &Blob, _cx: &Context) -> Result<()> {
        Err(self.read_only())
    }

    async fn put_manifest(
        &self,
        _reference: &Reference,
        _manifest: &ManifestBytes,
        _options: &PutManifest,
        _cx: &Context,
    ) -> Result<Descriptor> {
        Err(self.read_only())
    }

    async fn referrers(
        &self,
        _repository: &Repository,
        digest: &Digest,
        filter: &ReferrersFilter,
        cx: &Context,
    ) -> Result<Vec<Descriptor>> {
        cx.check()?;
        let (archive, digest, filter) = (self.clone(), *digest, filter.clone());
        blocking(move || archive.view().referrers(&archive.0.referrers, &digest, &filter)).await
    }
}

impl Archive {
    fn read_only(&self) -> Error {
        Error::unsupported("an archive is written all at once, not piece by piece").on(self.path().display())
    }
}

#[async_trait]
impl ListTags for Archive {
    async fn tags(&self, repository: &Repository, cx: &Context) -> Result<Vec<String>> {
        cx.check()?;
        self.view().tags(repository)
    }
}
