//! In which order findings deserve attention, and why.
//!
//! The level is that of the first line of the table that fits:
//!
//! | level | when |
//! |---|---|
//! | [`Act`](Level::Act) | it is known to be exploited (CISA KEV) |
//! | [`Act`](Level::Act) | critical, and EPSS at least 10 % |
//! | [`Attend`](Level::Attend) | critical |
//! | [`Attend`](Level::Attend) | high, and EPSS at least 10 % |
//! | [`Attend`](Level::Attend) | EPSS at least 50 %, whatever the severity |
//! | [`Watch`](Level::Watch) | high |
//! | [`Watch`](Level::Watch) | medium, and EPSS at least 1 % |
//! | [`Watch`](Level::Watch) | of unknown severity, since nobody has said that it is harmless |
//! | [`Track`](Level::Track) | everything else |
//!
//! The words are those of CISA's SSVC guide (Track, Track\*, Attend, Act), `Watch` standing for `Track*`. Of one level,
//! what has a fix comes first, then the worse severity, then the more probable exploitation: what can be done now is
//! done now. A fix does not change the level, since a vulnerability is no less dangerous for lacking one.

use std::{cmp::Reverse, fmt};

use patchkit_core::{Epss, Exploitation, Finding, FixState, Severity};
use serde::{Deserialize, Serialize};

/// How soon something is to be done, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// With the next regular update.
    Track,
    /// As `Track`, and to be looked at again when more is known.
    Watch,
    /// Sooner than regular updates.
    Attend,
    /// As soon as possible.
    Act,
}

impl Level {
    /// The word for it, in lower case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Act => "act",
            Self::Attend => "attend",
            Self::Track => "track",
            Self::Watch => "watch",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How soon a finding is to be dealt with, and what that follows from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Priority {
    /// How soon.
    pub level: Level,
    /// What speaks for it, the deciding ones first: `known to be exploited (CISA KEV)`, `EPSS 12.3 %`.
    pub reasons: Vec<String>,
}

/// EPSS of 1, 10 and 50 %, in hundred thousandths.
const LIKELY: [u32; 3] = [1_000, 10_000, 50_000];

impl Priority {
    /// The priority of a finding, by the table of this module.
    #[must_use]
    pub fn of(finding: &Finding) -> Self {
        let Exploitation { known, epss } = finding.exploitation;
        let probability = epss.map_or(0, |epss| epss.probability);
        let [possible, probable, imminent] = LIKELY.map(|least| probability >= least);
        let level = match finding.severity {
            _ if known => Level::Act,
            Severity::Critical if probable => Level::Act,
            Severity::Critical => Level::Attend,
            Severity::High if probable => Level::Attend,
            _ if imminent => Level::Attend,
            Severity::High | Severity::Unknown => Level::Watch,
            Severity::Medium if possible => Level::Watch,
            Severity::Low | Severity::Medium | Severity::Negligible => Level::Track,
        };
        Self { level, reasons: reasons(finding) }
    }
}

fn reasons(finding: &Finding) -> Vec<String> {
    let Exploitation { known, epss } = finding.exploitation;
    let known = known.then(|| "known to be exploited (CISA KEV)".to_owned());
    let severity = match finding.severity {
        Severity::Unknown => "severity not known".to_owned(),
        severity => format!("severity {severity}"),
    };
    let epss = epss.map(|Epss { probability, percentile }| {
        let rank = if percentile > 0 { format!(", above {} of all", percent(percentile)) } else { String::new() };
        format!("EPSS {}{rank}", percent(probability))
    });
    let fix = match &finding.fix {
        FixState::Fixed(version) => format!("fixed in {version}"),
        FixState::NotAffected => "the vendor says that it is not affected".into(),
        FixState::NotFixed => "no fix yet".into(),
        FixState::WillNotFix => "the vendor will not fix it".into(),
    };
    known.into_iter().chain([severity]).chain(epss).chain([fix]).collect()
}

/// Hundred thousandths as percents with one digit, rounded.
fn percent(parts: u32) -> String {
    let tenths = (parts + 50) / 100;
    format!("{}.{} %", tenths / 10, tenths % 10)
}

/// Sorts findings, the most urgent first; those of equal urgency by id and package, so that the order is always the
/// same.
pub fn sort(findings: &mut [Finding]) {
    findings.sort_by_cached_key(|finding| {
        let fixed = matches!(finding.fix, FixState::Fixed(_));
        let probability = finding.exploitation.epss.map_or(0, |epss| epss.probability);
        (Reverse((Priority::of(finding).level, fixed, finding.severity, probability)), finding.key())
    });
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use patchkit_core::Version;

    use super::*;

    fn finding(severity: Severity, known: bool, epss: u32) -> Finding {
        let purl = "pkg:deb/debian/a@1".parse().unwrap();
        let finding = Finding::new("CVE-2024-1000".parse().unwrap(), purl, severity, FixState::NotFixed, "test");
        let epss = Some(Epss { probability: epss, percentile: 0 }).filter(|epss| epss.probability > 0);
        Finding { exploitation: Exploitation { known, epss }, ..finding }
    }

    #[test]
    fn the_table_decides() {
        use Level::{Act, Attend, Track, Watch};
        use Severity::{Critical, High, Low, Medium, Negligible, Unknown};
        for (severity, known, epss, level) in [
            (Negligible, true, 0, Act),
            (Critical, false, 10_000, Act),
            (Critical, false, 9_999, Attend),
            (High, false, 10_000, Attend),
            (Low, false, 50_000, Attend),
            (Unknown, false, 50_000, Attend),
            (High, false, 0, Watch),
            (Medium, false, 1_000, Watch),
            (Unknown, false, 0, Watch),
            (Medium, false, 999, Track),
            (Low, false, 49_999, Track),
            (Negligible, false, 0, Track),
        ] {
            assert_eq!(Priority::of(&finding(severity, known, epss)).level, level, "{severity} {known} {epss}");
        }
    }

    #[test]
    fn reasons_are_all_told() {
        let mut finding = finding(Severity::High, true, 12_345);
        finding.exploitation.epss = Some(Epss { probability: 12_345, percentile: 98_760 });
        let expected =
            ["known to be exploited (CISA KEV)", "severity high", "EPSS 12.3 %, above 98.8 % of all", "no fix yet"];
        assert_eq!(Priority::of(&finding).reasons, expected);
    }

    #[test]
    fn of_one_level_what_can_be_fixed_is_first() {
        let fixable = Finding {
            id: "CVE-2024-2000".parse().unwrap(),
            fix: FixState::Fixed(Version::new("deb", "2").unwrap()),
            ..finding(Severity::Unknown, false, 0)
        };
        let mut all = [finding(Severity::Low, false, 0), finding(Severity::High, false, 9_000), fixable.clone()];
        sort(&mut all);
        assert_eq!(all[0], fixable);
        assert_eq!([all[1].severity, all[2].severity], [Severity::High, Severity::Low]);
    }
}
