//! The Common Security Advisory Framework, version 2.0: advisories of Red Hat and SUSE, and their VEX documents.
//!
//! A document has a tree of products and says of them, for each vulnerability, how they stand. Products that are packages
//! of a distribution's release are read, by the release's CPE name (`cpe:/o:redhat:enterprise_linux:9`) or its name;
//! container images, layered products, and minor releases with an extended support of their own are passed over (see
//! the source's `platform`). Documents about other vendors' products have no such product and are
//! read as nothing. A package is a binary package with the version that fixes it; what has no fix is often only named as
//! a source package. A document that was deleted (`tracking.status`) says nothing. Source: CSAF 2.0, and Red Hat's and
//! SUSE's documents, where streams of modules stand in package URLs (`rpmmod`) or as products in between.

mod tree;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    io::Read,
    sync::Arc,
};

use jiff::civil::Date;
use patchkit_core::{AdvisoryId, CvssScore, Severity};
use serde::Deserialize;
use serde_json::Value;

use self::tree::{ProductTree, Products};
use super::{
    Advisory, AdvisoryError, AdvisoryErrorKind, End, Status, json,
    rating::{cvss, severity_of_scores, severity_of_word, sorted},
    rpm::{Build, Builds},
    title,
    updateinfo::date,
};

#[derive(Deserialize)]
struct Document {
    document: Head,
    #[serde(default)]
    product_tree: ProductTree,
    #[serde(default)]
    vulnerabilities: Vec<Vulnerability>,
}

#[derive(Deserialize)]
struct Head {
    tracking: Tracking,
    #[serde(default)]
    aggregate_severity: Option<Text>,
}

#[derive(Deserialize)]
struct Tracking {
    id: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    initial_release_date: String,
}

#[derive(Deserialize)]
struct Text {
    text: String,
}

#[derive(Deserialize)]
struct Vulnerability {
    #[serde(default)]
    cve: Option<AdvisoryId>,
    #[serde(default)]
    ids: Vec<Text>,
    #[serde(default)]
    title: String,
    #[serde(default)]
    notes: Vec<Note>,
    #[serde(default)]
    release_date: String,
    #[serde(default)]
    product_status: ProductStatus,
    #[serde(default)]
    remediations: Vec<Remediation>,
    #[serde(default)]
    scores: Vec<Value>,
    #[serde(default)]
    threats: Vec<Threat>,
}

#[derive(Deserialize)]
struct Note {
    category: String,
    text: String,
}

/// The ids of the products that stand in each way.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ProductStatus {
    first_fixed: Vec<String>,
    fixed: Vec<String>,
    known_affected: Vec<String>,
    known_not_affected: Vec<String>,
    /// SUSE's word for what is fixed.
    recommended: Vec<String>,
    under_investigation: Vec<String>,
}

#[derive(Deserialize)]
struct Remediation {
    category: String,
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    product_ids: Vec<String>,
}

#[derive(Deserialize)]
struct Threat {
    category: String,
    #[serde(default)]
    details: String,
    #[serde(default)]
    product_ids: Vec<String>,
}

/// Reads documents and gives out an advisory for each vulnerability in each package of each release.
///
/// # Errors
/// [`AdvisoryError`] with the line, or naming the document by its number and id.
pub fn read(input: impl Read, sink: &mut dyn FnMut(Advisory)) -> Result<(), AdvisoryError> {
    json::documents(input, |number, document: Document| {
        document.give(sink).map_err(|message| {
            let message = format!("document {number}, {}: {message}", document.document.tracking.id);
            AdvisoryError::new(None, AdvisoryErrorKind::Syntax(message))
        })
    })
}

impl Document {
    fn give(&self, sink: &mut dyn FnMut(Advisory)) -> Result<(), String> {
        if self.document.tracking.status == "deleted" {
            return Ok(());
        }
        let products = self.product_tree.index();
        // A bulletin's own id; that of a VEX document is the vulnerability's.
        let tracking: AdvisoryId =
            self.document.tracking.id.replace(' ', "-").parse().map_err(|error| format!("{error}"))?;
        let overall = self.document.aggregate_severity.as_ref().map(|text| severity_of_word(&text.text));
        let day = date(&self.document.tracking.initial_release_date);
        for vulnerability in &self.vulnerabilities {
            let own =
                vulnerability.cve.clone().or_else(|| vulnerability.ids.iter().find_map(|id| id.text.parse().ok()));
            let id = own.unwrap_or_else(|| tracking.clone());
            let bulletin = Some(&tracking).filter(|tracking| **tracking != id && !tracking.is_cve());
            let about = About { id, bulletin, overall: overall.unwrap_or_default(), day };
            vulnerability.give(&products, &about, sink);
        }
        Ok(())
    }
}

