//! What is installed, what is vulnerable, what would fix it, and the fix itself.

pub mod advisory;
pub mod debian;
pub mod inventory;
mod language;
pub mod matcher;
pub mod os_release;
#[cfg(feature = "patch")]
pub mod patcher;
pub mod rescan;
pub mod scanner;
pub mod version;

pub use advisory::AdvisoryStore;
#[cfg(feature = "patch")]
pub use debian::patcher::{DebianPatcher, PatchOptions, Repositories, Selection};
pub use inventory::Inventory;
pub use rescan::Rescan;
pub use scanner::AdvisoryScanner;

/// What the fuzzer calls: parsers of foreign bytes that are not public otherwise.
#[doc(hidden)]
pub mod fuzzing {
    /// Reads bytes as every part of a compiled advisory database.
    pub fn database_parts(bytes: &[u8]) {
        crate::advisory::store::parts::read(bytes);
    }
}
