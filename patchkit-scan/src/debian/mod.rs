//! Debian and its kin: the package database, the archive format, versions and dependencies, and the archive client.

pub mod apt;
pub mod bootstrap;
pub(crate) mod catalog;
pub mod control;
pub mod deb;
pub mod dpkg;
pub mod install;
pub mod patcher;
pub mod path;
pub mod solve;
pub mod version;
