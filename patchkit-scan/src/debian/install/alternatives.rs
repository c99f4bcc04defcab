//! `update-alternatives --install`, `--remove` and the like, as data.

use patchkit_core::{Note, NoteClass, Result};

use super::{
    Installation,
    database::damaged,
    path,
    tree::{Entry, Kind, child},
};
use crate::debian::dpkg::alternative::{Alternative, Follower, Link, Mode};

/// A call of update-alternatives that is understood.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Call<'a> {
    Install { link: &'a str, name: &'a str, path: &'a str, priority: i32, followers: Vec<(Follower, Box<str>)> },
    Remove { name: &'a str, path: &'a str },
}

impl Installation {
    /// Does what a call of update-alternatives would, or notes that it was not understood.
    pub(super) fn alternatives(&mut self, package: &str, words: &[String]) -> Result<()> {
        match Call::parse(words) {
            Some(Call::Install { link, name, path, priority, followers }) => {
                let mut group = self.alternative(name)?.unwrap_or_else(|| Alternative {
                    mode: Mode::Auto,
                    link: link.into(),
                    followers: Vec::new(),
                    choices: Vec::new(),
                });
                group.install(path, priority, &followers);
                self.write_alternative(name, &group)
            }
            Some(Call::Remove { name, path }) => match self.alternative(name)? {
                Some(mut group) => {
                    let current = self.current(name);
                    group.remove(path, current.as_deref());
                    self.write_alternative(name, &group)
                }
                None => Ok(()),
            },
            None => {
                let message = format!("update-alternatives was not run: {}", words.join(" "));
                self.notes.push(Note { class: NoteClass::Review, subject: package.into(), message });
                Ok(())
            }
        }
    }

    fn alternative(&self, name: &str) -> Result<Option<Alternative>> {
        let file = child(&path("var/lib/dpkg/alternatives"), name.as_bytes());
        let Some(bytes) = self.tree.read(&file)? else { return Ok(None) };
        Alternative::read(name, &bytes).map(Some).map_err(damaged)
    }

    /// Where the group's link leads now.
    fn current(&self, name: &str) -> Option<String> {
        match self.tree.lstat(&child(&path("etc/alternatives"), name.as_bytes()))?.kind {
            Kind::Symlink(target) => String::from_utf8(target.to_vec()).ok(),
            _ => None,
        }
    }

    fn write_alternative(&mut self, name: &str, group: &Alternative) -> Result<()> {
        let file = child(&path("var/lib/dpkg/alternatives"), name.as_bytes());
        let current = self.current(name);
        let Some(choice) = group.chosen(current.as_deref()) else {
            let links =
                [&*group.link].into_iter().map(str::to_owned).chain(group.followers.iter().map(|f| f.link.to_string()));
            let names = [name].into_iter().map(str::to_owned).chain(group.followers.iter().map(|f| f.name.to_string()));
            let paths: Vec<String> = links.chain(names.map(|name| format!("/etc/alternatives/{name}"))).collect();
            paths.iter().for_each(|link| self.unlink(link));
            if let Some(place) = self.tree.resolve(&file) {
                self.tree.remove(&place);
            }
            return Ok(());
        };
        let exists =
            |text: &str| patchkit_core::image::FilePath::new(text).is_ok_and(|path| self.tree.stat(&path).is_some());
        let links = group.links(name, choice, exists);
        if self.tree.read(&file)?.as_deref() != Some(&group.to_bytes()[..]) {
            self.tree.write(&file, group.to_bytes(), (0o644, self.timestamp))?;
        }
        links.iter().for_each(|link| self.set_link(link));
        Ok(())
    }

    /// Makes a link, unless something else than a link is in its place, as update-alternatives does.
    fn set_link(&mut self, link: &Link) {
        let Some(place) = patchkit_core::image::FilePath::new(&link.path).ok().and_then(|path| self.tree.place(&path))
        else {
            return;
        };
        let kind = Kind::Symlink(link.target.clone().into());
        match self.tree.entry(&place) {
            Some(Entry { kind: Kind::Symlink(old), .. }) if old == link.target.as_bytes() => {}
            None | Some(Entry { kind: Kind::Symlink(_), .. }) => {
                self.make_parents(&place);
                self.tree.put(place, Entry::new(kind, 0o777, self.timestamp));
            }
            Some(_) => {}
        }
    }

    fn unlink(&mut self, link: &str) {
        let place = patchkit_core::image::FilePath::new(link).ok().and_then(|path| self.tree.place(&path));
        let Some(place) = place else { return };
        if matches!(self.tree.entry(&place), Some(Entry { kind: Kind::Symlink(_), .. })) {
            self.tree.remove(&place);
        }
    }
}

impl<'a> Call<'a> {
    fn parse(words: &'a [String]) -> Option<Self> {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let start = words
            .iter()
            .position(|word| !matches!(*word, "update-alternatives" | "--quiet" | "--force" | "--verbose"))?;
        match &words[start..] {
            ["--remove", name, path] => Some(Self::Remove { name, path }),
            ["--install", link, name, path, priority, rest @ ..] => {
                let followers = rest.chunks(4).map(|slave| match slave {
                    ["--slave" | "--follower", link, name, path] => {
                        Some((Follower { name: (*name).into(), link: (*link).into() }, (*path).into()))
                    }
                    _ => None,
                });
                let followers = followers.collect::<Option<Vec<_>>>()?;
                Some(Self::Install { link, name, path, priority: priority.parse().ok()?, followers })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::debian::install::tree::{Tree, tests::MemoryBase};

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    fn target(tree: &Tree, at: &str) -> Option<String> {
        match tree.entry(&path(at))?.kind {
            Kind::Symlink(target) => Some(String::from_utf8(target.to_vec()).unwrap()),
            _ => None,
        }
    }

    #[test]
    fn choices_come_and_go() {
        let base = MemoryBase::default()
            .file("var/lib/dpkg/status", "Package: a\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n\n")
            .file("var/lib/dpkg/info/a.list", "/.\n")
            .folder("etc/alternatives")
            .folder("usr/bin")
            .folder("var/lib/dpkg/alternatives");
        let mut installation = Installation::open(base.tree(), 0).unwrap();
        for (call, leads_to) in [
            ("--install /usr/bin/pager pager /bin/more 50", Some("/bin/more")),
            ("--quiet --install /usr/bin/pager pager /usr/bin/less 77", Some("/usr/bin/less")),
            ("--remove pager /usr/bin/less", Some("/bin/more")),
            ("--remove pager /bin/more", None),
        ] {
            installation.alternatives("a", &words(call)).unwrap();
            assert_eq!(target(installation.tree(), "etc/alternatives/pager").as_deref(), leads_to, "{call}");
            let link = leads_to.map(|_| "/etc/alternatives/pager");
            assert_eq!(target(installation.tree(), "usr/bin/pager").as_deref(), link, "{call}");
        }
        assert_eq!(installation.tree().read(&path("var/lib/dpkg/alternatives/pager")).unwrap(), None);
        installation.alternatives("a", &words("--set pager /bin/more")).unwrap();
        assert_eq!(installation.notes.len(), 1);
    }
}