/// What a vulnerability has from its document.
struct About<'a> {
    id: AdvisoryId,
    bulletin: Option<&'a AdvisoryId>,
    overall: Severity,
    day: Option<Date>,
}

/// What the vendor says of some products beside their status: how bad it is, and which announcement fixes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Aside {
    urgency: Severity,
    bulletin: Option<AdvisoryId>,
}

impl Vulnerability {
    fn give(&self, products: &Products<'_>, about: &About<'_>, sink: &mut dyn FnMut(Advisory)) {
        let scores = self.scores();
        let severity = severity_of_scores(&scores);
        let (heading, day) = (self.heading(), date(&self.release_date).or(about.day));
        for (aside, builds) in self.builds(products, about) {
            for (build, architectures) in builds.finish() {
                let Build { scope, module, package, status } = build;
                let source = format!("{}-csaf", scope.ecosystem());
                sink(Advisory {
                    bulletins: aside.bulletin.iter().cloned().collect(),
                    urgency: aside.urgency,
                    severity,
                    cvss: scores.clone(),
                    architectures,
                    module,
                    title: heading.clone(),
                    date: day,
                    ..Advisory::new(about.id.clone(), scope, package, status, &source)
                });
            }
        }
    }

    fn builds(&self, products: &Products<'_>, about: &About<'_>) -> BTreeMap<Aside, Builds> {
        let asides = Asides::new(self, about);
        let mut found: BTreeMap<Aside, Builds> = BTreeMap::new();
        let mut take = |ids: &[String], kind: Kind| {
            for id in ids {
                let Some((platform, component)) = products.resolve(id) else { continue };
                let status = match (kind, component.evr) {
                    (Kind::Fixed, Some(version)) => Status::up_to(platform.fixed(version)),
                    // A fix without its version says nothing that a version could be compared with.
                    (Kind::Fixed, None) => continue,
                    (Kind::NotAffected, _) => Status::NotAffected,
                    (Kind::Open, _) if asides.is_given_up(id) => Status::up_to(End::WillNotFix),
                    (Kind::Open, _) => Status::up_to(End::NotFixed),
                };
                let build =
                    Build { scope: platform.scope, module: component.module, package: component.package, status };
                let aside = asides.of(id, kind);
                found.entry(aside).or_default().add(build, component.arch.as_deref());
            }
        };
        let status = &self.product_status;
        [&status.fixed, &status.first_fixed, &status.recommended].into_iter().for_each(|ids| take(ids, Kind::Fixed));
        [&status.known_affected, &status.under_investigation].into_iter().for_each(|ids| take(ids, Kind::Open));
        take(&status.known_not_affected, Kind::NotAffected);
        found
    }

    /// All vectors, whatever product they are for.
    fn scores(&self) -> Vec<CvssScore> {
        let values = self.scores.iter().filter_map(Value::as_object).flat_map(|score| score.values());
        sorted(values.filter_map(|value| cvss(value.get("vectorString")?.as_str()?)))
    }

    fn heading(&self) -> Option<Arc<str>> {
        let note =
            |category: &str| self.notes.iter().find(|note| note.category == category).map(|note| note.text.as_str());
        let texts = [note("summary"), Some(self.title.as_str()), note("description"), note("general")];
        texts
            .into_iter()
            .flatten()
            .filter(|text| self.cve.as_ref().is_none_or(|cve| *text != cve.as_str()))
            .find_map(title)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Fixed,
    NotAffected,
    Open,
}

/// What is said beside the status, by product id.
struct Asides<'a> {
    impacts: HashMap<&'a str, Severity>,
    impact: Severity,
    bulletins: HashMap<&'a str, AdvisoryId>,
    bulletin: Option<&'a AdvisoryId>,
    given_up: HashSet<&'a str>,
}

impl<'a> Asides<'a> {
    fn new(vulnerability: &'a Vulnerability, about: &About<'a>) -> Self {
        let mut asides = Self {
            impacts: HashMap::new(),
            impact: about.overall,
            bulletins: HashMap::new(),
            bulletin: about.bulletin,
            given_up: HashSet::new(),
        };
        for threat in vulnerability.threats.iter().filter(|threat| threat.category == "impact") {
            let impact = severity_of_word(&threat.details);
            match threat.product_ids.as_slice() {
                [] => asides.impact = impact,
                ids => asides.impacts.extend(ids.iter().map(|id| (id.as_str(), impact))),
            }
        }
        for remediation in &vulnerability.remediations {
            let ids = remediation.product_ids.iter().map(String::as_str);
            match remediation.category.as_str() {
                "no_fix_planned" => asides.given_up.extend(ids),
                "vendor_fix" => {
                    let Some(bulletin) = remediation.url.as_deref().and_then(announcement) else { continue };
                    asides.bulletins.extend(ids.map(|id| (id, bulletin.clone())));
                }
                _ => {}
            }
        }
        asides
    }

