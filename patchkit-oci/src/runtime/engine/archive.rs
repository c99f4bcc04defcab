//! Files of a container: through the engine as tar archives, or from `/proc` where engines do not look.

use std::{io::Read, path::Path};

use bollard::{
    Docker,
    query_parameters::{ContainerArchiveInfoOptionsBuilder, DownloadFromContainerOptionsBuilder},
};
use bytes::Bytes;
use futures::TryStreamExt;
use patchkit_core::{Error, Result, image::FilePath};

use super::error::{is_absent, of_engine};

/// The most bytes of a file that is read where no limit is given: 256 MiB.
const MAX_FILE: u64 = 256 << 20;

/// What a tar archive with one file has beside its content, at most: headers with long names.
const MAX_HEADERS: u64 = 1 << 20;

/// How many links are followed from one to the next.
const MAX_LINKS: usize = 16;

/// The bits of a file's mode that make it something else than a regular file, as Go writes them (`io/fs.ModeType`).
const MODE_TYPE: u32 = 0x8f28_0000;

/// The bit of a symbolic link.
const MODE_SYMLINK: u32 = 1 << 27;

/// The content of a regular file, up to the limit in bytes; `None` where there is none.
pub(super) async fn read(docker: &Docker, id: &str, path: &str, limit: Option<u64>) -> Result<Option<Bytes>> {
    let read = async {
        let Some((path, size)) = find(docker, id, path).await? else { return Ok(None) };
        let options = DownloadFromContainerOptionsBuilder::new().path(&path).build();
        let mut pieces = Box::pin(docker.download_from_container(id, Some(options)));
        if limit.is_none() && size > MAX_FILE {
            return Err(Error::unsupported(format!("{size} bytes, more than {MAX_FILE}")));
        }
        let limit = limit.unwrap_or(MAX_FILE);
        let mut archive = Vec::new();
        while let Some(piece) = pieces.try_next().await.map_err(of_engine)? {
            archive.extend_from_slice(&piece);
            if archive.len() as u64 > limit.saturating_add(MAX_HEADERS) {
                break;
            }
        }
        first(&archive, limit).map(Some)
    };
    read.await.map_err(|error: Error| error.on(path))
}

/// Where a file is once symbolic links are followed, and its size.
async fn find(docker: &Docker, id: &str, path: &str) -> Result<Option<(String, u64)>> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        let options = ContainerArchiveInfoOptionsBuilder::new().path(&path).build();
        let found = match docker.get_container_archive_info(id, Some(options)).await {
            Err(error) if is_absent(&error) => return Ok(None),
            found => found.map_err(of_engine)?,
        };
        match found.file_mode & MODE_TYPE {
            0 => return Ok(Some((path, u64::try_from(found.size).unwrap_or_default()))),
            MODE_SYMLINK if found.link_target.starts_with('/') => path = found.link_target,
            MODE_SYMLINK => {
                path = format!("{}/{}", path.rsplit_once('/').map_or("", |(base, _)| base), found.link_target)
            }
            _ => return Err(Error::invalid("no regular file")),
        }
    }
    Err(Error::invalid("too many symbolic links"))
}

/// The first file of an archive, up to the limit.
fn first(archive: &[u8], limit: u64) -> Result<Bytes> {
    let corrupt = |error: std::io::Error| Error::corrupt(format!("the engine's archive: {error}")).because(error);
    let mut archive = tar::Archive::new(archive);
    let entry = archive.entries().map_err(corrupt)?.next().ok_or_else(|| Error::corrupt("an empty archive"))?;
    let mut content = Vec::new();
    entry.map_err(corrupt)?.take(limit).read_to_end(&mut content).map_err(corrupt)?;
    Ok(content.into())
}

/// Whether a file is one of `/proc`, which is in no archive.
pub(super) fn is_process_file(path: &str) -> bool {
    FilePath::new(path).is_ok_and(|path| path.components().next() == Some(b"proc"))
}

/// A file of the container's `/proc`, seen through its first process.
pub(super) fn read_process_file(pid: u32, path: &str, limit: Option<u64>) -> Result<Option<Bytes>> {
    let relative = FilePath::new(path).map_err(|error| Error::invalid(error.to_string()))?;
    let relative = relative.to_str().ok_or_else(|| Error::invalid("the path is no text"))?;
    let host = Path::new("/proc").join(pid.to_string()).join("root").join(relative);
    let read = std::fs::File::open(&host).and_then(|file| {
        let mut content = Vec::new();
        file.take(limit.unwrap_or(MAX_FILE)).read_to_end(&mut content)?;
        Ok(content)
    });
    match read {
        Ok(content) => Ok(Some(content.into())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(crate::file::on(Path::new(path))(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_processes_are_known_however_they_are_written() {
        assert!(["/proc/1/maps", "//proc/../proc/x", "/./proc/self"].map(is_process_file) == [true, false, true]);
        assert!(!is_process_file("/process"));
    }

    #[test]
    fn the_first_file_is_cut_at_the_limit() {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_ustar();
        header.set_size(5);
        builder.append_data(&mut header, "x", &b"hello"[..]).unwrap();
        let archive = builder.into_inner().unwrap();
        assert_eq!(first(&archive, 9).unwrap(), "hello");
        assert_eq!(first(&archive, 2).unwrap(), "he");
        assert!(first(&archive[..100], 9).is_err());
    }
}
