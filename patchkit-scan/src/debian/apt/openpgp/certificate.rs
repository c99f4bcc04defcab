//! What a certificate says about its keys: which of them may sign, and when.

use pgp::{
    composed::{SignedPublicKey, SignedPublicSubKey},
    crypto::hash::HashAlgorithm,
    packet::{Signature, SignatureType, Subpacket, SubpacketData},
    types::{KeyDetails, KeyId, PublicParams, Tag},
};
use rsa_bits::rsa_bits;
use thiserror::Error;

/// Self-signatures checked per component; a certificate flooded with thousands costs no more than this.
const MAX_SELF_SIGNATURES: usize = 100;
/// RSA below this is refused, as apt 2.9 and gpgv of 2024 do.
const MIN_RSA_BITS: usize = 2048;

/// One OpenPGP certificate (a "public key" in everyday words), and the file that it came from.
#[derive(Clone, Debug)]
pub struct Certificate {
    key: SignedPublicKey,
    origin: String,
}

/// Why a key of a certificate may not sign for an archive. Times are seconds since 1970.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum KeyFault {
    /// The key's lifetime was over.
    #[error("key expired on {}", day(.at))]
    Expired {
        /// When it expired.
        at: i64,
    },
    /// The owner does not allow this key to sign data.
    #[error("key is not meant for signing")]
    NotForSigning,
    /// The key did not exist yet when it is said to have signed.
    #[error("key was made only on {}", day(.at))]
    NotYet {
        /// When it was made.
        at: i64,
    },
    /// The owner revoked the key.
    #[error("key is revoked")]
    Revoked,
    /// No valid self-signature binds the key (none at all, or only with hashes that can be forged).
    #[error("key is not bound to its certificate by a valid signature")]
    Unbound,
    /// The algorithm or size is too weak.
    #[error("key is too weak: {0}")]
    Weak(&'static str),
}

pub(super) fn day(seconds: &i64) -> String {
    jiff::Timestamp::from_second(*seconds).map_or_else(|_| seconds.to_string(), |time| time.strftime("%F").to_string())
}

/// The moment that a signature was made and the moment that we look at it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) signed: i64,
    pub(super) now: i64,
    /// Whether a key that has expired since is still believed what it signed in its lifetime.
    pub(super) accept_expired: bool,
}

impl Certificate {
    pub(super) fn new(key: SignedPublicKey, origin: &str) -> Self {
        Self { key, origin: origin.to_owned() }
    }

    /// The primary key's fingerprint, upper-case hexadecimal.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        hex::encode_upper(self.key.fingerprint().as_bytes())
    }

    /// The first user id, or nothing where the certificate has none.
    #[must_use]
    pub fn user_id(&self) -> String {
        let user = self.key.details.users.first();
        user.map(|user| String::from_utf8_lossy(user.id.id()).into_owned()).unwrap_or_default()
    }

    /// The file that the certificate came from.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    pub(super) fn has_fingerprint(&self, wanted: &str) -> bool {
        let subkeys = self.key.public_subkeys.iter().map(|subkey| subkey.key.fingerprint());
        std::iter::once(self.key.fingerprint())
            .chain(subkeys)
            .any(|fingerprint| hex::encode(fingerprint.as_bytes()).eq_ignore_ascii_case(wanted))
    }

    /// The key of this certificate that `signature` names as its issuer.
    pub(super) fn issuer_of<'a>(&'a self, signature: &Signature) -> Option<Issuer<'a>> {
        let names = |key: &dyn Named| {
            let fingerprints = signature.issuer_fingerprint();
            if fingerprints.is_empty() {
                signature.issuer_key_id().iter().any(|id| **id == key.id())
            } else {
                fingerprints.iter().any(|fingerprint| fingerprint.as_bytes() == key.print())
            }
        };
        if names(&self.key.primary_key) {
            return Some(Issuer { certificate: self, subkey: None });
        }
        let subkey = self.key.public_subkeys.iter().find(|subkey| names(&subkey.key))?;
        Some(Issuer { certificate: self, subkey: Some(subkey) })
    }

    /// The newest valid self-signature made by now: a direct key signature or a user id's.
    fn self_signature(&self, moment: Moment) -> Option<&Signature> {
        let primary = &self.key.primary_key;
        let direct = self.key.details.direct_signatures.iter().filter(|signature| {
            signature.typ() == Some(SignatureType::Key)
                && eligible(signature, moment)
                && signature.verify_key(primary).is_ok()
        });
        let users = self.key.details.users.iter().flat_map(|user| {
            let signatures = user.signatures.iter().filter(|signature| {
                signature.typ() != Some(SignatureType::CertRevocation)
                    && signature.issuer_key_id().iter().all(|id| **id == primary.legacy_key_id())
                    && eligible(signature, moment)
            });
            signatures
                .take(MAX_SELF_SIGNATURES)
                .filter(|signature| signature.verify_certification(primary, Tag::UserId, &user.id).is_ok())
        });
        direct.take(MAX_SELF_SIGNATURES).chain(users).max_by_key(|signature| created(signature))
    }

    fn primary_fault(&self, moment: Moment) -> Option<KeyFault> {
        let primary = &self.key.primary_key;
        let revoked = self.key.details.revocation_signatures.iter().take(MAX_SELF_SIGNATURES);
        if revoked.clone().any(|signature| signature.verify_key(primary).is_ok()) {
            return Some(KeyFault::Revoked);
        }
        let Some(binding) = self.self_signature(moment) else {
            return Some(KeyFault::Unbound);
        };
        lifetime_fault(i64::from(primary.created_at().as_secs()), binding, moment)
    }
}

