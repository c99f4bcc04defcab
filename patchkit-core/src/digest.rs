//! Content digests (OCI image specification, "Descriptors": `algorithm:encoded`).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256, Sha512};
use thiserror::Error;

/// The hash function of a [`Digest`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// SHA-256, what nearly every image uses.
    #[default]
    Sha256,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// The name as it stands before the colon.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// The length of the hash in bytes.
    fn len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

/// The identity of some bytes: always known, always well-formed.
///
/// ```
/// use patchkit_core::Digest;
///
/// let digest = Digest::of(b"hello");
/// assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
/// assert!("sha256:short".parse::<Digest>().is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest {
    algorithm: Algorithm,
    /// The first `algorithm.len()` bytes are the hash, the rest is zero.
    bytes: [u8; 64],
}

impl Digest {
    /// The SHA-256 digest of some bytes.
    #[must_use]
    pub fn of(bytes: impl AsRef<[u8]>) -> Self {
        let mut hasher = Hasher::default();
        hasher.update(bytes.as_ref());
        hasher.finish()
    }

    /// The digest with the given raw SHA-256 hash.
    #[must_use]
    pub fn from_sha256(hash: [u8; 32]) -> Self {
        Self::new(Algorithm::Sha256, &hash)
    }

    fn new(algorithm: Algorithm, hash: &[u8]) -> Self {
        let mut bytes = [0; 64];
        bytes[..hash.len()].copy_from_slice(hash);
        Self { algorithm, bytes }
    }

    /// The hash function.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The raw hash, 32 or 64 bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.algorithm.len()]
    }

    /// The hash in lower-case hexadecimal, without the algorithm.
    #[must_use]
    pub fn hex(&self) -> String {
        hex::encode(self.bytes())
    }

    /// The first twelve hexadecimal digits, to show to people.
    #[must_use]
    pub fn short(&self) -> String {
        hex::encode(&self.bytes[..6])
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.as_str(), self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is no [`Digest`].
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseDigestError {
    /// The hash is not lower-case hexadecimal of the algorithm's length.
    #[error("digest {0:?}: {1} needs {2} lower-case hexadecimal digits")]
    Encoding(String, &'static str, usize),
    /// There is no colon, or the algorithm before it is none of `sha256`, `sha512`.
    #[error("digest {0:?}: expected sha256:<hex> or sha512:<hex>")]
    Algorithm(String),
}

impl FromStr for Digest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (algorithm, encoded) = match text.split_once(':') {
            Some(("sha256", encoded)) => (Algorithm::Sha256, encoded),
            Some(("sha512", encoded)) => (Algorithm::Sha512, encoded),
            _ => return Err(ParseDigestError::Algorithm(text.into())),
        };
        let lower = encoded.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        match hex::decode(encoded) {
            Ok(hash) if lower && hash.len() == algorithm.len() => Ok(Self::new(algorithm, &hash)),
            _ => Err(ParseDigestError::Encoding(text.into(), algorithm.as_str(), algorithm.len() * 2)),
        }
    }
}

impl TryFrom<String> for Digest {
    type Error = ParseDigestError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

/// Computes a [`Digest`] of bytes that arrive in pieces.
#[derive(Clone, Debug)]
pub struct Hasher(State);

#[derive(Clone, Debug)]
enum State {
    Sha256(Sha256),
    Sha512(Box<Sha512>),
}

impl Default for Hasher {
    fn default() -> Self {
        Self::new(Algorithm::Sha256)
    }
}

impl Hasher {
    /// A hasher for the given function.
    #[must_use]
    pub fn new(algorithm: Algorithm) -> Self {
        Self(match algorithm {
            Algorithm::Sha256 => State::Sha256(Sha256::new()),
            Algorithm::Sha512 => State::Sha512(Box::new(Sha512::new())),
        })
    }

    /// Takes in some more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Sha256(hasher) => hasher.update(bytes),
            State::Sha512(hasher) => hasher.update(bytes),
        }
    }

    /// The digest of all bytes taken in.
    #[must_use]
    pub fn finish(self) -> Digest {
        match self.0 {
            State::Sha256(hasher) => Digest::new(Algorithm::Sha256, &hasher.finalize()),
            State::Sha512(hasher) => Digest::new(Algorithm::Sha512, &hasher.finalize()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_vectors() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::of(b"").to_string(), empty);
        let mut hasher = Hasher::new(Algorithm::Sha512);
        hasher.update(b"abc");
        assert!(hasher.finish().to_string().starts_with("sha512:ddaf35a193617aba"));
    }

    #[test]
    fn refuses_what_is_not_canonical() {
        let upper = Digest::of(b"").to_string().replace("sha256:e3b0", "sha256:E3B0");
        for text in ["", "sha256", "sha256:", "md5:d41d8cd98f00b204e9800998ecf8427e", &upper] {
            assert!(text.parse::<Digest>().is_err(), "{text}");
        }
    }
}
