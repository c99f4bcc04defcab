//! Where packages come from and whose signature counts: the image's own sources and keys, or given ones.

use std::{
    collections::BTreeMap,
    fs, io,
    iter::once,
    mem,
    path::{Path, PathBuf},
};

use patchkit_core::{Digest, Download, Error, ErrorKind, Result, image::FilePath};
use url::Url;

use crate::debian::{
    apt::{
        preferences::Preferences,
        sources::{Source, Suite, is_sources_file, parse_sources, without_credentials},
        trust::{TRUSTED_FILE, TRUSTED_FOLDER, TrustStore, is_trusted_file, key_files},
    },
    install::tree::Tree,
};

const SOURCES: &str = "/etc/apt/sources.list.d";
const PREFERENCES: &str = "/etc/apt/preferences.d";
/// The largest file of sources, keys or pins of a machine that is read.
const MAX_FILE: u64 = 64 << 20;

/// Archives, the keys that sign them, and pins.
#[derive(Clone, Debug, Default)]
pub struct Repositories {
    /// The archives, in their order.
    pub sources: Vec<Source>,
    /// The keys.
    pub trust: TrustStore,
    /// The pins.
    pub preferences: Preferences,
    /// Files that were passed over, and why.
    pub warnings: Vec<String>,
    /// A digest of everything it was read from.
    identity: Vec<Digest>,
}

/// Reads files by their absolute path, and lists folders.
trait Files {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>>;
    fn names(&self, folder: &str) -> Result<Vec<String>>;
}

/// What was read so far.
struct Reading<'a> {
    files: &'a dyn Files,
    excuse: &'a dyn Fn(&Error) -> Option<String>,
    digests: BTreeMap<String, Digest>,
    found: Repositories,
}

impl Reading<'_> {
    /// The paths of those files of a folder that have a fitting name.
    fn below(&self, folder: &str, fits: impl Fn(&str) -> bool) -> Result<Vec<String>> {
        let folder = folder.trim_end_matches('/');
        let names = self.files.names(folder)?;
        Ok(names.into_iter().filter(|name| fits(name)).map(|name| format!("{folder}/{name}")).collect())
    }

    /// Reads a file that may be absent.
    fn take(&mut self, path: &str, read: impl FnOnce(&mut Repositories, &[u8]) -> Result<()>) -> Result<()> {
        let Some(bytes) = self.files.read(path)? else { return Ok(()) };
        self.digests.insert(path.to_owned(), Digest::of(&bytes));
        let Err(error) = read(&mut self.found, &bytes) else { return Ok(()) };
        let warning = (self.excuse)(&error).ok_or(error)?;
        self.found.warnings.push(warning);
        Ok(())
    }
}

impl Repositories {
    /// Archives and keys that were read elsewhere.
    #[must_use]
    pub fn new(sources: Vec<Source>, trust: TrustStore) -> Self {
        let identity = sources.iter().map(|source| Digest::of(source.to_string())).collect();
        Self { sources, trust, identity, ..Self::default() }
    }

    /// The same, with pins.
    #[must_use]
    pub fn with_preferences(self, preferences: Preferences) -> Self {
        Self { preferences, ..self }
    }

    /// What apt uses in the tree of an image.
    ///
    /// # Errors
    /// [`Invalid`](patchkit_core::ErrorKind::Invalid) for a file that apt would not read, with file and line;
    /// [`Unsupported`](patchkit_core::ErrorKind::Unsupported) for a way of access that we do not have.
    pub fn of_tree(tree: &Tree) -> Result<Self> {
        Self::read(tree, &|_| None)
    }

    /// What apt uses on a machine, whose root is given: `/` for this one. One without apt has no archives and no keys.
    ///
    /// A file of sources or pins that is not understood is passed over, with a warning: the machine's archives stand in
    /// for those of images that name none, which is no reason to refuse every other image.
    ///
    /// # Errors
    /// [`Denied`](patchkit_core::ErrorKind::Denied) or [`Unexpected`](patchkit_core::ErrorKind::Unexpected) for a file
    /// or folder that is there and cannot be read.
    pub fn of_machine(root: &Path) -> Result<Self> {
        Self::read(&root, &|error| Some(error.to_string()))
    }

