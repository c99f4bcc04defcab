//! What versions ask of each other, as sets of versions.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use super::universe::{Body, KeyId, Node, NodeId, Universe};
use crate::debian::{
    control::dependency::{AnyOf, PackageRelation},
    dpkg::state::MultiArch,
};

/// What one version asks for.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    pub(super) needs: Vec<Need>,
    pub(super) bans: Vec<Ban>,
    /// Dependencies that are broken already and stay so.
    pub(super) tolerated: Vec<AnyOf>,
    /// Why the version cannot be chosen at all.
    pub(super) unusable: Option<String>,
}

/// One of these versions must be chosen.
#[derive(Debug)]
pub(super) struct Need {
    pub(super) group: AnyOf,
    /// In the order of preference; what concerns installed packages comes first.
    pub(super) nodes: Vec<NodeId>,
}

/// None of these versions may be chosen.
#[derive(Debug)]
pub(super) struct Ban {
    pub(super) relation: PackageRelation,
    pub(super) nodes: Vec<NodeId>,
}

/// A choice of versions: one for each package that is there.
pub(super) type Choices = BTreeMap<KeyId, NodeId>;

/// Something that does not hold in a choice.
#[derive(Debug)]
pub(super) enum Violation {
    /// A banned version is there.
    Ban { by: NodeId, relation: PackageRelation, node: NodeId },
    /// A need is not met.
    Need { by: NodeId, group: AnyOf, nodes: Vec<NodeId> },
    /// A version that cannot be chosen was.
    Unusable,
}

impl Universe<'_> {
    /// What a version asks for.
    pub(super) fn resolved(&self, id: NodeId) -> Rc<Resolved> {
        let node = self.node(id);
        if let Some(resolved) = node.resolved.get() {
            return Rc::clone(resolved);
        }
        let resolved = Rc::new(
            self.resolve(&node).unwrap_or_else(|unusable| Resolved { unusable: Some(unusable), ..Resolved::default() }),
        );
        Rc::clone(node.resolved.get_or_init(|| resolved))
    }

    fn resolve(&self, node: &Node<'_>) -> Result<Resolved, String> {
        let foreign = matches!(&node.body, Body::Installed(_)) && self.key_name(node.key).contains(':');
        if foreign {
            return Ok(Resolved::default());
        }
        let broken = self.broken_groups(node.key)?;
        let (mut needs, mut tolerated) = (Vec::new(), Vec::new());
        for group in node.depends()? {
            let nodes = self.satisfying(&group);
            if broken.contains(&names(&group)) && !nodes.iter().any(|id| self.is_installed(*id)) {
                tolerated.push(group);
            } else {
                needs.push(Need { group, nodes });
            }
        }
        let bans =
            node.conflicts()?.into_iter().map(|relation| self.ban(node, relation)).filter(|ban| !ban.nodes.is_empty());
        Ok(Resolved { needs, bans: bans.collect(), tolerated, unusable: None })
    }

    /// The dependencies of the installed version that nothing installed satisfies, by the names in them.
    fn broken_groups(&self, key: KeyId) -> Result<BTreeSet<Vec<Box<str>>>, String> {
        let Some(installed) = self.versions(key).installed else {
            return Ok(BTreeSet::new());
        };
        let groups = self.node(installed).depends()?;
        let broken = groups.iter().filter(|group| !self.satisfying(group).iter().any(|id| self.is_installed(*id)));
        Ok(broken.map(names).collect())
    }

    /// All versions that satisfy one of the alternatives. The order of the alternatives is the order of preference,
    /// but what is installed anyway is preferred to what would be new.
    fn satisfying(&self, group: &AnyOf) -> Vec<NodeId> {
        let (mut there, mut new) = (Vec::new(), Vec::new());
        for relation in &group.0 {
            for key in self.keys_for(&relation.name) {
                let versions = self.versions(key);
                let list = if versions.installed.is_some() { &mut there } else { &mut new };
                for id in versions.iter() {
                    if self.satisfies(&self.node(id), relation) && !list.contains(&id) {
                        list.push(id);
                    }
                }
            }
        }
        there.extend(new);
        there
    }

    fn satisfies(&self, node: &Node<'_>, relation: &PackageRelation) -> bool {
        self.serves(node, relation) && matches_version(node, relation)
    }

    /// Whether a version's architecture serves a dependency of one of the image's own.
    fn serves(&self, node: &Node<'_>, relation: &PackageRelation) -> bool {
        let native = self.situation.architecture;
        let own = matches!(&*node.architecture, "" | "all") || &*node.architecture == native;
        match relation.qualifier.as_deref() {
            None | Some("native") => own || node.multi_arch == MultiArch::Foreign,
            Some("any") => own || node.multi_arch == MultiArch::Allowed,
            Some(wanted) => *wanted == *node.architecture || own && wanted == native,
        }
    }

    /// What a relation forbids beside `node`: not the package itself, which may provide what it conflicts with; and not
    /// what is installed beside it already.
    fn ban(&self, node: &Node<'_>, relation: PackageRelation) -> Ban {
        let installed = matches!(node.body, Body::Installed(_));
        let mut nodes = Vec::new();
        for key in self.keys_for(&relation.name) {
            for id in self.versions(key).iter() {
                let other = self.node(id);
                let both_there = installed && matches!(other.body, Body::Installed(_));
                if other.name != node.name && !both_there && matches_version(&other, &relation) {
                    nodes.push(id);
                }
            }
        }
        Ban { relation, nodes }
    }

    /// Whether two versions of different packages exclude each other by what either forbids.
    pub(super) fn exclude(&self, one: NodeId, other: NodeId) -> bool {
        let bans = |by: NodeId, node: NodeId| self.resolved(by).bans.iter().any(|ban| ban.nodes.contains(&node));
        bans(one, other) || bans(other, one)
    }

    /// Everything that does not hold in a choice.
    pub(super) fn violations(&self, choices: &Choices) -> Vec<Violation> {
        let chosen = |node: &NodeId| choices.get(&self.node(*node).key) == Some(node);
        let mut violations = Vec::new();
        for &by in choices.values() {
            let resolved = self.resolved(by);
            violations.extend(resolved.unusable.as_ref().map(|_| Violation::Unusable));
            for need in resolved.needs.iter().filter(|need| !need.nodes.iter().any(chosen)) {
                violations.push(Violation::Need { by, group: need.group.clone(), nodes: need.nodes.clone() });
            }
            for ban in &resolved.bans {
                let banned = ban.nodes.iter().filter(|node| chosen(node));
                violations.extend(banned.map(|node| Violation::Ban {
                    by,
                    relation: ban.relation.clone(),
                    node: *node,
                }));
            }
        }
        violations
    }
}

fn matches_version(node: &Node<'_>, relation: &PackageRelation) -> bool {
    let real = node.name == relation.name && relation.admits(&node.version);
    real || node.provides.iter().any(|provided| {
        let version = provided.version.as_ref().map(|(_, version)| version);
        provided.name == relation.name && relation.admits_provided(version)
    })
}

fn names(group: &AnyOf) -> Vec<Box<str>> {
    let mut names: Vec<_> = group.0.iter().map(|relation| relation.name.clone()).collect();
    names.sort();
    names.dedup();
    names
}
