use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{Plugin, forward};
use crate::{Context, Result};

/// Signs bytes with a key that it never gives up.
///
/// # Contract
/// - The signature verifies with the public key of the identity, over exactly the given bytes.
#[async_trait]
pub trait Signer: Plugin {
    /// Signs the bytes (not a digest of them: hashing is part of the algorithm).
    async fn sign(&self, message: &[u8], cx: &Context) -> Result<Signature>;

    /// Who signs: the public half.
    async fn identity(&self, cx: &Context) -> Result<Identity>;
}

forward!(Signer {
    fn sign(message: &[u8], cx: &Context) -> Result<Signature>;
    fn identity(cx: &Context) -> Result<Identity>;
});

/// The public half of a signer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// A name for the key that says nothing about its worth: what DSSE calls `keyid`.
    pub key_id: String,
    /// The algorithm: `ecdsa-p256-sha256`, `ed25519`.
    pub algorithm: String,
    /// The public key, as PEM of its SubjectPublicKeyInfo.
    pub public_key: String,
}

/// A signature over some bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The name of the key that made it.
    pub key_id: String,
    /// The signature in the algorithm's own encoding (ASN.1 DER for ECDSA).
    pub bytes: Vec<u8>,
}
