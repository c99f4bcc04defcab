//! Locks between processes, and between the tasks of one.

use std::{
    fs::{File, FileTimes},
    io,
    path::Path,
    time::{Duration, SystemTime},
};

use patchkit_core::{Context, Result};
use rustix::{fs::FlockOperation, io::Errno};

use crate::file::on;

/// How often someone who waits looks.
const PAUSE: Duration = Duration::from_millis(10);

/// A lock that is held on a file, until it is dropped or the process ends.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Lock {
    pub(super) async fn exclusive(path: &Path, cx: &Context) -> Result<Self> {
        Self::wait(path, FlockOperation::NonBlockingLockExclusive, cx).await
    }

    pub(super) async fn shared(path: &Path, cx: &Context) -> Result<Self> {
        Self::wait(path, FlockOperation::NonBlockingLockShared, cx).await
    }

    /// `None` where somebody else holds it.
    pub(super) fn try_exclusive(path: &Path) -> io::Result<Option<Self>> {
        Self::attempt(path, FlockOperation::NonBlockingLockExclusive)
    }

    /// Notes that what it is about is used now.
    pub(super) fn touch(&self) {
        // Only the order of removal rests on it.
        let _ = self.0.set_times(FileTimes::new().set_modified(SystemTime::now()));
    }

    async fn wait(path: &Path, operation: FlockOperation, cx: &Context) -> Result<Self> {
        loop {
            if let Some(lock) = Self::attempt(path, operation).map_err(on(path))? {
                return Ok(lock);
            }
            cx.sleep(PAUSE).await?;
        }
    }

    fn attempt(path: &Path, operation: FlockOperation) -> io::Result<Option<Self>> {
        let file = File::options().create(true).truncate(false).write(true).open(path)?;
        match rustix::fs::flock(&file, operation) {
            Ok(()) => Ok(Some(Self(file))),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