    /// Reads `/etc/apt` and the keyrings that it names. A file at fault is passed over where `excuse` has a warning
    /// for it.
    fn read(files: &dyn Files, excuse: &dyn Fn(&Error) -> Option<String>) -> Result<Self> {
        let mut reading = Reading { files, excuse, digests: BTreeMap::new(), found: Self::default() };
        for path in once("/etc/apt/sources.list".to_owned()).chain(reading.below(SOURCES, is_sources_file)?) {
            reading.take(&path, |found, bytes| {
                found.sources.extend(parse_sources(&path, bytes)?);
                Ok(())
            })?;
        }
        let general = once(TRUSTED_FILE.to_owned()).chain(reading.below(TRUSTED_FOLDER, |_| true)?);
        let general: Vec<String> = general.filter(|path| is_trusted_file(path)).collect();
        for path in general.into_iter().chain(key_files(&reading.found.sources)) {
            reading.take(&path, |found, bytes| {
                found.trust = mem::take(&mut found.trust).with_file(&path, bytes);
                Ok(())
            })?;
        }
        for path in once("/etc/apt/preferences".to_owned()).chain(reading.below(PREFERENCES, is_preferences_file)?) {
            reading.take(&path, |found, bytes| {
                found.preferences = found.preferences.clone().with_file(&path, bytes)?;
                Ok(())
            })?;
        }
        let identity = reading.digests.into_values().collect();
        Ok(Self { identity, ..reading.found })
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

    fn names(&self, folder: &str) -> Result<Vec<String>> {
        let folder = FilePath::new(folder).ok().and_then(|folder| self.resolve(&folder));
        let names = folder.map(|folder| Tree::names(self, &folder)).unwrap_or_default();
        Ok(names.into_iter().filter_map(|name| String::from_utf8(name).ok()).collect())
    }
}

impl Files for &Path {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let read = || {
            let file = below(self, path);
            let metadata = fs::metadata(&file)?;
            let fits = metadata.is_file() && metadata.len() <= MAX_FILE;
            fits.then(|| fs::read(file)).transpose()
        };
        absent_as_default(read(), path)
    }

    fn names(&self, folder: &str) -> Result<Vec<String>> {
        let read = || -> io::Result<Vec<String>> {
            let entries = fs::read_dir(below(self, folder))?;
            let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
            let mut names = names.collect::<io::Result<Vec<_>>>()?;
            names.sort();
            Ok(names)
        };
        absent_as_default(read(), folder)
    }
}

fn below(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

fn absent_as_default<T: Default>(read: io::Result<T>, path: &str) -> Result<T> {
    read.or_else(|error| {
        let kind = match error.kind() {
            io::ErrorKind::NotFound => return Ok(T::default()),
            io::ErrorKind::PermissionDenied => ErrorKind::Denied,
            _ => ErrorKind::Unexpected,
        };
        Err(Error::new(kind, error.to_string()).on(path).because(error))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::debian::apt::publish::ArchiveKey;

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

    fn write(root: &Path, path: &str, bytes: impl AsRef<[u8]>) {
        let path = below(root, path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    #[test]
    fn sources_and_keys_of_a_machine() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let key = || ArchiveKey::generate("k", "2026-01-01T00:00:00Z".parse().unwrap()).unwrap();
        let (general, own) = (key(), key());
        write(root, "/etc/apt/sources.list.d/b.list", "deb [signed-by=/keys/own.gpg] http://b.example.org s main\n");
        write(root, "/etc/apt/sources.list.d/a.list", "deb http://a.example.org s main\n");
        write(root, "/etc/apt/sources.list.d/broken.list", "dep http://a.example.org s main\n");
        write(root, "/etc/apt/sources.list.d/ignored.bak", "deb http://c.example.org s main\n");
        write(root, "/etc/apt/trusted.gpg.d/a.gpg", general.public_keyring().unwrap());
        write(root, "/keys/own.gpg", own.public_keyring().unwrap());
        let machine = Repositories::of_machine(root).unwrap();
        let hosts: Vec<_> = machine.sources.iter().map(|source| source.uri.host_str().unwrap()).collect();
        assert_eq!(hosts, ["a.example.org", "b.example.org"]);
        assert_eq!(machine.warnings.len(), 1);
        assert!(machine.warnings[0].contains("/etc/apt/sources.list.d/broken.list:1: type \"dep\""));
        let signer = |place: usize| {
            let keyring = machine.trust.keyring_for(&machine.sources[place]).unwrap();
            keyring.certificates().iter().map(|key| key.fingerprint()).collect::<Vec<_>>()
        };
        assert_eq!((signer(0), signer(1)), (vec![general.fingerprint()], vec![own.fingerprint()]));
    }

    #[test]
    fn a_machine_without_apt_has_nothing() {
        let machine = Repositories::of_machine(tempfile::tempdir().unwrap().path()).unwrap();
        assert!(machine.sources.is_empty() && machine.trust.is_empty() && machine.warnings.is_empty());
    }
}
