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

pub use advisory::AdvisoryStore;
#[cfg(feature = "patch")]
pub use debian::patcher::{DebianPatcher, PatchOptions, Repositories, Selection};
pub use inventory::Inventory;
pub use rescan::Rescan;
pub use scanner::AdvisoryScanner;

/// What fuzz targets and comparisons with other tools call of what is not public.
#[doc(hidden)]
pub mod fuzzing {
    use patchkit_core::{Package, image::FilePath};

    /// The packages that the detectors find in one file, which is called so in an image.
    ///
    /// # Errors
    /// The message of the first detector that cannot read it.
    pub fn detect(path: &str, content: impl std::io::Read, size: u64) -> Result<Vec<Package>, String> {
        let path = FilePath::new(path).map_err(|error| error.to_string())?;
        crate::language::detect(&path, content, size).map_err(|error| error.to_string())
    }
}
