//! The Open Vulnerability and Assessment Language: Red Hat (older releases), Oracle, SUSE, openSUSE, AlmaLinux, Photon,
//! Debian and Ubuntu.
//!
//! A definition says for some vulnerabilities which tests find them: that a release is installed, that a module's stream
//! is enabled, that a package is older than the fix. The tests' comments and what they compare with are read as claims
//! about packages; nothing is evaluated. Tests that a document does not have say nothing. As definitions come before what
//! they refer to, a document is held whole, in a short form (some hundred bytes for each test).
//!
//! Source: the OVAL language 5.11, and the documents themselves, for words that it leaves open: SUSE's "is not
//! affected", Ubuntu's "package in jammy", Red Hat's resolutions. Definitions of Ubuntu's archives apart (FIPS) are
//! passed over.

mod document;

use std::{collections::HashMap, io::BufRead, sync::Arc};

use patchkit_core::PackageName;

use self::document::{Criteria, Definition, Parts, Test};
use super::{
    Advisory, AdvisoryError, End, Status,
    budget::check_pairs,
    debian,
    platform::{self, Platform},
    rating::severity_of_scores,
    rpm::{Build, Builds, stream},
    xml::records,
};

/// Reads a document and gives out an advisory for each vulnerability in each package of each release.
///
/// # Errors
/// [`AdvisoryError`] with the line.
pub fn read(input: impl BufRead, sink: &mut dyn FnMut(Advisory)) -> Result<(), AdvisoryError> {
    let mut parts = Parts::default();
    records(input, 3, |list, element| parts.take(list, &element))?;
    let definitions = std::mem::take(&mut parts.definitions);
    for definition in &definitions {
        let reading = Reading { parts: &parts, definition };
        reading.give(sink).map_err(|message| AdvisoryError::syntax(1, message))?;
    }
    Ok(())
}

/// A definition that is being read.
struct Reading<'a> {
    parts: &'a Parts,
    definition: &'a Definition,
}

/// What has to be so for the tests in a part of the criteria to count.
#[derive(Clone, Default)]
struct Context {
    /// `None` as long as nothing was said about the release; none of them where only other products are named.
    platforms: Option<Vec<Platform>>,
    module: Option<Arc<str>>,
    architecture: Option<Arc<str>>,
}

/// A part of the criteria that is no claim about a package.
enum Condition {
    Architecture(Arc<str>),
    Module(Option<Arc<str>>),
    Nothing,
    Platforms(Vec<Platform>),
}

/// A claim about packages, by the test that it comes from.
struct Claim<'a> {
    test: &'a Arc<str>,
    context: Context,
    packages: Vec<Arc<str>>,
    claimed: Claimed,
    architectures: Vec<Arc<str>>,
}

#[derive(Clone)]
enum Claimed {
    Fixed(Arc<str>),
    NotAffected,
    NotFixed,
    WillNotFix,
}

impl<'a> Reading<'a> {
    fn give(&self, sink: &mut dyn FnMut(Advisory)) -> Result<(), String> {
        let mut claims = Vec::new();
        self.walk(&self.definition.criteria, &Context::default(), &mut claims);
        let default: Vec<Platform> =
            self.definition.platforms.iter().filter_map(|name| platform::of_name(name)).collect();
        let mut by_test: HashMap<&str, Vec<&Claim<'_>>> = HashMap::new();
        claims.iter().for_each(|claim| by_test.entry(claim.test).or_default().push(claim));
        let all: Vec<&Claim<'_>> = claims.iter().collect();
        let general = self.definition.vulnerabilities.iter().filter(|vulnerability| vulnerability.test.is_none());
        let claimed: usize = claims.iter().map(|claim| claim.packages.len()).sum();
        check_pairs(general.count(), claimed)?;
        for vulnerability in &self.definition.vulnerabilities {
            let own = match &vulnerability.test {
                Some(test) => by_test.get(&**test).map_or(&[][..], Vec::as_slice),
                None => &all,
            };
            let mut builds = Builds::default();
            own.iter().try_for_each(|claim| claim.add(&default, &mut builds))?;
            for (build, architectures) in builds.finish() {
                let Build { scope, module, package, status } = build;
                let source = format!("{}-oval", scope.ecosystem());
                sink(Advisory {
                    bulletins: self.definition.bulletins.clone(),
                    urgency: vulnerability.urgency,
                    severity: severity_of_scores(&vulnerability.cvss),
                    cvss: vulnerability.cvss.clone(),
                    architectures,
                    module,
                    title: self.definition.title.clone(),
                    date: self.definition.date,
                    ..Advisory::new(vulnerability.id.clone(), scope, package, status, &source)
                });
            }
        }
        Ok(())
    }

    /// Finds the claims in criteria. How deep these are nested is bounded by the depth of the document.
    fn walk(&self, criteria: &'a Criteria, context: &Context, claims: &mut Vec<Claim<'a>>) {
        match criteria {
            Criteria::Any(inner) => inner.iter().for_each(|inner| self.walk(inner, context, claims)),
            Criteria::All(inner) => {
                let mut narrowed = context.clone();
                let mut rest = Vec::new();
                for part in inner {
                    match self.condition(part) {
                        Some(condition) => narrowed.narrow(condition),
                        None => rest.push(part),
                    }
                }
                rest.into_iter().for_each(|part| self.walk(part, &narrowed, claims));
            }
            Criteria::Test { id, comment } if self.condition(criteria).is_none() => {
                claims.extend(self.claim(id, comment, context));
            }
            Criteria::Test { .. } => {}
        }
    }

