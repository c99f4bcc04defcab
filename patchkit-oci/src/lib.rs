//! Images wherever they live, and what is attached to them.

mod file;
mod scratch;

pub use scratch::FolderScratch;
