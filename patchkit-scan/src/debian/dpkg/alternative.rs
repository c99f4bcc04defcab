//! The files of `/var/lib/dpkg/alternatives`: names that several packages can provide (update-alternatives(1)).

use std::collections::HashSet;

use super::lines::lines;
use super::{DatabaseError, DatabaseErrorKind};

/// A group of alternatives: a link, those that follow it, and what they can lead to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Alternative {
    /// Whether the choice follows the priorities or is the administrator's.
    pub mode: Mode,
    /// The path of the link, `/usr/bin/pager` say. It leads to `/etc/alternatives/NAME`.
    pub link: Box<str>,
    /// The links that follow this one, sorted by name.
    pub followers: Vec<Follower>,
    /// What can be chosen, sorted by path.
    pub choices: Vec<Choice>,
}

/// Who makes the choice.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// The highest priority wins.
    Auto,
    /// The administrator has chosen.
    Manual,
}

/// A link that follows another's choice: a manual page that belongs to a program.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Follower {
    /// Its name in `/etc/alternatives`.
    pub name: Box<str>,
    /// Its path.
    pub link: Box<str>,
}

/// A choice for the links of a group.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Choice {
    /// Where the link leads.
    pub path: Box<str>,
    /// How much it is preferred.
    pub priority: i32,
    /// Where each follower leads, in their order; `None` where it has nothing to lead to.
    pub followers: Vec<Option<Box<str>>>,
}

/// A symbolic link, by absolute paths.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Link {
    /// Where it is.
    pub path: String,
    /// Where it leads.
    pub target: String,
}

impl Alternative {
    /// Reads the file of one group.
    ///
    /// # Errors
    /// Another form than that of update-alternatives, with file and line.
    pub fn read(file: &str, bytes: &[u8]) -> Result<Self, DatabaseError> {
        let mut reader = Reader { file, number: 0, lines: lines(file, bytes)? };
        let mode = match reader.line()? {
            "auto" => Mode::Auto,
            "manual" => Mode::Manual,
            _ => return Err(reader.error("neither auto nor manual")),
        };
        let link = reader.path()?.into();
        let mut followers = Vec::new();
        while let Some(name) = reader.item()? {
            followers.push(Follower { name: name.into(), link: reader.path()?.into() });
        }
        let mut choices: Vec<Choice> = Vec::new();
        let mut taken = HashSet::new();
        while let Some(path) = reader.item()? {
            if !path.starts_with('/') || !taken.insert(path.to_owned()) {
                return Err(reader.error("a choice that is no absolute path, or is there twice"));
            }
            choices.push(reader.choice(path, followers.len())?);
        }
        Ok(Self { mode, link, followers, choices })
    }

    /// Writes the file as update-alternatives does: sorted, without followers that no choice provides.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let sorted = self.sorted();
        let mut text = format!("{}\n{}\n", sorted.mode.as_str(), sorted.link);
        for follower in &sorted.followers {
            text += &format!("{}\n{}\n", follower.name, follower.link);
        }
        text.push('\n');
        for choice in &sorted.choices {
            text += &format!("{}\n{}\n", choice.path, choice.priority);
            let followers = choice.followers.iter().map(|path| path.as_deref().unwrap_or(""));
            followers.for_each(|path| text += &format!("{path}\n"));
        }
        text.push('\n');
        text.into_bytes()
    }

    /// Adds a choice, or replaces the one with its path, as `update-alternatives --install` does. `followers` are the
    /// links that follow, each with where it leads.
    pub fn install(&mut self, path: &str, priority: i32, followers: &[(Follower, Box<str>)]) {
        for (follower, _) in followers {
            match self.followers.iter_mut().find(|known| known.name == follower.name) {
                Some(known) => known.link.clone_from(&follower.link),
                None => self.followers.push(follower.clone()),
            }
        }
        let width = self.followers.len();
        self.choices.iter_mut().for_each(|choice| choice.followers.resize(width, None));
        self.choices.retain(|choice| &*choice.path != path);
        let target =
            |known: &Follower| followers.iter().find(|(new, _)| new.name == known.name).map(|(_, to)| to.clone());
        let followers = self.followers.iter().map(target).collect();
        self.choices.push(Choice { path: path.into(), priority, followers });
        *self = self.sorted();
    }

    /// Removes a choice, as `update-alternatives --remove` does. The administrator's choice of it is given up.
    pub fn remove(&mut self, path: &str, current: Option<&str>) {
        self.choices.retain(|choice| &*choice.path != path);
        if current == Some(path) {
            self.mode = Mode::Auto;
        }
    }

    /// The choice that holds: that with the highest priority, and among equals the `current` one; in manual mode the
    /// current one if it is still there. `None` when there is nothing to choose.
    #[must_use]
    pub fn chosen(&self, current: Option<&str>) -> Option<&Choice> {
        let current = self.choices.iter().find(|choice| Some(&*choice.path) == current);
        let best = || {
            let first = current.or(self.choices.first())?;
            Some(self.choices.iter().fold(first, |best, next| if next.priority > best.priority { next } else { best }))
        };
        match self.mode {
            Mode::Auto => best(),
            Mode::Manual => current.or_else(best),
        }
    }

    /// The links of the group called `name` when `choice` holds: each path to `/etc/alternatives`, and from there to
    /// the choice. `exists` tells which files are there, since a follower without its file gets no link.
    #[must_use]
    pub fn links(&self, name: &str, choice: &Choice, exists: impl Fn(&str) -> bool) -> Vec<Link> {
        let pair = |link: &str, name: &str, target: &str| {
            let middle = format!("/etc/alternatives/{name}");
            [Link { path: link.to_owned(), target: middle.clone() }, Link { path: middle, target: target.to_owned() }]
        };
        let mut links = pair(&self.link, name, &choice.path).to_vec();
        for (follower, target) in self.followers.iter().zip(&choice.followers) {
            if let Some(target) = target.as_deref().filter(|target| exists(target)) {
                links.extend(pair(&follower.link, &follower.name, target));
            }
        }
        links
    }

    /// The group with followers and choices sorted, and without the followers that no choice provides.
    fn sorted(&self) -> Self {
        let provided =
            |at: &usize| self.choices.iter().any(|choice| choice.followers.get(*at).is_some_and(Option::is_some));
        let mut order: Vec<usize> = (0..self.followers.len()).filter(provided).collect();
        order.sort_by(|a, b| self.followers[*a].name.cmp(&self.followers[*b].name));
        let mut choices: Vec<Choice> = self.choices.clone();
        for choice in &mut choices {
            choice.followers = order.iter().map(|at| choice.followers.get(*at).cloned().flatten()).collect();
        }
        choices.sort_by(|a, b| a.path.cmp(&b.path));
        let followers = order.iter().map(|at| self.followers[*at].clone()).collect();
        Self { mode: self.mode, link: self.link.clone(), followers, choices }
    }
}

