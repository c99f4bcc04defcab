use async_trait::async_trait;

use crate::{Context, Digest, Identity, Plugin, PluginInfo, Result, Signature, Signer};

/// A signer that proves nothing: its signature is a hash anyone can make. It shows where a real one goes.
///
/// The signature is the SHA-256 of the key's name and the message, so that tests can tell what was signed by whom.
#[derive(Clone, Debug)]
pub struct MemorySigner {
    name: String,
}

impl MemorySigner {
    /// A signer of the given name.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }

    /// Whether the signature is the one that a signer of the identity's name makes of the message.
    #[must_use]
    pub fn verifies(identity: &Identity, message: &[u8], signature: &Signature) -> bool {
        signature.bytes == hash(&identity.key_id, message)
    }
}

fn hash(name: &str, message: &[u8]) -> Vec<u8> {
    Digest::of([name.as_bytes(), b"\0", message].concat()).bytes().to_vec()
}

impl Plugin for MemorySigner {
    fn info(&self) -> PluginInfo {
        PluginInfo::new("memory", env!("CARGO_PKG_VERSION")).configured(&self.name)
    }
}

#[async_trait]
impl Signer for MemorySigner {
    async fn sign(&self, message: &[u8], _cx: &Context) -> Result<Signature> {
        Ok(Signature { key_id: self.name.clone(), bytes: hash(&self.name, message) })
    }

    async fn identity(&self, _cx: &Context) -> Result<Identity> {
        let key_id = self.name.clone();
        Ok(Identity { key_id, algorithm: "none".into(), public_key: String::new() })
    }
}
