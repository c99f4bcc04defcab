//! Makes images of packages, as distroless images are made: chosen packages with what they need, unpacked as data.
//!
//! No package manager runs and no maintainer script. The image has the packages' files, and in `/var/lib/dpkg/status.d`
//! what dpkg would know of them, as Google's distroless images do; it has no shell unless a package brings one.
//!
//! It is what `patchkit demo` patches: [`suites`] finds a release whose security suite has fixes for the packages, on
//! the archives that the machine itself uses, and [`sample`] makes a small archive where none can be reached.

mod closure;
mod manifest;
mod root;
pub mod sample;
pub mod suites;

use std::{collections::BTreeSet, path::PathBuf};

use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use patchkit_core::{
    Context, Error, ErrorKind, Image, ImageSet, Result,
    image::{Compression, Layer},
};
use serde_json::{Map, Value, json};
use tokio::task::spawn_blocking;

use super::apt::{
    client::{Archive, ArchiveClient},
    index::AvailablePackage,
    sources::Source,
    trust::TrustStore,
};
use root::Root;

pub use closure::ClosureError;

/// Packages downloaded at once.
const PARALLEL: usize = 8;
/// The package that says which distribution and release a system is of.
const BASE: &str = "base-files";
/// What packages need for their maintainer scripts alone, which nobody runs here.
const FOR_SCRIPTS: [&str; 6] = ["adduser", "awk", "debconf", "debconf-2.0", "dpkg", "init-system-helpers"];
/// Where programs are looked for.
const SEARCH_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// An image to be made of packages.
///
/// The same archive gives the same digest: files have the times that their packages give them, everything else that of
/// the archive's `Release` file.
///
/// ```no_run
/// # async fn example(
/// #     client: patchkit_scan::debian::apt::client::ArchiveClient,
/// #     sources: Vec<patchkit_scan::debian::apt::sources::Source>,
/// #     trust: patchkit_scan::debian::apt::trust::TrustStore,
/// # ) -> patchkit_core::Result<()> {
/// use patchkit_core::Context;
/// use patchkit_scan::debian::bootstrap::Bootstrap;
///
/// let cx = Context::new();
/// let curl = Bootstrap::of(["curl"]).with_entrypoint(["/usr/bin/curl"]);
/// let images = curl.images(&client, &sources, &trust, ["amd64", "arm64"], &cx).await?;
/// println!("{}", images.digest());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Bootstrap {
    packages: Vec<String>,
    left_out: BTreeSet<String>,
    execution: Map<String, Value>,
    labels: Map<String, Value>,
    time: Option<Timestamp>,
    compression: Compression,
}

impl Bootstrap {
    /// An image of these packages, of what they need, and of `base-files`, which says which release it is.
    ///
    /// Left out is what packages need for their maintainer scripts alone: adduser, awk, debconf, dpkg,
    /// init-system-helpers.
    pub fn of<N: Into<String>>(packages: impl IntoIterator<Item = N>) -> Self {
        let mut packages: Vec<String> = packages.into_iter().map(Into::into).collect();
        packages.push(BASE.to_owned());
        Self {
            packages,
            left_out: FOR_SCRIPTS.map(str::to_owned).into(),
            execution: Map::from_iter([("Env".to_owned(), json!([SEARCH_PATH]))]),
            labels: Map::new(),
            time: None,
            compression: Compression::default(),
        }
    }

    /// Leaves these packages out, with what only they need, whoever needs them.
    pub fn leaving_out<N: Into<String>>(mut self, packages: impl IntoIterator<Item = N>) -> Self {
        self.left_out.extend(packages.into_iter().map(Into::into));
        self
    }

    /// Sets the program that the image runs.
    pub fn with_entrypoint<N: Into<String>>(mut self, words: impl IntoIterator<Item = N>) -> Self {
        let words: Vec<String> = words.into_iter().map(Into::into).collect();
        self.execution.insert("Entrypoint".into(), json!(words));
        self
    }

    /// Sets the program's arguments where none are given.
    pub fn with_command<N: Into<String>>(mut self, words: impl IntoIterator<Item = N>) -> Self {
        let words: Vec<String> = words.into_iter().map(Into::into).collect();
        self.execution.insert("Cmd".into(), json!(words));
        self
    }

    /// Adds a label.
    pub fn with_label(mut self, name: &str, value: &str) -> Self {
        self.labels.insert(name.to_owned(), value.into());
        self
    }

    /// Sets the time of the image and of what is in no package, in place of the archive's.
    pub fn at(self, time: Timestamp) -> Self {
        Self { time: Some(time), ..self }
    }

    /// Sets the layer's compression.
    pub fn with_compression(self, compression: Compression) -> Self {
        Self { compression, ..self }
    }

