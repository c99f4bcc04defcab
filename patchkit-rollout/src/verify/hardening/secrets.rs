//! Secrets in texts and layers.

use std::{collections::BTreeMap, io::Read, ops::Range, sync::LazyLock};

use patchkit_core::{
    Context, Digest, Image, Result,
    image::{Entry, FilePath, LayerVisitor},
};
use regex::bytes::{Regex, RegexSet};
use serde::{Deserialize, Serialize};

use super::{Check, System, Weakness};

/// The largest file that is searched: 1 MiB. What holds a secret is a text, and short.
const MAX_SEARCHED: u64 = 1 << 20;
/// The most secrets that are named of one file.
const MAX_FOUND: usize = 100;
/// The least entropy of a token, in bits a character: below are examples such as `ghp_xxxx…`.
const MIN_ENTROPY: f64 = 3.0;
/// The least entropy of what has no shape but its length.
const MIN_ENTROPY_SHAPELESS: f64 = 4.0;

/// What a secret looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecretKind {
    /// An id of an access key of AWS.
    AwsAccessKey,
    /// A secret access key of AWS.
    AwsSecretKey,
    /// A token of GitHub.
    GithubToken,
    /// A token of GitLab.
    GitlabToken,
    /// An API key of Google.
    GoogleKey,
    /// A token of a registry of npm packages.
    NpmToken,
    /// A private key (PEM, RFC 7468; OpenSSH; OpenPGP).
    PrivateKey,
    /// A token of PyPI.
    PypiToken,
    /// A token of Slack.
    SlackToken,
    /// A live key of Stripe.
    StripeKey,
}

impl SecretKind {
    /// In words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AwsAccessKey => "an access key of AWS",
            Self::AwsSecretKey => "a secret access key of AWS",
            Self::GithubToken => "a token of GitHub",
            Self::GitlabToken => "a token of GitLab",
            Self::GoogleKey => "an API key of Google",
            Self::NpmToken => "a token of an npm registry",
            Self::PrivateKey => "a private key",
            Self::PypiToken => "a token of PyPI",
            Self::SlackToken => "a token of Slack",
            Self::StripeKey => "a live key of Stripe",
        }
    }
}

/// A secret in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    /// What it looks like.
    pub kind: SecretKind,
    /// Where it is, in bytes.
    pub range: Range<usize>,
}

/// The shapes, and whether the length is all there is to them. The secret is the group, or all of it.
const SHAPES: [(SecretKind, bool, &str); 11] = [
    (SecretKind::AwsAccessKey, false, r"\b(?:AKIA|ASIA)[A-Z2-7]{16}\b"),
    (
        SecretKind::AwsSecretKey,
        true,
        r#"(?i:aws_?secret_?access_?key)["']?\s*[:=]\s*["']?([A-Za-z0-9/+]{40})(?:[^A-Za-z0-9/+]|$)"#,
    ),
    (SecretKind::GithubToken, false, r"\bgh[pousr]_[A-Za-z0-9]{36,255}\b"),
    (SecretKind::GithubToken, false, r"\bgithub_pat_[A-Za-z0-9_]{82}\b"),
    (SecretKind::GitlabToken, false, r"\bglpat-[A-Za-z0-9_-]{20,}"),
    (SecretKind::GoogleKey, false, r"\bAIza[0-9A-Za-z_-]{35}"),
    (SecretKind::NpmToken, false, r"\bnpm_[A-Za-z0-9]{36}\b|_authToken\s*=\s*([A-Za-z0-9_+/=-]{16,})"),
    (
        SecretKind::PrivateKey,
        false,
        r"-----BEGIN (?:(?:RSA|EC|DSA|OPENSSH|ENCRYPTED) PRIVATE KEY|PRIVATE KEY|PGP PRIVATE KEY BLOCK)-----(?:\\[nr]|\s|[A-Za-z-]{4,12}: [^\n]{0,80}\n){1,12}([A-Za-z0-9+/]{40,})",
    ),
    (SecretKind::PypiToken, false, r"\bpypi-AgE[A-Za-z0-9_-]{50,}"),
    (SecretKind::SlackToken, false, r"\bxox[abprs]-[0-9]{6,}-[0-9A-Za-z-]{16,}"),
    (SecretKind::StripeKey, false, r"\b[rs]k_live_[0-9A-Za-z]{24,}"),
];

