use std::collections::BTreeMap;

use patchkit_core::{
    Context, Image, Severity, Verdict, Verifier, conformance,
    image::{Metadata, NodeKind},
};
use patchkit_rollout::verify::{
    Exception, Hardening,
    hardening::{Check, Listening, Profile, inspect},
};
use serde_json::json;

use super::support::{Made, alpine, faults, layout_image, mode, over, patched, plain, says, shared_data, with_config};

/// Thirty-six letters and digits that look drawn by chance; no server ever gave them out.
const TOKEN: &str = "q7Zt2LwX9bVn4KcR8mJf3HsD6gPy1TaUe5Qo";

fn key() -> String {
    format!("-----BEGIN PRIVATE KEY-----\n{TOKEN}{TOKEN}\n-----END PRIVATE KEY-----\n")
}

async fn verdict(profile: Profile, before: &Image, after: &Image) -> Verdict {
    Hardening::new(profile).verify(&patched(before, after).await, &Context::new()).await.unwrap()
}

/// The first fault of an image that has so much more than a plain one.
async fn new_weaknesses(before: &Image, after: &Image) -> Vec<String> {
    let found = verdict(Profile::default(), before, after).await;
    let new = &found.reasons[0].because[0];
    new.because.iter().filter(|reason| !reason.holds).map(|reason| reason.message.clone()).collect()
}

fn capable() -> Metadata {
    let words = [0x0200_0001_u32, 1 << 13, 0, 0, 0];
    let value: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    Metadata { xattrs: BTreeMap::from([("security.capability".into(), value.into())]), ..mode(0o755) }
}

#[tokio::test]
async fn the_contract_is_kept() {
    let image = plain();
    let patched = patched(&image, &over(&image, Made::new().file("etc/x", "x"))).await;
    conformance::verifier::suite(&Hardening::default(), &patched).await.assert();
}

#[tokio::test]
async fn a_plain_image_has_no_weakness() {
    let found = inspect(&plain(), &Context::new()).await.unwrap();
    assert_eq!(found.weaknesses, []);
}

