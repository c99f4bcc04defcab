//! Ways to bring a signed image to where it runs.

mod file;
mod tag;

pub use file::FileDeployer;
pub use tag::TagDeployer;
