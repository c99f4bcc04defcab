//! What is a good answer: as many goals as possible, as few changes as possible, and a reason for each.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Change, Goal, Obstacle, Situation, Solution, Unreachable, Why,
    explain::Explainer,
    provider::{Prefer, Search},
    relation::{Choices, Violation},
    universe::{Body, KeyId, NodeId, Universe},
};
use crate::debian::version::DebVersion;

/// Versions that were asked for, and by whom.
type Wanted = BTreeMap<NodeId, Why>;

pub(super) fn reach(situation: Situation<'_>, goals: &[Goal]) -> Solution {
    let universe = Universe::new(situation);
    let mut planner = Planner::new(&universe, Prefer::Installed);
    let mut goals = goals.to_vec();
    goals.sort();
    planner.ask(goals.into_iter().filter_map(|goal| planner.target(goal).transpose()).collect());
    planner.ask_siblings();
    planner.finish()
}

pub(super) fn upgrade_all(situation: Situation<'_>) -> Solution {
    let universe = Universe::new(situation);
    let mut planner = Planner::new(&universe, Prefer::Candidate);
    planner.note_lockstep();
    let upgrades = universe.installed_keys().into_iter().filter_map(|key| universe.versions(key).candidate);
    planner.upgrade(upgrades.collect());
    planner.finish()
}

pub(super) fn obstacles(situation: Situation<'_>, goals: &[Goal]) -> Vec<Unreachable> {
    let universe = Universe::new(situation);
    let explainer = Explainer::new(&universe);
    let standing = goals.iter().map(|goal| (goal, explainer.standing(goal)));
    standing
        .filter_map(|(goal, standing)| standing.err().map(|fault| (goal.clone(), fault)))
        .map(|(goal, (obstacle, reason))| Unreachable { goal, obstacle, reason })
        .collect()
}

struct Planner<'u, 'a> {
    universe: &'u Universe<'a>,
    search: Search<'u, 'a>,
    prefer: Prefer,
    wanted: Wanted,
    choices: Choices,
    unreachable: Vec<Unreachable>,
}

impl<'u, 'a> Planner<'u, 'a> {
    fn new(universe: &'u Universe<'a>, prefer: Prefer) -> Self {
        let installed = universe.installed_keys().into_iter();
        let choices = installed.filter_map(|key| Some((key, universe.versions(key).installed?))).collect();
        let search = Search::new(universe);
        Self { universe, search, prefer, wanted: Wanted::new(), choices, unreachable: Vec::new() }
    }

    /// The version that would reach a goal; nothing where it is reached already.
    fn target(&self, goal: Goal) -> Result<Option<(Goal, NodeId)>, Unreachable> {
        match Explainer::new(self.universe).standing(&goal) {
            Ok(node) => Ok(node.map(|node| (goal, node))),
            Err((obstacle, reason)) => Err(Unreachable { goal, obstacle, reason }),
        }
    }

    /// Takes on all goals that can be reached together, in their order.
    fn ask(&mut self, targets: Vec<Result<(Goal, NodeId), Unreachable>>) {
        let (mut open, mut refused) = (Vec::new(), Vec::new());
        for target in targets {
            match target {
                Ok(target) => open.push(target),
                Err(unreachable) => refused.push(unreachable),
            }
        }
        self.unreachable.extend(refused);
        if self.require(open.iter().map(|(_, node)| (*node, Why::Asked)).collect()).is_ok() {
            return;
        }
        for (goal, node) in open {
            if let Err(conflict) = self.require(Wanted::from([(node, Why::Asked)])) {
                self.refuse(goal, node, &conflict);
            }
        }
    }

    fn refuse(&mut self, goal: Goal, node: NodeId, conflict: &str) {
        let reason = Explainer::new(self.universe).conflict(node, &self.wanted, conflict);
        self.unreachable.push(Unreachable { goal, obstacle: Obstacle::Conflict, reason });
    }

    /// Adds versions to what must be chosen, if that can be.
    fn require(&mut self, more: Wanted) -> Result<(), String> {
        let required: BTreeSet<_> = self.wanted.keys().chain(more.keys()).copied().collect();
        if required.iter().all(|node| self.choices.get(&self.universe.node(*node).key) == Some(node)) {
            self.wanted.extend(more);
            return Ok(());
        }
        let required: Vec<_> = required.into_iter().collect();
        self.choices = self.search.choose(&required, self.prefer)?;
        self.wanted.extend(more);
        Ok(())
    }

