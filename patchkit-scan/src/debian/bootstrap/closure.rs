//! The packages that some packages need, and what those need in turn.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use thiserror::Error;

use crate::debian::{
    apt::{client::Archive, index::AvailablePackage},
    control::dependency::{AnyOf, Dependencies, PackageRelation},
    version::{DebVersion, Relation},
};

/// The fields whose packages must be there.
const NEEDS: [&str; 2] = ["Pre-Depends", "Depends"];
/// The fields whose packages must not.
const REFUSALS: [&str; 2] = ["Breaks", "Conflicts"];

/// Why packages cannot be installed together.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClosureError {
    /// Two of the packages refuse each other.
    #[error("{package} cannot be beside {other} ({field}: {relation})")]
    Clash {
        /// The package that refuses.
        package: String,
        /// The package that it refuses.
        other: String,
        /// The field that says so.
        field: &'static str,
        /// What the field says.
        relation: String,
    },
    /// A field of a package cannot be read.
    #[error("{package}: {field}: {reason}")]
    Field {
        /// The package.
        package: String,
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The archive has no package of this name.
    #[error("there is no package {0}")]
    Missing(String),
    /// The archive has nothing that a package needs.
    #[error("{package} needs {dependency}, which is not to be had")]
    Unsatisfied {
        /// The package.
        package: String,
        /// What it needs.
        dependency: String,
    },
}

/// The newest versions of the wanted packages and of all that they need, sorted by name.
///
/// Of alternatives the first one that is to be had is taken, unless one of them is there already; of several packages
/// that provide a name, the first by name. A dependency that names one of `left_out` counts as met. There is no search
/// back and forth: packages that can only be had together by taking something other than the newest version or the
/// first alternative are an error. An archive's stable suites have none such.
///
/// # Errors
/// [`ClosureError`].
pub(super) fn close(
    archive: &Archive,
    wanted: &[String],
    left_out: &BTreeSet<String>,
) -> Result<Vec<AvailablePackage>, ClosureError> {
    let mut closure = Closure { archive, left_out, providers: providers(archive), chosen: BTreeMap::new() };
    let mut queue: VecDeque<String> = VecDeque::new();
    for name in wanted {
        let newest = newest(archive, name).ok_or_else(|| ClosureError::Missing(name.clone()))?;
        closure.choose(newest, &mut queue);
    }
    while let Some(name) = queue.pop_front() {
        closure.satisfy(&name, &mut queue)?;
    }
    closure.check_refusals()?;
    Ok(closure.chosen.into_values().map(|chosen| chosen.package).collect())
}

#[derive(Clone)]
struct Candidate {
    package: AvailablePackage,
    version: DebVersion,
}

struct Closure<'a> {
    archive: &'a Archive,
    left_out: &'a BTreeSet<String>,
    /// The names of the packages that provide a name.
    providers: BTreeMap<String, BTreeSet<String>>,
    chosen: BTreeMap<String, Candidate>,
}

impl Closure<'_> {
    fn choose(&mut self, candidate: Candidate, queue: &mut VecDeque<String>) {
        let name = candidate.package.name().to_owned();
        if self.chosen.insert(name.clone(), candidate).is_none() {
            queue.push_back(name);
        }
    }

    /// Chooses what a chosen package needs.
    fn satisfy(&mut self, name: &str, queue: &mut VecDeque<String>) -> Result<(), ClosureError> {
        let package = self.chosen[name].package.clone();
        for field in NEEDS {
            for any in relations(&package, field)?.0 {
                if !self.is_met(&any) {
                    let found = any.0.iter().find_map(|relation| self.find(relation));
                    let found = found.ok_or_else(|| ClosureError::Unsatisfied {
                        package: name.to_owned(),
                        dependency: Dependencies(vec![any.clone()]).to_string(),
                    })?;
                    self.choose(found, queue);
                }
            }
        }
        Ok(())
    }

    fn is_met(&self, any: &AnyOf) -> bool {
        let chosen = || self.chosen.values();
        any.0
            .iter()
            .any(|relation| self.left_out.contains(&*relation.name) || chosen().any(|candidate| candidate.is(relation)))
    }

    /// A package that is what is asked for.
    fn find(&self, relation: &PackageRelation) -> Option<Candidate> {
        let real = newest(self.archive, &relation.name).filter(|candidate| candidate.is(relation));
        let providers = self.providers.get(&*relation.name).into_iter().flatten();
        real.or_else(|| {
            let mut newest = providers.filter_map(|name| newest(self.archive, name));
            newest.find(|candidate| candidate.is(relation))
        })
    }

    fn check_refusals(&self) -> Result<(), ClosureError> {
        for (name, candidate) in &self.chosen {
            for field in REFUSALS {
                for relation in relations(&candidate.package, field)?.relations() {
                    let mut others = self.chosen.iter().filter(|(other, _)| *other != name);
                    if let Some((other, _)) = others.find(|(_, other)| other.is(relation)) {
                        let one = Dependencies(vec![AnyOf(vec![relation.clone()])]);
                        return Err(ClosureError::Clash {
                            package: name.clone(),
                            other: other.clone(),
                            field,
                            relation: one.to_string(),
                        });
                    }
                }
            }
        }
        Ok(())
    }
}