    fn is_given_up(&self, id: &str) -> bool {
        self.given_up.contains(id)
    }

    fn of(&self, id: &str, kind: Kind) -> Aside {
        let bulletin = self.bulletins.get(id).or(self.bulletin).filter(|_| kind == Kind::Fixed).cloned();
        Aside { urgency: self.impacts.get(id).copied().unwrap_or(self.impact), bulletin }
    }
}

/// The announcement that a link leads to: `https://…/errata/RHSA-2023:5763`.
fn announcement(url: &str) -> Option<AdvisoryId> {
    let last = url.trim_end_matches('/').rsplit('/').next()?;
    let is_one = ["RHSA-", "RHBA-", "RHEA-", "SUSE-", "openSUSE-"].iter().any(|kind| last.starts_with(kind));
    last.parse().ok().filter(|_| is_one)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn shown(status: &str, more: &str) -> Result<Vec<String>, AdvisoryError> {
        let text = format!(
            r#"{{"document": {{"tracking": {{"id": "CVE-2024-1001", "status": "final", "initial_release_date": "2024-01-02T00:00:00Z"}}}},
            "product_tree": {{"branches": [
                {{"product": {{"product_id": "red_hat_enterprise_linux_9", "name": "x", "product_identification_helper": {{"cpe": "cpe:/o:redhat:enterprise_linux:9"}}}}}},
                {{"product": {{"product_id": "7ELS", "name": "x", "product_identification_helper": {{"cpe": "cpe:/o:redhat:rhel_els:7"}}}}}},
                {{"product": {{"product_id": "curl-0:1-2.x86_64", "name": "x", "product_identification_helper": {{"purl": "pkg:rpm/redhat/curl@1-2?arch=x86_64"}}}}}}],
            "relationships": [
                {{"full_product_name": {{"product_id": "9:curl"}}, "product_reference": "curl-0:1-2.x86_64", "relates_to_product_reference": "red_hat_enterprise_linux_9"}},
                {{"full_product_name": {{"product_id": "7:curl"}}, "product_reference": "curl-0:1-2.x86_64", "relates_to_product_reference": "7ELS"}}]}},
            "vulnerabilities": [{{"cve": "CVE-2024-1001", "product_status": {{{status}}} {more}}}]}}"#
        );
        let mut found = Vec::new();
        read(text.as_bytes(), &mut |a| {
            let bulletins: Vec<_> = a.bulletins.iter().map(AdvisoryId::as_str).collect();
            found.push(format!("{} {} {:?} {} {}", a.scope, a.package, a.status, a.urgency, bulletins.join(",")));
        })?;
        Ok(found)
    }

    #[test]
    fn every_status_of_a_product() {
        let open = |end: &str| format!("rhel 9 curl Affected([Range {{ from: None, end: {end} }}])");
        let impact = r#", "threats": [{"category": "impact", "details": "Moderate"}], "remediations": [
            {"category": "vendor_fix", "url": "https://example.org/errata/RHSA-2024:1", "product_ids": ["9:curl"]}]"#;
        let given_up = r#", "remediations": [{"category": "no_fix_planned", "details": "Will not fix", "product_ids": ["9:curl"]}]"#;
        for (status, more, expected) in [
            (r#""fixed": ["9:curl", "other"]"#, impact, open("Fixed(\"1-2\")") + " medium RHSA-2024:1"),
            (r#""recommended": ["9:curl"]"#, "", open("Fixed(\"1-2\")") + " unknown "),
            (r#""known_affected": ["9:curl"]"#, impact, open("NotFixed") + " medium "),
            (r#""known_affected": ["9:curl"]"#, given_up, open("WillNotFix") + " unknown "),
            (r#""under_investigation": ["9:curl"]"#, "", open("NotFixed") + " unknown "),
            (r#""known_not_affected": ["9:curl"]"#, "", "rhel 9 curl NotAffected unknown ".into()),
        ] {
            assert_eq!(shown(status, more).unwrap(), [expected], "{status}");
        }
        let els = shown(r#""fixed": ["7:curl"]"#, "").unwrap();
        assert_eq!(els, ["rhel 7 curl Affected([Range { from: None, end: FixedElsewhere(\"1-2\") }]) unknown "]);
    }

    #[test]
    fn deleted_documents_say_nothing_and_damage_is_named() {
        let text = r#"{"document": {"tracking": {"id": "CVE-2023-0030", "status": "deleted"}}}"#;
        read(text.as_bytes(), &mut |_| unreachable!()).unwrap();
        let error = read(r#"{"document": {}}"#.as_bytes(), &mut |_| ()).unwrap_err();
        assert_eq!(error.line(), Some(1));
    }
}
