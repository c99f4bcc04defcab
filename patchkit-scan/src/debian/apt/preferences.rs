//! Which of several versions to take: apt_preferences(5).

mod pattern;

use std::{collections::BTreeMap, fmt};

use thiserror::Error;

use super::{index::AvailablePackage, sources::Place};
use crate::debian::{
    control::{ControlError, Stanza, Stanzas},
    version::DebVersion,
};
use pattern::Glob;

/// What an installed version is worth against others (apt_preferences(5), "APT's Default Priority Assignments").
const INSTALLED: i32 = 100;
/// From here on a version is taken even where it is older than the installed one.
const DOWNGRADES: i32 = 1000;

/// The pins of an image, and the release that it prefers.
///
/// ```
/// use patchkit_scan::debian::apt::preferences::Preferences;
///
/// let pins = Preferences::new()
///     .with_file("/etc/apt/preferences", b"Package: *\nPin: release a=stable-backports\nPin-Priority: 50\n")
///     .unwrap();
/// assert_eq!(pins.len(), 1);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Preferences {
    records: Vec<Record>,
    target: Option<String>,
}

#[derive(Clone, Debug)]
struct Record {
    packages: Vec<Package>,
    pin: Pin,
    priority: i32,
    place: Place,
}

#[derive(Clone, Debug)]
enum Package {
    Binary(Glob),
    Source(Glob),
}

#[derive(Clone, Debug)]
enum Pin {
    /// The host of the archive, empty for local files.
    Origin(Glob),
    /// Conditions on the `Release` file, which must all hold.
    Release(Vec<(char, Glob)>),
    Version(Glob),
}

/// Why a preferences file cannot be used.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{place}: {reason}")]
pub struct PreferencesError {
    /// The line at fault.
    pub place: Place,
    /// What is wrong with it.
    pub reason: String,
}

/// The version that apt would install of a package, and what speaks for it.
#[derive(Clone, Debug)]
pub struct Choice {
    /// The package.
    pub package: AvailablePackage,
    /// Its priority.
    pub priority: i32,
}

impl Preferences {
    /// No pins: every version is worth what its archive says.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the pins of a file, after those of earlier ones: the first that fits wins.
    ///
    /// # Errors
    /// [`PreferencesError`] with file and line: a pin that is not understood may be the one that matters.
    pub fn with_file(mut self, file: &str, bytes: &[u8]) -> Result<Self, PreferencesError> {
        for stanza in Stanzas::lenient(bytes) {
            let stanza = stanza.map_err(|error| control_fault(file, &error))?;
            let reader = Reader { file, stanza: &stanza };
            self.records.extend(reader.record()?);
        }
        Ok(self)
    }

    /// Prefers a release by its suite, codename or version (`APT::Default-Release`), with priority 990.
    #[must_use]
    pub fn with_target_release(self, name: impl Into<String>) -> Self {
        Self { target: Some(name.into()), ..self }
    }

    /// How many pins there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is no pin.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// What a version is worth. Below 0 it is never taken.
    #[must_use]
    pub fn priority(&self, package: &AvailablePackage) -> i32 {
        self.pin_of(package).map_or_else(|| self.default_priority(package), |record| record.priority)
    }

    /// The pin that decides a version's priority, as text and place, where there is one.
    #[must_use]
    pub fn pin_place(&self, package: &AvailablePackage) -> Option<&Place> {
        self.pin_of(package).map(|record| &record.place)
    }

    /// The version apt would install, given what is there: the one of the highest priority, the newest among equals,
    /// an older one than the installed only from priority 1000 on. `None` where that is the installed one, or none.
    #[must_use]
    pub fn candidate(
        &self,
        installed: Option<&DebVersion>,
        available: impl IntoIterator<Item = AvailablePackage>,
    ) -> Option<Choice> {
        let mut versions: BTreeMap<DebVersion, Choice> = BTreeMap::new();
        for package in available {
            let Ok(version) = DebVersion::parse_lenient(package.version()) else {
                continue;
            };
            let priority = self.priority(&package);
            match versions.get(&version) {
                // Of one version in two archives the first source wins, but the higher priority counts.
                Some(known) if known.priority >= priority => {}
                _ => drop(versions.insert(version, Choice { package, priority })),
            }
        }
        let mut best: Option<(i32, Option<Choice>)> = installed.map(|version| {
            let own = versions.get(version).map_or(INSTALLED, |choice| choice.priority.max(INSTALLED));
            (own, None)
        });
        for (version, choice) in versions.into_iter().rev() {
            let newer = installed.is_none_or(|installed| version > *installed);
            let same = installed == Some(&version);
            let worth = match &best {
                _ if same || choice.priority <= 0 => false,
                _ if !newer && choice.priority < DOWNGRADES => false,
                None => true,
                // Newer ones come first, and win against the installed one already at the same priority.
                Some((priority, None)) if newer => choice.priority >= *priority,
                Some((priority, _)) => choice.priority > *priority,
            };
            if worth {
                best = Some((choice.priority, Some(choice)));
            }
        }
        best.and_then(|(_, choice)| choice)
    }

    /// The first pin on this very package that fits, else the first on all packages.
    fn pin_of(&self, package: &AvailablePackage) -> Option<&Record> {
        let fits = |general: bool| move |record: &&Record| record.is_general() == general && record.fits(package);
        self.records.iter().find(fits(false)).or_else(|| self.records.iter().find(fits(true)))
    }

