//! Why something cannot be had, in words.

use std::collections::BTreeMap;

use super::{
    Goal, Obstacle, Reason, Unreachable, Why,
    relation::{Ban, Need},
    universe::{KeyId, NodeId, Universe, is_held},
};
use crate::debian::{control::dependency::AnyOf, version::DebVersion};

/// Reasons within reasons. Real ones go two or three deep.
const MAX_DEPTH: usize = 8;

pub(super) struct Explainer<'u, 'a> {
    universe: &'u Universe<'a>,
}

impl<'u, 'a> Explainer<'u, 'a> {
    pub(super) fn new(universe: &'u Universe<'a>) -> Self {
        Self { universe }
    }

    /// The version that would reach a goal, or why no version would; `None` where it is reached already.
    pub(super) fn standing(&self, goal: &Goal) -> Result<Option<NodeId>, (Obstacle, Reason)> {
        let Some(installed) = self.universe.installed_package(&goal.package) else {
            return Err((Obstacle::NotInstalled, Reason::new(format!("{} is not installed", goal.package))));
        };
        if installed.version >= goal.version {
            return Ok(None);
        }
        let newest = self.newest_available(&goal.package);
        let Some(newest) = newest.filter(|newest| *newest >= goal.version) else {
            return Err((Obstacle::NotAvailable, self.not_available(goal)));
        };
        if is_held(installed) {
            let text = format!("apt-mark hold keeps {} at {}", goal.package, installed.version);
            return Err((Obstacle::Held, Reason::new(text)));
        }
        if let Some(kept) = self.kept_by_lockstep(&goal.package) {
            return Err((kept.obstacle, kept.reason));
        }
        let candidate = self.universe.versions(self.universe.key(&goal.package)).candidate;
        match candidate.filter(|node| self.universe.node(*node).version >= goal.version) {
            Some(node) => Ok(Some(node)),
            None => Err((Obstacle::Pinned, self.pinned(goal, &newest))),
        }
    }

    fn newest_available(&self, name: &str) -> Option<DebVersion> {
        let versions = self.universe.situation.archive.named(name);
        versions.filter_map(|package| DebVersion::parse_lenient(package.version()).ok()).max()
    }

    fn not_available(&self, goal: &Goal) -> Reason {
        match self.newest_available(&goal.package) {
            Some(newest) => {
                Reason::new(format!("no archive has {} (>= {}): the newest is {newest}", goal.package, goal.version))
            }
            None => Reason::new(format!("no archive has {}", goal.package)),
        }
    }

    fn pinned(&self, goal: &Goal, newest: &DebVersion) -> Reason {
        let Self { universe } = self;
        let preferences = universe.situation.preferences;
        let package = universe
            .situation
            .archive
            .named(&goal.package)
            .find(|package| DebVersion::parse_lenient(package.version()).is_ok_and(|version| version == *newest));
        let detail = package.map(|package| {
            let place = preferences
                .pin_place(&package)
                .map_or_else(|| format!("its archive {}", package.origin().source), ToString::to_string);
            format!(": {place} gives it priority {}", preferences.priority(&package))
        });
        Reason::new(format!(
            "{} {newest} is there, but pins prefer another version{}",
            goal.package,
            detail.unwrap_or_default()
        ))
    }

    /// An upgrade that an installed package of another architecture stands in the way of.
    pub(super) fn kept_by_lockstep(&self, name: &str) -> Option<Unreachable> {
        let installed = self.universe.installed_package(name)?;
        let available = self.universe.situation.archive.named(name);
        let choice = self.universe.situation.preferences.candidate(Some(&installed.version), available)?;
        let version = DebVersion::parse_lenient(choice.package.version()).ok()?;
        let other = self.universe.lockstep(name, &version)?;
        let text = format!(
            "{name}:{} {} is installed too, and both must have the same version",
            other.architecture, other.version
        );
        Some(Unreachable {
            goal: Goal { package: name.to_owned(), version },
            obstacle: Obstacle::Conflict,
            reason: Reason::new(text),
        })
    }

    /// Why a version cannot be chosen beside what was asked for before, in words of our own where we find them.
    pub(super) fn conflict(&self, node: NodeId, wanted: &BTreeMap<NodeId, Why>, words: &str) -> Reason {
        let text = self.universe.node(node).text();
        let alone = self.impossible(node, &mut Vec::new());
        let beside = || {
            let mut others = wanted.keys().filter(|other| self.universe.exclude(node, **other));
            others.next().map(|other| {
                vec![Reason::new(format!(
                    "it conflicts with {}, which was asked for too",
                    self.universe.node(*other).text()
                ))]
            })
        };
        let in_other_words =
            || words.lines().filter(|line| !line.trim().is_empty()).map(|line| Reason::new(line.trim())).collect();
        let because = alone.or_else(beside).unwrap_or_else(in_other_words);
        Reason { text: format!("{text} cannot be installed"), because }
    }

