//! Uploads that are under way: each a stretch of scratch space that grows until it is named.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use futures::StreamExt;
use hyper::StatusCode;
use patchkit_core::{Blob, BlobSource, ByteStream, Context, Descriptor, Digest, Error, MediaType, ScratchWriter};
use tokio::sync::Mutex as AsyncMutex;

use super::reply::Refusal;
use crate::file::{Sink, blocking};

/// How many uploads may be under way.
const MAX_SESSIONS: usize = 1024;

/// How long nothing may come before an upload is given up.
const IDLE: Duration = Duration::from_secs(3600);

/// The uploads under way, by id.
#[derive(Default)]
pub(super) struct Uploads(Mutex<HashMap<String, Session>>);

#[derive(Clone)]
struct Session {
    /// The path of the repository it is for.
    repository: String,
    upload: Arc<AsyncMutex<Upload>>,
}

/// What has come of a blob so far.
pub(super) struct Upload {
    /// Gone once writing failed or the upload was ended.
    writer: Option<Box<dyn ScratchWriter>>,
    size: u64,
    touched: Instant,
}

impl Uploads {
    /// Begins an upload; its id.
    pub(super) fn begin(&self, repository: &str, cx: &Context) -> Result<String, Refusal> {
        let upload = Upload::new(cx).map_err(|error| Refusal::of(&error, "UNKNOWN", "UNKNOWN"))?;
        let session = Session { repository: repository.into(), upload: Arc::new(AsyncMutex::new(upload)) };
        let mut sessions = self.sessions();
        sessions.retain(|_, session| !session.is_idle());
        if sessions.len() >= MAX_SESSIONS {
            let message = format!("{MAX_SESSIONS} uploads are under way");
            return Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS", message));
        }
        let id = new_id();
        sessions.insert(id.clone(), session);
        Ok(id)
    }

    /// An upload of a repository.
    pub(super) fn find(&self, repository: &str, id: &str) -> Result<Arc<AsyncMutex<Upload>>, Refusal> {
        let sessions = self.sessions();
        let found = sessions.get(id).filter(|session| session.repository == repository);
        found.map(|session| session.upload.clone()).ok_or_else(|| unknown(id))
    }

    /// Forgets an upload.
    pub(super) fn end(&self, id: &str) {
        self.sessions().remove(id);
    }

    fn sessions(&self) -> std::sync::MutexGuard<'_, HashMap<String, Session>> {
        self.0.lock().expect("no one panics while holding it")
    }
}

impl Session {
    fn is_idle(&self) -> bool {
        self.upload.try_lock().is_ok_and(|upload| upload.touched.elapsed() > IDLE)
    }
}

fn unknown(id: &str) -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN", format!("no upload {id:?} is under way"))
}

/// A name that cannot be guessed.
fn new_id() -> String {
    let part = || RandomState::new().hash_one(Instant::now());
    format!("{:016x}{:016x}", part(), part())
}

impl Upload {
    fn new(cx: &Context) -> patchkit_core::Result<Self> {
        Ok(Self { writer: Some(cx.scratch().create()?), size: 0, touched: Instant::now() })
    }

    /// How many bytes have come.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Takes in more bytes. Those that came before the other side went away are kept, so that it may go on there.
    pub(super) async fn append(&mut self, mut pieces: ByteStream) -> patchkit_core::Result<()> {
        let writer = self.writer.take().ok_or_else(|| Error::invalid("the upload has ended"))?;
        let sink = Sink::new(writer);
        let mut broken = None;
        while let Some(piece) = pieces.next().await {
            match piece {
                Ok(piece) => {
                    self.size += piece.len() as u64;
                    if !sink.write(piece).await {
                        break;
                    }
                }
                Err(error) => {
                    broken = Some(error);
                    break;
                }
            }
        }
        self.writer = Some(sink.finish().await?);
        self.touched = Instant::now();
        broken.map_or(Ok(()), Err)
    }

    /// Ends the upload: what has come, under the digest that it should have.
    pub(super) async fn finish(&mut self, digest: &Digest) -> patchkit_core::Result<Blob> {
        let writer = self.writer.take().ok_or_else(|| Error::invalid("the upload has ended"))?;
        let source: Arc<dyn BlobSource> = blocking(move || writer.finish()).await?;
        let descriptor = Descriptor::new(MediaType::new("application/octet-stream"), *digest, self.size);
        Ok(Blob::new(descriptor, source))
    }
}