#[tokio::test]
async fn every_check_of_files_and_accounts_fails_and_passes() {
    let root = "root:x:0:0::/:\napp:x:1000:1000::/:\n";
    let made = Made::new;
    for (layer, faults) in [
        (made().with("usr/bin/su", mode(0o4755), "x"), vec!["PK-H001 (high) usr/bin/su: mode 4755, owner 0:0 is new"]),
        (made().with("usr/bin/w", mode(0o2755), "x"), vec!["PK-H001 (high) usr/bin/w: mode 2755, owner 0:0 is new"]),
        (made().with("usr/bin/app", capable(), "x"), vec!["PK-H002 (high) usr/bin/app: cap_net_raw=ep is new"]),
        (made().with("etc/x", mode(0o666), "x"), vec!["PK-H003 (medium) etc/x: mode 666 is new"]),
        (made().folder("var/x", 0o777), vec!["PK-H004 (medium) var/x: mode 777 is new"]),
        (made().folder("var/x", 0o1777), vec![]),
        (
            made().with("etc/x", Metadata { uid: 7, gid: 8, ..mode(0o644) }, "x"),
            vec!["PK-H005 (low) etc/x: no user has the number 7 and no group 8 is new"],
        ),
        (made().with("etc/x", Metadata { uid: 1000, gid: 1000, ..mode(0o644) }, "x"), vec![]),
        (
            made().file("var/lib/apt/lists/x", "x"),
            vec!["PK-H010 (low) var/lib/apt/lists: files are left, such as var/lib/apt/lists/x is new"],
        ),
        (
            made().file("var/cache/apt/archives/x.deb", "x"),
            vec!["PK-H010 (low) var/cache/apt/archives: files are left, such as var/cache/apt/archives/x.deb is new"],
        ),
        (
            made().file("root/.cache/pip/http/x", "x"),
            vec!["PK-H010 (low) root/.cache/pip: files are left, such as root/.cache/pip/http/x is new"],
        ),
        (
            made().with("etc/shadow", mode(0o640), "root::1\napp:!:1\n"),
            vec!["PK-H011 (critical) root: no password is asked for, by etc/shadow is new"],
        ),
        (
            made().file("etc/passwd", "root::0:0::/:\napp:x:1000:1000::/:\n"),
            vec!["PK-H011 (critical) root: no password is asked for, by etc/passwd is new"],
        ),
        (
            made().with("etc/shadow", mode(0o640), "root:$1$a$b:1\napp:$6$a$b:1\n"),
            vec![
                "PK-H012 (high) app: a password is set is new",
                "PK-H012 (high) root: a password is set, and its hash is quick to try is new",
            ],
        ),
        (
            made().with("root/.ssh/authorized_keys", mode(0o600), "ssh-ed25519 A"),
            vec!["PK-H013 (high) root/.ssh/authorized_keys: lets the same people into every copy is new"],
        ),
        (
            made().with("etc/ssh/ssh_host_rsa_key", mode(0o600), "x"),
            vec!["PK-H013 (high) etc/ssh/ssh_host_rsa_key: every copy has the same host key is new"],
        ),
        (
            made().file("etc/ssh/sshd_config", "#PermitRootLogin yes\nPermitRootLogin yes\nPermitRootLogin no\n"),
            vec!["PK-H014 (high) etc/ssh/sshd_config: permitrootlogin yes is new"],
        ),
        (
            made()
                .file("etc/ssh/sshd_config.d/a.conf", "PermitRootLogin no\n")
                .file("etc/ssh/sshd_config", "PermitRootLogin yes\n"),
            vec![],
        ),
        (
            made().with("etc/passwd", mode(0o646), root),
            vec![
                "PK-H003 (medium) etc/passwd: mode 646 is new",
                "PK-H015 (critical) etc/passwd: mode 646, owner 0 is new",
            ],
        ),
        (
            made().with("etc/shadow", mode(0o644), "root:*:1\n"),
            vec!["PK-H015 (critical) etc/shadow: mode 644, owner 0 is new"],
        ),
        (
            made().device("dev/sda", &NodeKind::BlockDevice { major: 8, minor: 0 }),
            vec!["PK-H016 (high) dev/sda: a block device 8:0 is new"],
        ),
        (made().device("dev/null", &NodeKind::CharDevice { major: 1, minor: 3 }), vec![]),
        (
            made().device("dev/null", &NodeKind::CharDevice { major: 1, minor: 1 }),
            vec!["PK-H016 (high) dev/null: a character device 1:1 is new"],
        ),
        (
            made().file("etc/passwd", format!("{root}toor:x:0:0::/:\n")),
            vec!["PK-H017 (high) toor: has the number 0 is new"],
        ),
    ] {
        let after = over(&plain(), layer);
        assert_eq!(new_weaknesses(&plain(), &after).await, faults);
        // The same weakness in the original is none of the patch's.
        let again = over(&after, Made::new().file("etc/other", "x"));
        assert_eq!(new_weaknesses(&after, &again).await, [""; 0]);
        assert_eq!(new_weaknesses(&after, &plain()).await, [""; 0]);
    }
}

