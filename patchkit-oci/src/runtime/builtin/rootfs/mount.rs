//! One mount of a configuration.

use std::{
    ffi::CString,
    fs,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::CWD,
    io::Errno,
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
        fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, mount_remount, move_mount, open_tree,
    },
};

use super::{
    super::{Fault, fault::Blame, spec::Mount},
    inside::{Inside, Kind, Links},
    kept_flags, remount,
};

/// What the options of a mount mean.
#[derive(Debug, Default, PartialEq)]
struct Options {
    bind: Option<Reach>,
    read_only: bool,
    no_suid: bool,
    no_dev: bool,
    no_exec: bool,
    /// For the file system.
    own: Vec<String>,
}

/// Whether a bind mount takes along what is mounted below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    One,
    All,
}

/// Mounts it. Where it goes is resolved inside the root; for `proc` and `sysfs`, whose paths are masked by name, no link
/// may be on the way.
pub(super) fn mount(root: &Inside, mount: &Mount, bundle: &Path) -> Result<(), Fault> {
    let what = || format!("mount {}", mount.destination.display());
    let options = Options::parse(&mount.options).map_err(|why| Fault::new(what(), why))?;
    match (mount.kind.as_deref().unwrap_or_default(), options.bind) {
        (_, Some(reach)) => bind(root, mount, bundle, &options, reach).blame(what()),
        ("bind", None) => bind(root, mount, bundle, &options, Reach::One).blame(what()),
        // The hierarchies of the host are nothing that a container is shown.
        ("cgroup" | "cgroup2", None) => Ok(()),
        ("sysfs", None) => sysfs(root, mount, &options).blame(what()),
        (kind @ ("devpts" | "mqueue" | "proc" | "tmpfs"), None) => {
            let links = if kind == "proc" { Links::Refuse } else { Links::Follow };
            fresh(root, mount, kind, &options, links).blame(what())
        }
        (kind, None) => Err(Fault::new(what(), format!("file systems of type {kind:?} are not mounted here"))),
    }
}

fn bind(root: &Inside, mount: &Mount, bundle: &Path, options: &Options, reach: Reach) -> Result<(), String> {
    let source = mount.source.as_deref().ok_or("it has no source")?;
    let source = bundle.join(source);
    let meta = fs::metadata(&source).map_err(|error| format!("{}: {error}", source.display()))?;
    let kind = if meta.is_dir() { Kind::Folder } else { Kind::File };
    let target = root.make(&mount.destination, kind, Links::Follow).map_err(|error| error.to_string())?;
    let tree = clone_tree(&source, reach).map_err(|error| format!("{}: {error}", source.display()))?;
    attach(&tree, &target).map_err(|error| error.to_string())?;
    restrict(&tree, options, reach).map_err(|error| error.to_string())
}

fn fresh(root: &Inside, mount: &Mount, kind: &str, options: &Options, links: Links) -> Result<(), Errno> {
    let made = filesystem(kind, options)?;
    attach(&made, &root.make(&mount.destination, Kind::Folder, links)?)
}

/// The kernel's own where the container has its network, otherwise the host's, read-only with all that is below.
fn sysfs(root: &Inside, mount: &Mount, options: &Options) -> Result<(), Errno> {
    match fresh(root, mount, "sysfs", options, Links::Refuse) {
        Err(Errno::PERM) => {}
        other => return other,
    }
    let target = root.make(&mount.destination, Kind::Folder, Links::Refuse)?;
    let tree = clone_tree(Path::new("/sys"), Reach::All)?;
    attach(&tree, &target)?;
    restrict(&tree, &Options { read_only: true, ..Options::default() }, Reach::All)
}

fn filesystem(kind: &str, options: &Options) -> Result<OwnedFd, Errno> {
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    for option in &options.own {
        match option.split_once('=') {
            // Where the group does not exist inside, terminals belong to whoever opens them.
            Some(("gid", value)) if kind == "devpts" => drop(fsconfig_set_string(&context, "gid", value)),
            Some((key, value)) => fsconfig_set_string(&context, key, value)?,
            None => fsconfig_set_flag(&context, option.as_str())?,
        }
    }
    fsconfig_create(&context)?;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, options.attributes())
}

pub(super) fn clone_file(source: &Path) -> Result<OwnedFd, Errno> {
    clone_tree(source, Reach::One)
}

