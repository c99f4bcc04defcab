//! Debian's own advisories, in the four forms they come in.
//!
//! All of them speak of source packages and of releases by codename. What they say about one CVE in one package is
//! joined by the [store](super::AdvisoryStore): a CVE that was fixed by `DSA-1234-1`, and again by `DSA-1234-2` at a
//! higher version, is fixed in the higher one.

pub mod bulletins;
pub mod fixes;
pub mod list;
pub mod tracker;

use std::sync::Arc;

use patchkit_core::Severity;

use crate::debian::version::DebVersion;

/// The name of the source that Debian's announcements (DSA, DLA) are.
pub const BULLETINS: &str = "debian-security-advisories";

/// The name of the source that Debian's security tracker is.
pub const TRACKER: &str = "debian-security-tracker";

/// A text as a version that an advisory may name.
pub(super) fn version(text: &str) -> Result<Arc<str>, String> {
    match DebVersion::parse_lenient(text) {
        Ok(version) => Ok(version.as_str().into()),
        Err(error) => Err(format!("version {text:?}: {error}")),
    }
}

/// Debian's word for how urgent a fix is; stars after it say that a program has chosen it.
pub(super) fn urgency(word: &str) -> Severity {
    match word.trim_end_matches('*') {
        "unimportant" => Severity::Negligible,
        "low" => Severity::Low,
        "medium" => Severity::Medium,
        "high" => Severity::High,
        _ => Severity::Unknown,
    }
}

/// The title of an announcement, where it says more than that it is one.
fn announcement_title(text: &str) -> Option<Arc<str>> {
    let says_nothing = ["security update", "regression update"].iter().any(|empty| text.ends_with(empty));
    super::title(text).filter(|_| !says_nothing)
}
