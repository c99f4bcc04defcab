//! What is installed, what is vulnerable, what would fix it, and the fix itself.

pub mod advisory;
mod alpine;
mod arch;
pub mod debian;
pub mod fetch;
#[doc(hidden)]
pub mod fuzzing;
pub mod inventory;
mod language;
pub mod matcher;
pub mod os_release;
#[cfg(feature = "patch")]
pub mod patcher;
pub mod rescan;
mod rpm;
pub mod scanner;
pub mod version;

pub use advisory::AdvisoryStore;
#[cfg(feature = "patch")]
pub use debian::patcher::{DebianPatcher, PatchOptions, Repositories, Selection};
pub use inventory::{Inventory, InventoryOptions, LayerCache};
pub use rescan::Rescan;
pub use scanner::AdvisoryScanner;
