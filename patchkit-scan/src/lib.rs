//! What is installed, what is vulnerable, what would fix it, and the fix itself.

pub mod advisory;
pub mod debian;
pub mod os_release;
