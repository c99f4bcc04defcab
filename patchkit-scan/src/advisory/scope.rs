use std::{fmt, sync::Arc};

use patchkit_core::Distribution;

/// Where an advisory holds: a distribution's release, all releases of a distribution, or an ecosystem.
///
/// Names are normalised, so that `bullseye`, `11` and `11.11` are the same release of Debian.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope {
    ecosystem: Arc<str>,
    release: Option<Arc<str>>,
}

/// Debian's releases, by codename. Before the fourth, minor numbers were releases too.
const DEBIAN: [(&str, &str); 19] = [
    ("bo", "1.3"),
    ("hamm", "2.0"),
    ("slink", "2.1"),
    ("potato", "2.2"),
    ("woody", "3.0"),
    ("sarge", "3.1"),
    ("etch", "4"),
    ("lenny", "5"),
    ("squeeze", "6"),
    ("wheezy", "7"),
    ("jessie", "8"),
    ("stretch", "9"),
    ("buster", "10"),
    ("bullseye", "11"),
    ("bookworm", "12"),
    ("trixie", "13"),
    ("forky", "14"),
    ("duke", "15"),
    ("unstable", "sid"),
];

impl Scope {
    /// One release of a distribution (by number or codename), or every release that has no advisories of its own.
    #[must_use]
    pub fn new(ecosystem: &str, release: Option<&str>) -> Self {
        let ecosystem = ecosystem.to_ascii_lowercase();
        let release = release.map(|release| match ecosystem.as_str() {
            "debian" => debian_release(release),
            _ => release.to_ascii_lowercase().into(),
        });
        Self { ecosystem: ecosystem.into(), release }
    }

    /// The scope of names that were normalised before.
    pub(super) fn of_normalised(ecosystem: &str, release: Option<&str>) -> Self {
        Self { ecosystem: ecosystem.into(), release: release.map(Into::into) }
    }

    /// Whether its names are those that [`new`](Self::new) gives now.
    pub(super) fn is_normalised(&self) -> bool {
        *self == Self::new(&self.ecosystem, self.release.as_deref())
    }

    /// The release that an image has.
    #[must_use]
    pub fn of(distribution: &Distribution) -> Self {
        let release = distribution.version_id.as_deref().or(distribution.codename.as_deref());
        Self::new(&distribution.id, release)
    }

    /// The distribution's id as in os-release(5), or the name of the ecosystem: `debian`.
    #[must_use]
    pub fn ecosystem(&self) -> &str {
        &self.ecosystem
    }

    /// The release: `11`. `None` for every release that has no advisories of its own.
    #[must_use]
    pub fn release(&self) -> Option<&str> {
        self.release.as_deref()
    }

    /// The same distribution, every release.
    #[must_use]
    pub fn any_release(&self) -> Self {
        Self { ecosystem: self.ecosystem.clone(), release: None }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.ecosystem)?;
        self.release.iter().try_for_each(|release| write!(f, " {release}"))
    }
}

fn debian_release(text: &str) -> Arc<str> {
    let text = text.to_ascii_lowercase();
    if let Some((_, number)) = DEBIAN.iter().find(|(codename, _)| *codename == text) {
        return (*number).into();
    }
    let major = text.split_once('.').map_or(text.as_str(), |(major, _)| major);
    match major.parse::<u32>() {
        Ok(4..) => major.into(),
        _ => text.as_str().into(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_release_has_one_name() {
        for (release, name) in [
            ("bullseye", "11"),
            ("11", "11"),
            ("11.11", "11"),
            ("6.0", "6"),
            ("woody", "3.0"),
            ("3.1", "3.1"),
            ("sid", "sid"),
            ("unstable", "sid"),
            ("Bookworm", "12"),
            ("experimental", "experimental"),
        ] {
            assert_eq!(Scope::new("Debian", Some(release)).release(), Some(name), "{release}");
        }
        assert_eq!(Scope::new("Ubuntu", Some("22.04")).to_string(), "ubuntu 22.04");
    }

    #[test]
    fn an_image_without_a_number_has_its_codename() {
        let testing = crate::os_release::parse(b"ID=debian\nVERSION_CODENAME=trixie\n").unwrap();
        assert_eq!(Scope::of(&testing), Scope::new("debian", Some("13")));
    }
}