impl Candidate {
    /// Whether the package is what is asked for, by its own name or one that it provides.
    fn is(&self, relation: &PackageRelation) -> bool {
        if *relation.name == *self.package.name() && relation.admits(&self.version) {
            return true;
        }
        let provided = Dependencies::parse(self.package.provides()).unwrap_or_default();
        provided.relations().any(|provided| {
            let version = provided.version.as_ref().filter(|(relation, _)| *relation == Relation::Equal);
            provided.name == relation.name && relation.admits_provided(version.map(|(_, version)| version))
        })
    }
}

/// The newest package of a name.
fn newest(archive: &Archive, name: &str) -> Option<Candidate> {
    let candidates = archive.named(name).filter_map(|package| {
        let version = DebVersion::parse_lenient(package.version()).ok()?;
        Some(Candidate { package, version })
    });
    candidates.max_by(|left, right| left.version.cmp(&right.version))
}

fn providers(archive: &Archive) -> BTreeMap<String, BTreeSet<String>> {
    let mut providers: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in archive.indexes().iter().flat_map(|index| index.providing()) {
        let provided = Dependencies::parse(package.provides()).unwrap_or_default();
        for relation in provided.relations() {
            providers.entry(relation.name.to_string()).or_default().insert(package.name().to_owned());
        }
    }
    providers
}

fn relations(package: &AvailablePackage, field: &'static str) -> Result<Dependencies, ClosureError> {
    let value = package.field(field).unwrap_or_default();
    Dependencies::parse(&value).map_err(|error| ClosureError::Field {
        package: package.name().to_owned(),
        field,
        reason: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::debian::apt::{
        index::{Origin, PackageIndex},
        release::Release,
        sources::parse_sources,
    };

    fn archive(stanzas: &str) -> Archive {
        let source = parse_sources("s.list", b"deb http://a.example.org s main\n").unwrap().remove(0);
        let release = "Date: Thu, 01 Jan 2026 00:00:00 UTC\nSHA256:\n";
        let origin =
            Origin { source, release: Arc::new(Release::parse(release).unwrap()), component: "main".to_owned() };
        let text: String = stanzas.split(';').map(stanza).collect();
        Archive::new([Arc::new(PackageIndex::parse(text.into_bytes(), "amd64", origin).unwrap())])
    }

    /// `name version Field: value, Field: value` with `/` for line ends.
    fn stanza(text: &str) -> String {
        let mut words = text.trim().splitn(3, ' ');
        let (name, version) = (words.next().unwrap(), words.next().unwrap());
        let fields = words.next().unwrap_or_default().replace('/', "\n");
        format!("Package: {name}\nVersion: {version}\nArchitecture: amd64\n{fields}\n\n").replace("\n\n\n", "\n\n")
    }

    fn chosen(stanzas: &str, wanted: &str) -> Result<String, String> {
        let wanted: Vec<_> = wanted.split(' ').map(str::to_owned).collect();
        let left_out = BTreeSet::from(["debconf".to_owned()]);
        let packages = close(&archive(stanzas), &wanted, &left_out).map_err(|error| error.to_string())?;
        let names: Vec<_> =
            packages.iter().map(|package| format!("{}={}", package.name(), package.version())).collect();
        Ok(names.join(" "))
    }

    #[test]
    fn needs_are_followed_to_the_newest_versions() {
        let stanzas = "a 1 Depends: b (>= 2), d | e/Pre-Depends: c; b 2; b 10 Depends: a; c 1; e 1; f 1";
        assert_eq!(chosen(stanzas, "a").unwrap(), "a=1 b=10 c=1 e=1");
    }

    #[test]
    fn what_is_provided_or_there_already_is_enough() {
        assert_eq!(chosen("a 1 Depends: awk; mawk 1 Provides: awk; gawk 1 Provides: awk", "a").unwrap(), "a=1 gawk=1");
        assert_eq!(chosen("a 1 Depends: b | c; b 1; c 1", "c a").unwrap(), "a=1 c=1");
        assert_eq!(chosen("a 1 Depends: v (>= 2); p 1 Provides: v (= 3)", "a").unwrap(), "a=1 p=1");
        let unversioned = chosen("a 1 Depends: v (>= 2); p 1 Provides: v", "a");
        assert_eq!(unversioned.unwrap_err(), "a needs v (>= 2), which is not to be had");
    }

    #[test]
    fn what_is_left_out_counts_as_met() {
        assert_eq!(chosen("a 1 Depends: debconf (>= 0.5) | debconf-2.0; debconf 1", "a").unwrap(), "a=1");
    }

    #[test]
    fn what_cannot_be_had_says_why() {
        assert_eq!(chosen("a 1", "b").unwrap_err(), "there is no package b");
        assert_eq!(chosen("a 1 Depends: b (>= 2); b 1", "a").unwrap_err(), "a needs b (>= 2), which is not to be had");
        let clash = chosen("a 1 Depends: b/Breaks: b (<< 2); b 1", "a");
        assert_eq!(clash.unwrap_err(), "a cannot be beside b (Breaks: b (<< 2))");
        assert_eq!(chosen("a 1 Depends: b/Breaks: b (<< 2); b 2", "a").unwrap(), "a=1 b=2");
        assert_eq!(chosen("a 1 Conflicts: v/Provides: v", "a").unwrap(), "a=1");
        assert!(chosen("a 1 Depends: ???", "a").unwrap_err().starts_with("a: Depends: "));
    }
}
