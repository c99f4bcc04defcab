//! Advisories read from the changelogs of newer packages: what an archive itself says, under its own signature.
//!
//! An archive's security suite has a newer version of a source package; the changelog inside that package says, entry
//! by entry, which CVEs each version fixed. What stands in the entries above the installed version is what the
//! installed version lacks. It takes no advisory database, and every word of it is covered by the archive's signature.
//!
//! What it cannot know: vulnerabilities without a fix (no entry, no claim), fixes that the changelog does not name, and
//! how bad one is (the urgency of an entry is about the upload, so the severity stays unknown). An entry may name a
//! CVE for another reason than fixing it; a CVE that several entries name counts as fixed in the highest, since a
//! second mention is most often the repair of an incomplete fix. Use a distribution's own advisories where they are at
//! hand.
//!
//! Source: deb-changelog(5); Debian Policy 4.4 and 12.7 for the changelog's place.

#[cfg(feature = "patch")]
mod upgrade;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{civil::Date, fmt::rfc2822};
use patchkit_core::{AdvisoryId, PackageName};

use super::{Advisory, End, Scope, Status};
use crate::debian::version::DebVersion;

#[cfg(feature = "patch")]
pub use upgrade::{Claims, of_upgrades};

/// The name of the source.
pub const SOURCE: &str = "debian-changelog";

/// The most entries that are read of one changelog. The longest real ones have some thousand.
const MAX_ENTRIES: usize = 20_000;

/// One version's entry of a changelog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The source package, by the name that it had then.
    pub package: String,
    /// The version.
    pub version: DebVersion,
    /// When it was made, where the entry says so.
    pub date: Option<Date>,
    /// The CVEs it names, sorted.
    pub cves: BTreeSet<AdvisoryId>,
}

/// A source package of which a newer version is to be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceUpgrade {
    /// The source package.
    pub package: PackageName,
    /// The source version that is installed; the lowest, where its binary packages are of several.
    pub installed: DebVersion,
    /// The source version that is available.
    pub available: DebVersion,
}

/// Reads a changelog, the newest entry first as they stand there.
///
/// What is no entry is passed over, as dpkg-parsechangelog does with the remarks and editor settings that old
/// changelogs end in. At most 20,000 entries are read.
#[must_use]
pub fn entries(changelog: &[u8]) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for line in changelog.split(|byte| *byte == b'\n') {
        let line = String::from_utf8_lossy(line);
        if let Some(entry) = heading(&line) {
            if entries.len() == MAX_ENTRIES {
                break;
            }
            entries.push(entry);
        } else if let Some(entry) = entries.last_mut() {
            match line.strip_prefix(" -- ") {
                Some(trailer) => entry.date = date(trailer).or(entry.date),
                None => entry.cves.extend(cves(&line)),
            }
        }
    }
    entries
}

/// What a source package's changelog says that its installed version lacks and the available one has: an advisory for
/// each CVE named in the entries above the one version and up to the other.
#[must_use]
pub fn advisories(changelog: &[u8], upgrade: &SourceUpgrade, scope: &Scope) -> Vec<Advisory> {
    let between = |entry: &Entry| upgrade.installed < entry.version && entry.version <= upgrade.available;
    let mut fixes: BTreeMap<AdvisoryId, (DebVersion, Option<Date>)> = BTreeMap::new();
    for entry in entries(changelog).into_iter().filter(between) {
        for id in entry.cves {
            let fix = (entry.version.clone(), entry.date);
            let known = fixes.entry(id).or_insert_with(|| fix.clone());
            if known.0 < fix.0 {
                *known = fix;
            }
        }
    }
    let advisory = |(id, (version, date)): (AdvisoryId, (DebVersion, Option<Date>))| {
        let status = Status::up_to(End::Fixed(version.as_str().into()));
        Advisory { date, ..Advisory::new(id, scope.clone(), upgrade.package.clone(), status, SOURCE) }
    };
    fixes.into_iter().map(advisory).collect()
}

/// `package (version) distributions; metadata`, from the first column on.
fn heading(line: &str) -> Option<Entry> {
    let (package, rest) = line.split_once(" (")?;
    let (version, rest) = rest.split_once(')')?;
    let good = crate::debian::control::dependency::is_package_name(package) && rest.contains(';');
    let version = DebVersion::parse_lenient(version).ok().filter(|_| good)?;
    Some(Entry { package: package.to_owned(), version, date: None, cves: BTreeSet::new() })
}

