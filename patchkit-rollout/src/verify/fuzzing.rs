//! The parsers of foreign bytes that are not public, for the fuzz targets alone.

use super::{accounts, owners};

/// How many accounts, groups and passwords a text has, read as each of the files that have them.
#[must_use]
pub fn accounts(bytes: &[u8]) -> usize {
    accounts::uid_of("fuzz", bytes);
    accounts::accounts(bytes).len() + accounts::groups(bytes).len() + accounts::passwords(bytes).len()
}

/// How many files the lists of package managers name.
#[must_use]
pub fn owned_files(bytes: &[u8]) -> usize {
    owners::dpkg(b"fuzz.list", bytes).len() + owners::apk(bytes).len()
}
