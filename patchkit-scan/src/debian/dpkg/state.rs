//! The three words of the `Status` field, and `Multi-Arch`.

use std::fmt;
use std::str::FromStr;

/// The `Status` field: what is wanted, whether something went wrong, what is the case.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Status {
    /// What the administrator wants.
    pub want: Want,
    /// Whether the package must be installed again.
    pub flag: ErrorFlag,
    /// What is the case.
    pub state: PackageState,
}

/// What the administrator wants of a package.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Want {
    /// Removed, its configuration kept.
    Deinstall,
    /// Left as it is, never upgraded.
    Hold,
    /// Installed.
    Install,
    /// Removed with its configuration.
    Purge,
    /// Nothing was said.
    Unknown,
}

/// Whether a package is broken.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ErrorFlag {
    /// It is not.
    Ok,
    /// It is, and must be installed again.
    ReinstallRequired,
}

/// How far the installation of a package has come.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum PackageState {
    /// Removed; its configuration is still there.
    ConfigFiles,
    /// Being configured when something failed.
    HalfConfigured,
    /// Being unpacked or removed when something failed.
    HalfInstalled,
    /// Whole.
    Installed,
    /// Not there.
    NotInstalled,
    /// Configured, but waits for another package's trigger to be processed.
    TriggersAwaited,
    /// Configured, but has triggers to process.
    TriggersPending,
    /// Unpacked, not configured.
    Unpacked,
}

impl Status {
    /// `install ok installed`.
    pub const INSTALLED: Self = Self { want: Want::Install, flag: ErrorFlag::Ok, state: PackageState::Installed };

    /// Whether files of the package are there.
    #[must_use]
    pub fn is_present(self) -> bool {
        !matches!(self.state, PackageState::ConfigFiles | PackageState::NotInstalled)
    }
}

/// The text is not three words that dpkg knows.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not three words of a package's status")]
pub struct StatusError;

impl FromStr for Status {
    type Err = StatusError;

    fn from_str(text: &str) -> Result<Self, StatusError> {
        let words: Vec<String> = text.split_ascii_whitespace().map(str::to_ascii_lowercase).collect();
        let [want, flag, state] = &words[..] else {
            return Err(StatusError);
        };
        let found = (Want::from_word(want), ErrorFlag::from_word(flag), PackageState::from_word(state));
        let (Some(want), Some(flag), Some(state)) = found else {
            return Err(StatusError);
        };
        Ok(Self { want, flag, state })
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.want.as_str(), self.flag.as_str(), self.state.as_str())
    }
}

/// Writes `as_str` and its inverse for an enum whose every variant is one word of dpkg's.
macro_rules! words {
    ($kind:ident: $($variant:ident = $word:literal),+ $(,)?) => {
        impl $kind {
            /// The word as dpkg writes it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            pub(super) fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

words!(Want: Deinstall = "deinstall", Hold = "hold", Install = "install", Purge = "purge", Unknown = "unknown");
words!(ErrorFlag: Ok = "ok", ReinstallRequired = "reinstreq");
words!(PackageState:
    ConfigFiles = "config-files",
    HalfConfigured = "half-configured",
    HalfInstalled = "half-installed",
    Installed = "installed",
    NotInstalled = "not-installed",
    TriggersAwaited = "triggers-awaited",
    TriggersPending = "triggers-pending",
    Unpacked = "unpacked",
);
words!(MultiArch: Allowed = "allowed", Foreign = "foreign", No = "no", Same = "same");

/// The `Multi-Arch` field: how a package serves those of other architectures.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum MultiArch {
    /// Both ways, as the dependency asks.
    Allowed,
    /// It satisfies dependencies of any architecture.
    Foreign,
    /// It does not.
    #[default]
    No,
    /// It can be installed in several architectures at once.
    Same,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_words() {
        for text in ["install ok installed", "hold reinstreq half-installed", "deinstall ok config-files"] {
            assert_eq!(text.parse::<Status>().expect(text).to_string(), text);
        }
        assert_eq!("Install  OK\tinstalled".parse(), Ok(Status::INSTALLED));
        for text in ["", "install ok", "install ok installed now", "install ok instaled", "instal ok installed"] {
            assert_eq!(text.parse::<Status>(), Err(StatusError), "{text}");
        }
    }

    #[test]
    fn presence() {
        let present = |text: &str| text.parse::<Status>().expect(text).is_present();
        assert!(present("install ok unpacked") && present("install reinstreq half-installed"));
        assert!(!present("deinstall ok config-files") && !present("purge ok not-installed"));
    }
}
