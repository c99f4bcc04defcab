//! A private key in a PEM file.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use async_trait::async_trait;
use p256::{
    ecdsa::{
        DerSignature, SigningKey, VerifyingKey,
        signature::{Signer as _, Verifier as _},
    },
    elliptic_curve::Generate,
    pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey, LineEnding},
};
use patchkit_core::{Context, Digest, Error, Identity, Plugin, PluginInfo, Result, Signature, Signer};

/// An ECDSA P-256 key with SHA-256, what cosign makes by default.
///
/// Signatures are deterministic (RFC 6979): signing the same again gives the same bytes.
#[derive(Clone)]
pub struct LocalKey(SigningKey);

impl LocalKey {
    /// A new key.
    #[must_use]
    pub fn generate() -> Self {
        Self(SigningKey::generate())
    }

    /// The key of an unencrypted PKCS #8 PEM text (`-----BEGIN PRIVATE KEY-----`).
    ///
    /// # Errors
    /// [`Unsupported`](patchkit_core::ErrorKind::Unsupported) for an encrypted key,
    /// [`Invalid`](patchkit_core::ErrorKind::Invalid) for anything else that is no P-256 key. No error shows the text.
    pub fn from_pem(pem: &str) -> Result<Self> {
        if pem.contains("ENCRYPTED") {
            return Err(Error::unsupported("the private key is encrypted; give it in plain PKCS #8 PEM"));
        }
        let key = SigningKey::from_pkcs8_pem(pem).map_err(|_| Error::invalid("no P-256 private key in PKCS #8 PEM"))?;
        Ok(Self(key))
    }

    /// The key in a file, as [`from_pem`](Self::from_pem).
    ///
    /// # Errors
    /// [`Invalid`](patchkit_core::ErrorKind::Invalid) where it cannot be read; those of `from_pem`.
    pub fn read(path: &Path) -> Result<Self> {
        let pem = fs::read_to_string(path).map_err(|error| Error::invalid(error.to_string()).because(error));
        pem.and_then(|pem| Self::from_pem(&pem))
            .map_err(|error| error.during("read the private key").on(path.display()))
    }

    /// Writes the key to a new file that only its owner can read.
    ///
    /// # Errors
    /// [`Conflict`](patchkit_core::ErrorKind::Conflict) where the file exists;
    /// [`Unexpected`](patchkit_core::ErrorKind::Unexpected) where it cannot be written.
    pub fn write_new(&self, path: &Path) -> Result<()> {
        let pem = self.0.to_pkcs8_pem(LineEnding::LF).expect("a P-256 key has a PKCS #8 form");
        let write = || {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
            file.write_all(pem.as_bytes())?;
            file.sync_all()
        };
        write().map_err(|error| {
            let error = match error.kind() {
                std::io::ErrorKind::AlreadyExists => Error::conflict("the file exists").because(error),
                _ => Error::unexpected(error.to_string()).because(error),
            };
            error.during("write the private key").on(path.display())
        })
    }

    /// The public key, as PEM.
    #[must_use]
    pub fn public_pem(&self) -> String {
        self.0.verifying_key().to_public_key_pem(LineEnding::LF).expect("a P-256 key has a PEM form")
    }

    fn key_id(&self) -> String {
        let der = self.0.verifying_key().to_public_key_der().expect("a P-256 key has a DER form");
        Digest::of(der.as_bytes()).hex()
    }
}

/// Verifies a signature with a public key in PEM.
///
/// # Errors
/// [`Invalid`](patchkit_core::ErrorKind::Invalid) for a key that is no P-256 key;
/// [`Corrupt`](patchkit_core::ErrorKind::Corrupt) where the signature is not by that key over these bytes.
pub fn verify(public_pem: &str, message: &[u8], signature: &[u8]) -> Result<()> {
    let key =
        VerifyingKey::from_public_key_pem(public_pem).map_err(|_| Error::invalid("no P-256 public key in PEM"))?;
    let corrupt = |_| Error::corrupt("the signature does not verify");
    let signature = DerSignature::from_bytes(signature).map_err(corrupt)?;
    key.verify(message, &signature).map_err(corrupt)
}

impl std::fmt::Debug for LocalKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalKey").field("key_id", &self.key_id()).finish_non_exhaustive()
    }
}

impl Plugin for LocalKey {
    fn info(&self) -> PluginInfo {
        PluginInfo::new("local-key", env!("CARGO_PKG_VERSION")).configured(&self.key_id())
    }
}

#[async_trait]
impl Signer for LocalKey {
    async fn sign(&self, message: &[u8], _cx: &Context) -> Result<Signature> {
        let signature: DerSignature = self.0.sign(message);
        Ok(Signature { key_id: self.key_id(), bytes: signature.as_bytes().to_vec() })
    }

    async fn identity(&self, _cx: &Context) -> Result<Identity> {
        let algorithm = "ecdsa-p256-sha256".into();
        Ok(Identity { key_id: self.key_id(), algorithm, public_key: self.public_pem() })
    }
}

#[cfg(test)]
mod tests {
    use patchkit_core::ErrorKind;

    use super::*;

    #[tokio::test]
    async fn a_signature_verifies_and_nothing_else_does() {
        let (key, other, cx) = (LocalKey::generate(), LocalKey::generate(), Context::new());
        let signature = key.sign(b"hello", &cx).await.unwrap();
        verify(&key.public_pem(), b"hello", &signature.bytes).unwrap();
        for (pem, message) in [(key.public_pem(), b"hellO"), (other.public_pem(), b"hello")] {
            assert_eq!(verify(&pem, message, &signature.bytes).unwrap_err().kind(), ErrorKind::Corrupt);
        }
        assert_eq!(key.sign(b"hello", &cx).await.unwrap(), signature);
    }

    #[test]
    fn a_key_file_is_private_and_never_overwritten() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        let key = LocalKey::generate();
        key.write_new(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(LocalKey::read(&path).unwrap().public_pem(), key.public_pem());
        assert_eq!(key.write_new(&path).unwrap_err().kind(), ErrorKind::Conflict);
    }
}
