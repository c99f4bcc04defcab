//! The client for Debian package archives.

pub mod openpgp;
pub mod publish;
pub mod sources;

#[cfg(test)]
pub(crate) mod testing;
