use std::{fmt, future::Future, time::Duration};

use async_trait::async_trait;

use super::Around;
use crate::{Context, Error, Result, Retry as Retryable};

/// Tries again where an error says that it may help, waiting twice as long each time.
///
/// A delay that the other side named (`Retry-After`) is kept where it is longer, and ends the tries where it is longer
/// than [`longest`](Self::longest). A stream that breaks after it was opened is not tried again: who reads it resumes.
/// A ledger's append that was done but whose answer was lost is done twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// How often it is tried again after the first time.
    pub times: u32,
    /// How long to wait before the first time.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
}

impl Default for Retry {
    /// Five times, after 0.5, 1, 2, 4 and 8 seconds, and never more than a minute.
    fn default() -> Self {
        Self { times: 5, first: Duration::from_millis(500), longest: Duration::from_secs(60) }
    }
}

impl Retry {
    /// How long to wait after the given number of failures, or `None` to give up.
    fn delay(&self, failures: u32, error: &Error) -> Option<Duration> {
        let Retryable::After(asked) = error.retryable() else { return None };
        let asked = asked.unwrap_or_default();
        let doubled = self.first.saturating_mul(2_u32.saturating_pow(failures));
        (failures < self.times && asked <= self.longest).then(|| doubled.min(self.longest).max(asked))
    }
}

impl fmt::Display for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "retry {} times", self.times)
    }
}

#[async_trait]
impl Around for Retry {
    async fn around<T, F, Fut>(&self, operation: &'static str, cx: &Context, call: F) -> Result<T>
    where
        T: Send,
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<T>> + Send,
    {
        for failures in 0.. {
            cx.check()?;
            let error = match call().await {
                Err(error) => error,
                done => return done,
            };
            let Some(delay) = self.delay(failures, &error) else { return Err(error) };
            tracing::debug!(operation, %error, ?delay, "trying again");
            cx.sleep(delay).await?;
        }
        unreachable!("the number of tries is finite")
    }
}
