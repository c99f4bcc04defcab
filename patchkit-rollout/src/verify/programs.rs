//! Programs of an image, as a container would find them.

use patchkit_core::{
    Config,
    image::{FilePath, FileTree},
};

/// Where programs are looked for when the image's environment says nothing, as container runtimes do.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The files of an image, and where it looks for programs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Programs<'a> {
    tree: &'a FileTree,
    path: &'a str,
    workdir: &'a str,
}

impl<'a> Programs<'a> {
    pub(super) fn of(config: &'a Config, tree: &'a FileTree) -> Self {
        let path = config.env().iter().rev().find_map(|variable| variable.strip_prefix("PATH="));
        Self { tree, path: path.unwrap_or(DEFAULT_PATH), workdir: config.workdir() }
    }

    /// The file that a name runs; otherwise why there is none, as the end of a sentence.
    pub(super) fn find(&self, name: &str) -> Result<FilePath, String> {
        if name.starts_with('/') {
            return self.program(name);
        }
        if name.contains('/') {
            return self.program(&format!("{}/{name}", self.workdir));
        }
        let candidates = self.path.split(':').map(|folder| match folder.starts_with('/') {
            true => format!("{folder}/{name}"),
            false => format!("{}/{folder}/{name}", self.workdir),
        });
        let mut why = format!("is in no folder of PATH ({})", self.path);
        for candidate in candidates {
            match self.program(&candidate) {
                Ok(found) => return Ok(found),
                Err(no) if self.lies_at(&candidate) => why = format!("{no} ({candidate})"),
                Err(_) => {}
            }
        }
        Err(why)
    }

    fn lies_at(&self, path: &str) -> bool {
        FilePath::new(path)
            .is_ok_and(|path| self.tree.resolve_parent(&path).is_some_and(|at| self.tree.get(&at).is_some()))
    }

    fn program(&self, name: &str) -> Result<FilePath, String> {
        let path = cleaned(name).ok_or("is no name of a file")?;
        let Some(end) = self.tree.resolve(&path) else {
            return Err(if self.lies_at(name) { "is a link that leads nowhere" } else { "is not there" }.into());
        };
        let node = self.tree.get(&end).expect("what a path resolves to is there");
        match node.size() {
            None => Err("is no regular file".into()),
            Some(_) if node.metadata.mode & 0o111 == 0 => Err("is not executable".into()),
            Some(0) => Err("is empty".into()),
            Some(_) => Ok(end),
        }
    }
}

/// The path without `..`, taken as names: none of them is meant to go through a link.
fn cleaned(name: &str) -> Option<FilePath> {
    let mut components: Vec<&str> = Vec::new();
    for component in name.split('/') {
        match component {
            ".." => drop(components.pop()),
            component => components.push(component),
        }
    }
    FilePath::new(components.join("/")).ok()
}
