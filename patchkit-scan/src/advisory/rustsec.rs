//! RustSec's advisories: one Markdown file each, with TOML at its front between fences.
//!
//! An advisory says which versions are patched and which never were affected; all others have the vulnerability. What
//! only informs (a crate is unmaintained or unsound) is no vulnerability and is passed over, as is what was withdrawn.
//! Source: the database's README and its example advisory; ranges are those of Cargo (the crate `semver`).

use std::{collections::BTreeMap, fmt, io::Read, sync::Arc};

use jiff::civil::Date;
use patchkit_core::{AdvisoryId, PackageName};
use semver::{BuildMetadata, Comparator, Op, Prerelease, Version, VersionReq};
use serde::Deserialize;
use toml::value::Datetime;

use super::{
    Advisory, AdvisoryError, End, Range, Scope, Status,
    input::broken,
    rating::{cvss, severity_of_scores},
    title,
};

/// The name of the source.
pub const SOURCE: &str = "rustsec";

/// The longest advisory, in bytes; real ones have some kB.
const MAX_LENGTH: u64 = 1 << 20;

/// The id of an advisory that has none yet, and of the example.
const PLACEHOLDER: &str = "RUSTSEC-0000-0000";

const FENCE: &str = "```toml";

#[derive(Deserialize)]
struct Front {
    advisory: Meta,
    #[serde(default)]
    affected: Affected,
    versions: Versions,
}

#[derive(Deserialize)]
struct Meta {
    id: AdvisoryId,
    package: PackageName,
    #[serde(default)]
    date: Option<Day>,
    #[serde(default)]
    withdrawn: Option<Day>,
    #[serde(default)]
    informational: Option<String>,
    #[serde(default)]
    cvss: Option<String>,
    #[serde(default)]
    aliases: Vec<AdvisoryId>,
}

/// A day, as a text or as TOML's own.
#[derive(Deserialize)]
#[serde(untagged)]
enum Day {
    Text(String),
    Toml(Datetime),
}

#[derive(Default, Deserialize)]
struct Affected {
    #[serde(default)]
    functions: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
struct Versions {
    patched: Vec<String>,
    #[serde(default)]
    unaffected: Vec<String>,
}

/// Reads one advisory and gives it out, where it is about a vulnerability.
///
/// # Errors
/// [`AdvisoryError`] with the line.
pub fn read(input: impl Read, sink: &mut dyn FnMut(Advisory)) -> Result<(), AdvisoryError> {
    let mut text = String::new();
    input.take(MAX_LENGTH).read_to_string(&mut text).map_err(broken)?;
    let (front, body) = split(&text).ok_or_else(|| AdvisoryError::syntax(1, "the TOML at the front has no end"))?;
    let front: Front = toml::from_str(front).map_err(|error| {
        let before = error.span().map_or("", |span| front.get(..span.start).unwrap_or_default());
        // The fence stands on a line of its own before the TOML.
        AdvisoryError::syntax(2 + before.matches('\n').count(), error.message())
    })?;
    if let Some(advisory) = front.advisory(body).map_err(|message| AdvisoryError::syntax(1, message))? {
        sink(advisory);
    }
    Ok(())
}

/// Whether bytes start with an advisory.
pub(super) fn is_rustsec(start: &[u8]) -> bool {
    start.starts_with(FENCE.as_bytes())
}

/// The TOML between the fences, and what comes after.
fn split(text: &str) -> Option<(&str, &str)> {
    let rest = text.trim_start().strip_prefix(FENCE)?;
    let rest = &rest[rest.find('\n')? + 1..];
    let end = if rest.starts_with("```") { 0 } else { rest.find("\n```")? + 1 };
    Some((&rest[..end], &rest[end + 3..]))
}

impl Front {
    fn advisory(self, body: &str) -> Result<Option<Advisory>, String> {
        let Self { advisory: meta, affected, versions } = self;
        if meta.withdrawn.is_some() || meta.informational.is_some() || meta.id.as_str() == PLACEHOLDER {
            return Ok(None);
        }
        let ranges = versions.affected().map_err(|error| format!("{}: {error}", meta.id))?;
        if ranges.is_empty() {
            return Ok(None);
        }
        let cve = meta.aliases.iter().find(|id| id.is_cve()).filter(|_| !meta.id.is_cve());
        let id = cve.unwrap_or(&meta.id).clone();
        let names = [&meta.id].into_iter().chain(&meta.aliases);
        let scores: Vec<_> = meta.cvss.as_deref().and_then(cvss).into_iter().collect();
        let heading = body.lines().find_map(|line| line.strip_prefix("# "));
        let status = Status::Affected(ranges);
        Ok(Some(Advisory {
            aliases: names.filter(|name| **name != id).cloned().collect(),
            severity: severity_of_scores(&scores),
            cvss: scores,
            symbols: affected.functions.into_keys().map(Arc::from).collect(),
            title: heading.and_then(title),
            date: meta.date.as_ref().and_then(Day::date),
            ..Advisory::new(id, Scope::new("crates.io", None), meta.package, status, SOURCE)
        }))
    }
}

impl Day {
    fn date(&self) -> Option<Date> {
        match self {
            Self::Text(text) => text.parse().ok(),
            Self::Toml(day) => day.to_string().get(..10)?.parse().ok(),
        }
    }
}

/// A place between versions: before one, or right after it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Bound {
    version: Version,
    after: bool,
}

