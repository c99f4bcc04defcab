//! Who signed a document: at least one key that we trust, and none of them wrongly.

use std::{fmt, io::Read};

use jiff::Timestamp;
use pgp::{
    armor::{BlockType, Dearmor, DearmorOptions},
    packet::{Packet, PacketParser, Signature, SignatureType, SignatureVersion},
};
use thiserror::Error;

use super::{
    ClearSignError, KeyFault, Keyring,
    certificate::{Issuer, Moment, created, day, expired, strong},
    split_clear_signed,
};

/// Signatures read from one block. Debian signs with two or three keys.
const MAX_SIGNATURES: usize = 64;
/// Armoured signature blocks larger than this are not read.
const MAX_SIGNATURE_BYTES: usize = 1 << 20;
/// How far a signer's clock may run ahead of ours, in seconds.
const CLOCK_SKEW: i64 = 600;

/// By which clock signatures are judged, and whether an archive may be frozen.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    now: Timestamp,
    accept_expired: bool,
}

impl Policy {
    /// The rules for an archive that is alive: keys must be valid now and when they signed.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self { now, accept_expired: false }
    }

    /// Accepts what a key signed during its lifetime even where it has expired since, for archives that are frozen
    /// (snapshots, releases out of support). Revoked keys stay refused.
    #[must_use]
    pub fn with_expired_keys(mut self, accept: bool) -> Self {
        self.accept_expired = accept;
        self
    }
}

/// A trusted key that made a good signature.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Signer {
    /// Fingerprint of the certificate's primary key, upper-case hexadecimal.
    pub certificate: String,
    /// Fingerprint of the key that signed: the primary's or a subkey's.
    pub key: String,
    /// The certificate's first user id.
    pub user_id: String,
    /// When the signature says it was made.
    pub created: Timestamp,
}

/// Why one signature does not count. Key ids are upper-case hexadecimal.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum SignatureFault {
    /// The document is not what this trusted key signed.
    #[error("key {key} ({origin}): bad signature: the document is not what was signed")]
    Bad {
        /// Fingerprint of the key.
        key: String,
        /// The key file that holds it.
        origin: String,
    },
    /// The signature's own lifetime is over.
    #[error("key {key}: signature expired")]
    Expired {
        /// Fingerprint of the key.
        key: String,
    },
    /// Made in the future.
    #[error("key {key}: signature is dated {}, in the future", day(.at))]
    Future {
        /// Fingerprint of the key.
        key: String,
        /// When it says it was made, in seconds since 1970.
        at: i64,
    },
    /// The key may not sign.
    #[error("key {key} ({origin}): {fault}")]
    Key {
        /// Fingerprint of the key.
        key: String,
        /// The key file that holds it.
        origin: String,
        /// Why not.
        fault: KeyFault,
    },
    /// A hash for which collisions can be made, or a signature format from before 1998.
    #[error("key {key}: signature uses {what}, which can be forged")]
    Weak {
        /// Key id as the signature names it.
        key: String,
        /// The hash or format.
        what: String,
    },
    /// A signature over something other than a document.
    #[error("key {key}: not a signature over a document")]
    WrongType {
        /// Key id as the signature names it.
        key: String,
    },
    /// Nobody that we trust.
    #[error("key {key} is not among the trusted keys")]
    Untrusted {
        /// Key id as the signature names it.
        key: String,
    },
}

/// Why a document is not believed.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum VerifyError {
    /// The frame around the signed text is wrong.
    #[error("not a clear-signed document: {0}")]
    ClearSigned(#[from] ClearSignError),
    /// The signature block cannot be read.
    #[error("signature cannot be read: {0}")]
    Malformed(String),
    /// No good signature by a trusted key, or a bad one by such a key.
    #[error("{}", refusal(.faults, .trusted))]
    Refused {
        /// What is wrong with each signature.
        faults: Vec<SignatureFault>,
        /// The key files that were trusted.
        trusted: Vec<String>,
    },
    /// The signed text is not UTF-8.
    #[error("signed text is not UTF-8")]
    Text,
}

fn refusal(faults: &[SignatureFault], trusted: &[String]) -> String {
    let trusted =
        if trusted.is_empty() { "no key is trusted".to_owned() } else { format!("trusted: {}", trusted.join(", ")) };
    if faults.is_empty() {
        return format!("no signature ({trusted})");
    }
    let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
    format!("no valid signature: {} ({trusted})", faults.join("; "))
}

/// Verifies a clear-signed document such as `InRelease` and returns its text, which is all of it that was signed.
///
/// # Errors
/// [`VerifyError`]; the text is never given out unverified.
pub fn verify_clear_signed(
    document: &[u8],
    keyring: &Keyring,
    policy: Policy,
) -> Result<(String, Vec<Signer>), VerifyError> {
    let parts = split_clear_signed(document)?;
    let signers = verify(&parts.canonical(), &signatures(parts.signature)?, keyring, policy)?;
    let text = String::from_utf8(parts.text).map_err(|_| VerifyError::Text)?;
    Ok((text, signers))
}

/// Verifies a detached signature such as `Release.gpg`, armoured or binary, over `document`.
///
/// # Errors
/// [`VerifyError`].
pub fn verify_detached(
    document: &[u8],
    signature: &[u8],
    keyring: &Keyring,
    policy: Policy,
) -> Result<Vec<Signer>, VerifyError> {
    verify(document, &signatures(signature)?, keyring, policy)
}

