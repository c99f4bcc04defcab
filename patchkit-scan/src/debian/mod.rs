//! Debian and its derivatives.

pub mod apt;