/// From a place up to another; from the start, up to the end where there is none.
type Span = (Option<Bound>, Option<Bound>);

impl Versions {
    /// The ranges of versions that are neither patched nor unaffected.
    fn affected(&self) -> Result<Vec<Range>, String> {
        let mut safe = Vec::new();
        for text in self.patched.iter().chain(&self.unaffected) {
            let requirement: VersionReq = text.parse().map_err(|error| format!("range {text:?}: {error}"))?;
            safe.push(span(&requirement));
        }
        safe.sort();
        let mut ranges = Vec::new();
        let mut from: Option<Bound> = None;
        for (start, end) in safe {
            if let Some(start) = start.filter(|start| from.as_ref().is_none_or(|from| start > from)) {
                ranges.push(range(from.as_ref(), Some(&start)));
            }
            match end {
                // Nothing is affected after that.
                None => return Ok(ranges),
                Some(end) => from = from.max(Some(end)),
            }
        }
        ranges.push(range(from.as_ref(), None));
        Ok(ranges)
    }
}

/// The range of what is affected between two places.
fn range(from: Option<&Bound>, end: Option<&Bound>) -> Range {
    let from = from.map(|from| if from.after { successor(&from.version) } else { from.version.clone() });
    let end = match end {
        None => End::NotFixed,
        Some(end) if end.after => End::Last(text(&end.version)),
        Some(end) => End::Fixed(text(&end.version)),
    };
    Range { from: from.as_ref().map(text), end }
}

fn text(version: &impl fmt::Display) -> Arc<str> {
    version.to_string().into()
}

/// The next version in the order of semantic versions: after a release the first pre-release of the next patch, after
/// a pre-release the same with one more field.
fn successor(version: &Version) -> Version {
    let mut next = version.clone();
    next.build = BuildMetadata::EMPTY;
    let pre = match version.pre.is_empty() {
        true => {
            next.patch = next.patch.saturating_add(1);
            "0".to_owned()
        }
        false => format!("{}.0", version.pre),
    };
    next.pre = Prerelease::new(&pre).unwrap_or(Prerelease::EMPTY);
    next
}

/// What a requirement spans: what all of its comparators span.
fn span(requirement: &VersionReq) -> Span {
    let spans = requirement.comparators.iter().map(comparator);
    spans.fold((None, None), |(start, end), (other_start, other_end)| {
        let end = match (end, other_end) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        (start.max(other_start), end)
    })
}

/// What a comparator of Cargo's spans. A version that leaves fields out stands for all that it starts.
fn comparator(comparator: &Comparator) -> Span {
    let Comparator { op, major, minor, patch, pre } = comparator;
    let (major, minor, patch) = (*major, *minor, *patch);
    let low = Version { pre: pre.clone(), ..Version::new(major, minor.unwrap_or(0), patch.unwrap_or(0)) };
    let before = |version: Version| Some(Bound { version, after: false });
    // The first version that does not start with what is given. Pre-releases of it come before it, as Cargo has it.
    let next = match (minor, patch) {
        (None, _) => Version::new(major.saturating_add(1), 0, 0),
        (Some(minor), None) => Version::new(major, minor.saturating_add(1), 0),
        (Some(_), Some(_)) => low.clone(),
    };
    let whole = minor.is_some() && patch.is_some();
    let upper = if whole { Some(Bound { version: next.clone(), after: true }) } else { before(next.clone()) };
    match op {
        Op::Exact | Op::Wildcard => (before(low), upper),
        Op::Greater => (upper, None),
        Op::GreaterEq => (before(low), None),
        Op::Less => (None, before(low)),
        Op::LessEq => (None, upper),
        Op::Tilde => {
            let end = if whole { Version::new(major, minor.unwrap_or(0).saturating_add(1), 0) } else { next };
            (before(low), before(end))
        }
        _ => (before(low), before(caret_end(major, minor, patch))),
    }
}

