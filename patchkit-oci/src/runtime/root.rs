//! A container's folder on the host: its root, what it changes, and what it is told.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use patchkit_core::{Command, Error, Result, image::FilePath};
use rustix::fs::Mode;
use serde_json::{Value, json};

use super::{
    bundle::{WRITABLE, shown},
    program::Dialect,
    store::{Copying, Overlay, Unpacked, Way, copy, unmount},
    view::View,
};
use crate::file::on;

/// The folder of one container. The keeper removes it.
#[derive(Debug)]
pub(super) struct Root {
    pub(super) folder: PathBuf,
    /// Layers that must not go while they are seen.
    _unpacked: Unpacked,
}

/// Who puts the layers over each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mounting {
    /// We do.
    Ours,
    /// Nobody: each container gets a copy.
    Copied,
    /// The program does, in its own user namespace.
    Program,
}

impl Mounting {
    /// How it is done where the store keeps layers in that way.
    pub(super) fn of(way: Way, dialect: Dialect) -> Self {
        match (way, dialect) {
            (Way::Overlay, _) => Self::Ours,
            (Way::Flat, Dialect::BuiltIn) => Self::Program,
            (Way::Flat, Dialect::Standard) => Self::Copied,
        }
    }
}

impl Root {
    /// Makes the root in a folder that is there. Blocks.
    pub(super) fn new(folder: PathBuf, unpacked: Unpacked, mounting: Mounting) -> Result<(Self, Option<Value>)> {
        let [root, upper, work] = ["root", "upper", "work"].map(|name| folder.join(name));
        for made in [&root, &upper, &work, &folder.join("state")] {
            fs::create_dir(made).map_err(on(made))?;
        }
        for made in [&root, &upper] {
            rustix::fs::chmod(made, Mode::from_raw_mode(0o755)).map_err(|error| on(made)(error.into()))?;
        }
        let failed = |error: io::Error| Error::unexpected(error.to_string()).during("mount the layers").because(error);
        let mut told = None;
        match mounting {
            Mounting::Ours => {
                Overlay { lower: &unpacked.folders, upper: &upper, work: &work }.mount(&root).map_err(failed)?;
            }
            Mounting::Copied => copy(&unpacked.folders[0], &root, Copying::Contents).map_err(failed)?,
            Mounting::Program => {
                told = Some(json!({ "lower": unpacked.folders, "upper": upper, "work": work }));
            }
        }
        Ok((Self { folder, _unpacked: unpacked }, told))
    }

    /// Where the container's files are mounted on the host, if they are.
    pub(super) fn mountpoint(&self) -> PathBuf {
        self.folder.join("root")
    }

    /// What the container's programs will see.
    pub(super) fn view(&self, command: &Command, mounting: Mounting) -> Result<View> {
        let shown = shown(command, &self.folder)?.into_iter().map(|one| (one.target, one.source)).collect();
        let root = match mounting {
            Mounting::Ours | Mounting::Copied => self.mountpoint(),
            Mounting::Program => self._unpacked.folders[0].clone(),
        };
        let view = View::new(&root, shown).map_err(on(&root))?;
        if mounting != Mounting::Program {
            return Ok(view);
        }
        let upper = self.folder.join("upper");
        view.changed_in(&upper).map_err(on(&upper))
    }

    /// Makes what the bundle shows and the working directory, where they are missing. Blocks.
    pub(super) fn furnish(&self, command: &Command, workdir: &str, view: &View, mounting: Mounting) -> Result<()> {
        for (_, name, mode) in WRITABLE.iter().filter(|_| command.read_only_root) {
            let path = self.folder.join(name);
            fs::create_dir(&path).map_err(on(&path))?;
            rustix::fs::chmod(&path, Mode::from_raw_mode(*mode)).map_err(|error| on(&path)(error.into()))?;
        }
        let hosts = self.folder.join("hosts");
        fs::write(&hosts, "127.0.0.1\tlocalhost\n::1\tlocalhost\n").map_err(on(&hosts))?;
        rustix::fs::chmod(&hosts, Mode::from_raw_mode(0o644)).map_err(|error| on(&hosts)(error.into()))?;
        if mounting == Mounting::Program {
            return Ok(());
        }
        let path = FilePath::new(workdir).map_err(|error| Error::invalid(error.to_string()))?;
        view.make_folder(&path).map_err(|error| Error::invalid(format!("no working directory: {error}")).on(workdir))
    }
}

/// Removes a container's folder when nothing runs in it any more. Blocks.
pub(super) fn remove(folder: &Path) -> io::Result<()> {
    // Where it is not mounted, there is nothing to take away.
    let _ = unmount(&folder.join("root"));
    fs::remove_dir_all(folder)
}
