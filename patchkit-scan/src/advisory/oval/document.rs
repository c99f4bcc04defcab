//! A document's parts, kept short: what definitions say, and the tests, objects, states and variables they refer to.

use std::{collections::HashMap, sync::Arc};

use jiff::civil::Date;
use patchkit_core::{AdvisoryId, CvssScore, Severity};

use crate::advisory::{
    platform,
    rating::{cvss, severity_of_word, sorted},
    rpm::without_zero_epoch,
    title,
    updateinfo::{cves_in, date},
    xml::Element,
};

/// What is known of a document so far.
#[derive(Default)]
pub(super) struct Parts {
    pub(super) definitions: Vec<Definition>,
    pub(super) tests: HashMap<Arc<str>, Test>,
    objects: HashMap<Arc<str>, Object>,
    states: HashMap<Arc<str>, State>,
    variables: HashMap<Arc<str>, Vec<Arc<str>>>,
}

/// A definition: some vulnerabilities, and what is checked for them.
pub(super) struct Definition {
    /// Whether it says that packages do not have them.
    pub(super) unaffected: bool,
    pub(super) vulnerabilities: Vec<Vulnerability>,
    pub(super) bulletins: Vec<AdvisoryId>,
    pub(super) platforms: Vec<String>,
    pub(super) resolutions: Vec<Resolution>,
    pub(super) title: Option<Arc<str>>,
    pub(super) date: Option<Date>,
    pub(super) criteria: Criteria,
}

pub(super) struct Vulnerability {
    pub(super) id: AdvisoryId,
    pub(super) urgency: Severity,
    pub(super) cvss: Vec<CvssScore>,
    /// The only test that is about it; all are where there is none.
    pub(super) test: Option<Arc<str>>,
}

/// What the vendor says it will do about components that have no fix.
pub(super) struct Resolution {
    pub(super) given_up: bool,
    pub(super) components: Vec<String>,
}

pub(super) enum Criteria {
    All(Vec<Criteria>),
    Any(Vec<Criteria>),
    Test { id: Arc<str>, comment: Arc<str> },
}

#[derive(Clone)]
pub(super) struct Test {
    object: Arc<str>,
    state: Option<Arc<str>>,
}

enum Object {
    /// A package of the name.
    Package(Arc<str>),
    /// Packages, whose names a variable has.
    Variable(Arc<str>),
    Other,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    /// The operation and the version that it compares with.
    pub(super) evr: Option<(Arc<str>, Arc<str>)>,
    pub(super) architectures: Vec<Arc<str>>,
    /// Whether it is about something that says nothing of the version: a signature.
    pub(super) signature: bool,
}

impl Parts {
    /// Takes in an element of one of a document's five lists.
    pub(super) fn take(&mut self, list: &str, element: &Element) -> Result<(), String> {
        if !matches!(list, "definitions" | "objects" | "states" | "tests" | "variables") {
            return Ok(());
        }
        let id: Arc<str> = element.attribute("id").ok_or_else(|| format!("<{}> has no id", element.name))?.into();
        match list {
            "definitions" => {
                let definition = Definition::parse(&id, element).map_err(|error| format!("{id}: {error}"))?;
                self.definitions.extend(definition);
            }
            "objects" => drop(self.objects.insert(id, Object::parse(element))),
            "states" => drop(self.states.insert(id, State::parse(element))),
            "tests" => drop(self.tests.insert(id, Test::parse(element))),
            _ => {
                let values = element.children_of("value").map(|value| value.text.trim().into());
                self.variables.insert(id, values.collect());
            }
        }
        Ok(())
    }

    /// The names of the packages that a test is about.
    pub(super) fn packages(&self, test: &Test) -> Vec<Arc<str>> {
        match self.objects.get(&test.object) {
            Some(Object::Package(name)) => vec![name.clone()],
            Some(Object::Variable(variable)) => {
                let values = self.variables.get(variable).map_or(&[][..], Vec::as_slice);
                values.iter().map(|value| name_in_pattern(value).into()).collect()
            }
            Some(Object::Other) | None => Vec::new(),
        }
    }

    /// What a test compares with; `None` where it compares with nothing, an error where that is missing.
    pub(super) fn state(&self, test: &Test) -> Result<Option<&State>, ()> {
        test.state.as_ref().map(|id| self.states.get(id).ok_or(())).transpose()
    }
}

