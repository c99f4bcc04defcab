//! The environment of a call: who may stop it, until when, what time it is, and where large things may be put.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::sync::watch;

use crate::{Error, Result, memory::MemoryScratch, scratch::Scratch};

/// Tells the time and waits. Tests move one by hand: [`ManualClock`](crate::memory::ManualClock).
#[async_trait::async_trait]
pub trait Clock: fmt::Debug + Send + Sync {
    /// The time now.
    fn now(&self) -> Timestamp;

    /// Returns when the duration has passed.
    async fn sleep(&self, duration: Duration);
}

/// The clock of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

#[async_trait::async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// The environment of every port's call: intent goes into arguments, circumstances come from here.
///
/// Cloning is cheap and shares everything, so that cancelling one cancels all.
///
/// ```
/// use patchkit_core::{Context, ErrorKind};
///
/// let cx = Context::new();
/// cx.check().unwrap();
/// cx.cancel();
/// assert_eq!(cx.check().unwrap_err().kind(), ErrorKind::Cancel);
/// ```
#[derive(Clone)]
pub struct Context {
    cancelled: Arc<watch::Sender<bool>>,
    deadline: Option<Timestamp>,
    clock: Arc<dyn Clock>,
    scratch: Arc<dyn Scratch>,
    run: Arc<str>,
}

impl Default for Context {
    fn default() -> Self {
        Self::new()
    }
}

impl Context {
    /// The machine's clock, no deadline, scratch space in memory, and a run id made of the time.
    #[must_use]
    pub fn new() -> Self {
        Self {
            cancelled: Arc::new(watch::Sender::new(false)),
            deadline: None,
            clock: Arc::new(SystemClock),
            scratch: Arc::new(MemoryScratch),
            run: format!("run-{}", Timestamp::now().as_nanosecond()).into(),
        }
    }

    /// The same, with another clock.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// The same, which must be done by the given time.
    #[must_use]
    pub fn with_deadline(self, deadline: Timestamp) -> Self {
        Self { deadline: Some(deadline), ..self }
    }

    /// The same, with other scratch space, such as a folder on disk.
    #[must_use]
    pub fn with_scratch(self, scratch: Arc<dyn Scratch>) -> Self {
        Self { scratch, ..self }
    }

    /// The same, with the given run id: what the ledger's records of this run have in common.
    #[must_use]
    pub fn with_run(self, run: impl Into<Arc<str>>) -> Self {
        Self { run: run.into(), ..self }
    }

    /// Stops every call that runs in this context or a clone of it.
    pub fn cancel(&self) {
        self.cancelled.send_replace(true);
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// When everything must be done.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        self.deadline
    }

    /// Where large intermediate results go.
    #[must_use]
    pub fn scratch(&self) -> &Arc<dyn Scratch> {
        &self.scratch
    }

    /// The id of this run.
    #[must_use]
    pub fn run(&self) -> &str {
        &self.run
    }

    /// Says whether to go on. Loops call it once a turn.
    ///
    /// # Errors
    /// [`Cancel`](crate::ErrorKind::Cancel) after [`cancel`](Self::cancel) or past the deadline.
    pub fn check(&self) -> Result<()> {
        if *self.cancelled.borrow() {
            return Err(Error::cancelled("the run was cancelled"));
        }
        match self.deadline {
            Some(deadline) if self.now() >= deadline => Err(past(deadline)),
            _ => Ok(()),
        }
    }

    /// Runs a future until it is done, the run is cancelled, or the deadline has passed; then it is dropped.
    ///
    /// # Errors
    /// [`Cancel`](crate::ErrorKind::Cancel), or the future's own error.
    pub async fn guard<T>(&self, future: impl Future<Output = Result<T>>) -> Result<T> {
        self.check()?;
        let mut cancelled = self.cancelled.subscribe();
        tokio::select! {
            biased;
            _ = cancelled.wait_for(|cancelled| *cancelled) => Err(Error::cancelled("the run was cancelled")),
            result = future => result,
            deadline = self.until_deadline() => Err(past(deadline)),
        }
    }

    /// Waits; returns early when the run is cancelled or its deadline passes.
    ///
    /// # Errors
    /// [`Cancel`](crate::ErrorKind::Cancel).
    pub async fn sleep(&self, duration: Duration) -> Result<()> {
        self.guard(async {
            self.clock.sleep(duration).await;
            Ok(())
        })
        .await
    }

    async fn until_deadline(&self) -> Timestamp {
        let Some(deadline) = self.deadline else {
            return std::future::pending().await;
        };
        let left = deadline.duration_since(self.now());
        self.clock.sleep(left.try_into().unwrap_or_default()).await;
        deadline
    }
}

fn past(deadline: Timestamp) -> Error {
    Error::cancelled(format!("the deadline {deadline} has passed"))
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cancelled, deadline, clock: _, scratch, run } = self;
        f.debug_struct("Context")
            .field("cancelled", &*cancelled.borrow())
            .field("deadline", deadline)
            .field("scratch", scratch)
            .field("run", run)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorKind, memory::ManualClock};

    #[tokio::test]
    async fn the_deadline_ends_a_wait() {
        let clock = ManualClock::at(Timestamp::UNIX_EPOCH);
        let deadline = Timestamp::from_second(10).unwrap();
        let cx = Context::new().with_clock(Arc::new(clock.clone())).with_deadline(deadline);
        let waiting = tokio::spawn({
            let cx = cx.clone();
            async move { cx.sleep(Duration::from_secs(60)).await }
        });
        tokio::task::yield_now().await;
        clock.advance(Duration::from_secs(10));
        assert_eq!(waiting.await.unwrap().unwrap_err().kind(), ErrorKind::Cancel);
    }

    #[tokio::test]
    async fn cancelling_a_clone_ends_a_wait() {
        let cx = Context::new();
        let other = cx.clone();
        let (waited, ()) = tokio::join!(cx.sleep(Duration::from_secs(3600)), async move { other.cancel() });
        assert_eq!(waited.unwrap_err().kind(), ErrorKind::Cancel);
    }
}
