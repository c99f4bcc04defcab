//! The settings that both kinds of sources file share.

use super::SourcesErrorKind;

/// Settings of a source. The default is what apt does without any.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SourceOptions {
    /// Whether indexes are fetched by their hash rather than by name.
    pub by_hash: ByHash,
    /// `check-date`: whether a `Release` file from the future is refused; unset means yes.
    pub check_date: Option<bool>,
    /// `check-valid-until`: whether an expired `Release` file is refused; unset means yes.
    pub check_valid_until: Option<bool>,
    /// By whom the repository must be signed; unset means by any key that is trusted in general.
    pub signed_by: Option<SignedBy>,
    /// `trusted`: `yes` takes the repository unsigned, `no` refuses it signed.
    pub trusted: Option<bool>,
    architectures: Option<Vec<String>>,
    added: Vec<String>,
    removed: Vec<String>,
}

/// Whether indexes are fetched from `by-hash/` folders, where an update of the archive cannot pull them away.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ByHash {
    /// Where the `Release` file says so.
    #[default]
    Auto,
    /// Whatever the `Release` file says.
    Force,
    /// Never.
    No,
}

/// The keys that a source restricts itself to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SignedBy {
    /// A key in ASCII armour, in the file itself.
    Block(String),
    /// Absolute paths of keyrings in the image, and fingerprints of generally trusted keys.
    Keys {
        /// Keyring files.
        files: Vec<String>,
        /// Fingerprints, upper-case hexadecimal.
        fingerprints: Vec<String>,
    },
}

impl SourceOptions {
    /// Whether the source is used for an architecture. One without an `arch` option is used for all.
    pub(super) fn offers(&self, architecture: &str) -> bool {
        let names = |list: &[String]| list.iter().any(|name| name == architecture);
        let listed = self.architectures.as_deref().is_none_or(names) || names(&self.added);
        listed && !names(&self.removed)
    }

    /// Takes in one option under its one-line name; options that concern nothing we fetch are passed over.
    pub(super) fn set(&mut self, name: &str, value: &str) -> Result<(), SourcesErrorKind> {
        match name {
            "arch" => self.architectures = Some(list(value)),
            "arch+" => self.added.extend(list(value)),
            "arch-" => self.removed.extend(list(value)),
            "by-hash" => self.by_hash = by_hash(value)?,
            "check-date" => self.check_date = Some(switch(name, value)?),
            "check-valid-until" => self.check_valid_until = Some(switch(name, value)?),
            "signed-by" => self.signed_by = Some(signed_by(value)?),
            "trusted" => self.trusted = Some(switch(name, value)?),
            _ => tracing::debug!(name, value, "passed over an option of a source"),
        }
        Ok(())
    }
}

fn by_hash(value: &str) -> Result<ByHash, SourcesErrorKind> {
    match value {
        "force" => Ok(ByHash::Force),
        _ if switch("by-hash", value)? => Ok(ByHash::Auto),
        _ => Ok(ByHash::No),
    }
}

/// The words that apt takes for yes and no (`StringToBool`).
fn switch(name: &str, value: &str) -> Result<bool, SourcesErrorKind> {
    match value.to_ascii_lowercase().as_str() {
        "yes" | "true" | "with" | "on" | "enable" | "1" => Ok(true),
        "no" | "false" | "without" | "off" | "disable" | "0" => Ok(false),
        _ => Err(SourcesErrorKind::Option { name: name.to_owned(), value: value.to_owned(), expected: "yes or no" }),
    }
}

fn signed_by(value: &str) -> Result<SignedBy, SourcesErrorKind> {
    if value.contains("-----BEGIN") {
        return Ok(SignedBy::Block(unfold(value)));
    }
    let (mut files, mut fingerprints) = (Vec::new(), Vec::new());
    for word in list(value) {
        let key = word.trim_end_matches('!');
        if word.starts_with('/') {
            files.push(word);
        } else if key.len() >= 40 && key.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            fingerprints.push(key.to_ascii_uppercase());
        } else {
            return Err(SourcesErrorKind::Option {
                name: "signed-by".to_owned(),
                value: word,
                expected: "an absolute path, a whole fingerprint or a key block",
            });
        }
    }
    if files.is_empty() && fingerprints.is_empty() {
        return Err(SourcesErrorKind::Missing("the key of signed-by"));
    }
    Ok(SignedBy::Keys { files, fingerprints })
}

/// A multi-line value as text: each line without its indent, a single dot standing for an empty line (deb822(5)).
fn unfold(value: &str) -> String {
    let lines = value.trim_start().lines().map(|line| match line.trim() {
        "." => "",
        line => line,
    });
    lines.fold(String::new(), |text, line| text + line + "\n")
}

fn list(value: &str) -> Vec<String> {
    value.split([',', ' ', '\t', '\n']).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}
