//! Where images are: what a name on the command line opens and writes to.

use std::sync::Arc;

use patchkit_core::{Context, Error, Image, ImageSet, Layer, PutManifest, Reference, Registry, Result, Target};
use patchkit_oci::{
    Archive, ArchiveFormat, FolderScratch, ImageName, Layout, RegistryClient, distribution::Options, write_archive,
};

use crate::cli::{Global, Platforms};

/// The context of a command: Ctrl-C cancels it, and what is large goes to disk.
pub(crate) fn context() -> Context {
    let cx = Context::new().with_scratch(Arc::new(FolderScratch::temporary()));
    let cancel = cx.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            cancel.cancel();
        }
    });
    cx
}

/// The registry that a name is in, and what it is called there.
pub(crate) async fn open(name: &ImageName, global: &Global) -> Result<(Arc<dyn Registry>, Reference)> {
    match name {
        ImageName::Oci(local) => {
            let layout = Layout::open(local.path()).await?;
            let reference = layout.find(local.name()).await?;
            Ok((Arc::new(layout), reference))
        }
        ImageName::OciArchive(local) => archive(local, ArchiveFormat::Oci).await,
        ImageName::DockerArchive(local) => archive(local, ArchiveFormat::Docker).await,
        ImageName::Registry(reference) => Ok((client(reference, global)?, reference.clone())),
        other => Err(Error::unsupported("this kind of image name").on(other)),
    }
}

async fn archive(local: &patchkit_oci::Local, format: ArchiveFormat) -> Result<(Arc<dyn Registry>, Reference)> {
    let archive = Archive::open(local.path(), format).await?;
    let reference = archive.find(local.name())?;
    Ok((Arc::new(archive), reference))
}

fn client(reference: &Reference, global: &Global) -> Result<Arc<dyn Registry>> {
    let mut options = Options::default();
    if global.plain_http {
        options = options.with_plain_http(reference.repository().host());
    }
    Ok(Arc::new(RegistryClient::new(options)?))
}

/// What a name on the command line names, opened.
pub(crate) async fn target(name: &ImageName, global: &Global, cx: &Context) -> Result<Target> {
    let (registry, reference) = open(name, global).await?;
    Target::open(registry, reference, cx).await
}

/// The images of the platforms that were asked for.
///
/// # Errors
/// [`NotFound`](patchkit_core::ErrorKind::NotFound) for a platform that the index does not have.
pub(crate) fn chosen<'a>(target: &'a Target, platforms: &Platforms) -> Result<Vec<&'a Image>> {
    let images = target.images().images();
    for platform in &platforms.platform {
        if !images.iter().any(|image| image.platform() == platform) {
            let there: Vec<_> = images.iter().map(|image| image.platform().to_string()).collect();
            let message = format!("no image for {platform}; there is {}", there.join(", "));
            return Err(Error::not_found(message).on(target.reference()));
        }
    }
    let asked = |image: &&Image| platforms.platform.is_empty() || platforms.platform.contains(image.platform());
    Ok(images.iter().filter(asked).collect())
}

/// Writes images where a name says.
pub(crate) async fn store(images: &ImageSet, name: &ImageName, global: &Global, cx: &Context) -> Result<()> {
    let options = PutManifest::default();
    match name {
        ImageName::Oci(local) => {
            let layout = Layout::create(local.path()).await?;
            let reference = match local.name() {
                Some(_) => layout.find(local.name()).await?,
                None => layout.repository().tag("latest").expect("it is a tag"),
            };
            images.push(&layout, &reference, &options, cx).await.map(drop)
        }
        ImageName::OciArchive(local) => write_archive(images, local.path(), ArchiveFormat::Oci, local.name(), cx).await,
        ImageName::DockerArchive(local) => {
            write_archive(images, local.path(), ArchiveFormat::Docker, local.name(), cx).await
        }
        ImageName::Registry(reference) => {
            let client = client(reference, global)?;
            images.push(&client, reference, &options, cx).await.map(drop)
        }
        other => Err(Error::unsupported("this kind of image name").on(other)),
    }
}

/// How many bytes of layers one image has that another has not.
pub(crate) fn added_bytes(before: &Image, after: &Image) -> u64 {
    let old: Vec<_> = before.layers().iter().map(Layer::digest).collect();
    let added = after.layers().iter().filter(|layer| !old.contains(&layer.digest()));
    added.map(|layer| layer.blob().descriptor().size).sum()
}
