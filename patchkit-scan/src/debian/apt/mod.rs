//! The client for Debian package archives.

pub mod cache;
pub mod client;
mod error;
pub mod index;
pub mod openpgp;
pub mod preferences;
pub mod publish;
pub mod release;
pub mod sources;
pub mod trust;

pub use crate::fetch;

#[cfg(test)]
pub(crate) mod testing;
