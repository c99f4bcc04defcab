use std::{fs, path::Path, str::FromStr};

use patchkit_core::{Error, LastDay, Result};
use serde::Deserialize;

use super::{
    Configuration, Exception, Hardening, Scripts,
    hardening::{Check, Profile},
    loading::Loading,
};

/// How the checks that need no tests are made, as it stands in a file: what is required, and what somebody answers for.
///
/// ```
/// use patchkit_rollout::verify::CheckProfile;
///
/// let profile: CheckProfile = "
/// require: [PK-H008]          # hardening checks that must find nothing, whatever the original has
/// ignore: [PK-H010]           # hardening checks whose findings are only listed
/// exceptions:
/// - check: PK-H001            # or configuration, loading, scripts
///   pattern: usr/bin/ping     # a path; of configuration, the field; * stands for any characters
///   owner: web team
///   reason: monitoring needs it
///   expires: 2026-12-31       # the last day on which it counts, in UTC
/// ".parse()?;
/// let hardening = profile.hardening();
/// # Ok::<_, patchkit_core::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct CheckProfile {
    configuration: Configuration,
    hardening: Profile,
    loading: Loading,
    scripts: Scripts,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Raw {
    require: Vec<Check>,
    ignore: Vec<Check>,
    exceptions: Vec<RawException>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawException {
    check: String,
    pattern: String,
    owner: String,
    reason: String,
    expires: LastDay,
}

impl CheckProfile {
    /// Reads a profile from a file.
    ///
    /// # Errors
    /// [`Invalid`](patchkit_core::ErrorKind::Invalid) where there is no such file, and as when it is parsed.
    pub fn read(path: &Path) -> Result<Self> {
        let error = |error: Error| error.during("read the profile of checks").on(path.display());
        let text = fs::read_to_string(path).map_err(|cause| error(Error::invalid(cause.to_string())))?;
        text.parse().map_err(error)
    }

    /// Whether an image is started as before.
    #[must_use]
    pub fn configuration(&self) -> Configuration {
        self.configuration.clone()
    }

    /// Whether it is no weaker.
    #[must_use]
    pub fn hardening(&self) -> Hardening {
        Hardening::new(self.hardening.clone())
    }

    /// Whether its programs and libraries are loaded as before.
    #[must_use]
    pub fn loading(&self) -> Loading {
        self.loading.clone()
    }

    /// Whether its scripts and modules are found as before.
    #[must_use]
    pub fn scripts(&self) -> Scripts {
        self.scripts.clone()
    }

    fn excepting(mut self, raw: RawException) -> Result<Self, String> {
        let RawException { check, pattern, owner, reason, expires } = raw;
        if [&pattern, &owner, &reason].into_iter().any(|text| text.trim().is_empty()) {
            return Err("pattern, owner and reason must not be empty".into());
        }
        let exception = Exception { pattern, owner, reason, expires };
        match check.as_str() {
            "configuration" => self.configuration = self.configuration.excepting(exception),
            "loading" => self.loading = self.loading.excepting(exception),
            "scripts" => self.scripts = self.scripts.excepting(exception),
            id => {
                let check = id.parse().map_err(|error| format!("{error}, configuration, loading or scripts"))?;
                self.hardening = self.hardening.excepting(check, exception);
            }
        }
        Ok(self)
    }
}

impl FromStr for CheckProfile {
    type Err = Error;

    /// Reads YAML; [`Invalid`](patchkit_core::ErrorKind::Invalid) says which line or which exception is wrong.
    fn from_str(text: &str) -> Result<Self> {
        let raw: Raw = serde_saphyr::from_str(text).map_err(|error| Error::invalid(error.to_string()))?;
        let hardening = Profile::default().requiring(raw.require).ignoring(raw.ignore);
        let profile = Self { hardening, ..Self::default() };
        (1..).zip(raw.exceptions).try_fold(profile, |profile, (number, exception)| {
            profile.excepting(exception).map_err(|why| Error::invalid(format!("exception {number}: {why}")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exception(change: impl Fn(&str) -> String) -> Result<CheckProfile> {
        let whole = "{check: PK-H003, pattern: a, owner: b, reason: c, expires: 2026-12-31}";
        format!("exceptions: [{whole}, {}]", change(whole)).parse()
    }

    #[test]
    fn every_part_of_an_exception_is_needed() {
        for check in ["configuration", "loading", "scripts", "PK-H001"] {
            exception(|whole| whole.replace("PK-H003", check)).unwrap();
        }
        for (old, new, message) in [
            ("PK-H003", "PK-H999", "exception 2: check \"PK-H999\""),
            ("owner: b", "owner: ' '", "exception 2: pattern, owner and reason"),
            ("expires: 2026-12-31", "expires: soon", "soon"),
            (", reason: c", "", "reason"),
            ("reason: c", "reason: c, until: 1", "until"),
        ] {
            let error = exception(|whole| whole.replace(old, new)).unwrap_err();
            assert!(error.to_string().contains(message), "{error}");
        }
        assert!("require: [PK-H999]".parse::<CheckProfile>().is_err());
        assert!("reqire: []".parse::<CheckProfile>().is_err());
    }
}
