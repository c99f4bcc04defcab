//! Which files of a container are used while it runs.
//!
//! The kernel tells of every opening where it lets us (`fanotify(7)`, a mark on the container's own file system, so
//! that no mount and no namespace matters). Elsewhere what the container's processes have mapped is looked up from time
//! to time (`/proc/PID/maps`), which says less, and the answer says so.

mod maps;
mod opens;
mod root;
#[cfg(test)]
mod tests;

use std::path::Path;

use patchkit_core::{Seen, Used};

use maps::Maps;
use opens::Opens;
use root::Root;

/// The most files that are noted. What comes after them is missing, and the answer does not claim to have everything.
const MAX_FILES: usize = 500_000;

/// Notes which files of a container are used, from when it was started until it is dropped.
///
/// What is noted are regular files, devices and pipes of the container's own file system, those that it made itself
/// among them; directories are not, nor is what is mounted from elsewhere. A file that was moved or whose folder was
/// moved before it could be looked at, microseconds after it was opened, is noted under its new name. What this process
/// opens does not count, but what a runtime program opens to set the container up does: start it as late as possible.
///
/// It holds on to the file system: drop it before unmounting.
#[derive(Debug)]
pub struct Watch(Kind);

#[derive(Debug)]
enum Kind {
    Maps(Maps),
    Opens(Opens),
}

impl Watch {
    /// Starts to note what is used in the container whose file system is mounted at the root, and whose first process
    /// has this id on the host. `None` where nothing can be seen here.
    ///
    /// The root may be `/proc/PID/root` too, where the file system is mounted nowhere else.
    #[must_use]
    pub fn start(root: &Path, pid: u32) -> Option<Self> {
        let root = Root::new(root)?;
        match Opens::watch(root.clone()) {
            Ok(opens) => Some(Self(Kind::Opens(opens))),
            Err(error) => {
                tracing::debug!(%error, root = %root, "no fanotify: looking up what is mapped");
                Self::sample(root, pid)
            }
        }
    }

    /// The same for a container that has no process yet: `None` where openings cannot be seen.
    pub(super) fn before_start(root: &Path) -> Option<Self> {
        Opens::watch(Root::new(root)?).ok().map(|opens| Self(Kind::Opens(opens)))
    }

    fn sample(root: Root, pid: u32) -> Option<Self> {
        Maps::sample(root, pid).map(|maps| Self(Kind::Maps(maps)))
    }

    /// What was used until now. Where openings are seen, all that were before this was called are in it, unless they
    /// came faster than they could be noted; then [`Seen::Mapped`] says that some may be missing.
    #[must_use]
    pub fn used(&self) -> Used {
        match &self.0 {
            Kind::Maps(maps) => Used { seen: Seen::Mapped, files: maps.files() },
            Kind::Opens(opens) => opens.used(),
        }
    }
}
