use jiff::Timestamp;

use super::*;
use crate::debian::apt::publish::ArchiveKey;

const RELEASE: &str = "Suite: stable\n- dash\n-- two dashes\nFrom here\ntrailing  \n\nlast line\n";

fn time(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn made() -> Timestamp {
    time("2026-01-01T00:00:00Z")
}

fn now() -> Timestamp {
    time("2026-06-01T00:00:00Z")
}

fn key() -> ArchiveKey {
    ArchiveKey::generate("Archive <archive@example.org>", made()).expect("a key")
}

fn trusting(keys: &[&ArchiveKey]) -> Keyring {
    keys.iter().fold(Keyring::new(), |keyring, key| {
        let bytes = key.public_keyring().expect("public half");
        keyring.with(Keyring::parse("trusted.gpg.d/test.gpg", &bytes).expect("a keyring"))
    })
}

fn faults(result: Result<(String, Vec<Signer>), VerifyError>) -> Vec<SignatureFault> {
    match result {
        Err(VerifyError::Refused { faults, .. }) => faults,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_clear_signed_text_comes_back_with_its_signer() {
    let key = key();
    let document = key.clear_sign(RELEASE, made()).expect("signed");
    assert!(document.contains("\n- - dash\n- -- two dashes\n"), "{document}");
    let (text, signers) =
        verify_clear_signed(document.as_bytes(), &trusting(&[&key]), Policy::at(now())).expect("good");
    assert_eq!(text, RELEASE.replace("trailing  ", "trailing"));
    assert_eq!(signers.len(), 1);
    assert_eq!(signers[0].certificate, key.fingerprint());
    assert_eq!(signers[0].user_id, "Archive <archive@example.org>");
    assert_eq!(signers[0].created, made());
}

#[test]
fn a_detached_signature_covers_every_byte() {
    let key = key();
    let signature = key.sign_detached(RELEASE.as_bytes(), made()).expect("signed");
    let keyring = trusting(&[&key]);
    verify_detached(RELEASE.as_bytes(), &signature, &keyring, Policy::at(now())).expect("good");
    let mut other = RELEASE.to_owned();
    other.push('\n');
    let refused =
        verify_detached(other.as_bytes(), &signature, &keyring, Policy::at(now())).expect_err("one byte more");
    assert!(
        matches!(&refused, VerifyError::Refused { faults, .. } if matches!(faults[..], [SignatureFault::Bad { .. }])),
        "{refused}"
    );
}

#[test]
fn a_changed_text_is_a_bad_signature_and_names_key_and_file() {
    let key = key();
    let document = key.clear_sign(RELEASE, made()).expect("signed").replace("stable", "stuble");
    let refused = verify_clear_signed(document.as_bytes(), &trusting(&[&key]), Policy::at(now())).expect_err("changed");
    let message = refused.to_string();
    assert!(message.contains(&key.fingerprint()) && message.contains("trusted.gpg.d/test.gpg"), "{message}");
}

#[test]
fn strangers_and_empty_keyrings_are_refused() {
    let (key, other) = (key(), key());
    let document = key.clear_sign(RELEASE, made()).expect("signed");
    for keyring in [trusting(&[&other]), Keyring::new()] {
        let faults = faults(verify_clear_signed(document.as_bytes(), &keyring, Policy::at(now())));
        assert_eq!(faults, [SignatureFault::Untrusted { key: key.fingerprint() }]);
    }
}

#[test]
fn keys_count_in_their_lifetime_only() {
    let month = 30 * 24 * 3600;
    let key = ArchiveKey::generate_for("short-lived", made(), month).expect("a key");
    let keyring = trusting(&[&key]);
    let in_time = key.clear_sign(RELEASE, time("2026-01-15T00:00:00Z")).expect("signed");
    let too_late = key.clear_sign(RELEASE, time("2026-03-01T00:00:00Z")).expect("signed");
    let frozen = Policy::at(now()).with_expired_keys(true);

    let expired = |document: &str, policy| {
        let faults = faults(verify_clear_signed(document.as_bytes(), &keyring, policy));
        assert!(matches!(faults[..], [SignatureFault::Key { fault: KeyFault::Expired { .. }, .. }]), "{faults:?}");
    };
    expired(&in_time, Policy::at(now()));
    expired(&too_late, frozen);
    verify_clear_signed(in_time.as_bytes(), &keyring, Policy::at(time("2026-01-16T00:00:00Z"))).expect("still valid");
    verify_clear_signed(in_time.as_bytes(), &keyring, frozen).expect("was valid when it signed");
}

#[test]
fn a_signature_from_before_the_key_or_from_the_future_is_refused() {
    let key = key();
    let keyring = trusting(&[&key]);
    let early = key.clear_sign(RELEASE, time("2025-12-31T00:00:00Z")).expect("signed");
    let early = faults(verify_clear_signed(early.as_bytes(), &keyring, Policy::at(now())));
    assert!(matches!(early[..], [SignatureFault::Key { fault: KeyFault::NotYet { .. }, .. }]), "{early:?}");
    let late = key.clear_sign(RELEASE, time("2026-06-02T00:00:00Z")).expect("signed");
    let late = faults(verify_clear_signed(late.as_bytes(), &keyring, Policy::at(now())));
    assert!(matches!(late[..], [SignatureFault::Future { .. }]), "{late:?}");
}

#[test]
fn nothing_outside_the_signed_block_is_accepted() {
    let key = key();
    let keyring = trusting(&[&key]);
    let good = key.clear_sign(RELEASE, made()).expect("signed");
    let cases = [
        (format!("Suite: evil\n\n{good}"), "does not begin with"),
        (format!("\n{good}"), "does not begin with"),
        (format!("{good}Suite: evil\n"), "data behind the signature"),
        (format!("{good}{good}"), "data behind the signature"),
        (good.replacen("\n\n", "\nSuite: evil\n\n", 1), "only the armour header Hash"),
        (good.replacen("\n- - dash", "\n-dash", 1), "not escaped"),
        (good.replacen("Suite", "Su\rite", 1), "carriage return"),
        (good.split("-----BEGIN PGP SIGNATURE").next().expect("first").to_owned(), "ends before"),
        (good.replacen("-----END PGP SIGNATURE-----", "", 1), "ends before"),
        (String::new(), "does not begin with"),
    ];
    for (document, expected) in cases {
        let error = verify_clear_signed(document.as_bytes(), &keyring, Policy::at(now())).expect_err(expected);
        assert!(error.to_string().contains(expected), "{error}\n{document}");
    }
    verify_clear_signed(format!("{good}\n\n").as_bytes(), &keyring, Policy::at(now()))
        .expect("blank lines behind are nothing");
    verify_clear_signed(good.replace('\n', "\r\n").as_bytes(), &keyring, Policy::at(now()))
        .expect("line endings are not signed");
}

#[test]
fn keyrings_are_read_in_every_form() {
    let (one, two) = (key(), key());
    let armour =
        format!("comment\n{}between\n{}", one.public_armour().expect("armour"), two.public_armour().expect("armour"));
    let binary = [one.public_keyring().expect("binary"), two.public_keyring().expect("binary")].concat();
    for bytes in [armour.into_bytes(), binary] {
        let keyring = Keyring::parse("k", &bytes).expect("two keys");
        let found: Vec<_> = keyring.certificates().iter().map(Certificate::fingerprint).collect();
        assert_eq!(found, [one.fingerprint(), two.fingerprint()]);
        let restricted = keyring.restricted_to(&[two.fingerprint().to_lowercase()]);
        assert_eq!(restricted.certificates().len(), 1);
    }
}

#[test]
fn key_files_that_hold_no_key_say_so() {
    let keybox = [&[0, 0, 0, 32, 1, 1, 0, 2][..], b"KBXf", &[0; 20]].concat();
    let cases: [(&[u8], &str); 4] = [
        (&keybox, "a GnuPG keybox"),
        (b"", "no OpenPGP certificate"),
        (b"<html>Not found</html>", "no OpenPGP certificate"),
        (b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA\n", "no OpenPGP certificate"),
    ];
    for (bytes, expected) in cases {
        let error = Keyring::parse("/usr/share/keyrings/x.gpg", bytes).expect_err(expected).to_string();
        assert!(error.starts_with("/usr/share/keyrings/x.gpg: ") && error.contains(expected), "{error}");
    }
}

/// gpg as the other side: keys and signatures that rpgp had no hand in.
mod gpg {
    use std::{
        path::Path,
        process::{Command, Stdio},
    };

    use super::*;
    use crate::debian::apt::testing::{external, missing_tool};

    struct Gpg {
        home: tempfile::TempDir,
    }

    impl Gpg {
        /// gpg with a home of its own, or `None` (said on stderr) where there is no gpg.
        fn start() -> Option<Self> {
            if missing_tool("gpg") {
                return None;
            }
            let home = tempfile::Builder::new().prefix("gpg").tempdir_in("/tmp").expect("a folder");
            Some(Self { home })
        }

        fn run(&self, at: &str, arguments: &[&str]) -> Vec<u8> {
            let output = Command::new("gpg")
                .args(["--homedir", self.home.path().to_str().expect("a path"), "--batch", "--yes", "--quiet"])
                .args(["--pinentry-mode", "loopback", "--passphrase", "", "--faked-system-time", &format!("{at}!")])
                .args(arguments)
                .stdin(Stdio::null())
                .output()
                .expect("gpg runs");
            assert!(output.status.success(), "gpg {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
            output.stdout
        }

        fn keyring(&self) -> Keyring {
            Keyring::parse("gpg", &self.run("20260601T000000", &["--export"])).expect("a keyring")
        }

        fn text(&self) -> String {
            let file = self.home.path().join("text");
            std::fs::write(&file, RELEASE).expect("written");
            file.to_str().expect("a path").to_owned()
        }

        fn clear_sign(&self, at: &str, extra: &[&str]) -> Vec<u8> {
            self.run(at, &[extra, &["--output", "-", "--clearsign", &self.text()]].concat())
        }

        fn home(&self) -> &Path {
            self.home.path()
        }
    }

    impl Drop for Gpg {
        fn drop(&mut self) {
            let _ = Command::new("gpgconf").args(["--homedir"]).arg(self.home()).args(["--kill", "all"]).status();
        }
    }

    #[test]
    fn signatures_of_a_signing_subkey_are_good() {
        let Some(gpg) = Gpg::start() else { return };
        gpg.run("20260101T000000", &["--quick-gen-key", "subkey@example.org", "rsa2048", "cert", "never"]);
        let fingerprint = gpg.keyring().certificates()[0].fingerprint();
        gpg.run("20260101T000000", &["--quick-add-key", &fingerprint, "ed25519", "sign", "2027-01-01"]);
        let keyring = gpg.keyring();
        let document = gpg.clear_sign("20260201T000000", &[]);
        let (text, signers) = verify_clear_signed(&document, &keyring, Policy::at(now())).expect("good");
        assert_eq!(text, RELEASE.replace("trailing  ", "trailing"));
        assert_eq!(signers[0].certificate, fingerprint);
        assert_ne!(signers[0].key, fingerprint);
        let later = faults(verify_clear_signed(&document, &keyring, Policy::at(time("2027-02-01T00:00:00Z"))));
        assert!(matches!(later[..], [SignatureFault::Key { fault: KeyFault::Expired { .. }, .. }]), "{later:?}");
    }

    #[test]
    fn a_revoked_key_and_a_weak_hash_are_refused() {
        let Some(gpg) = Gpg::start() else { return };
        gpg.run("20260101T000000", &["--quick-gen-key", "revoked@example.org", "rsa2048", "sign", "never"]);
        let document = gpg.clear_sign("20260201T000000", &[]);
        let weak = gpg.clear_sign("20260201T000000", &["--digest-algo", "SHA1", "--allow-weak-digest-algos"]);
        let keyring = gpg.keyring();
        verify_clear_signed(&document, &keyring, Policy::at(now())).expect("good so far");
        let weak = faults(verify_clear_signed(&weak, &keyring, Policy::at(now())));
        assert!(matches!(&weak[..], [SignatureFault::Weak { what, .. }] if what == "SHA1"), "{weak:?}");

        let fingerprint = keyring.certificates()[0].fingerprint();
        let certificate = gpg.home().join(format!("openpgp-revocs.d/{fingerprint}.rev"));
        let revocation =
            std::fs::read_to_string(&certificate).expect("made with the key").replace(":-----BEGIN", "-----BEGIN");
        std::fs::write(&certificate, revocation).expect("written");
        gpg.run("20260301T000000", &["--import", certificate.to_str().expect("a path")]);
        let revoked = faults(verify_clear_signed(&document, &gpg.keyring(), Policy::at(now())));
        assert!(matches!(revoked[..], [SignatureFault::Key { fault: KeyFault::Revoked, .. }]), "{revoked:?}");
    }

    #[test]
    fn a_key_without_the_signing_flag_or_too_small_is_refused() {
        let Some(gpg) = Gpg::start() else { return };
        gpg.run("20260101T000000", &["--quick-gen-key", "small@example.org", "rsa1024", "sign", "never"]);
        let document = gpg.clear_sign("20260201T000000", &[]);
        let small = faults(verify_clear_signed(&document, &gpg.keyring(), Policy::at(now())));
        assert!(matches!(small[..], [SignatureFault::Key { fault: KeyFault::Weak(_), .. }]), "{small:?}");
    }

    #[test]
    fn gpgv_accepts_what_we_sign() {
        if missing_tool("gpgv") {
            return;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let key = ArchiveKey::generate("ours", made()).expect("a key");
        std::fs::write(folder.path().join("key.gpg"), key.public_keyring().expect("public")).expect("written");
        std::fs::write(folder.path().join("InRelease"), key.clear_sign(RELEASE, made()).expect("signed"))
            .expect("written");
        std::fs::write(folder.path().join("Release"), RELEASE).expect("written");
        std::fs::write(
            folder.path().join("Release.gpg"),
            key.sign_detached(RELEASE.as_bytes(), made()).expect("signed"),
        )
        .expect("written");
        for files in [&["InRelease"][..], &["Release.gpg", "Release"]] {
            let output = Command::new("gpgv")
                .current_dir(&folder)
                .args(["--keyring", "./key.gpg"])
                .args(files)
                .output()
                .expect("runs");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
    }

    #[test]
    fn the_archive_s_own_signatures_are_good() {
        let Some(archive) = external("deb") else {
            return;
        };
        let bytes = std::fs::read(archive.join("debian-archive-keyring.gpg")).expect("keyring");
        let keyring = Keyring::parse("debian-archive-keyring.gpg", &bytes).expect("certificates");
        let dists =
            ["debian/dists/bookworm", "debian/dists/bookworm-updates", "debian-security/dists/bookworm-security"];
        for dist in dists
            .into_iter()
            .chain(["debian-security/dists/bullseye-security", "debian-security/dists/trixie-security"])
        {
            let document = std::fs::read(archive.join("archive").join(dist).join("InRelease")).expect("InRelease");
            let (text, signers) =
                verify_clear_signed(&document, &keyring, Policy::at(time("2026-11-23T00:00:00Z"))).expect(dist);
            assert!(text.starts_with("Origin: Debian\n") && !signers.is_empty(), "{dist}");
        }
    }
}
