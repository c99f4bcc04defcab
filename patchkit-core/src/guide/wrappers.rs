//! # Wrappers
//!
//! Anything [`Around`](crate::wrap::Around) can be put around any port with [`wrapped`](crate::wrap::Wrap::wrapped). The
//! result is the same port and prints as the stack that it is, the outermost first:
//!
//! ```
//! use std::time::Duration;
//! use patchkit_core::{memory::MemoryRegistry, wrap::{Limit, Record, Retry, Timeout, Wrap}};
//!
//! let calls = Record::default();
//! let registry = MemoryRegistry::default()
//!     .wrapped(calls.clone())
//!     .wrapped(Timeout(Duration::from_secs(30)))
//!     .wrapped(Retry::default())
//!     .wrapped(Limit::new(8));
//! assert!(format!("{registry:?}").starts_with("limit 8 ▷ retry 5 times ▷ timeout 30s ▷ record ▷ "));
//! assert!(calls.calls().is_empty());
//! ```
//!
//! The order matters: here each of the retries has thirty seconds, and a call that waits between retries keeps its turn.
//! One of your own is one method:
//!
//! ```
//! use std::{fmt, future::Future};
//! use patchkit_core::{Context, Error, Result, wrap::Around};
//!
//! /// Refuses every call: for maintenance.
//! struct Closed;
//!
//! impl fmt::Display for Closed {
//!     fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
//!         f.write_str("closed")
//!     }
//! }
//!
//! #[async_trait::async_trait]
//! impl Around for Closed {
//!     async fn around<T, F, Fut>(&self, operation: &'static str, _cx: &Context, _call: F) -> Result<T>
//!     where
//!         T: Send,
//!         F: Fn() -> Fut + Send + Sync,
//!         Fut: Future<Output = Result<T>> + Send,
//!     {
//!         Err(Error::unavailable("closed for maintenance").during(operation))
//!     }
//! }
//! ```