    /// What criteria require, where they are no claim about packages.
    fn condition(&self, criteria: &Criteria) -> Option<Condition> {
        match criteria {
            Criteria::All(_) => None,
            Criteria::Any(inner) => {
                // Any of several releases.
                let mut platforms = Vec::new();
                for part in inner {
                    let Some(Condition::Platforms(more)) = self.test_condition(part) else { return None };
                    platforms.extend(more);
                }
                (!inner.is_empty()).then_some(Condition::Platforms(platforms))
            }
            Criteria::Test { .. } => self.test_condition(criteria),
        }
    }

    fn test_condition(&self, criteria: &Criteria) -> Option<Condition> {
        let Criteria::Test { id, comment } = criteria else { return None };
        let comment = comment.trim_end_matches('.');
        if let Some(subject) = comment.strip_suffix(" is installed") {
            let platform = platform::of_name(subject);
            let of_release = || self.packages(id).iter().any(|name| name.ends_with("-release"));
            let is_release = platform.is_some() || subject.contains(' ') || of_release();
            return is_release.then(|| Condition::Platforms(platform.into_iter().collect()));
        }
        if let Some(module) = comment.strip_prefix("Module ").and_then(|rest| rest.strip_suffix(" is enabled")) {
            return Some(Condition::Module(stream(module)));
        }
        if let Some((_, architecture)) = comment.split_once(" arch is ") {
            return Some(Condition::Architecture(architecture.into()));
        }
        let is_aside = comment.contains(" is signed with ") || comment.ends_with(" must be installed");
        is_aside.then_some(Condition::Nothing)
    }

    fn packages(&self, test: &str) -> Vec<Arc<str>> {
        self.parts.tests.get(test).map_or_else(Vec::new, |test| self.parts.packages(test))
    }

    fn claim(&self, id: &'a Arc<str>, comment: &str, context: &Context) -> Option<Claim<'a>> {
        let test = self.parts.tests.get(id)?;
        let packages = match source_package(comment) {
            Some(source) => vec![source.into()],
            None => self.parts.packages(test),
        };
        let (claimed, architectures) = self.claimed(test, comment, &packages)?;
        Some(Claim { test: id, context: context.clone(), packages, claimed, architectures })
    }

    fn claimed(&self, test: &Test, comment: &str, packages: &[Arc<str>]) -> Option<(Claimed, Vec<Arc<str>>)> {
        let state = self.parts.state(test).ok()?;
        if state.is_some_and(|state| state.signature) {
            return None;
        }
        let architectures = state.map(|state| state.architectures.clone()).unwrap_or_default();
        let claimed = match state.and_then(|state| state.evr.as_ref()) {
            _ if self.definition.unaffected || comment.ends_with(" is not affected") => Claimed::NotAffected,
            // No version is lower than that: Debian's way to say nothing.
            Some((operation, version)) if &**operation == "less than" && &**version == "0" => return None,
            Some((operation, version)) if &**operation == "less than" => Claimed::Fixed(version.clone()),
            _ if comment.ends_with(" is not installed") => return None,
            _ if comment.contains("ignored") || self.is_given_up(packages) => Claimed::WillNotFix,
            None if state.is_none() => Claimed::NotFixed,
            _ if comment.contains(" is affected") => Claimed::NotFixed,
            _ => return None,
        };
        Some((claimed, architectures))
    }

    /// Whether the vendor gave a package up: its own resolution counts, else the only one there is.
    fn is_given_up(&self, packages: &[Arc<str>]) -> bool {
        let resolutions = &self.definition.resolutions;
        let names = |components: &[String]| packages.iter().any(|name| components.iter().any(|own| **own == **name));
        match resolutions.iter().find(|resolution| names(&resolution.components)) {
            Some(own) => own.given_up,
            None => !resolutions.is_empty() && resolutions.iter().all(|resolution| resolution.given_up),
        }
    }
}

impl Context {
    fn narrow(&mut self, condition: Condition) {
        match condition {
            Condition::Architecture(architecture) => self.architecture = Some(architecture),
            Condition::Module(module) => self.module = module,
            Condition::Nothing => {}
            Condition::Platforms(platforms) => self.platforms = Some(platforms),
        }
    }
}

impl Claim<'_> {
    fn add(&self, default: &[Platform], builds: &mut Builds) -> Result<(), String> {
        for platform in self.context.platforms.as_deref().unwrap_or(default) {
            let status = match &self.claimed {
                Claimed::Fixed(version) if version.is_empty() || version.contains(char::is_whitespace) => {
                    return Err(format!("{}: version {version:?}", self.test));
                }
                Claimed::Fixed(version) if matches!(platform.scope.ecosystem(), "debian" | "ubuntu") => Status::up_to(
                    platform.fixed(debian::version(version).map_err(|error| format!("{}: {error}", self.test))?),
                ),
                Claimed::Fixed(version) => Status::up_to(platform.fixed(version.clone())),
                Claimed::NotAffected => Status::NotAffected,
                Claimed::NotFixed => Status::up_to(End::NotFixed),
                Claimed::WillNotFix => Status::up_to(End::WillNotFix),
            };
            for package in &self.packages {
                let package: PackageName = package.parse().map_err(|error| format!("{}: {error}", self.test))?;
                let (scope, module) = (platform.scope.clone(), self.context.module.clone());
                let build = Build { scope, module, package, status: status.clone() };
                match (&self.context.architecture, self.architectures.as_slice()) {
                    (Some(only), _) => builds.add(build, Some(only)),
                    (None, []) => builds.add(build, None),
                    (None, several) => several.iter().for_each(|own| builds.add(build.clone(), Some(own))),
                }
            }
        }
        Ok(())
    }
}

/// The source package of a comment of Ubuntu's: `(CVE-2023-48795) libssh package in jammy was vulnerable …`.
fn source_package(comment: &str) -> Option<&str> {
    let (before, _) = comment.split_once(" package in ")?;
    before.rsplit(' ').next()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
