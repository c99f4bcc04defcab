//! Is an image what it says it is? Everything that is wrong with it, at once.

use std::{fmt, sync::Arc};

use futures::StreamExt;

use super::{
    Config, Image, Index, Manifest, ReadLimits, RegistryBlob,
    merge::{Listing, Merge},
    set::is_image,
};
use crate::{Blob, Context, Descriptor, Digest, Error, ErrorKind, ManifestBytes, Registry, Repository, Result};

/// The most faults that are noted of one layer's place among the others.
const MOST: usize = 100;

/// Something that is wrong with an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// [`Corrupt`](ErrorKind::Corrupt) for what contradicts itself or the specification,
    /// [`NotFound`](ErrorKind::NotFound) for what is missing, [`Unsupported`](ErrorKind::Unsupported) for what could not
    /// be looked at.
    pub kind: ErrorKind,
    /// The digest of the manifest, configuration or layer, or the path of the file, that is wrong.
    pub subject: String,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.subject, self.kind, self.message)
    }
}

/// Checks what a digest names in a repository, an image or an index of images, down to the last file: digests and sizes
/// of everything, the documents, diff ids, history and platforms, media types, and that every layer can be unpacked over
/// the ones below it.
///
/// The result has all faults; none where the image is good. Every layer is read once.
///
/// # Errors
/// What keeps one from telling: [`Cancel`](ErrorKind::Cancel), [`Denied`](ErrorKind::Denied),
/// [`Unavailable`](ErrorKind::Unavailable) and the like. What is missing is a fault.
pub async fn check(
    registry: Arc<dyn Registry>,
    repository: &Repository,
    digest: &Digest,
    cx: &Context,
) -> Result<Vec<Fault>> {
    let mut check = Check { registry, repository: repository.clone(), faults: Faults::default(), cx };
    check.root(digest).await?;
    Ok(check.faults.0)
}

impl Image {
    /// Checks this image as [`check`] does. What would have kept it from being opened is known to be good.
    ///
    /// # Errors
    /// As [`check`].
    pub async fn check(&self, cx: &Context) -> Result<Vec<Fault>> {
        let mut faults = Faults::default();
        faults.descriptor(self);
        faults.history(self.config(), self.manifest());
        faults.layers(self, cx).await?;
        Ok(faults.0)
    }
}

#[derive(Default)]
struct Faults(Vec<Fault>);

impl Faults {
    /// Takes an error that is a fault of the image; any other goes on.
    fn note<T>(&mut self, subject: impl fmt::Display, result: Result<T>) -> Result<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) if is_fault(error.kind()) => {
                let error = error.on(subject);
                let subject = error.subject().unwrap_or_default().to_owned();
                self.0.push(Fault { kind: error.kind(), subject, message: error.message().into() });
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn corrupt(&mut self, subject: impl fmt::Display, message: impl Into<String>) {
        let fault = Fault { kind: ErrorKind::Corrupt, subject: subject.to_string(), message: message.into() };
        self.0.push(fault);
    }

    fn descriptor(&mut self, image: &Image) {
        let config = image.manifest().config();
        if !config.media_type.is_config() {
            self.corrupt(image.digest(), format!("its configuration has the media type {}", config.media_type));
        }
        if config.size != image.config().bytes().len() as u64 {
            let message = format!("{} bytes, not {}", image.config().bytes().len(), config.size);
            self.corrupt(config.digest, message);
        }
    }

    fn history(&mut self, config: &Config, manifest: &Manifest) {
        let (layers, diff_ids) = (manifest.layers().len(), config.diff_ids().len());
        if diff_ids != layers {
            self.corrupt(config.digest(), format!("{diff_ids} diff ids, but {layers} layers in the manifest"));
        }
        if let Some(history) = config.history_layers().filter(|history| *history != layers) {
            self.corrupt(config.digest(), format!("the history speaks of {history} layers, but there are {layers}"));
        }
    }

    /// Reads every layer and puts it over those below, as long as those are good.
    async fn layers(&mut self, image: &Image, cx: &Context) -> Result<()> {
        let limits = ReadLimits::default();
        let mut merge = Some(Merge::new(limits.metadata_bytes));
        for layer in image.layers() {
            let listing = layer.visit_within(Listing::of_nothing(), &limits, cx).await;
            let Some(listing) = self.note(layer.digest(), listing)? else {
                merge = None;
                continue;
            };
            let Some(below) = merge.take() else { continue };
            let (over, faults) = below.over(listing, MOST).await;
            merge = faults.is_empty().then_some(over);
            for fault in faults {
                self.note(layer.digest(), Err::<(), _>(fault))?;
            }
        }
        Ok(())
    }
}

