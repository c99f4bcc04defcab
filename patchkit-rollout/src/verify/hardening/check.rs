use std::{fmt, str::FromStr};

use patchkit_core::{Digest, Severity};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A weakness of an image.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Weakness {
    /// The check that found it.
    pub check: Check,
    /// How bad it is.
    pub severity: Severity,
    /// What has it: a path, an account, a variable.
    pub subject: String,
    /// What was found, in words, without any secret.
    pub detail: String,
    /// What else there is to say; it is the same weakness whatever this says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// What tells it from another of the same words: the digest of a secret.
    #[serde(skip)]
    pub(super) identity: Option<[u8; 32]>,
}

impl Weakness {
    pub(super) fn new(check: Check, subject: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            check,
            severity: check.severity(),
            subject: subject.into(),
            detail: detail.into(),
            note: None,
            identity: None,
        }
    }

    pub(super) fn noting(self, note: impl Into<String>) -> Self {
        Self { note: Some(note.into()), ..self }
    }

    /// What makes two weaknesses the same.
    pub(super) fn key(&self) -> (Check, &str, &str, Option<[u8; 32]>) {
        (self.check, &self.subject, &self.detail, self.identity)
    }

    /// The same, of a secret that is never printed.
    pub(super) fn of_secret(self, secret: &[u8]) -> Self {
        let mut identity = [0; 32];
        for (byte, pair) in identity.iter_mut().zip(Digest::of(secret).hex().as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(pair).expect("hexadecimal digits are ASCII");
            *byte = u8::from_str_radix(pair, 16).expect("a digest is hexadecimal");
        }
        Self { identity: Some(identity), ..self }
    }
}

impl fmt::Display for Weakness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { check, severity, subject, detail, note, identity: _ } = self;
        write!(f, "{check} ({severity}) {subject}: {detail}")?;
        note.as_ref().map_or(Ok(()), |note| write!(f, "; {note}"))
    }
}

macro_rules! checks {
    ($($(#[$doc:meta])* $name:ident $id:literal $severity:ident $title:literal $reason:literal;)*) => {
        /// A check, by what it finds. Its id, such as `PK-H001`, never changes its meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(into = "String", try_from = "String")]
        pub enum Check {
            $($(#[$doc])* $name,)*
        }

        impl Check {
            /// All of them, by their ids.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Its id.
            #[must_use]
            pub fn id(self) -> &'static str {
                match self { $(Self::$name => $id,)* }
            }

            /// What it finds, in a few words.
            #[must_use]
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }

            /// Why that matters.
            #[must_use]
            pub fn reason(self) -> &'static str {
                match self { $(Self::$name => $reason,)* }
            }

            /// How bad it is.
            #[must_use]
            pub fn severity(self) -> Severity {
                match self { $(Self::$name => Severity::$severity,)* }
            }
        }
    };
}

checks! {
    /// A file that runs as its owner or group.
    Setuid "PK-H001" High "setuid or setgid file" "Whoever runs it has its owner's rights, and so has whoever finds a fault in it.";
    /// A file with capabilities (`capabilities(7)`).
    FileCapability "PK-H002" High "file capability" "Whoever runs it has a part of root's rights.";
    /// A file that everybody can write.
    WorldWritableFile "PK-H003" Medium "world-writable file" "Every process can change what others read or run.";
    /// A folder in which everybody can replace what others put there.
    WorldWritableFolder "PK-H004" Medium "world-writable folder without sticky bit" "Every process can replace what others put there.";
    /// A file whose owner or group has no name.
    Unowned "PK-H005" Low "file without owner" "Whoever gets that number next owns it.";
    /// A container starts as root.
    RootUser "PK-H006" Medium "starts as root" "What takes over the process has every right in the container, and is a step from the host.";
    /// A private key in some layer.
    PrivateKey "PK-H007" Critical "private key in a layer" "Whoever has the image has the key, also when a later layer removes it.";
    /// A credential in some layer.
    Credential "PK-H008" Critical "credential in a layer" "Whoever has the image has the credential, also when a later layer removes it.";
    /// A secret in the configuration.
    ConfigSecret "PK-H009" High "secret in the configuration" "Environment and history can be read without running the image.";
    /// What a package manager left.
    PackageCache "PK-H010" Low "package manager's cache" "It is of no use in an image, and tells what to attack.";
    /// An account that asks for no password.
    EmptyPassword "PK-H011" Critical "empty password" "Whoever reaches a login is in.";
    /// An account with a password that every copy of the image has.
    BuiltInPassword "PK-H012" High "password built in" "Every copy of the image has the same, and its hash can be tried at leisure.";
    /// A login of SSH that every copy of the image has.
    SshAccess "PK-H013" High "SSH key or access built in" "Every copy of the image has the same host key, or lets the same people in.";
    /// An SSH server that lets root in by password, or anybody by an empty one.
    SshRootLogin "PK-H014" High "SSH lets root in" "A guessed password is the whole container.";
    /// An account file that others can write, or a shadow file that others can read.
    AccountFile "PK-H015" Critical "account file is open" "Every process can make itself root, or try the passwords.";
    /// A device that is more than the few that every container has.
    Device "PK-H016" High "device node" "It may reach a disk or the memory of the host.";
    /// An account with root's number that is not root.
    SecondRoot "PK-H017" High "second root account" "It has every right, and nobody watches it.";
    /// A port that is listened on.
    ListeningPort "PK-H018" Medium "listening port" "What listens can be talked to.";
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.id())
    }
}

impl From<Check> for String {
    fn from(check: Check) -> Self {
        check.id().into()
    }
}

/// A text that is no id of a [`Check`].
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("check {0:?}: expected an id from PK-H001 to PK-H018")]
pub struct ParseCheckError(String);

impl FromStr for Check {
    type Err = ParseCheckError;

    fn from_str(id: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.iter().find(|check| check.id() == id);
        found.copied().ok_or_else(|| ParseCheckError(id.into()))
    }
}

impl TryFrom<String> for Check {
    type Error = ParseCheckError;

    fn try_from(id: String) -> Result<Self, Self::Error> {
        id.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_in_order_and_parse() {
        for (place, check) in Check::ALL.iter().enumerate() {
            assert_eq!(check.id(), format!("PK-H{:03}", place + 1));
            assert_eq!(check.id().parse(), Ok(*check));
        }
        assert!("PK-H999".parse::<Check>().is_err());
        assert!(ParseCheckError("x".into()).to_string().ends_with(Check::ALL.last().unwrap().id()));
    }
}
