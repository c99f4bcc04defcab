//! The versions that may be chosen: of every package the installed one and apt's candidate, found when asked for.

use std::{
    cell::{OnceCell, RefCell},
    collections::{BTreeMap, BTreeSet, HashMap},
    rc::Rc,
};

use super::{Situation, relation::Resolved};
use crate::debian::{
    apt::{index::AvailablePackage, preferences::Choice},
    control::dependency::{AnyOf, Dependencies, PackageRelation},
    dpkg::{
        package::InstalledPackage,
        state::{MultiArch, Want},
    },
    version::DebVersion,
};

/// A version that may be chosen.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct NodeId(pub(super) u32);

/// A package, of which at most one version is chosen.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct KeyId(pub(super) u32);

/// One version of a package.
pub(super) struct Node<'a> {
    pub(super) key: KeyId,
    pub(super) name: Box<str>,
    pub(super) version: DebVersion,
    pub(super) architecture: Box<str>,
    pub(super) multi_arch: MultiArch,
    pub(super) provides: Vec<PackageRelation>,
    pub(super) body: Body<'a>,
    pub(super) resolved: OnceCell<Rc<Resolved>>,
}

/// Where a version is.
pub(super) enum Body<'a> {
    Available(AvailablePackage),
    Installed(&'a InstalledPackage),
}

/// All versions of one package, the installed one first.
#[derive(Clone, Copy, Default)]
pub(super) struct Versions {
    pub(super) installed: Option<NodeId>,
    pub(super) candidate: Option<NodeId>,
}

impl Versions {
    pub(super) fn iter(self) -> impl Iterator<Item = NodeId> {
        self.installed.into_iter().chain(self.candidate)
    }
}

/// Everything there is to choose from.
pub(super) struct Universe<'a> {
    pub(super) situation: Situation<'a>,
    installed: BTreeMap<String, &'a InstalledPackage>,
    /// Of every name the installed packages of other architectures, by their keys.
    foreign: HashMap<&'a str, Vec<String>>,
    /// Of every virtual name the packages that may provide it.
    providers: HashMap<Box<str>, BTreeSet<String>>,
    nodes: RefCell<Vec<Rc<Node<'a>>>>,
    keys: RefCell<Vec<Rc<str>>>,
    key_ids: RefCell<HashMap<Rc<str>, KeyId>>,
    versions: RefCell<HashMap<KeyId, Versions>>,
}

impl<'a> Universe<'a> {
    pub(super) fn new(situation: Situation<'a>) -> Self {
        let mut installed = BTreeMap::new();
        let mut foreign: HashMap<&str, Vec<String>> = HashMap::new();
        for package in situation.installed.iter().filter(|package| package.is_present()) {
            let key = installed_key(package, situation.architecture);
            if key.contains(':') {
                foreign.entry(&package.name).or_default().push(key.clone());
            }
            installed.insert(key, package);
        }
        let providers = providers(&installed, situation);
        let (nodes, keys, key_ids, versions) = Default::default();
        Self { situation, installed, foreign, providers, nodes, keys, key_ids, versions }
    }

    /// The installed packages, by name.
    pub(super) fn installed_keys(&self) -> Vec<KeyId> {
        self.installed.keys().map(|key| self.key(key)).collect()
    }

    pub(super) fn key(&self, name: &str) -> KeyId {
        if let Some(id) = self.key_ids.borrow().get(name) {
            return *id;
        }
        let name: Rc<str> = name.into();
        let mut keys = self.keys.borrow_mut();
        let id = KeyId(u32::try_from(keys.len()).expect("fewer packages than 2^32"));
        keys.push(Rc::clone(&name));
        self.key_ids.borrow_mut().insert(name, id);
        id
    }

    pub(super) fn key_name(&self, key: KeyId) -> Rc<str> {
        Rc::clone(&self.keys.borrow()[key.0 as usize])
    }

    pub(super) fn node(&self, id: NodeId) -> Rc<Node<'a>> {
        Rc::clone(&self.nodes.borrow()[id.0 as usize])
    }

    /// The versions of a package.
    pub(super) fn versions(&self, key: KeyId) -> Versions {
        if let Some(versions) = self.versions.borrow().get(&key) {
            return *versions;
        }
        let name = self.key_name(key);
        let installed = self.installed.get(&*name).copied();
        let versions = Versions {
            installed: installed.map(|package| self.add(installed_node(key, package))),
            candidate: self
                .candidate(&name)
                .and_then(|choice| available_node(key, &choice.package))
                .map(|node| self.add(node)),
        };
        self.versions.borrow_mut().insert(key, versions);
        versions
    }

    /// The version that apt would install in place of the installed one, where nothing holds the package.
    fn candidate(&self, name: &str) -> Option<Choice> {
        let installed = self.installed.get(name).copied();
        if name.contains(':') || installed.is_some_and(is_held) {
            return None;
        }
        let version = installed.map(|package| &package.version);
        let choice = self.situation.preferences.candidate(version, self.situation.archive.named(name))?;
        let parsed = DebVersion::parse_lenient(choice.package.version()).ok()?;
        let newer = version.is_none_or(|version| parsed > *version);
        (newer && self.lockstep(name, &parsed).is_none()).then_some(choice)
    }

    /// An installed package of another architecture that must have the same version, and has another.
    pub(super) fn lockstep(&self, name: &str, version: &DebVersion) -> Option<&'a InstalledPackage> {
        let others = self.foreign.get(name)?.iter().filter_map(|key| self.installed.get(key));
        others.copied().find(|package| package.multi_arch == MultiArch::Same && package.version != *version)
    }

    pub(super) fn installed_package(&self, name: &str) -> Option<&'a InstalledPackage> {
        self.installed.get(name).copied()
    }

    fn add(&self, node: Node<'a>) -> NodeId {
        let mut nodes = self.nodes.borrow_mut();
        nodes.push(Rc::new(node));
        NodeId(u32::try_from(nodes.len() - 1).expect("fewer versions than 2^32"))
    }

    /// The packages whose versions may satisfy a name: itself, of any architecture, then its providers.
    pub(super) fn keys_for(&self, name: &str) -> Vec<KeyId> {
        let mut keys = vec![self.key(name)];
        keys.extend(self.foreign.get(name).into_iter().flatten().map(|key| self.key(key)));
        for provider in self.providers.get(name).into_iter().flatten() {
            let key = self.key(provider);
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        keys
    }

    /// Whether a version is there already.
    pub(super) fn is_installed(&self, id: NodeId) -> bool {
        matches!(self.node(id).body, Body::Installed(_))
    }
}

