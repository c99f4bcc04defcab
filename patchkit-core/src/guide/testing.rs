//! # Testing with the memory implementations
//!
//! Every port has an implementation in [`memory`](crate::memory). They are not mocks: they keep the contract, pass the
//! conformance suites, and are fit to embed. A registry in memory, a clock that stands still and a ledger to look at
//! are all that most tests need:
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! use std::{sync::Arc, time::Duration};
//! use jiff::Timestamp;
//! use patchkit_core::{Blob, Context, ErrorKind, MediaType, Registry, memory::{ManualClock, MemoryRegistry}};
//!
//! let clock = ManualClock::at(Timestamp::UNIX_EPOCH);
//! let cx = Context::new().with_clock(Arc::new(clock.clone())).with_deadline(Timestamp::from_second(60)?);
//! let registry = MemoryRegistry::default();
//! registry.put_blob(&"example.org/app".parse()?, &Blob::of(MediaType::OCI_LAYER, "hello"), &cx).await?;
//!
//! clock.advance(Duration::from_secs(61));
//! assert_eq!(cx.check().unwrap_err().kind(), ErrorKind::Cancel);
//! # Ok::<_, Box<dyn std::error::Error>>(()) }).unwrap();
//! ```
//!
//! Ports that decide something come as closures:
//! [`MemoryScanner`](crate::memory::MemoryScanner), [`MemoryVerifier`](crate::memory::MemoryVerifier),
//! [`MemoryGate`](crate::memory::MemoryGate), [`MemoryRuntime`](crate::memory::MemoryRuntime). For an implementation of
//! your own, run the suite of its port from [`conformance`](crate::port#conformance), alone and inside your wrappers.
