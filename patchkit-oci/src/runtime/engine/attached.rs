//! The streams of a command that runs in an engine.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bollard::{container::LogOutput, errors::Error as EngineError};
use bytes::Bytes;
use futures::{Stream, StreamExt};
use patchkit_core::{Error, Output, Result};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    task::JoinHandle,
};

use super::error::of_engine;

type Pieces = Pin<Box<dyn Stream<Item = Result<LogOutput, EngineError>> + Send>>;
type Input = Pin<Box<dyn AsyncWrite + Send>>;

/// Collects what a command writes, and gives it what it reads, until dropped.
#[derive(Debug)]
pub(super) struct Attached {
    written: Arc<Mutex<Written>>,
    task: JoinHandle<Result<()>>,
}

#[derive(Debug, Default)]
struct Written {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    limit: Option<u64>,
}

impl Attached {
    /// Begins.
    pub(super) fn new(pieces: Pieces, input: Input, stdin: Bytes, limit: Option<u64>) -> Self {
        let written = Arc::new(Mutex::new(Written { limit, ..Written::default() }));
        let task = tokio::spawn({
            let written = written.clone();
            async move { tokio::join!(collect(pieces, &written), feed(input, &stdin)).0 }
        });
        Self { written, task }
    }

    /// What was written until now.
    pub(super) fn output(&self) -> Output {
        let written = lock(&self.written);
        Output { stdout: written.stdout.clone().into(), stderr: written.stderr.clone().into() }
    }

    /// All that is written, once both streams have ended.
    pub(super) async fn finish(&mut self) -> Result<Output> {
        (&mut self.task).await.map_err(|error| Error::unexpected("reading output stopped").because(error))??;
        Ok(self.output())
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn collect(mut pieces: Pieces, written: &Mutex<Written>) -> Result<()> {
    while let Some(piece) = pieces.next().await {
        lock(written).keep(piece.map_err(of_engine)?);
    }
    Ok(())
}

/// A command that does not read its input has every right to.
async fn feed(mut input: Input, stdin: &[u8]) {
    if !stdin.is_empty() && input.write_all(stdin).await.is_ok() {
        let _ = input.shutdown().await;
    }
}

fn lock(written: &Mutex<Written>) -> MutexGuard<'_, Written> {
    written.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Written {
    fn keep(&mut self, piece: LogOutput) {
        let (kept, piece) = match piece {
            LogOutput::StdErr { message } => (&mut self.stderr, message),
            LogOutput::Console { message } | LogOutput::StdOut { message } => (&mut self.stdout, message),
            LogOutput::StdIn { .. } => return,
        };
        let room = self.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX) - kept.len());
        kept.extend_from_slice(&piece[..piece.len().min(room)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stream_has_the_limit() {
        let mut written = Written { limit: Some(3), ..Written::default() };
        let message = Bytes::from("ab");
        for _ in 0..2 {
            written.keep(LogOutput::StdOut { message: message.clone() });
        }
        written.keep(LogOutput::StdErr { message });
        assert_eq!((&*written.stdout, &*written.stderr), (&b"aba"[..], &b"ab"[..]));
    }
}