    fn default_priority(&self, package: &AvailablePackage) -> i32 {
        let release = &package.origin().release;
        let named = [&release.suite, &release.codename, &release.version];
        if self.target.is_some() && named.contains(&&self.target) {
            return 990;
        }
        match (release.not_automatic, release.but_automatic_upgrades) {
            (true, true) => 100,
            (true, false) => 1,
            _ => 500,
        }
    }
}

impl Record {
    /// Whether the record is for all packages, and thus gives way to those that name some.
    fn is_general(&self) -> bool {
        matches!(&self.packages[..], [Package::Binary(glob)] if glob.is_everything())
    }

    fn fits(&self, package: &AvailablePackage) -> bool {
        let named = self.packages.iter().any(|name| match name {
            Package::Binary(glob) => glob.fits(package.name()),
            Package::Source(glob) => glob.fits(&package.source_name()),
        });
        named && self.pin.fits(package)
    }
}

impl Pin {
    fn fits(&self, package: &AvailablePackage) -> bool {
        let origin = package.origin();
        match self {
            Self::Version(glob) => glob.fits(package.version()),
            Self::Origin(glob) => glob.fits(origin.source.uri.host_str().unwrap_or_default()),
            Self::Release(conditions) => conditions.iter().all(|(key, glob)| {
                let release = &origin.release;
                let value = match key {
                    'a' => release.suite.as_deref(),
                    'n' => release.codename.as_deref(),
                    'o' => release.origin.as_deref(),
                    'l' => release.label.as_deref(),
                    'v' => release.version.as_deref(),
                    'c' => Some(origin.component.as_str()),
                    _ => Some(package.architecture()),
                };
                glob.fits(value.unwrap_or_default())
            }),
        }
    }
}

/// Reads one stanza.
struct Reader<'a> {
    file: &'a str,
    stanza: &'a Stanza<'a>,
}

impl Reader<'_> {
    /// `None` for a stanza of comments (`Explanation`) alone.
    fn record(&self) -> Result<Option<Record>, PreferencesError> {
        if self.stanza.fields().iter().all(|field| field.name().eq_ignore_ascii_case("Explanation")) {
            return Ok(None);
        }
        let names = self.required("Package")?;
        let packages: Result<Vec<_>, _> = names.split_ascii_whitespace().map(|name| self.package(name)).collect();
        let priority = self.required("Pin-Priority")?;
        let priority = match priority.trim() {
            "never" => -32768,
            number => number.parse().map_err(|_| self.fault("Pin-Priority", format!("{number:?} is no number")))?,
        };
        if priority == 0 {
            return Err(self.fault("Pin-Priority", "0 has no meaning".to_owned()));
        }
        let pin = self.pin(self.required("Pin")?)?;
        Ok(Some(Record { packages: packages?, pin, priority, place: self.place("Package") }))
    }

    fn package(&self, name: &str) -> Result<Package, PreferencesError> {
        match name.strip_prefix("src:") {
            Some(source) => Ok(Package::Source(self.glob("Package", source)?)),
            None => Ok(Package::Binary(self.glob("Package", name)?)),
        }
    }

    fn pin(&self, value: &str) -> Result<Pin, PreferencesError> {
        let (kind, rest) = value.split_once(char::is_whitespace).unwrap_or((value, ""));
        let rest = rest.trim();
        match kind.to_ascii_lowercase().as_str() {
            "version" => Ok(Pin::Version(self.glob("Pin", rest)?)),
            "origin" => Ok(Pin::Origin(self.glob("Pin", rest.trim_matches('"'))?)),
            "release" => {
                rest.split(',').map(|part| self.condition(part.trim())).collect::<Result<_, _>>().map(Pin::Release)
            }
            _ => Err(self.fault("Pin", format!("{kind:?} is none of version, release, origin"))),
        }
    }

    /// `a=stable`; a bare word is a version where it begins with a digit, else a suite.
    fn condition(&self, part: &str) -> Result<(char, Glob), PreferencesError> {
        let Some((key, value)) = part.split_once('=') else {
            let key = if part.starts_with(|first: char| first.is_ascii_digit()) { 'v' } else { 'a' };
            return Ok((key, self.glob("Pin", part)?));
        };
        match key.trim() {
            key @ ("a" | "n" | "o" | "l" | "v" | "c" | "b") => {
                Ok((key.chars().next().unwrap_or('a'), self.glob("Pin", value.trim().trim_matches('"'))?))
            }
            _ => Err(self.fault("Pin", format!("{key:?} is none of a, b, c, l, n, o, v"))),
        }
    }

    fn glob(&self, field: &'static str, text: &str) -> Result<Glob, PreferencesError> {
        if text.len() > 1 && text.starts_with('/') && text.ends_with('/') {
            return Err(self.fault(field, format!("{text}: regular expressions are not supported")));
        }
        Ok(Glob::new(text))
    }

    fn required(&self, field: &'static str) -> Result<&str, PreferencesError> {
        let text = self.stanza.text(field).map_err(|error| control_fault(self.file, &error))?;
        text.ok_or_else(|| self.fault(field, "is missing".to_owned()))
    }

    fn fault(&self, field: &'static str, reason: impl fmt::Display) -> PreferencesError {
        PreferencesError { place: self.place(field), reason: format!("{field}: {reason}") }
    }

    fn place(&self, field: &str) -> Place {
        let position = self.stanza.find(field).map_or(self.stanza.position(), |field| field.position());
        Place { file: self.file.to_owned(), line: position.line }
    }
}

fn control_fault(file: &str, error: &ControlError) -> PreferencesError {
    let place = Place { file: file.to_owned(), line: error.position.line };
    PreferencesError { place, reason: error.kind.to_string() }
}

#[cfg(test)]
mod tests;
