//! What is installed, what is vulnerable, what would fix it, and the fix itself.

pub mod debian;
