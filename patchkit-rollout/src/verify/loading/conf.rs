//! The folders that `/etc/ld.so.conf` names. The linker does not read it: `ldconfig` does, to fill the cache.

use std::collections::BTreeSet;

use patchkit_core::image::FilePath;

use super::{search::main_configuration, system::System};

/// How many files may include each other.
const MAX_FILES: usize = 1024;

/// The folders, in order, each once.
pub(super) fn folders(system: &System) -> Vec<String> {
    let mut reader = Reader { system, read: BTreeSet::new(), folders: Vec::new() };
    reader.file(&main_configuration());
    reader.folders
}

struct Reader<'a> {
    system: &'a System,
    read: BTreeSet<FilePath>,
    folders: Vec<String>,
}

impl Reader<'_> {
    fn file(&mut self, first: &FilePath) {
        let mut next = vec![first.clone()];
        while let Some(file) = next.pop() {
            let Some(text) = self.system.configuration.get(&file) else { continue };
            if self.read.len() >= MAX_FILES || !self.read.insert(file.clone()) {
                continue;
            }
            let text = String::from_utf8_lossy(text).into_owned();
            let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
            for line in lines.filter(|line| !line.is_empty() && !line.starts_with("hwcap ")) {
                match line.strip_prefix("include ").or_else(|| line.strip_prefix("include\t")) {
                    Some(patterns) => next.extend(self.included(&file, patterns).into_iter().rev()),
                    None => self.add(line),
                }
            }
        }
    }

    fn add(&mut self, line: &str) {
        let folder = line.split('=').next().unwrap_or_default().trim_end().trim_end_matches('/').to_owned();
        if folder.starts_with('/') && !self.folders.contains(&folder) {
            self.folders.push(folder);
        }
    }

    /// The files that match; a wildcard is understood in the last component.
    fn included(&self, file: &FilePath, patterns: &str) -> Vec<FilePath> {
        let beside = file.parent().unwrap_or_default();
        let mut found = Vec::new();
        for pattern in patterns.split_whitespace() {
            let (folder, name) = pattern.rsplit_once('/').unwrap_or(("", pattern));
            let folder = if pattern.starts_with('/') { FilePath::new(folder) } else { beside.join(folder) };
            let Some(folder) = folder.ok().and_then(|folder| self.system.tree.resolve(&folder)) else { continue };
            let files = self.system.tree.children(&folder).map(|(path, _)| path);
            found.extend(files.filter(|path| path.file_name().is_some_and(|it| matches(name.as_bytes(), it))).cloned());
        }
        found
    }
}

/// Whether a name matches a pattern with `*` and `?`.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut from) = ((0, 0), None);
    while at.1 < name.len() {
        match pattern.get(at.0) {
            Some(b'*') => {
                from = Some(at);
                at.0 += 1;
            }
            Some(byte) if *byte == b'?' || *byte == name[at.1] => at = (at.0 + 1, at.1 + 1),
            _ => match &mut from {
                Some((star, start)) => {
                    *start += 1;
                    at = (*star + 1, *start);
                }
                None => return false,
            },
        }
    }
    pattern[at.0..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn wildcards() {
        for (pattern, name, expected) in [
            ("*.conf", "a.conf", true),
            ("*.conf", "a.conf.old", false),
            ("a?c*", "abcd", true),
            ("a?c*", "ac", false),
            ("*a*b", "xaxbxb", true),
            ("", "a", false),
            ("**", "", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
    }
}
