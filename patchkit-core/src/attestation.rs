//! Signed statements about images: in-toto statements in DSSE envelopes, attached as OCI artifacts.
//!
//! Sources: in-toto attestation framework, Statement v1; DSSE protocol v1; OCI image specification 1.1, "Guidelines for
//! artifact usage".

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    Blob, Context, Descriptor, Identity, ManifestBytes, MediaType, PutManifest, Registry, Repository, Result,
    Signature, Signer,
};

/// The payload type of an in-toto statement in a DSSE envelope, and the media type of one that is evidence.
pub const IN_TOTO: &str = "application/vnd.in-toto+json";

/// The annotation of an artifact that says which kind of claim it carries.
pub const PREDICATE_TYPE: &str = "in-toto.io/predicate-type";

/// The kind of claim that says which tests passed and which failed (in-toto attestation framework, "Test Result").
pub const TEST_RESULT: &str = "https://in-toto.io/attestation/test-result/v0.1";

/// An in-toto Statement v1: a claim (the predicate) about some content (the subject).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Statement {
    /// Always `https://in-toto.io/Statement/v1`.
    #[serde(rename = "_type")]
    kind: String,
    /// What it is about.
    pub subject: Vec<Subject>,
    /// The kind of claim, a URI.
    #[serde(rename = "predicateType")]
    pub predicate_type: String,
    /// The claim.
    pub predicate: Value,
}

/// Content that a [`Statement`] is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// What it is called: the repository.
    pub name: String,
    /// Its digests by algorithm, in hexadecimal.
    pub digest: BTreeMap<String, String>,
}

impl Statement {
    /// A claim about the content of a descriptor.
    pub fn about(name: &str, subject: &Descriptor, predicate_type: impl Into<String>, predicate: Value) -> Self {
        let digest = BTreeMap::from([(subject.digest.algorithm().as_str().into(), subject.digest.hex())]);
        Self {
            kind: "https://in-toto.io/Statement/v1".into(),
            subject: vec![Subject { name: name.into(), digest }],
            predicate_type: predicate_type.into(),
            predicate,
        }
    }

    /// Whether it is about the content of a descriptor.
    #[must_use]
    pub fn is_about(&self, subject: &Descriptor) -> bool {
        let (algorithm, hex) = (subject.digest.algorithm().as_str(), subject.digest.hex());
        self.subject.iter().any(|about| about.digest.get(algorithm) == Some(&hex))
    }
}

/// A DSSE envelope: a payload and the signatures over it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    /// The payload in base64.
    pub payload: String,
    /// What the payload is.
    pub payload_type: String,
    /// The signatures.
    pub signatures: Vec<EnvelopeSignature>,
}

/// One signature of an [`Envelope`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvelopeSignature {
    /// A hint which key made it; nothing to trust.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub keyid: String,
    /// The signature in base64.
    pub sig: String,
}

impl Envelope {
    /// Signs a statement.
    ///
    /// # Errors
    /// Those of the signer.
    pub async fn sign(statement: &Statement, signer: &dyn Signer, cx: &Context) -> Result<Self> {
        let payload = serde_json::to_vec(statement).expect("a statement has only string keys");
        let Signature { key_id, bytes } = signer.sign(&pre_authentication_encoding(IN_TOTO, &payload), cx).await?;
        Ok(Self {
            payload: BASE64.encode(payload),
            payload_type: IN_TOTO.into(),
            signatures: vec![EnvelopeSignature { keyid: key_id, sig: BASE64.encode(bytes) }],
        })
    }
}

/// The bytes that DSSE signs, so that a payload cannot be taken for one of another type.
#[must_use]
pub fn pre_authentication_encoding(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

/// Something to attach to an image: an OCI manifest with a subject.
#[derive(Clone, Debug)]
pub struct Artifact {
    /// What kind of artifact it is.
    pub artifact_type: MediaType,
    /// Its content.
    pub layers: Vec<Blob>,
    /// Words about it.
    pub annotations: BTreeMap<String, String>,
}

impl Artifact {
    /// Stores the artifact in the subject's repository, so that it is among the subject's referrers.
    ///
    /// # Errors
    /// Those of the registry.
    pub async fn attach(
        &self,
        subject: &Descriptor,
        registry: &dyn Registry,
        repository: &Repository,
        cx: &Context,
    ) -> Result<Descriptor> {
        let empty = Blob::of(MediaType::OCI_EMPTY, "{}");
        for blob in self.layers.iter().chain([&empty]) {
            registry.put_blob(repository, blob, cx).await?;
        }
        let layers: Vec<_> = self.layers.iter().map(Blob::descriptor).collect();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MediaType::OCI_MANIFEST,
            "artifactType": self.artifact_type,
            "config": empty.descriptor(),
            "layers": layers,
            "subject": Descriptor::new(subject.media_type.clone(), subject.digest, subject.size),
            "annotations": self.annotations,
        });
        let bytes = serde_json::to_vec(&manifest).expect("a JSON value has only string keys").into();
        let manifest = ManifestBytes { media_type: MediaType::OCI_MANIFEST, bytes };
        let reference = repository.digest(manifest.descriptor().digest);
        registry.put_manifest(&reference, &manifest, &PutManifest::default(), cx).await
    }
}

/// How an approved image's signature is worded and wrapped: what other tools will look for.
pub trait SignatureFormat: std::fmt::Debug + Send + Sync {
    /// The claim that is signed about a subject, given what the pipeline proved.
    fn statement(&self, name: &str, subject: &Descriptor, proof: &Value) -> Statement;

    /// The artifact that carries a signed claim: that one, or what a verifier stated.
    fn artifact(&self, statement: &Statement, envelope: &Envelope, identity: &Identity) -> Artifact;
}

/// The plain format: the envelope itself as the artifact, and what the pipeline proved as the claim.
#[derive(Clone, Copy, Debug, Default)]
pub struct DsseArtifact;

/// The claim of a [`DsseArtifact`]: base, plan, fixes and verdicts of the patched image.
pub const PATCHED: &str = "urn:patchkit:patched:v1";

impl SignatureFormat for DsseArtifact {
    fn statement(&self, name: &str, subject: &Descriptor, proof: &Value) -> Statement {
        Statement::about(name, subject, PATCHED, proof.clone())
    }

    fn artifact(&self, statement: &Statement, envelope: &Envelope, _identity: &Identity) -> Artifact {
        let media_type = MediaType::new("application/vnd.dsse.envelope.v1+json");
        let json = serde_json::to_vec(envelope).expect("an envelope has only string keys");
        Artifact {
            artifact_type: media_type.clone(),
            layers: vec![Blob::of(media_type, json)],
            annotations: BTreeMap::from([(PREDICATE_TYPE.into(), statement.predicate_type.clone())]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_as_the_dsse_specification_shows() {
        let encoded = pre_authentication_encoding("http://example.com/HelloWorld", b"hello world");
        assert_eq!(encoded, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    }
}
