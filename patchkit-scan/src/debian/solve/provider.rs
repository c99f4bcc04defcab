//! The universe as resolvo wants to see it.

use std::{cell::RefCell, collections::HashMap, fmt::Display, rc::Rc};

use resolvo::{
    Candidates, Condition, ConditionId, Dependencies, DependencyProvider, Interner, KnownDependencies, NameId, Problem,
    Requirement, SolvableId, Solver, SolverCache, StringId, UnsolvableOrCancelled, VersionSetId, VersionSetUnionId,
};

use super::{
    relation::Choices,
    universe::{KeyId, NodeId, Universe},
};

/// Which of two versions of an installed package to try first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Prefer {
    Candidate,
    Installed,
}

/// Searches choices of versions in one universe.
pub(super) struct Search<'u, 'a> {
    universe: &'u Universe<'a>,
    sets: RefCell<Interned<(KeyId, Rc<[NodeId]>)>>,
    unions: RefCell<Interned<Rc<[VersionSetId]>>>,
    strings: RefCell<Vec<String>>,
}

/// Values by number, each once.
struct Interned<T> {
    values: Vec<T>,
    numbers: HashMap<T, u32>,
}

impl<T> Default for Interned<T> {
    fn default() -> Self {
        Self { values: Vec::new(), numbers: HashMap::new() }
    }
}

impl<T: Clone + Eq + std::hash::Hash> Interned<T> {
    fn number(&mut self, value: T) -> u32 {
        let values = &mut self.values;
        *self.numbers.entry(value).or_insert_with_key(|value| {
            values.push(value.clone());
            u32::try_from(values.len() - 1).expect("fewer sets than 2^32")
        })
    }
}

impl<'u, 'a> Search<'u, 'a> {
    pub(super) fn new(universe: &'u Universe<'a>) -> Self {
        let (sets, unions, strings) = Default::default();
        Self { universe, sets, unions, strings }
    }

    /// A choice that keeps every installed package in some version, and has these versions.
    ///
    /// # Errors
    /// The conflict in resolvo's words.
    pub(super) fn choose(&self, required: &[NodeId], prefer: Prefer) -> Result<Choices, String> {
        let wanted = required.iter().map(|node| (self.universe.node(*node).key, vec![*node]));
        let kept =
            self.universe.installed_keys().into_iter().map(|key| (key, self.universe.versions(key).iter().collect()));
        let requirements =
            wanted.chain(kept).map(|(key, nodes)| Requirement::from(self.set(key, nodes)).into()).collect();
        let mut solver = Solver::new(Provider { search: self, prefer });
        match solver.solve(Problem::new().requirements(requirements)) {
            Ok(solvables) => {
                Ok(solvables.into_iter().map(node_of).map(|node| (self.universe.node(node).key, node)).collect())
            }
            Err(UnsolvableOrCancelled::Unsolvable(conflict)) => {
                Err(conflict.display_user_friendly(&solver).to_string())
            }
            Err(UnsolvableOrCancelled::Cancelled(_)) => Err("the search was cancelled".to_owned()),
        }
    }

    fn set(&self, key: KeyId, nodes: Vec<NodeId>) -> VersionSetId {
        VersionSetId(self.sets.borrow_mut().number((key, nodes.into())))
    }

    /// One set for each package, in the order in which the packages first appear.
    fn requirement(&self, nodes: &[NodeId]) -> Requirement {
        let sets = self.by_key(nodes);
        let sets: Rc<[_]> = sets.into_iter().map(|(key, nodes)| self.set(key, nodes)).collect();
        match *sets {
            [single] => single.into(),
            _ => VersionSetUnionId(self.unions.borrow_mut().number(sets)).into(),
        }
    }

    fn by_key(&self, nodes: &[NodeId]) -> Vec<(KeyId, Vec<NodeId>)> {
        let mut sets: Vec<(KeyId, Vec<NodeId>)> = Vec::new();
        for node in nodes {
            let key = self.universe.node(*node).key;
            match sets.iter_mut().find(|(known, _)| *known == key) {
                Some((_, nodes)) => nodes.push(*node),
                None => sets.push((key, vec![*node])),
            }
        }
        sets
    }

