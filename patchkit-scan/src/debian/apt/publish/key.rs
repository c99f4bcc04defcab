//! The key that an archive is signed with.

use std::fmt;

use jiff::Timestamp;
use pgp::{
    composed::{
        ArmorOptions, CleartextSignedMessage, KeyType, SecretKeyParamsBuilder, SignedKeyDetails, SignedSecretKey,
    },
    packet::{KeyFlags, PacketTrait, Signature, SignatureConfig, SignatureType, Subpacket, SubpacketData, UserId},
    ser::Serialize,
    types::{Duration, KeyDetails, Password},
};
use rand_core::OsRng;
use thiserror::Error;

/// A key pair that signs an archive: Ed25519, with one user id and no passphrase.
///
/// For archives made on the spot (demonstrations, tests, a private mirror that lives as long as its job): the secret
/// half stays in memory and cannot be written out.
#[derive(Clone)]
pub struct ArchiveKey {
    secret: SignedSecretKey,
}

/// Why a key could not be made or used.
#[derive(Debug, Error)]
#[error("archive key: {0}")]
pub struct KeyError(String);

impl From<pgp::errors::Error> for KeyError {
    fn from(error: pgp::errors::Error) -> Self {
        Self(error.to_string())
    }
}

impl fmt::Debug for ArchiveKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ArchiveKey").field(&self.fingerprint()).finish()
    }
}

impl ArchiveKey {
    /// Makes a key that says it was made at `created` and never expires.
    ///
    /// # Errors
    /// [`KeyError`] for a time outside 1970 to 2106.
    pub fn generate(user_id: &str, created: Timestamp) -> Result<Self, KeyError> {
        Self::generate_for(user_id, created, 0)
    }

    /// Makes a key that expires `lifetime` seconds after `created` (0: never).
    ///
    /// # Errors
    /// [`KeyError`] for a time outside 1970 to 2106.
    pub fn generate_for(user_id: &str, created: Timestamp, lifetime: u32) -> Result<Self, KeyError> {
        let created_at = packet_time(created)?;
        let params = SecretKeyParamsBuilder::default()
            .key_type(KeyType::Ed25519Legacy)
            .can_certify(true)
            .can_sign(true)
            .created_at(created_at)
            .primary_user_id(user_id.to_owned())
            .build()
            .map_err(|error| KeyError(error.to_string()))?;
        let mut secret = params.generate(OsRng)?;
        // The builder dates its own signature now and knows no lifetime: the user id is bound again, as we want it.
        let binding = bind_user(&secret, user_id, created, lifetime)?;
        secret.details = SignedKeyDetails::new(vec![], vec![], vec![user(user_id)?.into_signed(binding)], vec![]);
        Ok(Self { secret })
    }

    /// The fingerprint, upper-case hexadecimal.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        hex::encode_upper(self.secret.fingerprint().as_bytes())
    }

    /// The public half as a binary keyring, as it goes into `/etc/apt/trusted.gpg.d/NAME.gpg`.
    ///
    /// # Errors
    /// [`KeyError`] when encoding fails.
    pub fn public_keyring(&self) -> Result<Vec<u8>, KeyError> {
        Ok(self.secret.to_public_key().to_bytes()?)
    }

    /// The public half in ASCII armour, as it goes into `NAME.asc` or a `Signed-By` field.
    ///
    /// # Errors
    /// [`KeyError`] when encoding fails.
    pub fn public_armour(&self) -> Result<String, KeyError> {
        Ok(self.secret.to_public_key().to_armored_string(ArmorOptions::default())?)
    }

    /// Clear-signs a text, as `InRelease` is.
    ///
    /// # Errors
    /// [`KeyError`] when signing fails.
    pub fn clear_sign(&self, text: &str, at: Timestamp) -> Result<String, KeyError> {
        // The framework signs neither the last line ending, which the document then adds, nor white space before one.
        let lines: Vec<_> = text.strip_suffix('\n').unwrap_or(text).split('\n').map(str::trim_ascii_end).collect();
        let config = self.document_config(SignatureType::Text, at)?;
        let message =
            CleartextSignedMessage::new(&lines.join("\n"), config, &self.secret.primary_key, &Password::empty())?;
        Ok(message.to_armored_string(ArmorOptions::default())?)
    }

    /// Signs bytes, as `Release.gpg` does for `Release`: a binary signature packet.
    ///
    /// # Errors
    /// [`KeyError`] when signing fails.
    pub fn sign_detached(&self, data: &[u8], at: Timestamp) -> Result<Vec<u8>, KeyError> {
        let config = self.document_config(SignatureType::Binary, at)?;
        let signature = config.sign(&self.secret.primary_key, &Password::empty(), data)?;
        let mut packet = Vec::new();
        signature.to_writer_with_header(&mut packet)?;
        Ok(packet)
    }

    fn document_config(&self, typ: SignatureType, at: Timestamp) -> Result<SignatureConfig, KeyError> {
        let mut config = SignatureConfig::from_key(OsRng, &self.secret.primary_key, typ)?;
        config.hashed_subpackets = origin_subpackets(&self.secret, at)?;
        Ok(config)
    }
}

fn bind_user(
    secret: &SignedSecretKey,
    user_id: &str,
    created: Timestamp,
    lifetime: u32,
) -> Result<Signature, KeyError> {
    let key = &secret.primary_key;
    let mut flags = KeyFlags::default();
    flags.set_certify(true);
    flags.set_sign(true);
    let mut config = SignatureConfig::from_key(OsRng, key, SignatureType::CertPositive)?;
    config.hashed_subpackets = origin_subpackets(secret, created)?;
    config.hashed_subpackets.push(Subpacket::regular(SubpacketData::KeyFlags(flags))?);
    if lifetime > 0 {
        let lifetime = SubpacketData::KeyExpirationTime(Duration::from_secs(lifetime));
        config.hashed_subpackets.push(Subpacket::regular(lifetime)?);
    }
    let user = user(user_id)?;
    Ok(config.sign_certification(key, key.public_key(), &Password::empty(), user.tag(), &user)?)
}

fn user(user_id: &str) -> Result<UserId, KeyError> {
    Ok(UserId::from_str(pgp::types::PacketHeaderVersion::New, user_id)?)
}

fn origin_subpackets(secret: &SignedSecretKey, at: Timestamp) -> Result<Vec<Subpacket>, KeyError> {
    Ok(vec![
        Subpacket::regular(SubpacketData::SignatureCreationTime(packet_time(at)?))?,
        Subpacket::regular(SubpacketData::IssuerFingerprint(secret.fingerprint()))?,
        Subpacket::regular(SubpacketData::IssuerKeyId(secret.legacy_key_id()))?,
    ])
}

fn packet_time(time: Timestamp) -> Result<pgp::types::Timestamp, KeyError> {
    let seconds = u32::try_from(time.as_second()).map_err(|_| KeyError(format!("{time} is outside 1970 to 2106")))?;
    Ok(pgp::types::Timestamp::from_secs(seconds))
}
