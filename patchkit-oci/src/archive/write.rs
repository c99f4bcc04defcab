//! Writing images into a tar archive: the same images give the same bytes.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use bytes::Bytes;
use patchkit_core::{
    Blob, Context, Descriptor, Digest, Error, Image, ImageSet, ManifestBytes, MediaType, Reference, Result,
};
use serde_json::json;
use tar::{EntryType, Header};
use tempfile::NamedTempFile;

use super::ArchiveFormat;
use crate::{
    file::{Sink, blocking},
    layout::{Document, IndexFile, Lock, MARKER, clean, hidden},
};

/// Writes an image, or an index with its images, into a new archive, under a name where one is given: a tag or a full
/// name for OCI's format, a full name for Docker's. What was at the path before is replaced when everything is written.
///
/// An archive in Docker's format is an OCI layout besides, as Docker 25 writes it; the layers keep their compression,
/// which all its readers know.
///
/// # Errors
/// [`Unsupported`](patchkit_core::ErrorKind::Unsupported) for several platforms in Docker's format;
/// [`Invalid`](patchkit_core::ErrorKind::Invalid) for a name that can be none, and for an index that names more than
/// its images; those of reading the layers and of writing.
pub async fn write_archive(
    images: &ImageSet,
    path: &Path,
    format: ArchiveFormat,
    name: Option<&str>,
    cx: &Context,
) -> Result<()> {
    let written = async {
        let members = members(images, format, name)?;
        write(&members, path, cx).await
    };
    written.await.map_err(|error: Error| error.on(path.display()).during("write archive"))
}

/// What the archive has, in the order of the names.
fn members(images: &ImageSet, format: ArchiveFormat, name: Option<&str>) -> Result<BTreeMap<String, Blob>> {
    let mut members = BTreeMap::new();
    for image in images.images() {
        let config = Blob::of(image.manifest().config().media_type.clone(), image.config().bytes().clone());
        let layers = image.layers().iter().map(|layer| layer.blob().clone());
        members.extend(layers.chain([config, document(image.manifest().bytes())]).map(|blob| (blob_name(&blob), blob)));
    }
    let root = document(images.manifest());
    check_whole(images, &members)?;
    members.insert(blob_name(&root), root);
    let mut file = |name: &str, bytes: Bytes| members.insert(name.into(), Blob::of(MediaType::new("file"), bytes));
    file("index.json", index(images, format, name)?);
    file("oci-layout", Bytes::from_static(MARKER));
    if format == ArchiveFormat::Docker {
        file("manifest.json", docker_manifest(images, name)?);
    }
    Ok(members)
}

fn document(manifest: &ManifestBytes) -> Blob {
    Blob::of(manifest.media_type.clone(), manifest.bytes.clone())
}

fn digest_name(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().as_str(), digest.hex())
}

fn blob_name(blob: &Blob) -> String {
    digest_name(&blob.descriptor().digest)
}

fn check_whole(images: &ImageSet, members: &BTreeMap<String, Blob>) -> Result<()> {
    let document = Document::of(images.manifest())?;
    match document.manifests().find(|entry| !members.contains_key(&digest_name(&entry.digest))) {
        Some(entry) => Err(Error::invalid(format!("the index names {}, which is no image", entry.digest))),
        None => Ok(()),
    }
}

fn index(images: &ImageSet, format: ArchiveFormat, name: Option<&str>) -> Result<Bytes> {
    let mut index = IndexFile::default();
    let platform = images.index().is_none().then(|| images.images()[0].platform().clone());
    let root = Descriptor { platform, ..images.root().clone() };
    match (name, format) {
        (Some(name), ArchiveFormat::Docker) => index.point(&docker_name(name)?, &root),
        (Some(name), ArchiveFormat::Oci) => index.point(name, &root),
        (None, _) => index.list(&root),
    }
    Ok(index.render().into())
}

/// The full name of an image for Docker.
fn docker_name(name: &str) -> Result<String> {
    let reference: Reference = name.parse().map_err(|error| Error::invalid(format!("{error}")))?;
    match (reference.tag(), reference.digest()) {
        (Some(_), None) => Ok(reference.to_string()),
        _ => Err(Error::invalid(format!("{name:?}: an archive of Docker's names images by tags"))),
    }
}