    fn dependencies(&self, node: NodeId) -> Dependencies {
        let resolved = self.universe.resolved(node);
        if let Some(reason) = &resolved.unusable {
            return Dependencies::Unknown(self.string(reason));
        }
        let mut known = KnownDependencies::default();
        for need in &resolved.needs {
            if need.nodes.is_empty() {
                return Dependencies::Unknown(self.string(&format!("nothing provides {}", need.group)));
            }
            known.requirements.push(self.requirement(&need.nodes).into());
        }
        for ban in &resolved.bans {
            for (key, banned) in self.by_key(&ban.nodes) {
                let allowed = self.universe.versions(key).iter().filter(|node| !banned.contains(node)).collect();
                known.constrains.push(self.set(key, allowed));
            }
        }
        Dependencies::Known(known)
    }

    fn string(&self, text: &str) -> StringId {
        let mut strings = self.strings.borrow_mut();
        strings.push(text.to_owned());
        StringId(u32::try_from(strings.len() - 1).expect("fewer texts than 2^32"))
    }

    fn members(&self, set: VersionSetId) -> (KeyId, Rc<[NodeId]>) {
        self.sets.borrow().values[set.0 as usize].clone()
    }
}

/// One search, with its preference.
struct Provider<'s, 'u, 'a> {
    search: &'s Search<'u, 'a>,
    prefer: Prefer,
}

fn node_of(solvable: SolvableId) -> NodeId {
    NodeId(solvable.into_raw())
}

fn solvable(node: NodeId) -> SolvableId {
    SolvableId::from_raw(node.0)
}

fn key_of(name: NameId) -> KeyId {
    KeyId(name.into_raw())
}

impl Interner for Provider<'_, '_, '_> {
    type NameId = NameId;
    type SolvableId = SolvableId;

    fn display_solvable(&self, id: SolvableId) -> impl Display + '_ {
        self.search.universe.node(node_of(id)).text()
    }

    fn display_name(&self, name: NameId) -> impl Display + '_ {
        self.search.universe.key_name(key_of(name)).to_string()
    }

    fn display_version_set(&self, set: VersionSetId) -> impl Display + '_ {
        let (_, nodes) = self.search.members(set);
        let versions: Vec<_> = nodes.iter().map(|node| self.search.universe.node(*node).version.to_string()).collect();
        if versions.is_empty() { "(none)".to_owned() } else { versions.join(" | ") }
    }

    fn display_string(&self, id: StringId) -> impl Display + '_ {
        self.search.strings.borrow()[id.0 as usize].clone()
    }

    fn version_set_name(&self, set: VersionSetId) -> NameId {
        NameId::from_raw(self.search.members(set).0.0)
    }

    fn solvable_name(&self, id: SolvableId) -> NameId {
        NameId::from_raw(self.search.universe.node(node_of(id)).key.0)
    }

    fn version_sets_in_union(&self, union: VersionSetUnionId) -> impl Iterator<Item = VersionSetId> {
        let sets = Rc::clone(&self.search.unions.borrow().values[union.0 as usize]);
        (0..sets.len()).map(move |number| sets[number])
    }

    fn resolve_condition(&self, _: ConditionId) -> Condition {
        unreachable!("no requirement has a condition")
    }
}

impl DependencyProvider for Provider<'_, '_, '_> {
    async fn filter_candidates(&self, candidates: &[SolvableId], set: VersionSetId, inverse: bool) -> Vec<SolvableId> {
        let (_, nodes) = self.search.members(set);
        candidates.iter().copied().filter(|candidate| nodes.contains(&node_of(*candidate)) != inverse).collect()
    }

    async fn get_candidates(&self, name: NameId) -> Option<Candidates> {
        let versions = self.search.universe.versions(key_of(name));
        let candidates: Vec<_> = versions.iter().map(solvable).collect();
        (!candidates.is_empty()).then(|| Candidates { candidates, ..Candidates::default() })
    }

    async fn sort_candidates(&self, _: &SolverCache<Self>, solvables: &mut [SolvableId]) {
        let universe = self.search.universe;
        solvables.sort_by_key(|id| {
            let installed = universe.is_installed(node_of(*id));
            (installed != (self.prefer == Prefer::Installed), id.into_raw())
        });
    }

    async fn get_dependencies(&self, id: SolvableId) -> Dependencies {
        self.search.dependencies(node_of(id))
    }
}
