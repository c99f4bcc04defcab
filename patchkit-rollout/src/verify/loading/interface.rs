//! What changed between an image's libraries and those of another, and what that touches.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    elf::{Elf, ElfKind},
    linkage::Linkage,
    system::Id,
};

/// What changed in the libraries of an image, and the programs that it touches: the blast radius of a patch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interfaces {
    /// The libraries whose content changed, that came or went, sorted by name.
    pub changed: Vec<InterfaceChange>,
    /// The programs whose own file changed, sorted.
    pub changed_programs: BTreeSet<String>,
    /// The programs that are changed themselves or load what is changed, sorted.
    pub programs: BTreeSet<String>,
    /// How many programs the image has.
    pub of_programs: usize,
}

impl Interfaces {
    /// Which part of the programs is touched: from 0, none, to 1, all.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // There are no 2^52 programs.
    pub fn blast_radius(&self) -> f64 {
        if self.of_programs == 0 { 0.0 } else { self.programs.len() as f64 / self.of_programs as f64 }
    }

    /// Whether no library lost anything that others could have linked to.
    #[must_use]
    pub fn is_compatible(&self) -> bool {
        self.changed.iter().all(InterfaceChange::is_compatible)
    }
}

/// What changed in a library.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceChange {
    /// What it is known by: the folder and the `SONAME`; its path where it has none.
    pub library: String,
    /// The path before; absent for one that came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// The path after; absent for one that went.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The `SONAME` before and after, where it changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soname: Option<(String, String)>,
    /// Symbols that are gone, as `name@VERSION`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub removed: BTreeSet<String>,
    /// Symbols that are new.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub added: BTreeSet<String>,
    /// Symbols whose versions changed: the versions before and after, of which none is the same.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub moved: BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)>,
    /// Versions that are gone.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub versions_removed: BTreeSet<String>,
    /// Versions that are new.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub versions_added: BTreeSet<String>,
    /// The programs that load it, sorted.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub programs: BTreeSet<String>,
    /// The other libraries that load it, sorted.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub libraries: BTreeSet<String>,
}

impl InterfaceChange {
    /// Whether it lost nothing that others could have linked to.
    #[must_use]
    pub fn is_compatible(&self) -> bool {
        let gone = self.before.is_some() && self.after.is_none();
        let kept = self.removed.is_empty() && self.moved.is_empty() && self.versions_removed.is_empty();
        !gone && kept && self.soname.is_none()
    }
}

/// What changed from one image to another.
///
/// A library is the same one where its path is, or its folder and `SONAME`: `libz.so.1.2.11` that became
/// `libz.so.1.2.13` changed. What it touches is what loads it after; where it went, what loaded it before.
#[must_use]
pub fn interfaces(before: &Linkage, after: &Linkage) -> Interfaces {
    let mut result = Interfaces { of_programs: after.programs().count(), ..Interfaces::default() };
    let (mut touching, mut gone) = (BTreeSet::new(), BTreeSet::new());
    for (old, new) in pairs(before, after, ElfKind::Library) {
        if digest(before, old) == digest(after, new) {
            continue;
        }
        touching.extend(new);
        gone.extend(old.filter(|_| new.is_none()));
        result.changed.push(change(before, old, after, new));
    }
    for (old, new) in pairs(before, after, ElfKind::Program) {
        if digest(before, old) != digest(after, new) {
            touching.extend(new);
            result.changed_programs.extend(new.map(|id| after.system.object(id).path.to_string()));
        }
    }
    let still_there = |path: &&_| after.elf(path).is_some();
    let touched = after.touched(&touching, ElfKind::Program);
    let bereft = before.touched(&gone, ElfKind::Program).filter(still_there);
    result.programs = touched.chain(bereft).map(ToString::to_string).collect();
    result.changed.sort_by(|a, b| (&a.library, &a.before, &a.after).cmp(&(&b.library, &b.before, &b.after)));
    result
}

fn digest(linkage: &Linkage, id: Option<Id>) -> Option<patchkit_core::Digest> {
    id.map(|id| linkage.system.object(id).elf.digest)
}

/// What an object is known by in both images, whatever its file is called: folder and `SONAME`, or its path.
pub(super) fn identity(linkage: &Linkage, id: Id) -> String {
    let object = linkage.system.object(id);
    match (&object.elf.soname, object.path.parent()) {
        (Some(name), Some(folder)) if !name.contains('/') => {
            folder.join(name).map_or_else(|_| object.path.to_string(), |path| path.to_string())
        }
        _ => object.path.to_string(),
    }
}