fn is_fault(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Corrupt | ErrorKind::NotFound | ErrorKind::Unsupported)
}

struct Check<'a> {
    registry: Arc<dyn Registry>,
    repository: Repository,
    faults: Faults,
    cx: &'a Context,
}

impl Check<'_> {
    async fn root(&mut self, digest: &Digest) -> Result<()> {
        let manifest = self.registry.manifest(&self.repository, digest, self.cx).await;
        let Some(manifest) = self.faults.note(digest, manifest)? else { return Ok(()) };
        if !manifest.media_type.is_index() {
            return self.image(&manifest, None).await;
        }
        let Some(index) = self.faults.note(digest, Index::parse(&manifest))? else { return Ok(()) };
        for entry in index.manifests() {
            self.entry(entry).await?;
        }
        Ok(())
    }

    async fn entry(&mut self, entry: &Descriptor) -> Result<()> {
        let manifest = self.registry.manifest(&self.repository, &entry.digest, self.cx).await;
        let Some(manifest) = self.faults.note(entry.digest, manifest)? else { return Ok(()) };
        if manifest.bytes.len() as u64 != entry.size {
            let message = format!("{} bytes, but the index says {}", manifest.bytes.len(), entry.size);
            self.faults.corrupt(entry.digest, message);
        }
        if manifest.media_type != entry.media_type {
            let message = format!("it is {}, but the index says {}", manifest.media_type, entry.media_type);
            self.faults.corrupt(entry.digest, message);
        }
        if is_image(entry) { self.image(&manifest, Some(entry)).await } else { Ok(()) }
    }

    async fn image(&mut self, bytes: &ManifestBytes, entry: Option<&Descriptor>) -> Result<()> {
        let digest = bytes.descriptor().digest;
        let Some(manifest) = self.faults.note(digest, Manifest::parse(bytes))? else { return Ok(()) };
        let config = self.config(manifest.config()).await?;
        if let Some(config) = &config {
            self.platform(config, entry)?;
            let layers = manifest.layers().iter().map(|layer| self.blob(layer)).collect();
            if let Ok(image) = Image::assemble(manifest.clone(), config.clone(), layers) {
                self.faults.0.extend(image.check(self.cx).await?);
                return Ok(());
            }
            self.faults.history(config, &manifest);
        }
        // Without diff ids the layers' own digests can still be checked.
        for layer in manifest.layers() {
            let read = drain(&self.blob(layer), self.cx).await;
            self.faults.note(layer.digest, read)?;
        }
        Ok(())
    }

    async fn config(&mut self, descriptor: &Descriptor) -> Result<Option<Config>> {
        let read = async {
            if descriptor.size > super::MAX_DOCUMENT {
                return Err(Error::unsupported(format!("a configuration of {} bytes", descriptor.size)));
            }
            Config::parse(self.blob(descriptor).read(self.cx).await?)
        };
        let read = read.await;
        self.faults.note(descriptor.digest, read)
    }

    fn platform(&mut self, config: &Config, entry: Option<&Descriptor>) -> Result<()> {
        let Some(own) = self.faults.note(config.digest(), config.platform())? else { return Ok(()) };
        match entry.and_then(|entry| entry.platform.as_ref()) {
            Some(said) if *said != own => {
                self.faults.corrupt(config.digest(), format!("it is for {own}, but the index says {said}"));
            }
            _ => {}
        }
        Ok(())
    }

    fn blob(&self, descriptor: &Descriptor) -> Blob {
        let (registry, repository) = (self.registry.clone(), self.repository.clone());
        Blob::new(descriptor.clone(), Arc::new(RegistryBlob { registry, repository, digest: descriptor.digest }))
    }
}

/// Reads a blob to its end, where its digest and size are checked.
async fn drain(blob: &Blob, cx: &Context) -> Result<()> {
    cx.guard(async {
        let mut stream = blob.open(cx).await?;
        while let Some(piece) = stream.next().await {
            piece?;
        }
        Ok(())
    })
    .await
}
