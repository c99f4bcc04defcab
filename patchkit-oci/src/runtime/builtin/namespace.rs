//! Namespaces: made anew, or those of others.

use std::fs::File;

use nix::sched::{CloneFlags, setns, unshare};

use super::{
    Fault,
    fault::Blame,
    spec::{Linux, NamespaceKind},
};

const WHAT: &str = "linux.namespaces";

impl NamespaceKind {
    pub(super) fn flag(self) -> CloneFlags {
        match self {
            Self::Cgroup => CloneFlags::CLONE_NEWCGROUP,
            Self::Ipc => CloneFlags::CLONE_NEWIPC,
            Self::Mount => CloneFlags::CLONE_NEWNS,
            Self::Network => CloneFlags::CLONE_NEWNET,
            Self::Pid => CloneFlags::CLONE_NEWPID,
            Self::User => CloneFlags::CLONE_NEWUSER,
            Self::Uts => CloneFlags::CLONE_NEWUTS,
        }
    }

    /// Whether a process can enter it by itself; the others are its parent's to enter.
    pub(super) fn is_entered_late(self) -> bool {
        !matches!(self, Self::Pid | Self::User)
    }
}

/// Leaves the namespaces of the caller.
pub(super) fn leave(flags: CloneFlags) -> Result<(), Fault> {
    unshare(flags).blame(format!("{WHAT}: {flags:?}"))
}

/// Enters or makes the namespaces that pid 1 enters or makes.
pub(super) fn enter(linux: &Linux) -> Result<(), Fault> {
    let late = || linux.namespaces.iter().filter(|namespace| namespace.kind.is_entered_late());
    for namespace in late() {
        if let Some(path) = &namespace.path {
            let file = File::open(path).blame(path.display().to_string())?;
            setns(file, namespace.kind.flag()).blame(path.display().to_string())?;
        }
    }
    let anew = late().filter(|namespace| namespace.path.is_none());
    leave(anew.fold(CloneFlags::empty(), |flags, namespace| flags | namespace.kind.flag()))
}
