//! The small errors of this folder as the error of the workspace.

use patchkit_core::{Error, ErrorKind};

use super::{
    index::IndexError,
    openpgp::KeyringError,
    preferences::PreferencesError,
    publish::PublishError,
    sources::{SourcesError, SourcesErrorKind},
};

impl From<SourcesError> for Error {
    /// `Unsupported` for a way of access that we do not have, else `Invalid`.
    fn from(error: SourcesError) -> Self {
        let kind = match error.kind {
            SourcesErrorKind::UnsupportedScheme(_) => ErrorKind::Unsupported,
            _ => ErrorKind::Invalid,
        };
        Error::new(kind, error.kind.to_string()).during("read the sources").on(&error.place).because(error)
    }
}

impl From<PreferencesError> for Error {
    /// `Invalid`.
    fn from(error: PreferencesError) -> Self {
        Error::invalid(error.reason.clone()).during("read the preferences").on(&error.place).because(error)
    }
}

impl From<KeyringError> for Error {
    /// `Unsupported` for a keybox, else `Invalid`.
    fn from(error: KeyringError) -> Self {
        let kind = match error {
            KeyringError::Keybox { .. } => ErrorKind::Unsupported,
            KeyringError::Empty { .. } | KeyringError::TooMany { .. } => ErrorKind::Invalid,
        };
        Error::new(kind, error.to_string()).during("read the keyring").because(error)
    }
}

impl From<IndexError> for Error {
    /// `Corrupt`.
    fn from(error: IndexError) -> Self {
        Error::corrupt(error.to_string()).during("read the index").because(error)
    }
}

impl From<PublishError> for Error {
    /// `Unexpected`.
    fn from(error: PublishError) -> Self {
        Error::unexpected(error.to_string()).during("make an archive").because(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::debian::apt::sources::parse_sources;

    #[test]
    fn what_we_cannot_do_is_told_from_what_is_wrong() {
        let kind = |line: &str| Error::from(parse_sources("s.list", line.as_bytes()).expect_err(line));
        let error = kind("deb cdrom:[x]/ s main\n");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().starts_with("read the sources: s.list:1: address \"cdrom:[x]/\""), "{error}");
        assert_eq!(kind("deb\n").kind(), ErrorKind::Invalid);
    }
}