/// The key that made a signature: the primary key of a certificate, or one of its subkeys.
#[derive(Clone, Copy, Debug)]
pub(super) struct Issuer<'a> {
    pub(super) certificate: &'a Certificate,
    subkey: Option<&'a SignedPublicSubKey>,
}

impl Issuer<'_> {
    /// The fingerprint of the very key that signed, upper-case hexadecimal.
    pub(super) fn fingerprint(&self) -> String {
        let primary = || self.certificate.fingerprint();
        self.subkey.map_or_else(primary, |subkey| hex::encode_upper(subkey.key.fingerprint().as_bytes()))
    }

    /// Whether the arithmetic of the signature holds. Says nothing of what the key may do.
    pub(super) fn verifies(&self, signature: &Signature, data: &[u8]) -> bool {
        match self.subkey {
            None => signature.verify(&self.certificate.key.primary_key, data).is_ok(),
            Some(subkey) => signature.verify(&subkey.key, data).is_ok(),
        }
    }

    /// Why the key could not sign at that moment, if it could not.
    pub(super) fn fault(&self, moment: Moment) -> Option<KeyFault> {
        self.certificate.primary_fault(moment).or_else(|| match self.subkey {
            None => self.primary_signing_fault(moment),
            Some(subkey) => subkey_fault(&self.certificate.key, subkey, moment),
        })
    }

    fn primary_signing_fault(&self, moment: Moment) -> Option<KeyFault> {
        let binding = self.certificate.self_signature(moment)?;
        let may_sign = may_sign(binding).unwrap_or(true);
        if !may_sign {
            return Some(KeyFault::NotForSigning);
        }
        weakness(self.certificate.key.primary_key.public_params())
    }
}

fn subkey_fault(certificate: &SignedPublicKey, subkey: &SignedPublicSubKey, moment: Moment) -> Option<KeyFault> {
    let primary = &certificate.primary_key;
    let of_type =
        |typ| subkey.signatures.iter().filter(move |signature| signature.typ() == Some(typ)).take(MAX_SELF_SIGNATURES);
    let holds = |signature: &&Signature| signature.verify_subkey_binding(primary, &subkey.key).is_ok();
    if of_type(SignatureType::SubkeyRevocation).any(|signature| holds(&signature)) {
        return Some(KeyFault::Revoked);
    }
    let bindings = of_type(SignatureType::SubkeyBinding).filter(|signature| eligible(signature, moment));
    let Some(binding) = bindings.filter(holds).max_by_key(|signature| created(signature)) else {
        return Some(KeyFault::Unbound);
    };
    if may_sign(binding) != Some(true) {
        return Some(KeyFault::NotForSigning);
    }
    // Without its own consent, somebody else's signing key could be claimed as a subkey (RFC 9580 section 5.2.1.9).
    let consents = |back: &Signature| strong(back) && back.verify_primary_key_binding(&subkey.key, primary).is_ok();
    if !binding.embedded_signature().is_some_and(consents) {
        return Some(KeyFault::Unbound);
    }
    lifetime_fault(i64::from(subkey.key.created_at().as_secs()), binding, moment)
        .or_else(|| weakness(subkey.key.public_params()))
}

