//! The client for Debian package archives.

pub mod openpgp;
pub mod publish;

#[cfg(test)]
pub(crate) mod testing;
