//! Where packages come from and whose signature counts: the image's own sources and keys, or given ones.

use std::{collections::BTreeMap, fs, path::Path};

use patchkit_core::{Digest, Download, Error, Result, image::FilePath};
use url::Url;

use crate::debian::{
    apt::{
        preferences::Preferences,
        sources::{Source, Suite, is_sources_file, parse_sources, without_credentials},
        trust::{TrustStore, is_trusted_file, key_files},
    },
    install::tree::Tree,
};

/// Archives, the keys that sign them, and pins.
#[derive(Clone, Debug, Default)]
pub struct Repositories {
    /// The archives, in their order.
    pub sources: Vec<Source>,
    /// The keys.
    pub trust: TrustStore,
    /// The pins.
    pub preferences: Preferences,
    /// A digest of everything it was read from.
    identity: Vec<Digest>,
}

/// Reads files by their absolute path, and lists folders.
trait Files {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>>;
    fn names(&self, folder: &str) -> Vec<String>;
}

impl Repositories {
    /// Archives and keys that were read elsewhere.
    #[must_use]
    pub fn new(sources: Vec<Source>, trust: TrustStore) -> Self {
        let identity = sources.iter().map(|source| Digest::of(source.to_string())).collect();
        Self { sources, trust, preferences: Preferences::new(), identity }
    }

    /// The same, with pins.
    #[must_use]
    pub fn with_preferences(self, preferences: Preferences) -> Self {
        Self { preferences, ..self }
    }

    /// What apt uses in the tree of an image.
    ///
    /// # Errors
    /// [`Invalid`](patchkit_core::ErrorKind::Invalid) for a file that apt would not read, with file and line.
    pub fn of_tree(tree: &Tree) -> Result<Self> {
        Self::read(tree)
    }

    /// What apt uses on a machine, whose root is given.
    ///
    /// # Errors
    /// As [`of_tree`](Self::of_tree).
    pub fn of_machine(root: &Path) -> Result<Self> {
        Self::read(&root)
    }

    fn read(files: &dyn Files) -> Result<Self> {
        let mut read = BTreeMap::new();
        let mut take = |path: String| -> Result<Option<Vec<u8>>> {
            let bytes = files.read(&path)?;
            if let Some(bytes) = &bytes {
                read.insert(path.clone(), Digest::of(bytes));
            }
            Ok(bytes)
        };
        let mut sources = Vec::new();
        let listed = files.names("/etc/apt/sources.list.d").into_iter().filter(|name| is_sources_file(name));
        let listed = listed.map(|name| format!("/etc/apt/sources.list.d/{name}"));
        for path in ["/etc/apt/sources.list".to_owned()].into_iter().chain(listed) {
            let Some(bytes) = take(path.clone())? else { continue };
            sources.extend(parse_sources(&path, &bytes).map_err(|error| Error::invalid(error.to_string()))?);
        }
        let mut trust = TrustStore::new();
        let general =
            files.names("/etc/apt/trusted.gpg.d").into_iter().map(|name| format!("/etc/apt/trusted.gpg.d/{name}"));
        let general =
            ["/etc/apt/trusted.gpg".to_owned()].into_iter().chain(general).filter(|path| is_trusted_file(path));
        for path in general.chain(key_files(&sources)) {
            if let Some(bytes) = take(path.clone())? {
                trust = trust.with_file(path, bytes);
            }
        }
        let mut preferences = Preferences::new();
        let pins = files.names("/etc/apt/preferences.d").into_iter().filter(|name| is_preferences_file(name));
        let pins = pins.map(|name| format!("/etc/apt/preferences.d/{name}"));
        for path in ["/etc/apt/preferences".to_owned()].into_iter().chain(pins) {
            if let Some(bytes) = take(path.clone())? {
                preferences =
                    preferences.with_file(&path, &bytes).map_err(|error| Error::invalid(error.to_string()))?;
            }
        }
        let identity = read.into_values().collect();
        Ok(Self { sources, trust, preferences, identity })
    }

