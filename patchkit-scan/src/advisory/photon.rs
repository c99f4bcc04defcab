//! Photon OS's table of CVEs: one JSON array for each release.
//!
//! The release is told by the versions' end (`1.10.8-2.ph4`), so that entries without one wait until another entry has
//! told it. Source: the table itself; packages are binary packages.

use std::{io::Read, sync::Arc};

use patchkit_core::{AdvisoryId, PackageName};
use serde::Deserialize;

use super::{Advisory, AdvisoryError, End, Scope, Status, json, rating::severity_of_score, rpm::without_zero_epoch};

/// The name of the source.
pub const SOURCE: &str = "photon-cve-table";

#[derive(Deserialize)]
struct Entry {
    cve_id: AdvisoryId,
    pkg: PackageName,
    #[serde(default)]
    cve_score: Option<f64>,
    res_ver: String,
    status: String,
}

/// Reads the table piece by piece and gives out an advisory for each entry. Entries that name no vulnerability are
/// passed over (the table has some, such as `Re`).
///
/// # Errors
/// [`AdvisoryError`] with the line.
pub fn read(input: impl Read, sink: &mut dyn FnMut(Advisory)) -> Result<(), AdvisoryError> {
    let mut scope: Option<Scope> = None;
    let mut waiting = Vec::new();
    json::elements(input, "", |_, entry: Entry| {
        if !entry.cve_id.as_str().contains('-') {
            return Ok(());
        }
        if let Some(own) = release(&entry.res_ver) {
            scope = Some(own);
        }
        let status = entry.status().map_err(|error| format!("{} in {}: {error}", entry.cve_id, entry.pkg))?;
        match &scope {
            Some(scope) => sink(entry.advisory(scope, status)),
            None => waiting.push((entry, status)),
        }
        Ok(())
    })?;
    // Where no entry tells the release, nothing is known about one.
    for (entry, status) in waiting {
        scope.iter().for_each(|scope| sink(entry.advisory(scope, status.clone())));
    }
    Ok(())
}

/// The release that a version is of.
fn release(version: &str) -> Option<Scope> {
    let number = version.rsplit_once(".ph")?.1;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| Scope::new("photon", Some(&format!("{number}.0"))))
}

impl Entry {
    fn status(&self) -> Result<Status, String> {
        let version: Arc<str> = without_zero_epoch(self.res_ver.trim()).into();
        match self.status.as_str() {
            "Fixed" if version.is_empty() || version.contains(char::is_whitespace) || &*version == "NA" => {
                Err(format!("fixed version {:?}", self.res_ver))
            }
            "Fixed" => Ok(Status::up_to(End::Fixed(version))),
            "Not Affected" => Ok(Status::NotAffected),
            "Not Fixed" | "Open" | "Unfixed" => Ok(Status::up_to(End::NotFixed)),
            other => Err(format!("status {other:?} is none of Fixed, Not Fixed and Not Affected")),
        }
    }

    fn advisory(&self, scope: &Scope, status: Status) -> Advisory {
        let advisory = Advisory::new(self.cve_id.clone(), scope.clone(), self.pkg.clone(), status, SOURCE);
        Advisory { severity: self.cve_score.map(severity_of_score).unwrap_or_default(), ..advisory }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn entries_wait_for_the_release() {
        let text = r#"[{"cve_id": "UNK-1", "pkg": "curl", "cve_score": 6.7, "aff_ver": "NA", "res_ver": "NA", "status": "Not Affected"},
            {"cve_id": "CVE-2025-9086", "pkg": "curl", "cve_score": 7.5, "aff_ver": "x", "res_ver": "8.16.0-1.ph4", "status": "Fixed"},
            {"cve_id": "Re", "pkg": "linux", "cve_score": 5.0, "aff_ver": "NA", "res_ver": "NA", "status": "Not Affected"}]"#;
        let mut found = Vec::new();
        read(text.as_bytes(), &mut |a| found.push(format!("{} {} {:?} {}", a.scope, a.id, a.status, a.severity)))
            .unwrap();
        let expected = [
            "photon 4.0 CVE-2025-9086 Affected([Range { from: None, end: Fixed(\"8.16.0-1.ph4\") }]) high",
            "photon 4.0 UNK-1 NotAffected medium",
        ];
        assert_eq!(found, expected);
        let text = r#"[{"cve_id": "CVE-2025-9086", "pkg": "curl", "res_ver": "NA", "status": "Fixed"}]"#;
        assert!(read(text.as_bytes(), &mut |_| ()).is_err());
    }
}