/// Where `^1.2.3` ends: with the next of the leftmost number that is not zero.
fn caret_end(major: u64, minor: Option<u64>, patch: Option<u64>) -> Version {
    match (major, minor, patch) {
        (0, Some(0), Some(patch)) => Version::new(0, 0, patch.saturating_add(1)),
        (0, Some(minor), _) => Version::new(0, minor.saturating_add(1), 0),
        _ => Version::new(major.saturating_add(1), 0, 0),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn affected(patched: &[&str], unaffected: &[&str]) -> Vec<Range> {
        let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Versions { patched: own(patched), unaffected: own(unaffected) }.affected().unwrap()
    }

    #[test]
    fn what_is_not_safe_is_affected() {
        let range = |from: Option<&str>, end| Range { from: from.map(Arc::from), end };
        let fixed = |version: &str| End::Fixed(version.into());
        for (patched, unaffected, expected) in [
            (&[">= 1.2.3"][..], &[][..], vec![range(None, fixed("1.2.3"))]),
            (&[], &[], vec![range(None, End::NotFixed)]),
            (&["> 1.27.0"], &[], vec![range(None, End::Last("1.27.0".into()))]),
            (&[">= 1.2.0"], &["< 1.0.0"], vec![range(Some("1.0.0"), fixed("1.2.0"))]),
            (&[">= 1.2.0"], &["<= 1.0.0"], vec![range(Some("1.0.1-0"), fixed("1.2.0"))]),
            (&["^1.2.3", ">= 2.1.0"], &[], vec![range(None, fixed("1.2.3")), range(Some("2.0.0"), fixed("2.1.0"))]),
            (
                &[">= 0.5, < 0.6", ">= 0.7"],
                &[],
                vec![range(None, fixed("0.5.0")), range(Some("0.6.0"), fixed("0.7.0"))],
            ),
            (&["*"], &[], vec![]),
        ] {
            assert_eq!(affected(patched, unaffected), expected, "{patched:?} {unaffected:?}");
        }
    }

    fn file(advisory: &str, versions: &str) -> String {
        format!(
            "```toml\n[advisory]\nid = \"RUSTSEC-2024-0001\"\npackage = \"a\"\n{advisory}\n[versions]\n{versions}\n```\n\n# It breaks\n\nText.\n"
        )
    }

    fn parse(text: &str) -> Result<Option<Advisory>, AdvisoryError> {
        let mut found = None;
        read(text.as_bytes(), &mut |advisory| found = Some(advisory)).map(|()| found)
    }

    #[test]
    fn an_advisory_is_read_whole() {
        let head = "date = \"2024-01-02\"\naliases = [\"CVE-2024-1001\", \"GHSA-1\"]\ncvss = \"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H\"\n\
                    [affected.functions]\n\"a::b\" = [\"< 1\"]";
        let advisory = parse(&file(head, "patched = [\">= 1.0\"]")).unwrap().unwrap();
        assert_eq!((advisory.id.as_str(), advisory.aliases.len()), ("CVE-2024-1001", 2));
        assert_eq!((advisory.cvss[0].tenths, &*advisory.symbols[0]), (98, "a::b"));
        assert_eq!(
            (advisory.title.as_deref(), advisory.date),
            (Some("It breaks"), Some(jiff::civil::date(2024, 1, 2)))
        );
    }

    #[test]
    fn what_is_no_vulnerability_is_passed_over() {
        for head in [
            "informational = \"unmaintained\"",
            "informational = \"unsound\"",
            "withdrawn = \"2024-01-02\"",
            "withdrawn = 2024-01-02",
        ] {
            assert_eq!(parse(&file(head, "patched = []")).unwrap(), None, "{head}");
        }
        assert!(parse(&file("", "patched = []")).unwrap().is_some());
    }

    #[test]
    fn damage_is_named_with_its_line() {
        assert_eq!(parse("```toml\n[advisory]\nid = \n```\n").unwrap_err().line(), Some(3));
        assert!(parse(&file("", "patched = [\"!1\"]")).unwrap_err().to_string().contains("range \"!1\""));
        assert!(parse("```toml\n[advisory]").is_err());
    }

    proptest! {
        #[test]
        fn a_version_is_affected_or_safe(
            ranges in prop::collection::vec((0_u8..6, 0_u64..3, 0_u64..3, 0_u64..3), 0..4),
            probe in (0_u64..4, 0_u64..4, 0_u64..4),
        ) {
            let op = |op: u8| ["=", ">", ">=", "<", "<=", "^"][usize::from(op)];
            let texts: Vec<String> = ranges.iter().map(|(o, a, b, c)| format!("{}{a}.{b}.{c}", op(*o))).collect();
            let version = Version::new(probe.0, probe.1, probe.2);
            let safe = texts.iter().any(|text| text.parse::<VersionReq>().unwrap().matches(&version));
            let ranges = Versions { patched: texts, unaffected: vec![] }.affected().unwrap();
            let parse = |text: &str| text.parse::<Version>().unwrap();
            let affected = ranges.iter().any(|range| {
                let started = range.from.as_deref().is_none_or(|from| parse(from) <= version);
                started && match &range.end {
                    End::Fixed(end) => version < parse(end),
                    End::Last(end) => version <= parse(end),
                    _ => true,
                }
            });
            prop_assert_eq!(affected, !safe);
        }
    }
}
