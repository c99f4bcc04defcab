//! The order of Debian's versions, which is [`DebVersion`]'s.

use super::Flaw;
use crate::debian::version::{DebVersion, VersionError};

/// Reads a version as dpkg reads one in its database, without its strictest rules.
pub(super) fn parse(text: &str) -> Result<DebVersion, Flaw> {
    DebVersion::parse_lenient(text).map_err(|error| {
        let reason = match error {
            VersionError::Epoch => "the epoch is not a number from 0 to 2147483647",
            VersionError::Empty => "there is no version",
            VersionError::EmptyRevision => "the revision after the last hyphen is empty",
            VersionError::Space => "there is white space in it",
            VersionError::Start => "it does not start with a digit",
            VersionError::TooLong => "it is too long",
            VersionError::RevisionCharacter(_) | VersionError::UpstreamCharacter(_) => "a character is not allowed",
        };
        Flaw::new(0, reason)
    })
}
