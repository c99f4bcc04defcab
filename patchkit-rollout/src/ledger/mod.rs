//! Where a run's record is kept.

mod file;

pub use file::FileLedger;