/// The date of a trailer, `Name <address>  Mon, 01 Jan 2024 10:00:00 +0100`, as the day it was there.
fn date(trailer: &str) -> Option<Date> {
    let (_, date) = trailer.rsplit_once("> ")?;
    rfc2822::parse(date.trim()).ok().map(|time| time.date())
}

/// The CVE ids in a line.
fn cves(line: &str) -> impl Iterator<Item = AdvisoryId> + '_ {
    line.match_indices("CVE-").filter_map(|(start, prefix)| {
        let (year, rest) = line[start + prefix.len()..].split_once('-')?;
        let end = rest.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
        let id = format!("{prefix}{year}-{}", &rest[..end]);
        id.parse::<AdvisoryId>().ok().filter(AdvisoryId::is_cve)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANGELOG: &str = "\
curl (7.74.0-1.3+deb11u14) bullseye-security; urgency=high

  * Repair the fix of CVE-2023-27534 (closes: #1).

 -- A Person <a@example.org>  Tue, 05 Nov 2024 10:00:00 +0100

curl (7.74.0-1.3+deb11u13) bullseye-security; urgency=medium

  * debian/patches/CVE-2024-2398.patch, CVE-2023-27534.
    and CVE-2024-7264-1.patch; not CVE-24-1, CVE-2024-, XCVE or CVE-2024-123.

 -- A Person <a@example.org>  Mon, 04 Nov 2024 23:30:00 -0500

curl (7.74.0-1.3+deb11u12) bullseye; urgency=medium

  * CVE-2022-32221

 -- no date here

Old remarks:
  CVE-2022-0001 belongs to the entry above, as dpkg-parsechangelog has it
Local Variables:
";

    fn upgrade(installed: &str, available: &str) -> SourceUpgrade {
        let version = |text: &str| DebVersion::parse(text).unwrap();
        SourceUpgrade { package: "curl".parse().unwrap(), installed: version(installed), available: version(available) }
    }

    fn claims(installed: &str, available: &str) -> Vec<(String, Status)> {
        let scope = Scope::new("debian", Some("bullseye"));
        let found = advisories(CHANGELOG.as_bytes(), &upgrade(installed, available), &scope);
        found.into_iter().map(|advisory| (advisory.id.to_string(), advisory.status)).collect()
    }

    fn fixed(id: &str, version: &str) -> (String, Status) {
        (id.to_owned(), Status::up_to(End::Fixed(version.into())))
    }

    #[test]
    fn entries_have_version_date_and_cves() {
        let entries = entries(CHANGELOG.as_bytes());
        let dates: Vec<_> = entries.iter().map(|entry| entry.date).collect();
        assert_eq!(dates, [Some(jiff::civil::date(2024, 11, 5)), Some(jiff::civil::date(2024, 11, 4)), None]);
        let ids: Vec<_> = entries[1].cves.iter().map(AdvisoryId::as_str).collect();
        assert_eq!(ids, ["CVE-2023-27534", "CVE-2024-2398", "CVE-2024-7264"]);
        assert_eq!((&*entries[2].package, entries[2].version.as_str()), ("curl", "7.74.0-1.3+deb11u12"));
    }

    #[test]
    fn a_claim_is_what_stands_between_the_versions() {
        assert_eq!(
            claims("7.74.0-1.3+deb11u12", "7.74.0-1.3+deb11u14"),
            [
                fixed("CVE-2023-27534", "7.74.0-1.3+deb11u14"),
                fixed("CVE-2024-2398", "7.74.0-1.3+deb11u13"),
                fixed("CVE-2024-7264", "7.74.0-1.3+deb11u13"),
            ]
        );
        assert_eq!(
            claims("7.74.0-1.3+deb11u13", "7.74.0-1.3+deb11u14"),
            [fixed("CVE-2023-27534", "7.74.0-1.3+deb11u14")]
        );
        assert_eq!(claims("7.74.0-1.3+deb11u14", "7.74.0-1.3+deb11u14"), []);
        assert_eq!(claims("1", "7.74.0-1.3+deb11u11"), []);
    }

    #[test]
    fn what_is_no_changelog_has_no_entries() {
        for text in ["", "hello", "CVE-2024-12345", "x (1", "x () y;", "X? (1) y;", "\u{0}\u{ff} (1) y;"] {
            assert_eq!(entries(text.as_bytes()), [], "{text}");
        }
        assert_eq!(entries(b"\xff\xfe (1) y; CVE-2024-12345\n"), []);
        assert_eq!(entries("a (1) b;\n".repeat(MAX_ENTRIES + 1).as_bytes()).len(), MAX_ENTRIES);
    }
}
