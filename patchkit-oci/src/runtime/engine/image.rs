//! Images in the engine's storage.

use bollard::{
    Docker,
    query_parameters::{ImportImageOptionsBuilder, ListImagesOptionsBuilder, RemoveImageOptions},
};
use futures::{StreamExt, TryStreamExt, stream};
use patchkit_core::{Context, Error, Image, ImageSet, Result};

use super::error::{is_absent, of_engine};
use crate::{
    ArchiveFormat,
    file::{FilePart, blocking, on},
    write_archive,
};

/// Where the images of ours are, in the engine's storage.
const REPOSITORY: &str = "localhost/patchkit/";

/// Makes sure that the engine has an image; its name there.
pub(super) async fn load(docker: &Docker, image: &Image, cx: &Context) -> Result<String> {
    let name = format!("{REPOSITORY}{}:patched", image.digest().hex());
    match cx.guard(async { Ok(docker.inspect_image(&name).await) }).await? {
        Ok(_) => return Ok(name),
        Err(error) if is_absent(&error) => {}
        Err(error) => return Err(of_engine(error)),
    }
    upload(docker, image, &name, cx).await.map_err(|error| error.during("load image"))?;
    Ok(name)
}

async fn upload(docker: &Docker, image: &Image, name: &str, cx: &Context) -> Result<()> {
    let folder = blocking(|| tempfile::tempdir().map_err(|error| on(&std::env::temp_dir())(error))).await?;
    let path = folder.path().join("image.tar");
    write_archive(&ImageSet::single(image.clone()), &path, ArchiveFormat::Docker, Some(name), cx).await?;
    let file = blocking({
        let path = path.clone();
        move || std::fs::File::open(&path).and_then(FilePart::whole).map_err(on(&path))
    });
    let pieces = file.await?.stream(cx);
    let body = stream::unfold(pieces, async |mut pieces| Some((pieces.next().await?, pieces)));
    let loaded = docker.import_image_stream(ImportImageOptionsBuilder::new().quiet(true).build(), body, None);
    let told: Vec<_> = cx.guard(async { loaded.try_collect().await.map_err(of_engine) }).await?;
    match told.into_iter().find_map(|info| info.error_detail?.message) {
        Some(message) => Err(Error::unexpected(format!("the engine refuses the image: {message}"))),
        None => Ok(()),
    }
}

/// Removes the images that no container uses.
pub(super) async fn forget(docker: &Docker) -> Result<usize> {
    let all = docker.list_images(Some(ListImagesOptionsBuilder::new().all(true).build())).await.map_err(of_engine)?;
    let names = all.iter().flat_map(|image| &image.repo_tags).filter(|name| name.starts_with(REPOSITORY));
    let mut removed = 0;
    for name in names {
        match docker.remove_image(name, None::<RemoveImageOptions>, None).await {
            Ok(_) => removed += 1,
            Err(error) => match of_engine(error) {
                error if error.kind() == patchkit_core::ErrorKind::Conflict => {}
                error => return Err(error.on(name)),
            },
        }
    }
    Ok(removed)
}
