//! A folder of layouts, one a repository: what a registry keeps on disk.

use std::{
    collections::{BTreeSet, HashMap},
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use patchkit_core::{
    Blob, ByteRange, ByteStream, Context, DeleteManifest, Descriptor, Digest, Error, ErrorKind, ListTags,
    ManifestBytes, Plugin, PluginInfo, PutManifest, Reference, ReferrersFilter, Registry, Repository, Result,
};

use super::Layout;
use crate::file::{blocking, on};

/// Names that mean something in a layout's folder, so that no repository below it can have them as they are.
const RESERVED: [&str; 3] = ["blobs", "index.json", "oci-layout"];

/// Many repositories in one folder: each is a [`Layout`] in the folder of its path, and the host does not matter.
///
/// The layout of `library/debian` is the folder `library/debian`, which skopeo reads as `oci:` too. A path component
/// that has a meaning in a layout gets a `_` before it, which no repository's own name can begin with. A blob that is
/// put with an [origin](Blob::origin) in the same store is linked, not copied.
#[derive(Clone, Debug)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    /// By path. A layout knows who refers to whom, so it is kept.
    layouts: Mutex<HashMap<String, Layout>>,
}

impl Store {
    /// Opens a store, and makes its folder where there is none.
    ///
    /// # Errors
    /// Those of making the folder.
    pub async fn create(folder: impl Into<PathBuf>) -> Result<Self> {
        let root = folder.into();
        blocking(move || {
            fs::create_dir_all(&root).map_err(on(&root))?;
            Ok(Self(Arc::new(Inner { root, layouts: Mutex::default() })))
        })
        .await
        .map_err(|error| error.during("create store"))
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.0.root
    }

    /// The layout of a repository that is there.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound); as [`Layout::open`].
    pub async fn layout(&self, repository: &Repository) -> Result<Layout> {
        if let Some(layout) = self.known(repository) {
            return Ok(layout);
        }
        match Layout::open(self.path(repository)).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(Error::not_found("no such repository").on(repository).because(error))
            }
            layout => Ok(self.keep(repository, layout?)),
        }
    }

    async fn made(&self, repository: &Repository) -> Result<Layout> {
        match self.known(repository) {
            Some(layout) => Ok(layout),
            None => Ok(self.keep(repository, Layout::create(self.path(repository)).await?)),
        }
    }

    fn known(&self, repository: &Repository) -> Option<Layout> {
        let mut layouts = self.0.layouts.lock().expect("no one panics while holding it");
        let layout = layouts.get(repository.path())?;
        if layout.folder().is_dir() {
            return Some(layout.clone());
        }
        layouts.remove(repository.path());
        None
    }

    fn keep(&self, repository: &Repository, layout: Layout) -> Layout {
        let layout = layout.as_repository(&of_path(repository.path()));
        let mut layouts = self.0.layouts.lock().expect("no one panics while holding it");
        layouts.entry(repository.path().to_owned()).or_insert(layout).clone()
    }

    fn path(&self, repository: &Repository) -> PathBuf {
        let components = repository.path().split('/').map(|component| match RESERVED.contains(&component) {
            true => format!("_{component}"),
            false => component.to_owned(),
        });
        components.fold(self.0.root.clone(), |path, component| path.join(component))
    }

    /// The paths of all repositories, sorted.
    ///
    /// # Errors
    /// Those of reading the folders.
    pub async fn repositories(&self) -> Result<Vec<String>> {
        let root = self.0.root.clone();
        blocking(move || {
            let mut found = BTreeSet::new();
            collect(&root, "", &mut found)?;
            Ok(found.into_iter().collect())
        })
        .await
    }
}

/// The repository of a path, without a host that means anything: every host's is the same here.
fn of_path(path: &str) -> Repository {
    format!("localhost/{path}").parse().expect("the path came from a repository")
}

fn collect(folder: &Path, path: &str, found: &mut BTreeSet<String>) -> Result<()> {
    let is_layout = folder.join("oci-layout").is_file();
    if is_layout && !path.is_empty() {
        found.insert(path.to_owned());
    }
    for entry in fs::read_dir(folder).map_err(on(folder))? {
        let entry = entry.map_err(on(folder))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let inner = is_layout && name == "blobs";
        if inner || !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let name = name.strip_prefix('_').unwrap_or(&name);
        let below = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
        match collect(&entry.path(), &below, found) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            other => other?,
        }
    }
    Ok(())
}

/// A reference as the layout of its repository knows it.
fn local(reference: &Reference) -> Reference {
    let repository = of_path(reference.repository().path());
    match (reference.tag(), reference.digest()) {
        (Some(tag), digest) => {
            let tagged = repository.tag(tag).expect("the tag came from a reference");
            digest.map_or(tagged.clone(), |digest| tagged.pinned(*digest))
        }
        (None, Some(digest)) => repository.digest(*digest),
        (None, None) => unreachable!("a reference has a tag or a digest"),
    }
}

impl Plugin for Store {
    fn info(&self) -> PluginInfo {
        let info = PluginInfo::new("oci-layout-store", env!("CARGO_PKG_VERSION"));
        info.configured(&self.folder().display().to_string())
    }
}

#[async_trait]
impl Registry for Store {
    async fn resolve(&self, reference: &Reference, cx: &Context) -> Result<Descriptor> {
        self.layout(reference.repository()).await?.resolve(&local(reference), cx).await
    }

    async fn manifest(&self, repository: &Repository, digest: &Digest, cx: &Context) -> Result<ManifestBytes> {
        self.layout(repository).await?.manifest(repository, digest, cx).await
    }

    async fn blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        range: ByteRange,
        cx: &Context,
    ) -> Result<ByteStream> {
        self.layout(repository).await?.blob(repository, digest, range, cx).await
    }

    async fn put_blob(&self, repository: &Repository, blob: &Blob, cx: &Context) -> Result<()> {
        let layout = self.made(repository).await?;
        if let Some(origin) = blob.origin().filter(|origin| origin.path() != repository.path())
            && let Ok(from) = self.layout(origin).await
            && layout.link_blob(&from, &blob.descriptor().digest, blob.descriptor().size).await?
        {
            return Ok(());
        }
        layout.put_blob(repository, blob, cx).await
    }

    async fn put_manifest(
        &self,
        reference: &Reference,
        manifest: &ManifestBytes,
        options: &PutManifest,
        cx: &Context,
    ) -> Result<Descriptor> {
        self.made(reference.repository()).await?.put_manifest(&local(reference), manifest, options, cx).await
    }

    /// None also for a repository that is not there.
    async fn referrers(
        &self,
        repository: &Repository,
        digest: &Digest,
        filter: &ReferrersFilter,
        cx: &Context,
    ) -> Result<Vec<Descriptor>> {
        match self.layout(repository).await {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            layout => layout?.referrers(repository, digest, filter, cx).await,
        }
    }
}

#[async_trait]
impl ListTags for Store {
    async fn tags(&self, repository: &Repository, cx: &Context) -> Result<Vec<String>> {
        self.layout(repository).await?.tags(&of_path(repository.path()), cx).await
    }
}

#[async_trait]
impl DeleteManifest for Store {
    async fn delete(&self, reference: &Reference, cx: &Context) -> Result<()> {
        self.layout(reference.repository()).await?.delete(&local(reference), cx).await
    }
}