fn docker_manifest(images: &ImageSet, name: Option<&str>) -> Result<Bytes> {
    let [image]: &[Image; 1] = images.images().try_into().map_err(|_| {
        let platforms: BTreeSet<_> = images.images().iter().map(|image| image.platform().to_string()).collect();
        let platforms = platforms.into_iter().collect::<Vec<_>>().join(", ");
        Error::unsupported(format!("an archive of Docker's has one platform, not {platforms}"))
    })?;
    let tags: Vec<String> = name.map(docker_name).transpose()?.into_iter().collect();
    let layers: Vec<String> = image.layers().iter().map(|layer| digest_name(layer.digest())).collect();
    let manifest = json!([{ "Config": digest_name(&image.config().digest()), "RepoTags": tags, "Layers": layers }]);
    Ok(manifest.to_string().into())
}

async fn write(members: &BTreeMap<String, Blob>, path: &Path, cx: &Context) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned();
    let file = blocking(move || {
        clean(&folder)?;
        hidden(&folder, &Lock::shared(&folder)?)
    })
    .await?;
    let sink = Sink::new(file);
    let written = write_members(members, &sink, cx).await;
    // In any case, so that a file which is not wanted is gone when this returns.
    let file = sink.finish().await;
    written?;
    let (file, to) = (file?, path.to_owned());
    blocking(move || crate::layout::publish(file, &to)).await
}

async fn write_members(members: &BTreeMap<String, Blob>, sink: &Sink<NamedTempFile>, cx: &Context) -> Result<()> {
    let algorithms: BTreeSet<&str> = members.keys().filter_map(|name| Some(name.rsplit_once('/')?.0)).collect();
    for folder in std::iter::once("blobs").chain(algorithms) {
        sink.write(header(&format!("{folder}/"), 0)).await;
    }
    for (name, blob) in members {
        let size = blob.descriptor().size;
        sink.write(header(name, size)).await;
        sink.copy(blob, cx).await?;
        sink.write(zeros(size.next_multiple_of(512) - size)).await;
    }
    sink.write(zeros(1024)).await;
    Ok(())
}

fn zeros(len: u64) -> Bytes {
    Bytes::from_static(&[0; 1024]).slice(..usize::try_from(len).expect("it is at most two blocks"))
}

/// The header of a member, with a pax header before it where the name is too long for one.
fn header(name: &str, size: u64) -> Bytes {
    let mut header = plain_header(size, if name.ends_with('/') { EntryType::Directory } else { EntryType::Regular });
    let mut bytes = Vec::new();
    if header.set_path(name).is_err() {
        let record = pax_record("path", name);
        let mut extension = plain_header(record.len() as u64, EntryType::XHeader);
        extension.set_path("pax").and_then(|()| header.set_path("long")).expect("they are short");
        extension.set_cksum();
        bytes.extend_from_slice(extension.as_bytes());
        bytes.extend_from_slice(record.as_bytes());
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    header.set_cksum();
    bytes.extend_from_slice(header.as_bytes());
    bytes.into()
}

fn plain_header(size: u64, kind: EntryType) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(if kind.is_dir() { 0o755 } else { 0o644 });
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header
}

/// A record of a pax header: its own length, in digits that count too, a key and a value.
fn pax_record(key: &str, value: &str) -> String {
    let rest = key.len() + value.len() + 3;
    let mut length = rest;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    format!("{length} {key}={value}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_counts_itself() {
        for length in [1, 88, 89, 90, 91, 92, 93, 94, 990] {
            let record = pax_record("path", &"x".repeat(length));
            let counted: usize = record.split_once(' ').unwrap().0.parse().unwrap();
            assert_eq!(counted, record.len());
        }
    }

    #[test]
    fn a_long_name_is_read_back() {
        let name = digest_name(&format!("sha512:{}", "a".repeat(128)).parse().unwrap());
        let archive = [header(&name, 0), zeros(1024)].concat();
        let mut archive = tar::Archive::new(archive.as_slice());
        let entry = archive.entries().unwrap().next().unwrap().unwrap();
        assert_eq!(entry.path().unwrap().to_str(), Some(name.as_str()));
    }
}