/// The name of a package in a pattern that finds it in a list: `^libssh-4(?::\w+|)\s+(.*)$`.
fn name_in_pattern(pattern: &str) -> &str {
    let name = pattern.strip_prefix('^').unwrap_or(pattern);
    &name[..name.find(['(', '\\']).unwrap_or(name.len())]
}

impl Definition {
    /// What an element defines; `None` where it is about an inventory of what is installed, has no criteria,
    /// or is about something else than the distribution.
    fn parse(id: &str, element: &Element) -> Result<Option<Self>, String> {
        let class = element.attribute("class").unwrap_or_default();
        let (Some(metadata), Some(criteria)) = (element.child("metadata"), element.child("criteria")) else {
            return Ok(None);
        };
        // Ubuntu's other archives have versions of their own: `com.ubuntu.fips-updates_jammy`.
        if !matches!(class, "patch" | "vulnerability") || id.starts_with("oval:com.ubuntu.") && id.contains('_') {
            return Ok(None);
        }
        let advisory = metadata.child("advisory");
        if advisory.is_some_and(is_beside) {
            return Ok(None);
        }
        let vulnerabilities = vulnerabilities(metadata);
        let alone = vulnerabilities.len() == 1 && class == "vulnerability" && vulnerabilities[0].test.is_none();
        let affected = metadata.children_of("affected");
        let resolutions = advisory.into_iter().flat_map(|advisory| advisory.children_of("affected"));
        Ok(Some(Self {
            unaffected: id.contains(".unaffected:"),
            bulletins: if class == "patch" { bulletins(metadata) } else { Vec::new() },
            platforms: affected
                .flat_map(|list| list.children_of("platform"))
                .map(|name| name.text.trim().into())
                .collect(),
            resolutions: resolutions.flat_map(|list| list.children_of("resolution")).map(Resolution::parse).collect(),
            title: title(metadata.child_text("description")).filter(|text| alone && !says_nothing(text)),
            date: advisory.and_then(day),
            criteria: Criteria::parse(criteria)?,
            vulnerabilities,
        }))
    }
}

/// Whether a description is only what Debian and SUSE write where they have none.
fn says_nothing(description: &str) -> bool {
    matches!(description, "security update" | "Unknown.")
}

/// Whether an advisory is about a product beside the distribution, which it may be installed on.
fn is_beside(advisory: &Element) -> bool {
    let mut cpes = advisory.children_of("affected_cpe_list").flat_map(|list| list.children_of("cpe")).peekable();
    cpes.peek().is_some() && !cpes.any(|cpe| platform::is_distribution(cpe.text.trim()))
}

fn day(advisory: &Element) -> Option<Date> {
    let issued = advisory.child("issued").and_then(|issued| date(issued.attribute("date")?));
    issued.or_else(|| date(advisory.child_text("public_date")))
}

/// The vulnerabilities that a definition is about: those that its advisory lists, else those it refers to.
fn vulnerabilities(metadata: &Element) -> Vec<Vulnerability> {
    let advisory = metadata.child("advisory");
    let overall = advisory.map_or(Severity::Unknown, |advisory| severity_of_word(advisory.child_text("severity")));
    let mut found: Vec<Vulnerability> = Vec::new();
    let mut places: HashMap<(AdvisoryId, Option<Arc<str>>), usize> = HashMap::new();
    for cve in advisory.into_iter().flat_map(|advisory| advisory.children_of("cve")) {
        let Some(id) = cves_in(&cve.text).next() else { continue };
        let test: Option<Arc<str>> = cve.attribute("test_ref").map(Into::into);
        let word = ["impact", "priority"].into_iter().find_map(|key| cve.attribute(key));
        let urgency = word.map_or(Severity::Unknown, severity_of_word);
        let vectors =
            ["cvss2", "cvss3", "cvss4", "cvss_vector"].into_iter().filter_map(|key| cvss(cve.attribute(key)?));
        let at = *places.entry((id.clone(), test.clone())).or_insert_with(|| {
            found.push(Vulnerability { id, urgency: Severity::Unknown, cvss: Vec::new(), test });
            found.len() - 1
        });
        // SUSE lists a vulnerability twice: as it rates it, and as others do.
        let own = &mut found[at];
        own.urgency = if own.urgency == Severity::Unknown { urgency } else { own.urgency };
        own.cvss = sorted(std::mem::take(&mut own.cvss).into_iter().chain(vectors));
    }
    if found.is_empty() {
        let mut ids: Vec<AdvisoryId> =
            metadata.children_of("reference").filter_map(|r| cves_in(r.attribute("ref_id")?).next()).collect();
        ids.sort();
        ids.dedup();
        found.extend(ids.into_iter().map(|id| Vulnerability { id, urgency: overall, cvss: Vec::new(), test: None }));
    }
    for own in &mut found {
        own.urgency = if own.urgency == Severity::Unknown { overall } else { own.urgency };
    }
    found
}

