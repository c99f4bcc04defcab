//! What is installed, what is vulnerable, what would fix it, and the fix itself.

pub mod advisory;
mod compression;
pub mod debian;
pub mod inventory;
mod language;
pub mod matcher;
pub mod os_release;
#[cfg(feature = "patch")]
pub mod patcher;
pub mod rescan;
pub mod scanner;

pub use advisory::AdvisoryStore;
pub use compression::Compression;
#[cfg(feature = "patch")]
pub use debian::patcher::{DebianPatcher, PatchOptions, Repositories, Selection};
pub use inventory::Inventory;
pub use rescan::Rescan;
pub use scanner::AdvisoryScanner;
