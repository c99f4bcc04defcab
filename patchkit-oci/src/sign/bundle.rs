//! Signatures as cosign 2.5 and later write and read them: a DSSE envelope in a Sigstore bundle, an OCI referrer.

use jiff::Timestamp;
use patchkit_core::{
    Blob, Descriptor, Identity, MediaType,
    attestation::{Artifact, Envelope, PREDICATE_TYPE, SignatureFormat, Statement},
};
use serde_json::{Value, json};

/// The media type of a Sigstore bundle, version 0.3.
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// The predicate type of a plain signature.
const SIGNATURE: &str = "https://sigstore.dev/cosign/sign/v1";

/// The format of `cosign sign --new-bundle-format`: what `cosign verify --key` and admission controllers look for.
///
/// The time is the artifact's `org.opencontainers.image.created`; taking the patched image's own keeps signing
/// reproducible.
#[derive(Clone, Copy, Debug)]
pub struct SigstoreBundle {
    created: Timestamp,
}

impl SigstoreBundle {
    /// The format, with the time of creation that the artifact will bear.
    #[must_use]
    pub fn created(at: Timestamp) -> Self {
        Self { created: at }
    }
}

impl SignatureFormat for SigstoreBundle {
    fn statement(&self, name: &str, subject: &Descriptor, _proof: &Value) -> Statement {
        Statement::about(name, subject, SIGNATURE, json!({}))
    }

    fn artifact(&self, statement: &Statement, envelope: &Envelope, identity: &Identity) -> Artifact {
        let bundle = json!({
            "mediaType": BUNDLE,
            "verificationMaterial": { "publicKey": { "hint": identity.key_id } },
            "dsseEnvelope": envelope,
        });
        let predicate_type = statement.predicate_type.clone();
        let mut annotations = vec![
            ("org.opencontainers.image.created", self.created.to_string()),
            ("dev.sigstore.bundle.content", "dsse-envelope".into()),
            ("dev.sigstore.bundle.predicateType", predicate_type.clone()),
        ];
        if predicate_type != SIGNATURE {
            annotations.push((PREDICATE_TYPE, predicate_type));
        }
        Artifact {
            artifact_type: MediaType::new(BUNDLE),
            layers: vec![Blob::of(MediaType::new(BUNDLE), bundle.to_string())],
            annotations: annotations.into_iter().map(|(key, value)| (key.into(), value)).collect(),
        }
    }
}
