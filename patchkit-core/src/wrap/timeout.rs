use std::{fmt, future::Future, time::Duration};

use async_trait::async_trait;

use super::Around;
use crate::{Context, Error, Result};

/// Gives every call so much time; one that takes longer is dropped and is
/// [`Unavailable`](crate::ErrorKind::Unavailable), so that a [`Retry`](super::Retry) around it tries again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeout(pub Duration);

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "timeout {:?}", self.0)
    }
}

#[async_trait]
impl Around for Timeout {
    async fn around<T, F, Fut>(&self, operation: &'static str, cx: &Context, call: F) -> Result<T>
    where
        T: Send,
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<T>> + Send,
    {
        let late = || Error::unavailable(format!("no answer within {:?}", self.0)).during(operation);
        tokio::select! {
            biased;
            result = call() => result,
            waited = cx.sleep(self.0) => Err(waited.err().unwrap_or_else(late)),
        }
    }
}
