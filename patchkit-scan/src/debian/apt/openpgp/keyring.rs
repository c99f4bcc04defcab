//! Keyrings: the files that hold the keys an archive is trusted by.

use std::io::BufReader;

use pgp::composed::{Deserializable, SignedPublicKey};
use thiserror::Error;

use super::Certificate;

const ARMOUR_BEGIN: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
const ARMOUR_END: &str = "-----END PGP PUBLIC KEY BLOCK-----";
/// The archive's own keyring has 9 certificates in 60 kB; nothing real comes near this.
const MAX_CERTIFICATES: usize = 10_000;

/// A set of trusted certificates, each with the file that it came from.
#[derive(Clone, Debug, Default)]
pub struct Keyring {
    certificates: Vec<Certificate>,
}

/// Why a key file cannot be used. It never stands for "no keys": a file that cannot be read trusts nobody.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum KeyringError {
    /// No certificate in the file could be read.
    #[error("{file}: no OpenPGP certificate that can be read{}", reasons(.skipped))]
    Empty {
        /// The key file.
        file: String,
        /// Why each certificate was left out.
        skipped: Vec<String>,
    },
    /// A GnuPG keybox, which apt does not read either.
    #[error("{file}: a GnuPG keybox (.kbx); export the keys with `gpg --export` into a .gpg file")]
    Keybox {
        /// The key file.
        file: String,
    },
    /// More certificates than any real keyring has.
    #[error("{file}: more than {MAX_CERTIFICATES} certificates")]
    TooMany {
        /// The key file.
        file: String,
    },
}

fn reasons(skipped: &[String]) -> String {
    if skipped.is_empty() { String::new() } else { format!(" ({})", skipped.join("; ")) }
}

impl Keyring {
    /// An empty keyring: whoever signs, nobody is trusted.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a key file: binary (`.gpg`) or ASCII armour (`.asc`), with any number of certificates, told apart by
    /// content. Certificates of an unknown kind are left out as gpgv does, unless none is left.
    ///
    /// # Errors
    /// [`KeyringError`] naming `file`.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, KeyringError> {
        if bytes.get(8..12) == Some(b"KBXf") {
            return Err(KeyringError::Keybox { file: file.to_owned() });
        }
        let mut found = Found::default();
        match std::str::from_utf8(bytes) {
            Ok(text) if text.contains(ARMOUR_BEGIN) => armoured_blocks(text).for_each(|block| found.read_armour(block)),
            _ => found.read(SignedPublicKey::from_bytes_many(BufReader::new(bytes))),
        }
        found.into_keyring(file)
    }

    /// Adds another keyring's certificates.
    #[must_use]
    pub fn with(mut self, other: Keyring) -> Self {
        self.certificates.extend(other.certificates);
        self
    }

    /// Only the certificates that have one of these fingerprints (primary key or subkey, hexadecimal, any case).
    #[must_use]
    pub fn restricted_to(mut self, fingerprints: &[String]) -> Self {
        self.certificates.retain(|certificate| fingerprints.iter().any(|wanted| certificate.has_fingerprint(wanted)));
        self
    }

    /// The certificates, in the order they were added.
    #[must_use]
    pub fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    /// Whether nobody is trusted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.certificates.is_empty()
    }
}

/// Each armour block on its own: the armour reader stops after the first.
fn armoured_blocks(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let block = &rest[rest.find(ARMOUR_BEGIN)?..];
        let end = block.find(ARMOUR_END).map_or(block.len(), |at| at + ARMOUR_END.len());
        rest = &block[end..];
        Some(&block[..end])
    })
}

#[derive(Default)]
struct Found {
    keys: Vec<SignedPublicKey>,
    skipped: Vec<String>,
}

type Parsed<'a> = pgp::errors::Result<Box<dyn Iterator<Item = pgp::errors::Result<SignedPublicKey>> + 'a>>;

impl Found {
    fn read_armour(&mut self, block: &str) {
        self.read(SignedPublicKey::from_armor_many_buf(block.as_bytes()).map(|(keys, _headers)| keys));
    }

    fn read(&mut self, parsed: Parsed<'_>) {
        match parsed {
            Ok(keys) => keys.take(MAX_CERTIFICATES + 1).for_each(|key| self.keep(key)),
            Err(error) => self.skipped.push(error.to_string()),
        }
    }

    fn keep(&mut self, key: pgp::errors::Result<SignedPublicKey>) {
        match key {
            Ok(key) => self.keys.push(key),
            Err(error) => self.skipped.push(error.to_string()),
        }
    }

    fn into_keyring(self, file: &str) -> Result<Keyring, KeyringError> {
        if self.keys.len() > MAX_CERTIFICATES {
            return Err(KeyringError::TooMany { file: file.to_owned() });
        }
        if self.keys.is_empty() {
            return Err(KeyringError::Empty { file: file.to_owned(), skipped: self.skipped });
        }
        for reason in &self.skipped {
            tracing::warn!(file, reason, "left a certificate out");
        }
        let certificates = self.keys.into_iter().map(|key| Certificate::new(key, file)).collect();
        Ok(Keyring { certificates })
    }
}