pub(super) fn is_held(package: &InstalledPackage) -> bool {
    package.status.want == Want::Hold
}

/// The name alone for the image's own architecture and for `all`; else `name:architecture`.
fn installed_key(package: &InstalledPackage, native: &str) -> String {
    let own = matches!(&*package.architecture, "" | "all") || &*package.architecture == native;
    if own { package.name.to_string() } else { format!("{}:{}", package.name, package.architecture) }
}

fn installed_node(key: KeyId, package: &InstalledPackage) -> Node<'_> {
    Node {
        key,
        name: package.name.clone(),
        version: package.version.clone(),
        architecture: package.architecture.clone(),
        multi_arch: package.multi_arch,
        provides: package.relationships.provides.relations().cloned().collect(),
        body: Body::Installed(package),
        resolved: OnceCell::new(),
    }
}

/// `None` for a version that dpkg could not read.
fn available_node<'a>(key: KeyId, package: &AvailablePackage) -> Option<Node<'a>> {
    let multi_arch = match package.field("Multi-Arch").as_deref() {
        Some("same") => MultiArch::Same,
        Some("foreign") => MultiArch::Foreign,
        Some("allowed") => MultiArch::Allowed,
        _ => MultiArch::No,
    };
    Some(Node {
        key,
        name: package.name().into(),
        version: DebVersion::parse_lenient(package.version()).ok()?,
        architecture: package.architecture().into(),
        multi_arch,
        provides: Dependencies::parse(package.provides()).ok()?.relations().cloned().collect(),
        body: Body::Available(package.clone()),
        resolved: OnceCell::new(),
    })
}

fn providers(
    installed: &BTreeMap<String, &InstalledPackage>,
    situation: Situation<'_>,
) -> HashMap<Box<str>, BTreeSet<String>> {
    let mut providers: HashMap<Box<str>, BTreeSet<String>> = HashMap::new();
    for (key, package) in installed {
        for relation in package.relationships.provides.relations() {
            providers.entry(relation.name.clone()).or_default().insert(key.clone());
        }
    }
    for package in situation.archive.indexes().iter().flat_map(|index| index.providing()) {
        // One that cannot be read is never a candidate either: it has no node.
        let provides = Dependencies::parse(package.provides()).unwrap_or_default();
        for relation in provides.relations() {
            providers.entry(relation.name.clone()).or_default().insert(package.name().to_owned());
        }
    }
    providers
}

impl Node<'_> {
    /// `name version`
    pub(super) fn text(&self) -> String {
        format!("{} {}", self.name, self.version)
    }

    /// What must be there beside it.
    pub(super) fn depends(&self) -> Result<Vec<AnyOf>, String> {
        match &self.body {
            Body::Installed(package) => {
                let relationships = &package.relationships;
                Ok([&relationships.pre_depends, &relationships.depends]
                    .into_iter()
                    .flat_map(|field| field.0.clone())
                    .collect())
            }
            Body::Available(package) => {
                let all = fields(package, ["Pre-Depends", "Depends"])?;
                Ok(all.into_iter().flat_map(|field| field.0).collect())
            }
        }
    }

    /// What must not be there beside it.
    pub(super) fn conflicts(&self) -> Result<Vec<PackageRelation>, String> {
        match &self.body {
            Body::Installed(package) => {
                let relationships = &package.relationships;
                let fields = [&relationships.conflicts, &relationships.breaks];
                Ok(fields.into_iter().flat_map(|field| field.relations().cloned()).collect())
            }
            Body::Available(package) => {
                let all = fields(package, ["Conflicts", "Breaks"])?;
                Ok(all.iter().flat_map(|field| field.relations().cloned()).collect())
            }
        }
    }
}

fn fields(package: &AvailablePackage, names: [&str; 2]) -> Result<Vec<Dependencies>, String> {
    let read = |name: &str| {
        let value = package.field(name).unwrap_or_default();
        Dependencies::parse(&value).map_err(|error| format!("its {name} cannot be read: {error}"))
    };
    names.into_iter().map(read).collect()
}