fn lifetime_fault(made: i64, binding: &Signature, moment: Moment) -> Option<KeyFault> {
    if moment.signed < made {
        return Some(KeyFault::NotYet { at: made });
    }
    let lifetime = binding.key_expiration_time().map_or(0, |lifetime| i64::from(lifetime.as_secs()));
    let at = made + lifetime;
    let over = lifetime != 0 && (moment.signed >= at || (!moment.accept_expired && moment.now >= at));
    over.then_some(KeyFault::Expired { at })
}

/// Whether a self-signature counts: made by now (not by the signature: owners prolong keys later), not expired, with a hash that cannot be forged.
fn eligible(signature: &Signature, moment: Moment) -> bool {
    let Some(made) = created(signature) else {
        return false;
    };
    made <= moment.now.max(moment.signed) && strong(signature) && !expired(signature, moment.signed)
}

pub(super) fn created(signature: &Signature) -> Option<i64> {
    signature.created().map(|time| i64::from(time.as_secs()))
}

pub(super) fn expired(signature: &Signature, at: i64) -> bool {
    let lifetime = signature.signature_expiration_time().map_or(0, |lifetime| i64::from(lifetime.as_secs()));
    lifetime != 0 && created(signature).is_none_or(|made| at >= made + lifetime)
}

/// Whether the hash is one that collisions are not known for.
pub(super) fn strong(signature: &Signature) -> bool {
    use HashAlgorithm::{Sha3_256, Sha3_512, Sha224, Sha256, Sha384, Sha512};
    matches!(signature.hash_alg(), Some(Sha224 | Sha256 | Sha384 | Sha512 | Sha3_256 | Sha3_512))
}

/// The signing flag of a self-signature; `None` where it has no key flags at all.
fn may_sign(binding: &Signature) -> Option<bool> {
    let flags = |subpacket: &Subpacket| match &subpacket.data {
        SubpacketData::KeyFlags(flags) => Some(flags.sign()),
        _ => None,
    };
    binding.config()?.hashed_subpackets().find_map(flags)
}

fn weakness(params: &PublicParams) -> Option<KeyFault> {
    match params {
        PublicParams::RSA(rsa) if rsa_bits(rsa) < MIN_RSA_BITS => Some(KeyFault::Weak("RSA with less than 2048 bits")),
        PublicParams::DSA(_) => Some(KeyFault::Weak("DSA")),
        _ => None,
    }
}

/// What primary keys and subkeys are named by in signatures.
trait Named {
    fn id(&self) -> KeyId;
    fn print(&self) -> Vec<u8>;
}

impl<K: KeyDetails> Named for K {
    fn id(&self) -> KeyId {
        self.legacy_key_id()
    }

    fn print(&self) -> Vec<u8> {
        self.fingerprint().as_bytes().to_vec()
    }
}

mod rsa_bits {
    use pgp::{ser::Serialize, types::RsaPublicParams};

    /// The modulus's length in bits, read off its encoding: an MPI begins with its bit count (RFC 9580 section 3.2).
    pub(super) fn rsa_bits(params: &RsaPublicParams) -> usize {
        let mut bytes = Vec::new();
        match params.to_writer(&mut bytes) {
            Ok(()) if bytes.len() > 2 => usize::from(u16::from_be_bytes([bytes[0], bytes[1]])),
            _ => 0,
        }
    }
}
