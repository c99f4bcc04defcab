//! The book: how patchkit fits together and how to add to it. Every example runs.
//!
//! 1. [`flow`]: from a reference to a release, and what each link of the chain proves.
//! 2. [`first_plugin`]: a useful scanner with its conformance suite.
//! 3. [`errors`]: failures, refusals, and what to do with them.
//! 4. [`wrappers`]: retry, limit, timeout, record around any port.
//! 5. [`testing`]: pipelines without a network.

pub mod errors;
pub mod first_plugin;
pub mod flow;
pub mod testing;
pub mod wrappers;