static ANY: LazyLock<RegexSet> = LazyLock::new(|| {
    RegexSet::new(SHAPES.iter().map(|(_, _, shape)| format!("(?-u){shape}"))).expect("the shapes are well-formed")
});

static EACH: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let shapes = SHAPES.iter().map(|(_, _, shape)| Regex::new(&format!("(?-u){shape}")));
    shapes.collect::<std::result::Result<_, _>>().expect("the shapes are well-formed")
});

/// Finds the secrets of a text by their shapes, sorted by place; at most 100.
///
/// A shape counts where it looks drawn by chance: examples from manuals and rows of one letter do not.
#[must_use]
pub fn scan(text: &[u8]) -> Vec<Secret> {
    let mut found = Vec::new();
    for place in ANY.matches(text) {
        let (kind, shapeless, _) = SHAPES[place];
        for groups in EACH[place].captures_iter(text).take(MAX_FOUND) {
            let Some(secret) = groups.iter().skip(1).flatten().next().or_else(|| groups.get(0)) else { continue };
            let least = if shapeless { MIN_ENTROPY_SHAPELESS } else { MIN_ENTROPY };
            if entropy(secret.as_bytes()) >= least && !is_example(secret.as_bytes()) {
                found.push(Secret { kind, range: secret.range() });
            }
        }
    }
    found.sort_by_key(|secret| (secret.range.start, secret.range.end, secret.kind));
    found.dedup();
    found.truncate(MAX_FOUND);
    found
}

fn is_example(secret: &[u8]) -> bool {
    let secret = String::from_utf8_lossy(secret).to_uppercase();
    ["EXAMPLE", "XXXXX", "12345678", "ABCDEFGH"].iter().any(|word| secret.contains(word))
}

/// Shannon's entropy of the bytes, in bits a byte.
fn entropy(bytes: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    bytes.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
    let shares = counts.iter().filter(|count| **count > 0).map(|count| f64::from(*count) / bytes.len() as f64);
    -shares.map(|share| share * share.log2()).sum::<f64>()
}

/// What is secret about a variable, by its name and value.
pub(super) fn variable(name: &str, value: &str) -> Option<String> {
    const NAMES: [&str; 10] = [
        "ACCESS_KEY",
        "API_KEY",
        "APIKEY",
        "CREDENTIAL",
        "PASSPHRASE",
        "PASSWD",
        "PASSWORD",
        "PRIVATE_KEY",
        "SECRET",
        "TOKEN",
    ];
    if let Some(secret) = scan(value.as_bytes()).first() {
        return Some(secret.kind.as_str().into());
    }
    if has_password(value) {
        return Some("an address with a password".into());
    }
    let name = name.to_uppercase();
    let names_one = NAMES.iter().any(|word| name.contains(word));
    let is_about =
        ["_FILE", "_PATH", "_DIR", "_URL", "_NAME", "_ID", "_TTL", "_LENGTH"].iter().any(|end| name.ends_with(end));
    let value = value.trim_matches(['"', '\'']);
    let is_no_value = value.len() < 4
        || value.starts_with(['/', '$', '<', '{', '%', '*'])
        || ["true", "false", "none", "null", "disabled", "enabled"].contains(&&*value.to_lowercase());
    (names_one && !is_about && !is_no_value).then(|| "a value under a secret's name".into())
}

/// Whether an address names a user with a password: `scheme://user:password@host`.
fn has_password(value: &str) -> bool {
    let Some((_, rest)) = value.split_once("://") else { return false };
    let authority = rest.split(['/', '?', '#', ' ']).next().unwrap_or_default();
    let password = authority.rsplit_once('@').and_then(|(user, _)| user.split_once(':')).map(|(_, password)| password);
    password.is_some_and(|password| !password.is_empty() && !password.starts_with(['$', '<', '{', '*']))
}

