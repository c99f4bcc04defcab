//! What is installed, what is vulnerable, what would fix it, and the fix itself.

pub mod advisory;
pub mod debian;
pub mod inventory;
pub mod matcher;
pub mod os_release;
pub mod patcher;
pub mod rescan;
pub mod scanner;

pub use advisory::AdvisoryStore;
pub use debian::patcher::{DebianPatcher, PatchOptions, Repositories, Selection};
pub use inventory::Inventory;
pub use rescan::Rescan;
pub use scanner::AdvisoryScanner;
