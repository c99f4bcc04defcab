//! What breaks from one image to another.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use super::{
    elf::ElfKind,
    fault::{Fault, Problem},
    interface::identity,
    linkage::Linkage,
};

/// What is missing in an image, beside what was missing before it was changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadChange {
    /// What is missing now and was not before; the programs and libraries are those that are newly affected.
    pub broken: Vec<Fault>,
    /// What was missing before, too.
    pub known: Vec<Fault>,
    /// Symbols that libraries newly miss which they did not ask for before, or which are new themselves: whoever opens
    /// them may bring these.
    pub left_to_hosts: Vec<Fault>,
}

/// Compares what is missing before and after.
///
/// A symbol that a library misses by itself counts as broken only where it was found before: the program that opens the
/// library may bring it, and need not be in its closure.
#[must_use]
pub fn compare(before: &Linkage, after: &Linkage) -> LoadChange {
    let (old, new) = (Names::of(before), Names::of(after));
    let mut known: BTreeMap<(&str, &Problem), BTreeSet<&str>> = BTreeMap::new();
    for fault in before.faults() {
        let roots = fault.programs.iter().chain(&fault.libraries).map(|root| old.identity(root));
        known.entry((old.identity(&fault.file), &fault.problem)).or_default().extend(roots);
    }
    let mut change = LoadChange::default();
    for fault in after.faults() {
        let affected = known.get(&(new.identity(&fault.file), &fault.problem));
        let is_new = |root: &&String| !affected.is_some_and(|known| known.contains(new.identity(root)));
        let programs: BTreeSet<String> = fault.programs.iter().filter(is_new).cloned().collect();
        let libraries: BTreeSet<String> = fault.libraries.iter().filter(is_new).cloned().collect();
        if programs.is_empty() && libraries.is_empty() {
            change.known.push(fault.clone());
            continue;
        }
        let was_found =
            |root: &String| old.found(before, new.identity(root), new.identity(&fault.file), &fault.problem);
        let (lost, left): (BTreeSet<_>, BTreeSet<_>) = libraries.into_iter().partition(was_found);
        if !left.is_empty() {
            change.left_to_hosts.push(Fault { programs: BTreeSet::new(), libraries: left, ..fault.clone() });
        }
        if !programs.is_empty() || !lost.is_empty() {
            change.broken.push(Fault { programs, libraries: lost, ..fault.clone() });
        }
    }
    change
}

/// What the files of an image are known by.
struct Names {
    identities: HashMap<String, String>,
    ids: HashMap<String, super::system::Id>,
}

impl Names {
    fn of(linkage: &Linkage) -> Self {
        let (mut identities, mut ids) = (HashMap::new(), HashMap::new());
        for id in linkage.system.ids() {
            let name = identity(linkage, id);
            identities.insert(linkage.system.object(id).path.to_string(), name.clone());
            ids.entry(name).or_insert(id);
        }
        Self { identities, ids }
    }

    fn identity<'a>(&'a self, path: &'a str) -> &'a str {
        self.identities.get(path).map_or(path, |name| name)
    }

    /// Whether a need that a library has not met was met before, or is none that a host could meet.
    fn found(&self, before: &Linkage, root: &str, file: &str, problem: &Problem) -> bool {
        let Problem::Symbol { symbol, version, .. } = problem else { return true };
        let (Some(root), Some(file)) = (self.ids.get(root), self.ids.get(file)) else { return false };
        let object = before.system.object(*file);
        let asked = object
            .elf
            .imports()
            .any(|import| import.name == symbol && import.version.map(|version| &version.name) == version.as_ref());
        asked && before.closures[*root as usize].members.contains(file)
    }
}

/// Programs and libraries that are there.
pub(super) fn counts(linkage: &Linkage) -> (usize, usize) {
    let of = |kind| linkage.system.objects.iter().filter(|object| object.elf.kind == kind).count();
    (of(ElfKind::Program), of(ElfKind::Library))
}