/// Files that are credentials by their name, and the line that makes one of them.
const CREDENTIAL_FILES: [(&str, &str, &str); 9] = [
    (".aws/credentials", "a credential of AWS", r"aws_secret_access_key\s*=\s*(\S{8,})"),
    (".docker/config.json", "a login of a registry", r#""(?:auth|identitytoken|password)"\s*:\s*"([^"]{4,})""#),
    (".dockercfg", "a login of a registry", r#""(?:auth|password)"\s*:\s*"([^"]{4,})""#),
    (".git-credentials", "a login of a git server", r"://[^/\s:@]+:([^/\s@]+)@"),
    (".netrc", "a login of a server", r"\bpassword\s+(\S+)"),
    (".npmrc", "a login of an npm registry", r"_(?:auth|authToken|password)\s*=\s*([^\s$]{4,})"),
    (".pgpass", "a login of a database", r"(?m)^[^#\s][^\n]*:[^:\n]*:([^:\n]+)$"),
    (".pypirc", "a login of a package index", r"(?m)^\s*password\s*[:=]\s*(\S+)"),
    ("pip.conf", "a login of a package index", r"://[^/\s:@]+:([^/\s@$]+)@"),
];

static CREDENTIALS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let lines = CREDENTIAL_FILES.iter().map(|(_, _, line)| Regex::new(&format!("(?-u){line}")));
    lines.collect::<std::result::Result<_, _>>().expect("the lines are well-formed")
});

/// The secrets in the layers of an image, also of files that a later layer takes away.
///
/// Files of more than 1 MiB and those that are no text are not searched, nor what packages ship outside `etc`: keys for
/// tests and examples, which everybody has anyway.
pub(super) async fn weaknesses(image: &Image, system: &System, cx: &Context) -> Result<Vec<Weakness>> {
    let mut found = Vec::new();
    for (place, layer) in image.layers().iter().enumerate() {
        let search = layer.visit(Search::default(), cx).await?;
        for (path, secrets) in search.found.into_iter().filter(|(path, _)| !is_published(path, system)) {
            let here = system.tree.resolve_parent(&path).and_then(|real| system.tree.get(&real));
            let gone = here.is_none_or(|node| node.layer != place);
            let end = if gone { ", a later one takes it away, but it can still be had" } else { "" };
            for (check, detail, secret) in secrets {
                let weakness = Weakness::new(check, path.to_string(), detail).of_secret(&secret);
                found.push(weakness.noting(format!("in layer {place}{end}")));
            }
        }
    }
    Ok(found)
}

/// Whether everybody has this file anyway.
fn is_published(path: &FilePath, system: &System) -> bool {
    const TESTS: [&str; 7] = ["demo", "doc", "examples", "test", "test-data", "testdata", "tests"];
    let Some(text) = path.to_str() else { return false };
    let real = system.tree.resolve_parent(path).unwrap_or_else(|| path.clone());
    let is_shipped = system.owners.owner(&real).is_some() && !text.starts_with("etc/");
    let folders = || text.split('/');
    let is_system = text.starts_with("usr/")
        || folders().any(|name| ["site-packages", "node_modules", "dist-packages"].contains(&name));
    let is_test = is_system && folders().any(|name| TESTS.contains(&name));
    is_shipped || is_test || text.ends_with("/ssl-cert-snakeoil.key")
}

/// What a search finds in one file.
type Found = Vec<(Check, &'static str, Vec<u8>)>;

#[derive(Default)]
struct Search {
    found: BTreeMap<FilePath, Found>,
}

impl LayerVisitor for Search {
    fn entry(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<()> {
        if !(1..=MAX_SEARCHED).contains(&entry.size()) {
            return Ok(());
        }
        let content = entry.read(content)?;
        // Texts have no NUL byte.
        if content[..content.len().min(1024)].contains(&0) {
            return Ok(());
        }
        let found = search(&entry.path, &content);
        if !found.is_empty() {
            self.found.insert(entry.path.clone(), found);
        }
        Ok(())
    }
}

fn search(path: &FilePath, content: &[u8]) -> Found {
    let mut found: BTreeMap<(Check, &'static str, Digest), Vec<u8>> = BTreeMap::new();
    let mut add = |check, detail, secret: &[u8]| found.insert((check, detail, Digest::of(secret)), secret.to_vec());
    for secret in scan(content) {
        let check = if secret.kind == SecretKind::PrivateKey { Check::PrivateKey } else { Check::Credential };
        add(check, secret.kind.as_str(), &content[secret.range]);
    }
    let name = format!("/{path}");
    for ((end, detail, _), line) in CREDENTIAL_FILES.iter().zip(&*CREDENTIALS) {
        if name.strip_suffix(end).is_some_and(|before| before.ends_with('/')) {
            let secrets = line.captures_iter(content).take(MAX_FOUND).filter_map(|groups| groups.get(1));
            secrets.for_each(|secret| drop(add(Check::Credential, detail, secret.as_bytes())));
        }
    }
    found.into_iter().map(|((check, detail, _), secret)| (check, detail, secret)).collect()
}