    /// The packages that the image will have, sorted by name.
    ///
    /// # Errors
    /// `NotFound` or `Invalid` from a [`ClosureError`]: a package that is not there, cannot have what it needs, or
    /// cannot be beside another.
    pub fn packages(&self, archive: &Archive) -> Result<Vec<AvailablePackage>> {
        closure::close(archive, &self.packages, &self.left_out).map_err(|error| {
            let kind = match error {
                ClosureError::Missing(_) | ClosureError::Unsatisfied { .. } => ErrorKind::NotFound,
                _ => ErrorKind::Invalid,
            };
            Error::new(kind, error.to_string()).during("choose packages").because(error)
        })
    }

    /// Makes the image of one architecture, in Debian's words for it (`amd64`, `armhf`), of what an archive offers.
    ///
    /// # Errors
    /// As [`packages`](Self::packages); those of [`ArchiveClient::download`]; `Corrupt` for a damaged package,
    /// `Conflict` where two packages have the same file, `Unsupported` for an architecture that images have no word
    /// for.
    pub async fn image(
        &self,
        archive: &Archive,
        architecture: &str,
        client: &ArchiveClient,
        cx: &Context,
    ) -> Result<Image> {
        let platform = manifest::platform(architecture)?;
        let packages = self.packages(archive)?;
        let files = self.download(&packages, client, cx).await?;
        let time = self.time.unwrap_or_else(|| newest(archive));
        let layer = self.layer(files, is_merged(archive), time, cx).await?;
        let mut execution = self.execution.clone();
        if !self.labels.is_empty() {
            execution.insert("Labels".into(), Value::Object(self.labels.clone()));
        }
        manifest::assemble(&platform, execution, layer, &history(&packages), time)
    }

    /// Makes the images of several architectures and an index of them; a plain image where it is only one.
    ///
    /// # Errors
    /// As [`image`](Self::image) and [`ArchiveClient::update`]; `Invalid` where no architecture is named.
    pub async fn images<N: AsRef<str>>(
        &self,
        client: &ArchiveClient,
        sources: &[Source],
        trust: &TrustStore,
        architectures: impl IntoIterator<Item = N>,
        cx: &Context,
    ) -> Result<ImageSet> {
        let mut images = Vec::new();
        for architecture in architectures {
            let architecture = architecture.as_ref();
            let archive = client.update(sources, trust, architecture, cx).await?;
            images.push(self.image(&archive, architecture, client, cx).await?);
        }
        match <[Image; 1]>::try_from(images) {
            Ok([image]) => Ok(ImageSet::single(image)),
            Err(images) => ImageSet::of_platforms(images),
        }
    }

    async fn download(
        &self,
        packages: &[AvailablePackage],
        client: &ArchiveClient,
        cx: &Context,
    ) -> Result<Vec<(String, PathBuf)>> {
        let each = packages.iter().map(|package| async move {
            let path = client.download(package, cx).await?;
            Ok((package.name().to_owned(), path))
        });
        stream::iter(each.collect::<Vec<_>>()).buffered(PARALLEL).try_collect().await
    }

    /// Unpacks the packages, `base-files` first: its folders have modes that others rely on.
    async fn layer(
        &self,
        mut files: Vec<(String, PathBuf)>,
        is_merged: bool,
        time: Timestamp,
        cx: &Context,
    ) -> Result<Layer> {
        files.sort_by_key(|(name, _)| name != BASE);
        let (compression, cx) = (self.compression, cx.clone());
        let write = move || {
            let mut root = Root::new(is_merged, time.as_second(), compression, &cx)?;
            for (package, path) in files {
                let unpacked = root.unpack(&package, &path);
                unpacked.map_err(|error| error.during(format!("unpack {package}")))?;
            }
            root.finish()
        };
        spawn_blocking(write).await.map_err(|error| Error::unexpected(error.to_string()))?
    }
}

/// Whether `/bin`, `/lib` and `/sbin` are links into `/usr` in this release: whether a package that every system has
/// asks for it (`usr-is-merged`, from Debian 12 on).
fn is_merged(archive: &Archive) -> bool {
    let essential = [BASE, "init-system-helpers"].into_iter().flat_map(|name| archive.named(name));
    let needs = |package: AvailablePackage| {
        ["Pre-Depends", "Depends"].into_iter().filter_map(move |field| package.field(field))
    };
    essential.flat_map(needs).any(|value| value.contains("usr-is-merged"))
}

/// When the newest part of the archive was made.
fn newest(archive: &Archive) -> Timestamp {
    let dates = archive.indexes().iter().map(|index| index.origin().release.date);
    dates.max().unwrap_or_default()
}

fn history(packages: &[AvailablePackage]) -> String {
    let names: Vec<_> = packages.iter().map(|package| format!("{}={}", package.name(), package.version())).collect();
    format!("patchkit bootstrap {}", names.join(" "))
}
