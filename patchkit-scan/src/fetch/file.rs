//! `file:` addresses.

use std::{
    fs::File,
    io::{self, Read},
    path::PathBuf,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use patchkit_core::{Context, Error, ErrorKind, Result};
use tokio::task::spawn_blocking;
use url::Url;

use super::{Body, Fetch, on_url, unsupported};

/// Bytes read at once.
const CHUNK: usize = 256 << 10;

/// Reads `file:` addresses of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct FileFetch;

#[async_trait]
impl Fetch for FileFetch {
    async fn open(&self, url: &Url, cx: &Context) -> Result<Body> {
        cx.check()?;
        let path = path_of(url)?;
        let opened = blocking(move || {
            let file = File::open(path)?;
            let metadata = file.metadata()?;
            if metadata.is_dir() {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            Ok((file, metadata.len()))
        });
        let (file, length) = opened.await.map_err(on_url(url))?;
        let locate = on_url(url);
        let chunks = stream::unfold(Some(file), next_chunk).map(move |chunk| chunk.map_err(&locate));
        Ok(Body::new(Some(length), chunks.boxed()))
    }
}

fn path_of(url: &Url) -> Result<PathBuf> {
    if url.scheme() != "file" {
        return Err(unsupported(url));
    }
    url.to_file_path().map_err(|()| on_url(url)(Error::invalid("not the address of a file on this machine")))
}

async fn next_chunk(file: Option<File>) -> Option<(Result<Bytes>, Option<File>)> {
    let mut file = file?;
    let read = blocking(move || {
        let mut bytes = Vec::with_capacity(CHUNK);
        file.by_ref().take(CHUNK as u64).read_to_end(&mut bytes)?;
        Ok((bytes, file))
    });
    match read.await {
        Ok((bytes, _)) if bytes.is_empty() => None,
        Ok((bytes, file)) => Some((Ok(bytes.into()), Some(file))),
        Err(error) => Some((Err(error), None)),
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T> {
    let done = spawn_blocking(work).await.map_err(|error| Error::unexpected(error.to_string()))?;
    done.map_err(|error| {
        let kind = match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => ErrorKind::NotFound,
            io::ErrorKind::PermissionDenied => ErrorKind::Denied,
            _ => ErrorKind::Unexpected,
        };
        Error::new(kind, error.to_string()).because(error)
    })
}