    /// Takes along what comes from the source packages of the goals: all of it, or what of it can be had.
    fn ask_siblings(&mut self) {
        let sources: BTreeMap<(String, String), ()> =
            self.wanted.keys().filter_map(|node| self.source(*node)).map(|source| (source, ())).collect();
        let candidates =
            self.universe.installed_keys().into_iter().filter_map(|key| self.universe.versions(key).candidate);
        let siblings: Wanted = candidates
            .filter(|node| !self.wanted.contains_key(node))
            .filter_map(|node| {
                let source = self.source(node).filter(|source| sources.contains_key(source))?;
                Some((node, Why::SameSource { source: source.0 }))
            })
            .collect();
        if self.require(siblings.clone()).is_ok() {
            return;
        }
        for (node, why) in siblings {
            if let Err(conflict) = self.require(Wanted::from([(node, why)])) {
                tracing::debug!(
                    package = self.universe.node(node).text(),
                    conflict,
                    "does not follow its source package"
                );
            }
        }
    }

    /// Name and version of the source package of a version in the archive.
    fn source(&self, node: NodeId) -> Option<(String, String)> {
        match &self.universe.node(node).body {
            Body::Available(package) => Some((package.source_name(), package.source_version())),
            Body::Installed(_) => None,
        }
    }

    /// Upgrades as much as can be upgraded together: what the first search gives, then one after the other.
    fn upgrade(&mut self, upgrades: Vec<NodeId>) {
        if let Ok(choices) = self.search.choose(&[], self.prefer) {
            self.choices = choices;
        }
        let (taken, open): (Vec<_>, Vec<_>) =
            upgrades.into_iter().partition(|node| self.choices.get(&self.universe.node(*node).key) == Some(node));
        self.wanted.extend(taken.into_iter().map(|node| (node, Why::Upgrade)));
        for node in open {
            if let Err(conflict) = self.require(Wanted::from([(node, Why::Upgrade)])) {
                let chosen = self.universe.node(node);
                let goal = Goal { package: chosen.name.to_string(), version: chosen.version.clone() };
                self.refuse(goal, node, &conflict);
            }
        }
    }

    /// What would be upgraded but for packages of other architectures.
    fn note_lockstep(&mut self) {
        for key in self.universe.installed_keys() {
            let name = self.universe.key_name(key);
            self.unreachable.extend(Explainer::new(self.universe).kept_by_lockstep(&name));
        }
    }

    fn finish(mut self) -> Solution {
        self.prune();
        while self.replace_new() {
            self.prune();
        }
        let mut changes = self.changes();
        changes.sort_by(|left, right| left.name.cmp(&right.name));
        self.unreachable.sort_by(|left, right| left.goal.cmp(&right.goal));
        let mut broken: Vec<_> = self.choices.values().flat_map(|node| self.broken(*node)).collect();
        broken.sort();
        Solution { changes, unreachable: self.unreachable, broken }
    }

    fn broken(&self, node: NodeId) -> Vec<String> {
        let name = self.universe.node(node).name.clone();
        self.universe.resolved(node).tolerated.iter().map(|group| format!("{name}: {group}")).collect()
    }

    /// Takes back every change that nobody asked for and nobody needs.
    fn prune(&mut self) {
        let mut again = true;
        while std::mem::take(&mut again) {
            for (key, _) in self.changed().into_iter().filter(|(_, node)| !self.wanted.contains_key(node)) {
                let without = self.without(key);
                if self.universe.violations(&without).len() <= self.universe.violations(&self.choices).len() {
                    self.choices = without;
                    again = true;
                }
            }
        }
        debug_assert!(
            self.universe.violations(&self.choices).is_empty(),
            "the search gave a choice that does not hold"
        );
    }

