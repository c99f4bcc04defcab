//! What an archive signs, and the keys: what comes before the signed message in the input is the keyring.

use patchkit_scan::debian::apt::{
    openpgp::{Keyring, Policy, split_clear_signed, verify_clear_signed, verify_detached},
    release::Release,
};

const MESSAGE: &[u8] = b"-----BEGIN PGP SIGNED MESSAGE-----";

fuzz_target!(|data: &[u8]| {
    let _ = std::str::from_utf8(data).map(Release::parse);
    let start = data.windows(MESSAGE.len()).position(|bytes| bytes == MESSAGE).unwrap_or(0);
    let (keys, document) = data.split_at(start);
    let parts = split_clear_signed(document);
    if let Ok(parts) = &parts {
        assert!(!parts.text.contains(&b'\r') && parts.signature.starts_with(b"-----BEGIN PGP SIGNATURE-----"));
    }
    let keyring = Keyring::parse("keys", keys).unwrap_or_default();
    for certificate in keyring.certificates() {
        let _ = (certificate.fingerprint(), certificate.user_id());
    }
    let policy = Policy::at("2026-01-02T00:00:00Z".parse().expect("a constant time"));
    if let Ok((text, signers)) = verify_clear_signed(document, &keyring, policy) {
        assert!(!signers.is_empty() && parts.is_ok_and(|parts| parts.text == text.as_bytes()));
    }
    let _ = verify_detached(b"", document, &keyring, policy);
});
