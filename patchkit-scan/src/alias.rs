//! Which names are of one vulnerability.
//!
//! Findings have two kinds of aliases: other names of the same vulnerability (a CVE's GHSA), and announcements that fix
//! it, perhaps together with others (`DSA-5764-1`). The latter make no two vulnerabilities the same.

use patchkit_core::{AdvisoryId, Finding};

/// The namespaces of names of vulnerabilities. All others are of announcements.
const VULNERABILITIES: [&str; 12] =
    ["BIT", "CGA", "CVE", "EUVD", "GHSA", "GO", "GSD", "MAL", "OSV", "PSF", "PYSEC", "RUSTSEC"];

/// Whether an id is the name of one vulnerability, and not of an announcement that may be about several.
pub(crate) fn is_vulnerability(id: &AdvisoryId) -> bool {
    id.as_str().split_once('-').is_some_and(|(namespace, _)| VULNERABILITIES.contains(&namespace))
}

/// All names of a finding's vulnerability, its id first.
pub(crate) fn names(finding: &Finding) -> impl Iterator<Item = &AdvisoryId> + Clone {
    [&finding.id].into_iter().chain(&finding.aliases)
}

/// Whether two sets of names that have one in common may be of the same vulnerability: not where both have CVE ids, and
/// none of those is in both, so that what they share is an announcement.
pub(crate) fn may_be_same<'a>(
    a: impl Iterator<Item = &'a AdvisoryId>,
    b: impl Iterator<Item = &'a AdvisoryId> + Clone,
) -> bool {
    let mut others = b.filter(|id| id.is_cve()).peekable();
    if others.peek().is_none() {
        return true;
    }
    let mut own = a.filter(|id| id.is_cve()).peekable();
    own.peek().is_none() || own.any(|id| others.clone().any(|other| other == id))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_announcement_makes_no_two_the_same() {
        let ids = |text: &str| text.split(' ').map(|id| id.parse().unwrap()).collect::<Vec<AdvisoryId>>();
        for (a, b, same) in [
            ("CVE-2024-0001 DSA-1-1", "CVE-2024-0002 DSA-1-1", false),
            ("GHSA-1 CVE-2024-0001 DSA-1-1", "DSA-1-1 CVE-2024-0002", false),
            ("CVE-2024-0001 GHSA-1", "GHSA-1", true),
            ("CVE-2024-0001 GHSA-1", "GHSA-1 CVE-2024-0001", true),
            ("DSA-1-1", "CVE-2024-0001 DSA-1-1", true),
        ] {
            assert_eq!(may_be_same(ids(a).iter(), ids(b).iter()), same, "{a}, {b}");
            assert_eq!(may_be_same(ids(b).iter(), ids(a).iter()), same, "{b}, {a}");
        }
        assert!(is_vulnerability(&ids("GHSA-1")[0]) && !is_vulnerability(&ids("DSA-1-1")[0]));
    }
}