    /// Upgrades an installed package in place of a new one, where either would do; says whether it did.
    fn replace_new(&mut self) -> bool {
        let new = |planner: &Self| {
            planner
                .changed()
                .into_iter()
                .filter(|(key, _)| planner.universe.versions(*key).installed.is_none())
                .collect::<Vec<_>>()
        };
        let before = new(self);
        for (key, _) in &before {
            for node in self.instead_of(*key) {
                let required: Vec<_> = self.wanted.keys().copied().chain([node]).collect();
                let Ok(choices) = self.search.choose(&required, self.prefer) else {
                    continue;
                };
                let old = std::mem::replace(&mut self.choices, choices);
                self.prune();
                if new(self).len() < before.len() {
                    return true;
                }
                self.choices = old;
            }
        }
        false
    }

    /// Versions of installed packages that would meet the needs that a new package meets.
    fn instead_of(&self, key: KeyId) -> Vec<NodeId> {
        let violations = self.universe.violations(&self.without(key));
        let needs = violations.into_iter().filter_map(|violation| match violation {
            Violation::Need { nodes, .. } => Some(nodes),
            _ => None,
        });
        needs
            .flatten()
            .filter(|node| self.universe.versions(self.universe.node(*node).key).installed.is_some())
            .collect()
    }

    fn changed(&self) -> Vec<(KeyId, NodeId)> {
        let changed = self.choices.iter().filter(|(_, node)| !self.universe.is_installed(**node));
        changed.map(|(key, node)| (*key, *node)).collect()
    }

    /// The choice with one package as it was: in its installed version, or not there.
    fn without(&self, key: KeyId) -> Choices {
        let mut choices = self.choices.clone();
        match self.universe.versions(key).installed {
            Some(installed) => choices.insert(key, installed),
            None => choices.remove(&key),
        };
        choices
    }

    fn changes(&self) -> Vec<Change> {
        let mut changes = Vec::new();
        for (key, id) in self.changed() {
            let node = self.universe.node(id);
            let Body::Available(package) = &node.body else {
                continue;
            };
            changes.push(Change {
                name: node.name.to_string(),
                from: self.installed_version(key),
                to: node.version.clone(),
                package: package.clone(),
                why: self.wanted.get(&id).cloned().unwrap_or_else(|| self.needed_by(key)),
            });
        }
        changes
    }

    fn installed_version(&self, key: KeyId) -> Option<DebVersion> {
        self.universe.versions(key).installed.map(|node| self.universe.node(node).version.clone())
    }

    /// Who could not be as it is without this change: what was asked for before what only came along.
    fn needed_by(&self, key: KeyId) -> Why {
        let mut reasons: Vec<_> = self
            .universe
            .violations(&self.without(key))
            .into_iter()
            .filter_map(|violation| self.reason(key, violation))
            .collect();
        reasons.sort();
        let first = reasons.into_iter().next();
        first.map_or(Why::Asked, |(_, package, relation)| Why::NeededBy { package, relation })
    }

    /// In `violation`, which comes from taking the change of `key` back: the change that needs it, and what it needs.
    /// What was asked for sorts before what only came along.
    fn reason(&self, key: KeyId, violation: Violation) -> Option<(bool, String, String)> {
        let (by, relation) = match violation {
            Violation::Need { by, group, nodes } if self.universe.node(by).key == key => {
                (self.cause(key, &nodes)?, self.other_version(by, &format!("needs {group}")))
            }
            Violation::Need { by, group, .. } => (by, group.to_string()),
            Violation::Ban { by, relation, node } if self.universe.node(by).key == key => {
                (node, self.other_version(by, &format!("conflicts with {relation}")))
            }
            Violation::Ban { by, relation, node } => {
                (by, self.other_version(node, &format!("it excludes by {relation}")))
            }
            Violation::Unusable => return None,
        };
        Some((!self.wanted.contains_key(&by), self.universe.node(by).name.to_string(), relation))
    }

    /// The change that took away what an installed version needed, of which `nodes` are all that would do.
    fn cause(&self, key: KeyId, nodes: &[NodeId]) -> Option<NodeId> {
        let changed = self.changed().into_iter().filter(|(other, _)| *other != key);
        let mut causes = changed.filter(|(other, _)| {
            self.universe.versions(*other).installed.is_some_and(|installed| nodes.contains(&installed))
        });
        causes.next().map(|(_, node)| node)
    }

    fn other_version(&self, node: NodeId, why: &str) -> String {
        let node = self.universe.node(node);
        format!("another {} than {}, which {why}", node.name, node.version)
    }
}
