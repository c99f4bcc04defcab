//! Debian and its kin: the package database, the archive format, versions and dependencies, and the archive client.

#[cfg(feature = "patch")]
pub mod apt;
#[cfg(feature = "patch")]
pub mod bootstrap;
pub(crate) mod catalog;
pub mod control;
#[cfg(feature = "patch")]
pub mod deb;
pub mod dpkg;
#[cfg(feature = "patch")]
pub mod install;
#[cfg(feature = "patch")]
pub mod patcher;
pub mod path;
#[cfg(feature = "patch")]
pub mod solve;
pub mod version;