#[tokio::test]
async fn secrets_are_found_in_every_layer_and_never_printed() {
    let plain = plain();
    for (file, content, fault) in [
        ("srv/tls.key", key(), "PK-H007 (critical) srv/tls.key: a private key"),
        ("srv/sa.json", key().replace('\n', "\\n"), "PK-H007 (critical) srv/sa.json: a private key"),
        ("srv/a", format!("x=ghp_{TOKEN}"), "PK-H008 (critical) srv/a: a token of GitHub"),
        ("srv/a", "id = AKIAQ7ZT2LWX5BVN4KCR".into(), "PK-H008 (critical) srv/a: an access key of AWS"),
        ("srv/a", format!("AWS_SECRET_ACCESS_KEY={TOKEN}Wk8+"), "PK-H008 (critical) srv/a: a secret access key of AWS"),
        ("srv/a", format!("glpat-{}", &TOKEN[..20]), "PK-H008 (critical) srv/a: a token of GitLab"),
        ("srv/a", format!("AIza{}", &TOKEN[..35]), "PK-H008 (critical) srv/a: an API key of Google"),
        ("srv/a", format!("npm_{TOKEN}"), "PK-H008 (critical) srv/a: a token of an npm registry"),
        ("srv/a", format!("pypi-AgE{TOKEN}{TOKEN}"), "PK-H008 (critical) srv/a: a token of PyPI"),
        ("srv/a", format!("xoxb-9876543210-{}", &TOKEN[..24]), "PK-H008 (critical) srv/a: a token of Slack"),
        ("srv/a", format!("sk_live_{}", &TOKEN[..24]), "PK-H008 (critical) srv/a: a live key of Stripe"),
        (
            "root/.netrc",
            "machine m login l password hunter2".into(),
            "PK-H008 (critical) root/.netrc: a login of a server",
        ),
        (
            "root/.docker/config.json",
            r#"{"auths":{"r":{"auth":"dTpodW50ZXIy"}}}"#.into(),
            "PK-H008 (critical) root/.docker/config.json: a login of a registry",
        ),
        ("srv/.npmrc", "//r/:_auth=aHVudGVyMg".into(), "PK-H008 (critical) srv/.npmrc: a login of an npm registry"),
        (
            "srv/.git-credentials",
            "https://u:hunter2@h".into(),
            "PK-H008 (critical) srv/.git-credentials: a login of a git",
        ),
        ("srv/.pgpass", "h:5432:db:u:hunter2\n".into(), "PK-H008 (critical) srv/.pgpass: a login of a database"),
        ("srv/.pypirc", "[pypi]\npassword = hunter2\n".into(), "PK-H008 (critical) srv/.pypirc: a login of a package"),
    ] {
        let after = over(&plain, Made::new().file(file, &content));
        let found = new_weaknesses(&plain, &after).await;
        assert!(
            found.len() == 1 && found[0].starts_with(fault) && found[0].ends_with("in layer 1 is new"),
            "{found:?}"
        );
        let deleted = over(&after, Made::new().gone(file));
        let found = verdict(Profile::default(), &plain, &deleted).await;
        assert!(!found.passes() && says(&found.reasons, "a later one takes it away"), "{:?}", found.reasons);
        let printed = format!("{found:?}");
        assert!(!printed.contains("hunter2") && !printed.contains(&TOKEN[..20]), "{printed}");
        // Taking it away is no new weakness, another secret in its place is.
        assert_eq!(new_weaknesses(&after, &deleted).await, [""; 0]);
    }
    let before = over(&plain, Made::new().file("srv/a", key()));
    // The same secret in another layer is none more.
    let moved = over(&over(&plain, Made::new().file("etc/x", "x")), Made::new().file("srv/a", key()));
    assert_eq!(new_weaknesses(&before, &moved).await, [""; 0]);
    let other = over(&plain, Made::new().file("srv/a", key().replace("q7Z", "Z7q")));
    assert_eq!(new_weaknesses(&before, &other).await.len(), 1);
}

#[tokio::test]
async fn what_everybody_has_is_no_secret() {
    let layer = Made::new()
        .file("etc/ssl/private/ssl-cert-snakeoil.key", key())
        .file("usr/lib/python3.11/test/keycert.pem", key())
        .file("usr/share/demo/server.key", key())
        .file("usr/share/openssl/ca.key", key())
        .file("var/lib/dpkg/info/openssl.list", "/.\n/usr\n/usr/share/openssl\n/usr/share/openssl/ca.key\n")
        .file("usr/lib/libx.so", format!("\x7fELF\0{}", key()))
        .file("srv/doc", "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx AKIAIOSFODNN7EXAMPLE -----BEGIN PRIVATE KEY-----\n")
        .file("srv/code.py", "HEADER = '-----BEGIN RSA PRIVATE KEY-----'\nx = 1\n");
    assert_eq!(new_weaknesses(&plain(), &over(&plain(), layer)).await, [""; 0]);
    // A package's file below etc may have been filled in.
    let filled = Made::new().file("etc/x.key", key()).file("var/lib/dpkg/info/x.list", "/etc/x.key\n");
    assert_eq!(new_weaknesses(&plain(), &over(&plain(), filled)).await.len(), 1);
}

#[tokio::test]
async fn the_configuration_counts() {
    let before = plain();
    let env = |variable: &str| json!({"Env": ["PATH=/usr/local/bin:/usr/bin", "MODE=fast", variable]});
    for (variable, is_secret) in [
        ("DB_PASSWORD=hunter2", true),
        ("URL=postgres://app:hunter2@db/x", true),
        (&*format!("X=ghp_{TOKEN}"), true),
        ("DB_PASSWORD_FILE=/run/secrets/db", false),
        ("DB_PASSWORD=/run/secrets/db", false),
        ("TOKENIZERS_PARALLELISM=false", false),
        ("GPG_KEY=A035C8C19219BA821ECEA86B64E628F8D684696D", false),
        ("URL=https://example.org/a@b", false),
    ] {
        let found = new_weaknesses(&before, &with_config(&before, env(variable))).await;
        assert_eq!(found.len(), usize::from(is_secret), "{variable}: {found:?}");
        assert!(found.iter().all(|fault| fault.starts_with("PK-H009 (high) config Env")), "{found:?}");
    }
    for user in ["", "0", "root:app", "0:0"] {
        let found = new_weaknesses(&before, &with_config(&before, json!({"User": user}))).await;
        assert_eq!(found, [format!("PK-H006 (medium) config User: {user:?} is root is new")]);
    }
    let layer = Made::new().file("etc/x", "x").finish();
    let told = before.edit().append(layer, "RUN |1 DB_PASSWORD=hunter2 /bin/sh -c make").finish().unwrap();
    let found = new_weaknesses(&before, &told).await;
    assert_eq!(found, ["PK-H009 (high) config history 1 DB_PASSWORD: a value under a secret's name is new"]);
}

