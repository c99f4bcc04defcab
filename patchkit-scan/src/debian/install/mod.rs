//! Putting packages into an image as data: nothing of the image or the packages is executed.

pub mod elf;
mod glob;
pub mod ldcache;
pub mod tree;