    /// Whether there is no archive to read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// The same archives for another release: every suite that is `from`, or starts with it and a hyphen or slash,
    /// gets the other codename. Suites of other names are left out: they are not for this release.
    #[must_use]
    pub fn for_release(mut self, from: &str, to: &str) -> Self {
        if from == to {
            return self;
        }
        self.sources.retain_mut(|source| match &mut source.suite {
            Suite::Distribution { name, .. } => {
                let rest = name.strip_prefix(from).filter(|rest| rest.is_empty() || rest.starts_with(['-', '/']));
                let renamed = rest.map(|rest| format!("{to}{rest}"));
                let fits = renamed.is_some();
                renamed.into_iter().for_each(|renamed| *name = renamed);
                fits
            }
            Suite::Flat(_) => false,
        });
        self
    }

    /// A download whose address has the user name and password that a source has for its archive. A plan has none.
    pub(super) fn with_credentials(&self, download: Download) -> Download {
        let url = self.sources.iter().find_map(|source| with_credentials_of(source, &download.url));
        Download { url: url.map_or(download.url, String::from), ..download }
    }

    /// What tells these archives and keys from others.
    pub(super) fn identity(&self) -> &[Digest] {
        &self.identity
    }
}

/// The address with the source's credentials, where the source has some and the address is one of its archive.
fn with_credentials_of(source: &Source, address: &str) -> Option<Url> {
    let archive = without_credentials(&source.uri);
    if archive == source.uri || !address.starts_with(archive.as_str()) {
        return None;
    }
    let mut url = Url::parse(address).ok()?;
    url.set_username(source.uri.username()).ok()?;
    url.set_password(source.uri.password()).ok()?;
    Some(url)
}

/// apt_preferences(5): no extension or `.pref`, and only letters, digits, underscore, hyphen and period.
fn is_preferences_file(name: &str) -> bool {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    plain && !name.starts_with('.') && (name.ends_with(".pref") || !name.contains('.'))
}

impl Files for Tree {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let Ok(path) = FilePath::new(path) else { return Ok(None) };
        Ok(Tree::read(self, &path)?.map(|bytes| bytes.to_vec()))
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let folder = FilePath::new(folder).ok().and_then(|folder| self.resolve(&folder));
        let names = folder.map(|folder| Tree::names(self, &folder)).unwrap_or_default();
        names.into_iter().filter_map(|name| String::from_utf8(name).ok()).collect()
    }
}

impl Files for &Path {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let at = self.join(path.trim_start_matches('/'));
        match fs::read(&at) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound) => Ok(None),
            Err(error) => Err(Error::unexpected(error.to_string()).on(at.display())),
        }
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.join(folder.trim_start_matches('/'))).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_go_to_their_own_archive_only() {
        let text = b"deb http://a.example.org/debian s main\ndeb http://u%40:p%2F@b.example.org:81/debian s main\n\
            deb https://token@c.example.org/ s main\n";
        let all = Repositories::new(parse_sources("sources.list", text).unwrap(), TrustStore::new());
        for (plain, expected) in [
            ("http://b.example.org:81/debian/pool/x.deb", "http://u%40:p%2F@b.example.org:81/debian/pool/x.deb"),
            ("https://c.example.org/pool/x.deb", "https://token@c.example.org/pool/x.deb"),
            ("http://a.example.org/debian/pool/x.deb", "http://a.example.org/debian/pool/x.deb"),
            ("http://b.example.org:81/other/x.deb", "http://b.example.org:81/other/x.deb"),
            ("http://b.example.org/debian/x.deb", "http://b.example.org/debian/x.deb"),
            ("https://b.example.org:81/debian/x.deb", "https://b.example.org:81/debian/x.deb"),
            ("no address", "no address"),
        ] {
            let download = Download { url: plain.into(), digest: Digest::of(b""), size: 0 };
            assert_eq!(all.with_credentials(download).url, expected);
        }
    }

    #[test]
    fn a_machines_archives_serve_another_release() {
        let text =
            b"deb http://example.org/debian bookworm main\ndeb http://example.org/debian bookworm-updates main\n\
            deb http://example.org/security bookworm-security main\ndeb http://example.org/tools stable main\n";
        let sources = parse_sources("sources.list", text).unwrap();
        let other = Repositories::new(sources, TrustStore::new()).for_release("bookworm", "bullseye");
        let suites: Vec<String> = other.sources.iter().map(ToString::to_string).collect();
        assert_eq!(suites.len(), 3, "{suites:?}");
        assert!(suites.iter().all(|suite| suite.contains("bullseye")), "{suites:?}");
    }
}