#[tokio::test]
async fn a_profile_can_require_except_and_ignore() {
    let weak = over(&plain(), Made::new().with("usr/bin/su", mode(0o4755), "x").with("etc/x", mode(0o666), "x"));
    let fine = |profile| async { verdict(profile, &weak, &weak).await };
    assert!(fine(Profile::default()).await.passes());
    let found = fine(Profile::default().requiring([Check::Setuid])).await;
    assert_eq!(faults(&found.reasons), [Check::Setuid.reason()]);
    assert!(fine(Profile::default().requiring([Check::Device])).await.passes());
    assert_eq!(faults(&fine(Profile::default().requiring_from(Severity::Medium)).await.reasons).len(), 2);
    let except = |expires: &str, pattern: &str| {
        let exception = Exception {
            pattern: pattern.into(),
            owner: "ana".into(),
            reason: "needed to log in".into(),
            expires: expires.parse().unwrap(),
        };
        Profile::default().requiring([Check::Setuid]).excepting(Check::Setuid, exception)
    };
    let found = fine(except("2999-01-01", "usr/bin/s?")).await;
    assert!(found.passes() && says(&found.reasons, "accepted by ana"), "{:?}", found.reasons);
    assert_eq!(found.counts_until(), Some("2999-01-02T00:00:00Z".parse().unwrap()));
    assert!(!fine(except("2999-01-01", "usr/sbin/*")).await.passes());
    let found = fine(except("2020-01-01", "*")).await;
    assert!(!found.passes() && says(&found.reasons, "its exception has expired"), "{:?}", found.reasons);
    let ignoring = Profile::default().ignoring([Check::Setuid, Check::WorldWritableFile]);
    let found = verdict(ignoring, &plain(), &weak).await;
    assert!(found.passes() && says(&found.reasons, "not checked"), "{:?}", found.reasons);
}

#[tokio::test]
async fn a_new_port_is_a_weakness() {
    let image = plain();
    let patched = patched(&image, &image).await;
    let table = |lines: &[&str]| {
        let lines: String = lines.iter().map(|at| format!("  0: {at} 00000000:0000 0A 0\n")).collect();
        Listening::parse(format!("  sl local_address rem_address st\n{lines}").as_bytes(), b"").unwrap()
    };
    let loopback = format!("{:08X}:0050", u32::from_ne_bytes([127, 0, 0, 1]));
    for (before, after, passes) in [
        (table(&["00000000:0050"]), table(&["00000000:0050"]), true),
        (table(&["00000000:0050"]), table(&[]), true),
        (table(&["00000000:0050"]), table(&["00000000:0050", "00000000:1F90"]), false),
        (table(&[&loopback]), table(&["00000000:0050"]), false),
    ] {
        let hardening = Hardening::default().with_listening(before, after);
        let verdict = hardening.verify(&patched, &Context::new()).await.unwrap();
        assert_eq!(verdict.passes(), passes, "{:?}", verdict.reasons);
    }
}

/// Distributions ship test keys, setuid programs and password files: what is found must be what is there.
#[tokio::test]
async fn real_images() {
    let names = ["images/debian-12.15-distroless", "images/alpine-minirootfs/alpine-minirootfs-3.20.3-x86_64.tar.gz"];
    let [Some(debian), Some(alpine_archive)] = names.map(shared_data) else { return };
    let list = |image: Image| async move {
        let found = inspect(&image, &Context::new()).await.unwrap();
        found.weaknesses.iter().map(|weakness| format!("{} {}", weakness.check, weakness.subject)).collect::<Vec<_>>()
    };
    assert_eq!(list(alpine(&alpine_archive)).await, ["PK-H006 config User"]);
    assert_eq!(list(layout_image(&debian).await).await, ["PK-H006 config User"]);
}
