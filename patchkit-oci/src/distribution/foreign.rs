//! One door to every parser of what a registry or a file says, for fuzzing. Not part of the API.

use super::{auth, errors, link, referrers, tags};

/// `WWW-Authenticate`.
pub fn challenges(bytes: &[u8]) {
    let _ = std::str::from_utf8(bytes).map(auth::parse_challenges);
}

/// `Link`.
pub fn link(bytes: &[u8]) {
    let _ = std::str::from_utf8(bytes).map(link::next_of);
}

/// The body of an error.
pub fn error(bytes: &[u8]) {
    let _ = errors::parse(bytes);
}

/// A page of tags.
pub fn tag_list(bytes: &[u8]) {
    let _ = tags::parse(bytes);
}

/// A list of referrers.
pub fn referrer_list(bytes: &[u8]) {
    let _ = referrers::parse(bytes);
}

/// A file of credentials.
pub fn auth_file(bytes: &[u8]) {
    let _ = auth::AuthFile::parse(bytes);
}
