//! What speaks of the same vulnerability becomes one.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use super::{Claim, Vulnerability};
use crate::advisory::{End, Status};

/// The name that stands for each other name of the same vulnerability.
///
/// Names are of one vulnerability where sources say so, directly or from one to the next. A CVE id stands for all
/// others. Where those of several CVEs hang together, each name keeps to the one CVE that is said to be the same; and
/// where there is none, the first name stands for all: a GHSA id before the database's own.
pub(super) fn canonical_names(vulnerabilities: &BTreeMap<Arc<str>, Vulnerability>) -> BTreeMap<Arc<str>, Arc<str>> {
    let mut groups = Groups::default();
    for (id, vulnerability) in vulnerabilities.iter().filter(|(_, vulnerability)| !vulnerability.aliases.is_empty()) {
        groups.add(id, &vulnerability.aliases);
    }
    let mut members: BTreeMap<usize, Members<'_>> = BTreeMap::new();
    for number in 0..groups.names.len() {
        let group = members.entry(groups.root(number)).or_default();
        group.names.push(number);
        group.cves.extend(&groups.cves[number]);
    }
    let mut canonical = BTreeMap::new();
    for Members { names, cves } in members.values() {
        let first = names.iter().map(|number| groups.names[*number]).min();
        for number in names {
            let own = &groups.cves[*number];
            let name = match (cves.len(), own.len()) {
                (0, _) => first,
                (1, _) => cves.first().copied(),
                (_, 1) => own.first().copied(),
                _ => None,
            };
            let name = name.filter(|name| *name != groups.names[*number]);
            canonical.extend(name.map(|name| (groups.names[*number].clone(), name.clone())));
        }
    }
    canonical
}

/// Names that are no CVE ids, and which of them are the same (a disjoint-set forest).
#[derive(Default)]
struct Groups<'a> {
    numbers: HashMap<&'a Arc<str>, usize>,
    names: Vec<&'a Arc<str>>,
    /// A name's parent in its tree; a root is its own.
    parents: Vec<usize>,
    /// The CVEs that are said to be the same as a name.
    cves: Vec<BTreeSet<&'a Arc<str>>>,
}

#[derive(Default)]
struct Members<'a> {
    names: Vec<usize>,
    cves: BTreeSet<&'a Arc<str>>,
}

impl<'a> Groups<'a> {
    fn add(&mut self, id: &'a Arc<str>, aliases: &'a BTreeSet<Arc<str>>) {
        let names = || [id].into_iter().chain(aliases);
        let mut first = None;
        for name in names().filter(|name| !is_cve(name)) {
            let number = self.number(name);
            self.cves[number].extend(names().filter(|name| is_cve(name)));
            let (one, other) = (self.root(number), self.root(*first.get_or_insert(number)));
            self.parents[one] = other;
        }
    }

    fn number(&mut self, name: &'a Arc<str>) -> usize {
        let next = self.names.len();
        let number = *self.numbers.entry(name).or_insert(next);
        if number == next {
            self.names.push(name);
            self.parents.push(next);
            self.cves.push(BTreeSet::new());
        }
        number
    }

    fn root(&mut self, mut number: usize) -> usize {
        while self.parents[number] != number {
            self.parents[number] = self.parents[self.parents[number]];
            number = self.parents[number];
        }
        number
    }
}

fn is_cve(name: &str) -> bool {
    name.starts_with("CVE-")
}

pub(super) fn renamed(
    vulnerabilities: BTreeMap<Arc<str>, Vulnerability>,
    names: &BTreeMap<Arc<str>, Arc<str>>,
) -> BTreeMap<Arc<str>, Vulnerability> {
    let mut result: BTreeMap<Arc<str>, Vulnerability> = BTreeMap::new();
    for (id, mut vulnerability) in vulnerabilities {
        let name = names.get(&id).unwrap_or(&id).clone();
        vulnerability.aliases.insert(id);
        vulnerability.aliases.remove(&name);
        result.entry(name).or_default().join(vulnerability);
    }
    result
}

impl Vulnerability {
    /// Adds what another source says: all names, the highest severity, the longest title.
    pub(super) fn join(&mut self, other: Self) {
        let Self { aliases, severity, cvss, exploitation, title } = other;
        self.cvss.extend(cvss);
        self.exploitation.known |= exploitation.known;
        self.exploitation.epss = self.exploitation.epss.max(exploitation.epss);
        self.aliases.extend(aliases);
        self.severity = self.severity.max(severity);
        let key = |title: &Option<Arc<str>>| title.as_ref().map(|title| (title.len(), title.clone()));
        if key(&self.title) < key(&title) {
            self.title = title;
        }
    }
}

/// One claim for each vulnerability, sorted.
pub(super) fn joined(mut claims: Vec<Claim>, names: &BTreeMap<Arc<str>, Arc<str>>) -> Vec<Claim> {
    for claim in &mut claims {
        if let Some(name) = names.get(&claim.id) {
            claim.id = name.clone();
        }
    }
    claims.sort();
    claims.dedup();
    let mut result: Vec<Claim> = Vec::with_capacity(claims.len());
    for claim in claims {
        match result.last_mut().filter(|last| last.is_of(&claim)) {
            Some(last) => last.join(claim),
            None => result.push(claim),
        }
    }
    result.iter_mut().for_each(Claim::settle);
    result
}

impl Claim {
    /// Whether another one speaks of the same vulnerability in the same builds of the package.
    fn is_of(&self, other: &Self) -> bool {
        (&self.id, &self.module, &self.architectures) == (&other.id, &other.module, &other.architectures)
    }

    /// Adds what another source says of the same. Both orders give the same, as claims are sorted before.
    fn join(&mut self, other: Self) {
        let Self { id: _, module: _, architectures: _, bulletins, status, urgency, symbols, source } = other;
        self.symbols.extend(symbols);
        self.bulletins.extend(bulletins);
        self.urgency = self.urgency.max(urgency);
        let stronger = strength(&status) > strength(&self.status);
        if stronger {
            self.source = source;
        }
        match (&mut self.status, status) {
            (Status::Affected(ranges), Status::Affected(more)) => ranges.extend(more),
            (Status::NotAffected, _) => {}
            (own, Status::NotAffected) => *own = Status::NotAffected,
        }
    }

    /// Drops what is outweighed: a range without end, where one from the same version on has an end.
    fn settle(&mut self) {
        self.bulletins.sort();
        self.bulletins.dedup();
        self.symbols.sort();
        self.symbols.dedup();
        let Status::Affected(ranges) = &mut self.status else { return };
        ranges.sort();
        ranges.dedup();
        let fixed: Vec<_> =
            ranges.iter().filter(|range| matches!(range.end, End::Fixed(_))).map(|range| range.from.clone()).collect();
        ranges.retain(|range| match &range.end {
            End::Fixed(_) | End::Last(_) => true,
            End::FixedElsewhere(_) | End::NotFixed | End::WillNotFix => !fixed.contains(&range.from),
        });
    }
}

fn strength(status: &Status) -> u8 {
    match status {
        Status::NotAffected => 2,
        Status::Affected(ranges) => u8::from(ranges.iter().any(|range| matches!(range.end, End::Fixed(_)))),
    }
}
