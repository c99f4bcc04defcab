//! Whom an image trusts: its keyrings, and which of them count for a source.

use std::collections::BTreeMap;

use patchkit_core::{Error, Result};

use super::{
    openpgp::Keyring,
    sources::{SignedBy, Source},
};

/// The folder whose keyrings are trusted for every source that names no keys of its own.
pub const TRUSTED_FOLDER: &str = "/etc/apt/trusted.gpg.d/";
/// The file that is trusted likewise.
pub const TRUSTED_FILE: &str = "/etc/apt/trusted.gpg";

/// The key files of an image (or of the machine, or given by hand), by their absolute paths.
///
/// As in apt-secure(8): a source with `signed-by` trusts those keys alone; any other source trusts what lies in
/// [`TRUSTED_FOLDER`] and [`TRUSTED_FILE`], and what was added with [`trusting`](Self::trusting).
#[derive(Clone, Debug, Default)]
pub struct TrustStore {
    files: BTreeMap<String, Vec<u8>>,
    general: Vec<(String, Vec<u8>)>,
}

impl TrustStore {
    /// A store without keys: it trusts nobody.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a key file under its absolute path in the image. It is trusted in general where apt does so.
    #[must_use]
    pub fn with_file(mut self, path: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        self.files.insert(path.into(), bytes.into());
        self
    }

    /// Adds a key file that is trusted for every source without `signed-by`, whatever its path.
    #[must_use]
    pub fn trusting(mut self, name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        self.general.push((name.into(), bytes.into()));
        self
    }

    /// Whether there is no key file at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.general.is_empty()
    }

    /// The keys that may sign a source.
    ///
    /// # Errors
    /// `NotFound` for a `signed-by` file that is absent, `Invalid` for one that holds no key, `Unsupported` for a
    /// keybox. In general trust, one file that cannot be read does not take away the others.
    pub fn keyring_for(&self, source: &Source) -> Result<Keyring> {
        match &source.options.signed_by {
            None => Ok(self.general_keyring()),
            Some(SignedBy::Block(armour)) => read(&format!("{} (Signed-By)", source.place), armour.as_bytes()),
            Some(SignedBy::Keys { files, fingerprints }) => self.chosen(source, files, fingerprints),
        }
    }

    fn chosen(&self, source: &Source, files: &[String], fingerprints: &[String]) -> Result<Keyring> {
        let mut keyring =
            if fingerprints.is_empty() { Keyring::new() } else { self.general_keyring().restricted_to(fingerprints) };
        for path in files {
            let bytes = self.files.get(path).ok_or_else(|| {
                Error::not_found(format!("keyring {path}, which signed-by names, is not there")).on(&source.place)
            })?;
            keyring = keyring.with(read(path, bytes)?);
        }
        Ok(keyring)
    }

    fn general_keyring(&self) -> Keyring {
        let trusted = self.files.iter().filter(|(path, _)| is_trusted_file(path));
        let general = self.general.iter().map(|(path, bytes)| (path, bytes));
        trusted.chain(general).fold(Keyring::new(), |keyring, (path, bytes)| match Keyring::parse(path, bytes) {
            Ok(more) => keyring.with(more),
            Err(error) => {
                tracing::warn!(%error, "a trusted key file is of no use");
                keyring
            }
        })
    }
}

/// Whether apt trusts a file of this path in general: `trusted.gpg`, or `.gpg` and `.asc` right in its folder.
#[must_use]
pub fn is_trusted_file(path: &str) -> bool {
    let in_folder = path.strip_prefix(TRUSTED_FOLDER).is_some_and(|name| {
        let extension = name.rsplit_once('.').map(|(_, extension)| extension);
        !name.contains('/') && !name.starts_with('.') && matches!(extension, Some("gpg" | "asc"))
    });
    in_folder || path == TRUSTED_FILE
}

/// The paths of all key files that some source names in `signed-by`, sorted: what to read from the image besides
/// [`TRUSTED_FOLDER`] and [`TRUSTED_FILE`].
#[must_use]
pub fn key_files(sources: &[Source]) -> Vec<String> {
    let named = sources.iter().filter_map(|source| match &source.options.signed_by {
        Some(SignedBy::Keys { files, .. }) => Some(files.iter().cloned()),
        _ => None,
    });
    let mut files: Vec<_> = named.flatten().collect();
    files.sort();
    files.dedup();
    files
}

fn read(name: &str, bytes: &[u8]) -> Result<Keyring> {
    Ok(Keyring::parse(name, bytes)?)
}

#[cfg(test)]
mod tests {
    use patchkit_core::ErrorKind;

    use super::*;
    use crate::debian::apt::{publish::ArchiveKey, sources::parse_sources};

    fn key() -> ArchiveKey {
        ArchiveKey::generate("k", "2026-01-01T00:00:00Z".parse().expect("a time")).expect("a key")
    }

    fn source(options: &str) -> Source {
        parse_sources("s.list", format!("deb {options} http://a.example.org s c\n").as_bytes())
            .expect(options)
            .remove(0)
    }

    fn fingerprints(keyring: &Keyring) -> Vec<String> {
        keyring.certificates().iter().map(|certificate| certificate.fingerprint()).collect()
    }

    #[test]
    fn signed_by_restricts_and_nothing_else_is_asked() {
        let (general, own, extra) = (key(), key(), key());
        let store = TrustStore::new()
            .with_file("/etc/apt/trusted.gpg.d/a.asc", general.public_armour().expect("armour"))
            .with_file("/etc/apt/trusted.gpg.d/broken.gpg", *b"no key")
            .with_file("/etc/apt/trusted.gpg.d/ignored.bak", own.public_keyring().expect("binary"))
            .with_file("/usr/share/keyrings/own.gpg", own.public_keyring().expect("binary"))
            .trusting("by hand", extra.public_keyring().expect("binary"));
        let of = |options: &str| fingerprints(&store.keyring_for(&source(options)).expect(options));
        assert_eq!(of(""), [general.fingerprint(), extra.fingerprint()]);
        assert_eq!(of("[signed-by=/usr/share/keyrings/own.gpg]"), [own.fingerprint()]);
        assert_eq!(of(&format!("[signed-by={}]", general.fingerprint())), [general.fingerprint()]);
        assert_eq!(of(&format!("[signed-by={}!]", own.fingerprint())), Vec::<String>::new());
        let missing = store.keyring_for(&source("[signed-by=/nowhere.gpg]")).expect_err("absent");
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        assert_eq!(missing.to_string(), "s.list:1: keyring /nowhere.gpg, which signed-by names, is not there");
    }

    #[test]
    fn key_files_to_read() {
        let sources = [source("[signed-by=/b.gpg,/a.gpg]"), source(""), source("[signed-by=/a.gpg]")];
        assert_eq!(key_files(&sources), ["/a.gpg", "/b.gpg"]);
    }
}
