//! What the files of an image say beside their content.

use std::collections::{BTreeMap, BTreeSet};

use patchkit_core::image::{FilePath, FileTree, Metadata, Node, NodeKind};

use super::{Capability, Check, System, Weakness};
use crate::verify::accounts;

/// The devices that every container has, by name and number (Linux, `Documentation/admin-guide/devices.txt`).
const COMMON_DEVICES: [(&str, u32, u32); 8] = [
    ("dev/console", 5, 1),
    ("dev/full", 1, 7),
    ("dev/null", 1, 3),
    ("dev/ptmx", 5, 2),
    ("dev/random", 1, 8),
    ("dev/tty", 5, 0),
    ("dev/urandom", 1, 9),
    ("dev/zero", 1, 5),
];

/// Folders whose content is a package manager's cache, and how the names in it end.
const CACHES: [(&str, &str); 16] = [
    ("root/.cache/pip", ""),
    ("root/.cache/pypoetry", ""),
    ("root/.cache/uv", ""),
    ("root/.cache/yarn", ""),
    ("root/.cargo/registry/cache", ""),
    ("root/.composer/cache", ""),
    ("root/.gem/specs", ""),
    ("root/.npm/_cacache", ""),
    ("usr/local/share/.cache/yarn", ""),
    ("var/cache/apk", ".tar.gz"),
    ("var/cache/apt", ".bin"),
    ("var/cache/apt/archives", ".deb"),
    ("var/cache/dnf", ""),
    ("var/cache/pacman/pkg", ""),
    ("var/cache/yum", ""),
    ("var/lib/apt/lists", ""),
];

/// The weaknesses of modes, owners, attributes, kinds and places.
pub(super) fn weaknesses(system: &System) -> Vec<Weakness> {
    let (tree, owners) = (&system.tree, Named::of(system));
    let mut found = Vec::new();
    for (path, node) in tree.iter() {
        found.extend(mode(path, node));
        found.extend(capability(path, &node.metadata));
        found.extend(device(path, node));
        found.extend(owners.unowned(path, &node.metadata));
    }
    found.extend(caches(tree));
    found
}

fn mode(path: &FilePath, node: &Node) -> Option<Weakness> {
    let Metadata { mode, uid, gid, .. } = node.metadata;
    let weakness = |check, detail: String| Some(Weakness::new(check, path.to_string(), detail));
    match node.kind {
        // The group of a folder is inherited by what is made in it: no right is given.
        NodeKind::Directory if mode & 0o1002 == 0o002 => weakness(Check::WorldWritableFolder, format!("mode {mode:o}")),
        NodeKind::File { .. } if mode & 0o6000 != 0 && mode & 0o111 != 0 => {
            let open = if mode & 0o002 != 0 { ", and everybody can write it" } else { "" };
            weakness(Check::Setuid, format!("mode {mode:o}, owner {uid}:{gid}{open}"))
        }
        NodeKind::File { .. } if mode & 0o002 != 0 => weakness(Check::WorldWritableFile, format!("mode {mode:o}")),
        _ => None,
    }
}

fn capability(path: &FilePath, metadata: &Metadata) -> Option<Weakness> {
    let bytes = metadata.xattrs.get("security.capability")?;
    let detail = match Capability::parse(bytes) {
        Ok(Capability { permitted: 0, inheritable: 0, .. }) => return None,
        Ok(capability) => capability.to_string(),
        Err(error) => format!("capabilities that cannot be read: {error}"),
    };
    Some(Weakness::new(Check::FileCapability, path.to_string(), detail))
}

fn device(path: &FilePath, node: &Node) -> Option<Weakness> {
    let (kind, major, minor) = match node.kind {
        NodeKind::BlockDevice { major, minor } => ("block", major, minor),
        NodeKind::CharDevice { major, minor } => ("character", major, minor),
        _ => return None,
    };
    let is_common = COMMON_DEVICES
        .iter()
        .any(|common| kind == "character" && (Some(common.0), common.1, common.2) == (path.to_str(), major, minor));
    (!is_common).then(|| Weakness::new(Check::Device, path.to_string(), format!("a {kind} device {major}:{minor}")))
}

/// The numbers that have a name.
struct Named {
    users: BTreeSet<u64>,
    groups: BTreeSet<u64>,
}

impl Named {
    fn of(system: &System) -> Self {
        let accounts = accounts::accounts(system.read("etc/passwd"));
        let groups = accounts::groups(system.read("etc/group"));
        Self { users: accounts.iter().map(|account| account.uid).collect(), groups: groups.into_values().collect() }
    }

    /// Root needs no name.
    fn unowned(&self, path: &FilePath, metadata: &Metadata) -> Option<Weakness> {
        let Metadata { uid, gid, .. } = metadata;
        let is_named = |names: &BTreeSet<u64>, number: &u64| *number == 0 || names.contains(number);
        let detail = match (is_named(&self.users, uid), is_named(&self.groups, gid)) {
            (true, true) => return None,
            (false, true) => format!("no user has the number {uid}"),
            (true, false) => format!("no group has the number {gid}"),
            (false, false) => format!("no user has the number {uid} and no group {gid}"),
        };
        Some(Weakness::new(Check::Unowned, path.to_string(), detail))
    }
}

/// A weakness for each cache that has files; how many, may change.
fn caches(tree: &FileTree) -> Vec<Weakness> {
    let mut files: BTreeMap<&str, FilePath> = BTreeMap::new();
    for (path, _) in tree.iter().filter(|(_, node)| node.size().is_some_and(|size| size > 0)) {
        let Some(text) = path.to_str() else { continue };
        let is_in = |(folder, end): &&(&str, &str)| {
            text.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')) && text.ends_with(end)
        };
        if let Some((folder, _)) = CACHES.iter().find(is_in) {
            files.entry(folder).or_insert_with(|| path.clone());
        }
    }
    let weakness = |(folder, path): (&str, FilePath)| {
        Weakness::new(Check::PackageCache, folder, format!("files are left, such as {path}"))
    };
    files.into_iter().map(weakness).collect()
}