    /// Why a version can never be chosen beside the installed packages; `None` where that is not plain to see.
    fn impossible(&self, node: NodeId, above: &mut Vec<NodeId>) -> Option<Vec<Reason>> {
        if above.contains(&node) || above.len() >= MAX_DEPTH {
            return None;
        }
        let resolved = self.universe.resolved(node);
        if let Some(unusable) = &resolved.unusable {
            return Some(vec![Reason::new(unusable.clone())]);
        }
        above.push(node);
        let need = resolved.needs.iter().find_map(|need| self.unmet(need, above));
        let ban = need.or_else(|| resolved.bans.iter().find_map(|ban| self.unavoidable(node, ban, above)));
        let found = ban.or_else(|| self.needed_otherwise(node));
        above.pop();
        found.map(|reason| vec![reason])
    }

    /// A need that no version can meet.
    fn unmet(&self, need: &Need, above: &mut Vec<NodeId>) -> Option<Reason> {
        if need.nodes.is_empty() {
            return Some(Reason::new(format!("it needs {}, {}", need.group, self.what_there_is(&need.group))));
        }
        let mut because = Vec::new();
        for node in &need.nodes {
            let text = format!("{} cannot be installed", self.universe.node(*node).text());
            because.push(Reason { text, because: self.impossible(*node, above)? });
        }
        Some(Reason { text: format!("it needs {}", need.group), because })
    }

    fn what_there_is(&self, group: &AnyOf) -> String {
        let texts = group.0.iter().map(|relation| {
            let installed = self.universe.installed_package(&relation.name);
            match (installed.filter(|package| is_held(package)), self.newest_available(&relation.name)) {
                (Some(held), _) => format!("{} is on hold at {}", relation.name, held.version),
                (None, Some(newest)) => format!("the archive has {} {newest}", relation.name),
                (None, None) => format!("no archive has {}", relation.name),
            }
        });
        texts.collect::<Vec<_>>().join(", ")
    }

    /// A banned package that is installed and has no version that is not banned.
    fn unavoidable(&self, node: NodeId, ban: &Ban, above: &[NodeId]) -> Option<Reason> {
        let mut keys: Vec<KeyId> = ban.nodes.iter().map(|banned| self.universe.node(*banned).key).collect();
        keys.dedup();
        keys.into_iter().find_map(|key| {
            let installed = self.universe.versions(key).installed?;
            let stuck =
                |other: NodeId| ban.nodes.contains(&other) || self.impossible(other, &mut above.to_vec()).is_some();
            let all = self.universe.versions(key).iter().all(stuck);
            let text = format!(
                "it conflicts with {} ({}), which would have to be removed",
                self.universe.node(installed).text(),
                ban.relation
            );
            (all && key != self.universe.node(node).key).then(|| Reason::new(text))
        })
    }

    /// An installed package that does not go with this version, in any version of its own.
    fn needed_otherwise(&self, node: NodeId) -> Option<Reason> {
        let own = self.universe.node(node).key;
        self.universe.installed_keys().into_iter().filter(|key| *key != own).find_map(|key| {
            let versions = self.universe.versions(key);
            let all = versions.iter().all(|other| self.objection(other, node).is_some());
            let (installed, name) = (versions.installed?, self.universe.key_name(key));
            let objection = self.objection(installed, node).filter(|_| all)?;
            Some(Reason::new(format!(
                "{name} {} {objection}, and would have to be removed",
                self.universe.node(installed).version
            )))
        })
    }

    /// What an installed package's version says against `node`: a ban, or a need that only other versions of its
    /// package meet.
    fn objection(&self, other: NodeId, node: NodeId) -> Option<String> {
        let resolved = self.universe.resolved(other);
        if let Some(ban) = resolved.bans.iter().find(|ban| ban.nodes.contains(&node)) {
            return Some(format!("conflicts with {}", ban.relation));
        }
        let key = self.universe.node(node).key;
        let only_others = |need: &&Need| {
            !need.nodes.contains(&node) && need.nodes.iter().all(|id| self.universe.node(*id).key == key)
        };
        let need = resolved.needs.iter().find(only_others)?;
        Some(format!("needs {}", need.group))
    }
}
