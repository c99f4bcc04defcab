//! Package URLs: the identity of a package across ecosystems (the purl specification, ECMA-427).

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A package URL in its canonical form: `pkg:deb/debian/openssl@1.1.1w-0%2Bdeb11u1?arch=amd64`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Purl(String);

impl Purl {
    /// The canonical text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Purl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Purl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl From<Purl> for String {
    fn from(purl: Purl) -> Self {
        purl.0
    }
}

impl TryFrom<String> for Purl {
    type Error = ParsePurlError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// Why a text is no [`Purl`].
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("package URL {text:?}: {reason}")]
pub struct ParsePurlError {
    text: String,
    reason: &'static str,
}

/// The parts of a [`Purl`], unescaped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PurlParts {
    /// The type: `deb`.
    pub kind: String,
    /// The namespace: `debian`, with `/` between segments; empty for none.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// The version; empty for none.
    pub version: String,
    /// The qualifiers.
    pub qualifiers: BTreeMap<String, String>,
    /// The subpath; empty for none.
    pub subpath: String,
}

impl PurlParts {
    /// The package URL of these parts, in canonical form.
    ///
    /// # Errors
    /// [`ParsePurlError`] where type or name are empty, or the type or a qualifier's key has a character it may not.
    pub fn build(&self) -> Result<Purl, ParsePurlError> {
        let fail = |reason| ParsePurlError { text: format!("{self:?}"), reason };
        let kind = self.kind.to_ascii_lowercase();
        if !is_key(&kind) {
            return Err(fail("the type must be letters, digits, . and -, starting with a letter"));
        }
        let name = self.name.trim_matches('/');
        if name.is_empty() {
            return Err(fail("the name is missing"));
        }
        let mut text = format!("pkg:{kind}/");
        for segment in segments(&self.namespace) {
            text.push_str(&encode(segment));
            text.push('/');
        }
        text.push_str(&encode(name));
        if !self.version.is_empty() {
            text.push('@');
            text.push_str(&encode(&self.version));
        }
        let mut joint = '?';
        for (key, value) in self.qualifiers.iter().filter(|(_, value)| !value.is_empty()) {
            if !is_key(key) {
                return Err(fail("a qualifier's key must be letters, digits, . _ and -"));
            }
            text.push_str(&format!("{joint}{}={}", key.to_ascii_lowercase(), encode(value)));
            joint = '&';
        }
        let subpath: Vec<_> = segments(&self.subpath).filter(|s| !matches!(*s, "." | "..")).map(encode).collect();
        if !subpath.is_empty() {
            text.push('#');
            text.push_str(&subpath.join("/"));
        }
        Ok(Purl(text))
    }
}

impl Purl {
    /// The parts, unescaped.
    #[must_use]
    pub fn parts(&self) -> PurlParts {
        split(&self.0).expect("it was parsed before")
    }
}

impl FromStr for Purl {
    type Err = ParsePurlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fail = |reason| ParsePurlError { text: text.into(), reason };
        let parts = split(text).map_err(fail)?;
        parts.build().map_err(|error| fail(error.reason))
    }
}

fn split(text: &str) -> Result<PurlParts, &'static str> {
    let (rest, subpath) = text.split_once('#').unwrap_or((text, ""));
    let (rest, qualifiers) = rest.split_once('?').unwrap_or((rest, ""));
    let rest = rest.strip_prefix("pkg:").ok_or("it must start with pkg:")?.trim_start_matches('/');
    let (kind, rest) = rest.split_once('/').ok_or("type and name are missing")?;
    let rest = rest.trim_end_matches('/');
    // An @ in a namespace is escaped, so the last one after the last slash starts the version.
    let cut = rest.rfind('/').map_or(0, |slash| slash + 1);
    let (name, version) =
        rest[cut..].rsplit_once('@').filter(|(name, _)| !name.is_empty()).unwrap_or((&rest[cut..], ""));
    let mut parts = PurlParts { kind: kind.to_ascii_lowercase(), ..PurlParts::default() };
    let joined = |text: &str| segments(text).map(decode).collect::<Result<Vec<_>, _>>().map(|all| all.join("/"));
    parts.namespace = joined(&rest[..cut])?;
    parts.name = decode(name)?;
    parts.version = decode(version)?;
    parts.subpath = joined(subpath)?;
    for pair in qualifiers.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').ok_or("a qualifier has no =")?;
        if parts.qualifiers.insert(key.to_ascii_lowercase(), decode(value)?).is_some() {
            return Err("a qualifier stands twice");
        }
    }
    Ok(parts)
}

fn segments(text: &str) -> impl Iterator<Item = &str> {
    text.split('/').filter(|segment| !segment.is_empty())
}

fn is_key(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b))
}

/// Percent-encodes everything but unreserved characters and the colon, as the specification asks.
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'~' | b':' => encoded.push(byte.into()),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

fn decode(text: &str) -> Result<String, &'static str> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte == b'%' {
            let pair = rest.get(..2).ok_or("a % is not followed by two digits")?;
            bytes.extend(hex::decode(pair).map_err(|_| "a % is not followed by two digits")?);
            rest = &rest[2..];
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8 when unescaped")
}