/// As apt does: one good signature is enough, but a bad one by a trusted key spoils the document.
fn verify(
    data: &[u8],
    signatures: &[Signature],
    keyring: &Keyring,
    policy: Policy,
) -> Result<Vec<Signer>, VerifyError> {
    let mut good = Vec::new();
    let mut faults = Vec::new();
    for signature in signatures {
        match check(signature, data, keyring, policy) {
            Ok(signer) => good.push(signer),
            Err(fault) => faults.push(fault),
        }
    }
    let spoiled = faults.iter().any(|fault| matches!(fault, SignatureFault::Bad { .. }));
    if good.is_empty() || spoiled {
        return Err(VerifyError::Refused { faults, trusted: origins(keyring) });
    }
    for fault in &faults {
        tracing::debug!(%fault, "a further signature does not count");
    }
    Ok(good)
}

fn check(signature: &Signature, data: &[u8], keyring: &Keyring, policy: Policy) -> Result<Signer, SignatureFault> {
    let key = issuer_id(signature);
    reject_weak(signature, &key)?;
    if !matches!(signature.typ(), Some(SignatureType::Binary | SignatureType::Text)) {
        return Err(SignatureFault::WrongType { key });
    }
    let issuers: Vec<_> =
        keyring.certificates().iter().filter_map(|certificate| certificate.issuer_of(signature)).collect();
    let Some(issuer) = issuers.iter().find(|issuer| issuer.verifies(signature, data)).or(issuers.first()) else {
        return Err(SignatureFault::Untrusted { key });
    };
    check_issuer(signature, issuer, data, policy)
}

fn check_issuer(
    signature: &Signature,
    issuer: &Issuer<'_>,
    data: &[u8],
    policy: Policy,
) -> Result<Signer, SignatureFault> {
    let key = issuer.fingerprint();
    let origin = issuer.certificate.origin().to_owned();
    if !issuer.verifies(signature, data) {
        return Err(SignatureFault::Bad { key, origin });
    }
    let signed = created(signature).unwrap_or(i64::MAX);
    let now = policy.now.as_second();
    if signed > now.saturating_add(CLOCK_SKEW) {
        return Err(SignatureFault::Future { key, at: signed });
    }
    if expired(signature, now) && !policy.accept_expired {
        return Err(SignatureFault::Expired { key });
    }
    if let Some(fault) = issuer.fault(Moment { signed, now, accept_expired: policy.accept_expired }) {
        return Err(SignatureFault::Key { key, origin, fault });
    }
    let certificate = issuer.certificate;
    let created = Timestamp::from_second(signed).unwrap_or(policy.now);
    Ok(Signer { certificate: certificate.fingerprint(), key, user_id: certificate.user_id(), created })
}

fn reject_weak(signature: &Signature, key: &str) -> Result<(), SignatureFault> {
    let what = match (signature.version(), signature.hash_alg()) {
        (SignatureVersion::V4 | SignatureVersion::V6, _) if strong(signature) => return Ok(()),
        (SignatureVersion::V4 | SignatureVersion::V6, Some(hash)) => hash.to_string(),
        (version, _) => format!("signature format {version:?}"),
    };
    Err(SignatureFault::Weak { key: key.to_owned(), what })
}

fn issuer_id(signature: &Signature) -> String {
    let fingerprint =
        signature.issuer_fingerprint().first().map(|fingerprint| hex::encode_upper(fingerprint.as_bytes()));
    let key_id = || signature.issuer_key_id().first().map(|id| id.to_string().to_ascii_uppercase());
    fingerprint.or_else(key_id).unwrap_or_else(|| "(not named)".to_owned())
}

fn origins(keyring: &Keyring) -> Vec<String> {
    let mut files: Vec<_> = keyring.certificates().iter().map(|certificate| certificate.origin().to_owned()).collect();
    files.sort();
    files.dedup();
    files
}

/// Reads the signature packets of an armoured or binary block; anything else in it is refused.
fn signatures(block: &[u8]) -> Result<Vec<Signature>, VerifyError> {
    if block.len() > MAX_SIGNATURE_BYTES {
        return Err(malformed("more than 1 MiB"));
    }
    let armoured = block.trim_ascii_start().starts_with(b"-----BEGIN");
    let binary = if armoured { dearmour(block)? } else { block.to_vec() };
    let mut signatures = Vec::new();
    for packet in PacketParser::new(binary.as_slice()) {
        match packet {
            Ok(Packet::Signature(signature)) if signatures.len() < MAX_SIGNATURES => signatures.push(signature),
            Ok(Packet::Signature(_)) => {
                return Err(malformed(format!("more than {MAX_SIGNATURES} signatures")));
            }
            Ok(_) => return Err(malformed("something other than a signature in the block")),
            Err(error) => return Err(malformed(error)),
        }
    }
    Ok(signatures)
}

fn dearmour(block: &[u8]) -> Result<Vec<u8>, VerifyError> {
    let mut reader = Dearmor::with_options(block, DearmorOptions::new().set_limit(MAX_SIGNATURE_BYTES));
    reader.read_header().map_err(malformed)?;
    if reader.typ != Some(BlockType::Signature) {
        return Err(malformed("not a signature block"));
    }
    let mut binary = Vec::new();
    reader.read_to_end(&mut binary).map_err(malformed)?;
    Ok(binary)
}

fn malformed(reason: impl fmt::Display) -> VerifyError {
    VerifyError::Malformed(reason.to_string())
}
