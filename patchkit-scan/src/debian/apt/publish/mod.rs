//! Makes and signs a small archive.

mod key;

pub use key::{ArchiveKey, KeyError};
