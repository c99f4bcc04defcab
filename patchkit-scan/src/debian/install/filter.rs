//! `path-exclude` and `path-include` of dpkg's configuration: files that are not unpacked.
//!
//! Source: dpkg(1), "--path-exclude", and dpkg's `src/main/filters.c` for folders of files that are included again.

use patchkit_core::{Result, image::FilePath};

use super::{glob, tree::Tree};
use crate::debian::path::PackagePath;

/// The rules in the order in which dpkg reads them; the last that fits wins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathFilter(Vec<Rule>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    include: bool,
    pattern: Vec<u8>,
}

impl PathFilter {
    /// Reads the configuration of the dpkg in a tree: `/etc/dpkg/dpkg.cfg.d/*`, then `/etc/dpkg/dpkg.cfg`.
    ///
    /// # Errors
    /// Those of reading.
    pub fn of(tree: &Tree) -> Result<Self> {
        let mut filter = Self::default();
        let folder = FilePath::new("etc/dpkg/dpkg.cfg.d").expect("a constant path");
        let place = tree.resolve(&folder);
        let names = place.into_iter().flat_map(|folder| tree.names(&folder));
        let plain = |name: &Vec<u8>| name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte));
        for name in names.filter(plain) {
            filter.add(&tree.read(&super::tree::child(&folder, &name))?.unwrap_or_default());
        }
        let main = FilePath::new("etc/dpkg/dpkg.cfg").expect("a constant path");
        filter.add(&tree.read(&main)?.unwrap_or_default());
        Ok(filter)
    }

    /// Adds the rules of one file; options that are none are passed over.
    pub fn add(&mut self, text: &[u8]) {
        for line in text.split(|byte| *byte == b'\n') {
            let line = line.trim_ascii();
            let rule =
                [(&b"path-exclude"[..], false), (b"path-include", true)].into_iter().find_map(|(name, include)| {
                    let value = line.strip_prefix(name)?;
                    let value = value.strip_prefix(b"=").or_else(|| value.strip_prefix(b" "))?.trim_ascii();
                    let unquoted = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
                    Some(Rule { include, pattern: unquoted.unwrap_or(value).to_vec() })
                });
            self.0.extend(rule);
        }
    }

    /// Whether a path is left out. A folder, or a link that may lead to one, stays where something below it may be
    /// included again.
    #[must_use]
    pub fn excludes(&self, path: &PackagePath, may_be_folder: bool) -> bool {
        let text = [b"/", path.as_bytes()].concat();
        let last = self.0.iter().rev().find(|rule| glob::matches(&rule.pattern, &text));
        let excluded = last.is_some_and(|rule| !rule.include);
        excluded && !(may_be_folder && self.0.iter().any(|rule| rule.include && rule.may_be_below(&text)))
    }
}

impl Rule {
    /// Whether the part of the pattern before its first wildcard starts the path.
    fn may_be_below(&self, path: &[u8]) -> bool {
        let fixed = self.pattern.iter().position(|byte| b"*?[\\".contains(byte)).unwrap_or(self.pattern.len());
        let end = self.pattern[..fixed].iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
        // dpkg compares as many bytes as the pattern has, so that a folder above it does not fit; it is never left out
        // either, since patterns that exclude it name it.
        path.starts_with(&self.pattern[..end]) || self.pattern[..end].starts_with(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> PackagePath {
        PackagePath::from_absolute(text.as_bytes()).expect("a test's path")
    }

    #[test]
    fn the_last_rule_wins_and_folders_stay() {
        let mut filter = PathFilter::default();
        filter.add(
            b"# slim\npath-exclude=/usr/share/doc/*\npath-include /usr/share/doc/*/copyright\n\
            path-exclude = /not/read\npath-exclude \"/usr/share/man/*\"\nno-debsig\n",
        );
        for (at, folder, excluded) in [
            ("/usr/share/doc/a/changelog.gz", false, true),
            ("/usr/share/doc/a/copyright", false, false),
            ("/usr/share/doc/a", true, false),
            ("/usr/share/doc", true, false),
            ("/usr/share/man/man1", true, true),
            ("/usr/bin/a", false, false),
        ] {
            assert_eq!(filter.excludes(&path(at), folder), excluded, "{at}");
        }
    }
}