fn clone_tree(source: &Path, reach: Reach) -> Result<OwnedFd, Errno> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if reach == Reach::All {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    open_tree(CWD, source, flags)
}

pub(super) fn empty(options: &[&str]) -> Result<OwnedFd, Errno> {
    let own = options.iter().map(|option| (*option).to_owned()).collect();
    filesystem("tmpfs", &Options { own, read_only: true, ..Options::default() })
}

pub(super) fn attach(tree: impl AsFd, target: impl AsFd) -> Result<(), Errno> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(tree, "", target, "", flags)
}

fn restrict(tree: &OwnedFd, options: &Options, reach: Reach) -> Result<(), Errno> {
    let flags = options.flags();
    if flags.is_empty() {
        return Ok(());
    }
    remount(tree, flags)?;
    if reach == Reach::All && options.read_only {
        below(tree)?
    }
    Ok(())
}

/// Makes all mounts below one read-only.
fn below(tree: &OwnedFd) -> Result<(), Errno> {
    let own = fs::read_link(format!("/proc/self/fd/{}", tree.as_raw_fd())).map_err(|_| Errno::NOENT)?;
    let table = fs::read_to_string("/proc/self/mountinfo").map_err(|_| Errno::IO)?;
    for place in table.lines().filter_map(|line| line.split(' ').nth(4)).map(unescape) {
        let place = Path::new(&place);
        if place != own && place.starts_with(&own) {
            mount_remount(place, MountFlags::BIND | MountFlags::RDONLY | kept_flags(place)?, c"")?;
        }
    }
    Ok(())
}

/// The kernel writes space, tab, line feed and backslash as three octal digits.
fn unescape(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(text.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain))
}

impl Options {
    fn parse(options: &[String]) -> Result<Self, String> {
        let mut parsed = Self::default();
        for option in options {
            match option.as_str() {
                "bind" => parsed.bind = Some(Reach::One),
                "rbind" => parsed.bind = Some(Reach::All),
                "ro" => parsed.read_only = true,
                "rw" => parsed.read_only = false,
                "nosuid" => parsed.no_suid = true,
                "nodev" => parsed.no_dev = true,
                "noexec" => parsed.no_exec = true,
                "suid" | "dev" | "exec" => {}
                "async" | "atime" | "defaults" | "noatime" | "nodiratime" | "relatime" | "strictatime" => {}
                "private" | "rprivate" | "rslave" | "slave" | "unbindable" | "runbindable" => {}
                "rshared" | "shared" | "tmpcopyup" => return Err(format!("option {option:?} is not supported")),
                other => {
                    CString::new(other).map_err(|_| "an option has a zero byte")?;
                    parsed.own.push(other.to_owned());
                }
            }
        }
        Ok(parsed)
    }

    fn flags(&self) -> MountFlags {
        let pairs = [
            (self.read_only, MountFlags::RDONLY),
            (self.no_suid, MountFlags::NOSUID),
            (self.no_dev, MountFlags::NODEV),
            (self.no_exec, MountFlags::NOEXEC),
        ];
        pairs.into_iter().filter(|(is_set, _)| *is_set).fold(MountFlags::empty(), |all, (_, flag)| all | flag)
    }

    fn attributes(&self) -> MountAttrFlags {
        let pairs = [
            (self.read_only, MountAttrFlags::MOUNT_ATTR_RDONLY),
            (self.no_suid, MountAttrFlags::MOUNT_ATTR_NOSUID),
            (self.no_dev, MountAttrFlags::MOUNT_ATTR_NODEV),
            (self.no_exec, MountAttrFlags::MOUNT_ATTR_NOEXEC),
        ];
        pairs.into_iter().filter(|(is_set, _)| *is_set).fold(MountAttrFlags::empty(), |all, (_, flag)| all | flag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_flags_or_the_file_systems_own() {
        let options = ["nosuid", "rbind", "ro", "mode=755"].map(str::to_owned);
        let parsed = Options::parse(&options).unwrap();
        assert_eq!(parsed.flags(), MountFlags::NOSUID | MountFlags::RDONLY);
        assert_eq!((parsed.bind, parsed.own), (Some(Reach::All), vec!["mode=755".to_owned()]));
        assert!(Options::parse(&["rshared".to_owned()]).is_err());
    }

    #[test]
    fn names_of_mounts_are_unescaped() {
        assert_eq!(unescape("/a\\040b\\134c"), "/a b\\c");
    }
}
