//! What is installed, what is vulnerable, what would fix it, and the fix itself.

pub mod advisory;
mod alias;
mod alpine;
mod arch;
mod compression;

pub mod debian;
pub mod fetch;
#[doc(hidden)]
pub mod fuzzing;
pub mod ignore;
pub mod inventory;
mod language;
pub mod matcher;
pub mod os_release;
#[cfg(feature = "patch")]
pub mod patcher;
pub mod priority;
mod purl_pattern;
pub mod quorum;
pub mod report;
pub mod rescan;
mod rpm;
pub mod sbom;
pub mod scanner;
pub mod version;
pub mod vex;

pub use advisory::AdvisoryStore;
pub use compression::Compression;
#[cfg(feature = "patch")]
pub use debian::patcher::{DebianPatcher, PatchOptions, Repositories, Selection};
pub use ignore::Ignored;
pub use inventory::{Inventory, InventoryOptions, LayerCache};
pub use purl_pattern::PurlPattern;
pub use quorum::Quorum;
pub use report::ReportScanner;
pub use rescan::Rescan;
pub use sbom::{Sbom, SbomScanner};
pub use scanner::AdvisoryScanner;
pub use vex::Vexed;
