//! Images wherever they live, and what is attached to them.

mod file;
mod layout;
mod scratch;
mod sign;

pub use layout::{Collected, IndexFile, Layout, ParseLayoutError, Store, parse_marker};
pub use scratch::FolderScratch;
pub use sign::{LocalKey, SigstoreBundle, verify};
pub mod distribution;

pub use distribution::RegistryClient;