/// The announcements that a definition refers to.
fn bulletins(metadata: &Element) -> Vec<AdvisoryId> {
    let references = metadata.children_of("reference").filter_map(|reference| {
        let of_vulnerabilities = reference.attribute("source").is_some_and(|source| source.contains("CVE"));
        reference.attribute("ref_id").filter(|_| !of_vulnerabilities)?.parse().ok()
    });
    let mut ids: Vec<AdvisoryId> = references.collect();
    ids.sort();
    ids.dedup();
    ids
}

impl Resolution {
    fn parse(element: &Element) -> Self {
        let state = element.attribute("state").unwrap_or_default();
        let components = element.children_of("component").map(|component| component.text.trim().into());
        Self { given_up: matches!(state, "Out of support scope" | "Will not fix"), components: components.collect() }
    }
}

impl Criteria {
    fn parse(element: &Element) -> Result<Self, String> {
        let mut inner = Vec::new();
        for child in &element.children {
            match child.name.as_str() {
                "criteria" => inner.push(Self::parse(child)?),
                "criterion" | "extend_definition" => inner.push(Self::test(child)?),
                _ => {}
            }
        }
        match element.attribute("operator").unwrap_or("AND") {
            "AND" => Ok(Self::All(inner)),
            "OR" => Ok(Self::Any(inner)),
            other => Err(format!("operator {other:?} is neither AND nor OR")),
        }
    }

    fn test(element: &Element) -> Result<Self, String> {
        let id = ["test_ref", "definition_ref"].into_iter().find_map(|key| element.attribute(key));
        let id = id.ok_or("a criterion refers to nothing")?.into();
        Ok(Self::Test { id, comment: element.attribute("comment").unwrap_or_default().into() })
    }
}

impl Test {
    fn parse(element: &Element) -> Self {
        let object = element.child("object").and_then(|object| object.attribute("object_ref")).unwrap_or_default();
        let state = element.child("state").and_then(|state| state.attribute("state_ref"));
        Self { object: object.into(), state: state.map(Into::into) }
    }
}

impl Object {
    fn parse(element: &Element) -> Self {
        let name = match element.name.as_str() {
            "dpkginfo_object" | "rpminfo_object" => element.child("name"),
            "textfilecontent54_object" => {
                element.child("pattern").filter(|pattern| pattern.attribute("var_ref").is_some())
            }
            _ => None,
        };
        match name.map(|name| (name.attribute("var_ref"), name.text.trim())) {
            Some((Some(variable), _)) => Self::Variable(variable.into()),
            Some((None, name)) if !name.is_empty() => Self::Package(name.into()),
            _ => Self::Other,
        }
    }
}

impl State {
    fn parse(element: &Element) -> Self {
        let evr = ["evr", "subexpression"].into_iter().find_map(|name| element.child(name));
        let evr = evr.map(|evr| {
            let operation = evr.attribute("operation").unwrap_or("equals");
            (operation.into(), without_zero_epoch(evr.text.trim()).into())
        });
        Self {
            evr,
            architectures: architectures(element.child_text("arch")),
            signature: element.child("signature_keyid").is_some(),
        }
    }
}

/// The architectures that a pattern lists: `(aarch64|ppc64le|s390x|x86_64)`.
fn architectures(pattern: &str) -> Vec<Arc<str>> {
    let inner = pattern.trim_start_matches('^').trim_end_matches('$').trim_matches(['(', ')']);
    inner.split('|').map(str::trim).filter(|name| !name.is_empty()).map(Into::into).collect()
}
