//! Running commands in images.

#[cfg(target_os = "linux")]
pub mod builtin;
