use std::{
    fmt,
    future::Future,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use jiff::Timestamp;

use super::Around;
use crate::{Context, ErrorKind, Result};

/// Notes every call, in the order in which they ended. Clones share the notes.
#[derive(Clone, Debug, Default)]
pub struct Record(Arc<Mutex<Vec<Call>>>);

/// A call that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The port's method.
    pub operation: &'static str,
    /// When it began.
    pub began: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// How it failed, if it did.
    pub failed: Option<ErrorKind>,
}

impl Record {
    /// The calls so far.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.0.lock().expect("nobody panics while holding the lock").clone()
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("record")
    }
}

#[async_trait]
impl Around for Record {
    async fn around<T, F, Fut>(&self, operation: &'static str, cx: &Context, call: F) -> Result<T>
    where
        T: Send,
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<T>> + Send,
    {
        let began = cx.now();
        let result = call().await;
        let failed = result.as_ref().err().map(|error| error.kind());
        let call = Call { operation, began, ended: cx.now(), failed };
        self.0.lock().expect("nobody panics while holding the lock").push(call);
        result
    }
}
