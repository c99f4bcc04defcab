use std::{fmt, future::Future, sync::Arc};

use async_trait::async_trait;
use tokio::sync::Semaphore;

use super::Around;
use crate::{Context, Result};

/// Lets a number of calls run at once; the others wait their turn. Clones share the number.
#[derive(Clone, Debug)]
pub struct Limit {
    calls: usize,
    turns: Arc<Semaphore>,
}

impl Limit {
    /// At most this many calls at once, and at least one.
    #[must_use]
    pub fn new(calls: usize) -> Self {
        let calls = calls.clamp(1, Semaphore::MAX_PERMITS);
        Self { calls, turns: Arc::new(Semaphore::new(calls)) }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "limit {}", self.calls)
    }
}

#[async_trait]
impl Around for Limit {
    async fn around<T, F, Fut>(&self, _operation: &'static str, cx: &Context, call: F) -> Result<T>
    where
        T: Send,
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<T>> + Send,
    {
        let turn = cx.guard(async { Ok(self.turns.acquire().await.expect("the semaphore is never closed")) }).await?;
        let result = call().await;
        drop(turn);
        result
    }
}