impl Mode {
    fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Manual => "manual",
        }
    }
}

struct Reader<'a, L> {
    file: &'a str,
    number: usize,
    lines: L,
}

impl<'a, L: Iterator<Item = (usize, &'a [u8])>> Reader<'a, L> {
    fn line(&mut self) -> Result<&'a str, DatabaseError> {
        self.number += 1;
        let Some((_, line)) = self.lines.next() else {
            return Err(self.error("the file ends too early"));
        };
        std::str::from_utf8(line).map_err(|_| self.error("a line that is not UTF-8"))
    }

    /// A line, or `None` where an empty one ends a list.
    fn item(&mut self) -> Result<Option<&'a str>, DatabaseError> {
        Ok(Some(self.line()?).filter(|line| !line.is_empty()))
    }

    fn path(&mut self) -> Result<&'a str, DatabaseError> {
        let line = self.line()?;
        if line.starts_with('/') { Ok(line) } else { Err(self.error("not an absolute path")) }
    }

    fn choice(&mut self, path: &str, followers: usize) -> Result<Choice, DatabaseError> {
        let priority = self.line()?.parse().map_err(|_| self.error("a priority that is no number"))?;
        let followers = (0..followers).map(|_| Ok(self.item()?.map(Into::into)));
        Ok(Choice { path: path.into(), priority, followers: followers.collect::<Result<_, DatabaseError>>()? })
    }

    fn error(&self, what: &'static str) -> DatabaseError {
        DatabaseError::new(self.file, self.number, DatabaseErrorKind::Line(what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGER: &str = "auto\n/usr/bin/pager\npager.1.gz\n/usr/share/man/man1/pager.1.gz\n\n\
        /bin/more\n50\n/usr/share/man/man1/more.1.gz\n/usr/bin/less\n77\n\n\n";

    #[test]
    fn files_are_read_and_written() {
        let pager = Alternative::read("pager", PAGER.as_bytes()).expect("sound");
        assert_eq!(String::from_utf8(pager.to_bytes()).expect("text"), PAGER);
        assert_eq!(pager.choices[1].followers, [None]);
    }

    #[test]
    fn choices_and_their_links() {
        let mut pager = Alternative::read("pager", PAGER.as_bytes()).expect("sound");
        let chosen = |pager: &Alternative, current| pager.chosen(current).expect("some").path.to_string();
        assert_eq!(chosen(&pager, Some("/bin/more")), "/usr/bin/less");
        pager.mode = Mode::Manual;
        assert_eq!(chosen(&pager, Some("/bin/more")), "/bin/more");
        assert_eq!(chosen(&pager, Some("/bin/gone")), "/usr/bin/less");
        let links = pager.links("pager", &pager.choices[0], |_| true);
        assert_eq!(links.len(), 4);
        assert_eq!((&*links[0].path, &*links[0].target), ("/usr/bin/pager", "/etc/alternatives/pager"));
        assert_eq!(
            (&*links[3].path, &*links[3].target),
            ("/etc/alternatives/pager.1.gz", "/usr/share/man/man1/more.1.gz")
        );
        assert_eq!(pager.links("pager", &pager.choices[0], |_| false).len(), 2);
    }

    #[test]
    fn choices_come_and_go() {
        let mut pager = Alternative::read("pager", PAGER.as_bytes()).expect("sound");
        let follower = Follower { name: "a.gz".into(), link: "/usr/share/man/a.gz".into() };
        pager.install("/bin/most", 80, &[(follower, "/usr/share/most.gz".into())]);
        let text = String::from_utf8(pager.to_bytes()).expect("text");
        assert!(text.contains("/bin/most\n80\n/usr/share/most.gz\n\n/usr/bin/less\n77\n\n\n\n"), "{text}");
        pager.remove("/bin/most", Some("/bin/most"));
        assert_eq!(String::from_utf8(pager.to_bytes()).expect("text"), PAGER);
    }

    #[test]
    fn damage_has_its_line() {
        for (text, line) in [
            ("automatic\n", 1),
            ("auto\nusr/bin/pager\n", 2),
            ("auto\n/a\n\n/b\nmany\n", 5),
            ("auto\n/a\n\n/b\n1\n/b\n", 6),
            ("auto\n/a\n\n/b\n1\n", 6),
            ("auto\n/a", 2),
        ] {
            assert_eq!(Alternative::read("a", text.as_bytes()).expect_err("damaged").line, line, "{text:?}");
        }
    }
}