/// Objects of a kind with what they became: by path first, then by identity.
fn pairs(before: &Linkage, after: &Linkage, kind: ElfKind) -> Vec<(Option<Id>, Option<Id>)> {
    let of_kind = |linkage: &Linkage, id: &Id| linkage.system.object(*id).elf.kind == kind;
    let mut new: BTreeMap<String, Id> = BTreeMap::new();
    let mut left: BTreeSet<Id> = after.system.ids().filter(|id| of_kind(after, id)).collect();
    for id in &left {
        new.entry(identity(after, *id)).or_insert(*id);
    }
    let mut pairs = Vec::new();
    let mut unpaired = Vec::new();
    for old in before.system.ids().filter(|id| of_kind(before, id)) {
        let same_path = after.system.at(&before.system.object(old).path).filter(|id| left.contains(id));
        match same_path {
            Some(id) => {
                left.remove(&id);
                pairs.push((Some(old), Some(id)));
            }
            None => unpaired.push(old),
        }
    }
    for old in unpaired {
        let heir = new.get(&identity(before, old)).copied().filter(|id| left.remove(id));
        pairs.push((Some(old), heir));
    }
    pairs.extend(left.into_iter().map(|id| (None, Some(id))));
    pairs
}

fn change(before: &Linkage, old: Option<Id>, after: &Linkage, new: Option<Id>) -> InterfaceChange {
    let (holder, id) = new.map_or((before, old), |new| (after, Some(new)));
    let id = id.expect("a pair has one of two");
    let path = |linkage: &Linkage, id: Option<Id>| id.map(|id| linkage.system.object(id).path.to_string());
    let changed = BTreeSet::from([id]);
    let own = holder.system.object(id).path.clone();
    let touched = |kind| holder.touched(&changed, kind).filter(|path| **path != own).map(ToString::to_string).collect();
    let mut change = InterfaceChange {
        library: identity(holder, id),
        before: path(before, old),
        after: path(after, new),
        programs: touched(ElfKind::Program),
        libraries: touched(ElfKind::Library),
        ..InterfaceChange::default()
    };
    if let (Some(old), Some(new)) = (old, new) {
        compare(&before.system.object(old).elf, &after.system.object(new).elf, &mut change);
    }
    change
}

fn compare(old: &Elf, new: &Elf, change: &mut InterfaceChange) {
    if old.soname != new.soname {
        let text = |elf: &Elf| elf.soname.clone().unwrap_or_default();
        change.soname = Some((text(old), text(new)));
    }
    let versions = |elf: &Elf| elf.defined_versions().map(ToOwned::to_owned).collect::<BTreeSet<_>>();
    let (had, has) = (versions(old), versions(new));
    change.versions_removed = had.difference(&has).cloned().collect();
    change.versions_added = has.difference(&had).cloned().collect();
    let (mut had, mut has) = (exports(old), exports(new));
    let both: Vec<String> = had.keys().filter(|name| has.contains_key(*name)).cloned().collect();
    for name in both {
        let (Some(from), Some(to)) = (had.get(&name), has.get(&name)) else { continue };
        if from.is_disjoint(to) {
            change.moved.extend(had.remove(&name).zip(has.remove(&name)).map(|moved| (name, moved)));
        }
    }
    let full = |symbols: BTreeMap<String, BTreeSet<String>>| {
        symbols.into_iter().flat_map(|(name, versions)| versions.into_iter().map(move |version| full(&name, &version)))
    };
    let (had, has): (BTreeSet<_>, BTreeSet<_>) = (full(had).collect(), full(has).collect());
    change.removed = had.difference(&has).cloned().collect();
    change.added = has.difference(&had).cloned().collect();
}

/// The versions of each symbol, an empty one for none; without the symbols that stand for the versions themselves.
fn exports(elf: &Elf) -> BTreeMap<String, BTreeSet<String>> {
    let mut exports: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for symbol in elf.exports() {
        let version = symbol.version.filter(|version| !version.base).map_or("", |version| &version.name);
        if symbol.name == version {
            continue;
        }
        exports.entry(symbol.name.to_owned()).or_default().insert(version.to_owned());
    }
    exports
}

fn full(name: &str, version: &str) -> String {
    if version.is_empty() { name.to_owned() } else { format!("{name}@{version}") }
}
