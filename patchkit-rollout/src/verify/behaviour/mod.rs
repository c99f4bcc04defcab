//! What a service does, before and after: its answers over HTTP, its contract, its data, and what it must not be able to.
//!
//! Everything here works on a started [`Container`](patchkit_core::Container), whatever runtime started it:
//!
//! | module | asks |
//! |---|---|
//! | [`readiness`] | does it answer yet |
//! | `probe` (feature `http`) | does it answer as the original did, and as fast |
//! | [`contract`] | does it keep its OpenAPI document (asking it needs the feature `http`) |
//! | [`compatibility`] | can its data stores and schemas live with the patch |
//! | [`isolation`] | do forbidden things fail in it, and does nothing outlive it |

pub mod compatibility;
pub mod contract;
pub mod http;
pub mod isolation;
#[cfg(feature = "http")]
pub mod probe;
pub mod readiness;
pub mod schema;
