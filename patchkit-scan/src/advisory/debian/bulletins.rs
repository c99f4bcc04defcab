//! Debian's announcements (DSA and DLA) as JSON, one object a line.

use std::{collections::BTreeMap, io::BufRead};

use jiff::civil::Date;
use patchkit_core::{AdvisoryId, PackageName, Severity};
use serde::Deserialize;

use super::{BULLETINS, announcement_title, version};
use crate::advisory::{
    Advisory, AdvisoryError, AdvisoryErrorKind, End, Scope, Status, budget::check_pairs, input::Lines,
    rating::severity_of_score,
};

#[derive(Deserialize)]
struct Bulletin {
    id: AdvisoryId,
    date: Date,
    #[serde(default)]
    title: String,
    cves: Vec<AdvisoryId>,
    fixes: Vec<Fix>,
    #[serde(default)]
    cvss4: BTreeMap<AdvisoryId, f64>,
}

#[derive(Deserialize)]
struct Fix {
    suite: String,
    source: PackageName,
    fixed: String,
}

/// Reads announcements and gives out an advisory for each CVE in each suite; one that names no CVE has its own id.
///
/// # Errors
/// [`AdvisoryError`] with the line.
pub fn read(input: impl BufRead, sink: &mut dyn FnMut(Advisory)) -> Result<(), AdvisoryError> {
    let mut lines = Lines::new(input);
    while let Some((number, line)) = lines.next()? {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let bulletin: Bulletin = serde_json::from_str(line)
            .map_err(|error| AdvisoryError::new(Some(number), AdvisoryErrorKind::Json(error)))?;
        check_pairs(bulletin.cves.len(), bulletin.fixes.len())
            .map_err(|message| AdvisoryError::syntax(number, message))?;
        for fix in &bulletin.fixes {
            give(&bulletin, fix, sink).map_err(|message| AdvisoryError::syntax(number, message))?;
        }
    }
    Ok(())
}

fn give(bulletin: &Bulletin, fix: &Fix, sink: &mut dyn FnMut(Advisory)) -> Result<(), String> {
    let fixed = version(&fix.fixed)?;
    let scope = Scope::new("debian", Some(&fix.suite));
    let title = announcement_title(&bulletin.title);
    let alone = [bulletin.id.clone()];
    let ids = if bulletin.cves.is_empty() { &alone[..] } else { &bulletin.cves };
    for id in ids {
        let score = bulletin.cvss4.get(id);
        let status = Status::up_to(End::Fixed(fixed.clone()));
        sink(Advisory {
            bulletins: vec![bulletin.id.clone()],
            severity: score.map_or(Severity::Unknown, |score| severity_of_score(*score)),
            title: title.clone(),
            date: Some(bulletin.date),
            ..Advisory::new(id.clone(), scope.clone(), fix.source.clone(), status, BULLETINS)
        });
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Vec<Advisory>, AdvisoryError> {
        let mut found = Vec::new();
        read(text.as_bytes(), &mut |advisory| found.push(advisory)).map(|()| found)
    }

    #[test]
    fn every_cve_in_every_suite_is_an_advisory() {
        let found = parse(
            r#"{"id": "DSA-9-1", "date": "2026-08-20", "title": "libgit2 - security update",
                "cves": ["CVE-2026-0001", "CVE-2026-0002"], "cvss4": {"CVE-2026-0001": 9.4},
                "fixes": [{"suite": "trixie", "source": "libgit2", "fixed": "1.9-2"},
                          {"suite": "bookworm", "source": "libgit2", "fixed": "1.5-1"}]}"#
                .replace('\n', " ")
                .as_str(),
        )
        .unwrap();
        assert_eq!(found.len(), 4);
        assert_eq!((found[0].severity, found[1].severity), (Severity::Critical, Severity::Unknown));
        assert_eq!(found[0].title, None);
        assert_eq!(found[3].scope, Scope::new("debian", Some("12")));
    }

    #[test]
    fn an_announcement_without_a_cve_has_its_own_id() {
        let found = parse(
            r#"{"id": "DSA-1-2", "date": "2024-01-02", "cves": [], "fixes": [{"suite": "buster", "source": "a", "fixed": "1"}]}"#,
        );
        assert_eq!(found.unwrap()[0].id.as_str(), "DSA-1-2");
    }

    #[test]
    fn damage_is_named_with_its_line() {
        let error = parse("\n{\"id\": \"DSA-1\"}\n").unwrap_err();
        assert_eq!(error.line(), Some(2));
        assert!(error.to_string().contains("missing field `date`"), "{error}");
    }
}
