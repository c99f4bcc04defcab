use std::{borrow::Cow, fmt, sync::Arc};

use patchkit_core::Distribution;

/// Where an advisory holds: a distribution's release, all releases of a distribution, or an ecosystem.
///
/// Names are normalised, so that what an image says of itself and what its vendor's advisories say is the same:
/// `bullseye`, `11` and `11.11` of Debian, `3.20.3` and `v3.20` of Alpine, `9.4` of CentOS and `9` of RHEL. A rolling
/// distribution has no releases.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope {
    ecosystem: Arc<str>,
    release: Option<Arc<str>>,
}

/// Other names of distributions, and of images that are judged by another one's advisories; with the id of these.
const IDS: [(&str, &str); 24] = [
    ("alma", "almalinux"),
    ("amazon", "amzn"),
    ("amazon linux", "amzn"),
    ("amazonlinux", "amzn"),
    ("archlinux", "arch"),
    ("azure linux", "azurelinux"),
    ("cbl-mariner", "azurelinux"),
    ("centos", "rhel"),
    ("mariner", "azurelinux"),
    ("oracle", "ol"),
    ("oracle linux", "ol"),
    ("oraclelinux", "ol"),
    ("photon os", "photon"),
    ("red hat", "rhel"),
    ("redhat", "rhel"),
    ("rocky linux", "rocky"),
    ("rockylinux", "rocky"),
    ("sle_hpc", "sles"),
    ("sled", "sles"),
    ("sles_sap", "sles"),
    ("suse", "sles"),
    ("suse linux enterprise", "sles"),
    ("suse linux enterprise server", "sles"),
    ("ubuntu-core", "ubuntu"),
];

/// The distributions that have no releases, whatever number or date their images give.
const ROLLING: [&str; 6] = ["arch", "chainguard", "gentoo", "minimos", "opensuse-tumbleweed", "wolfi"];

/// The ecosystems of packages of programming languages as OSV names them, by the type of package URLs where the two
/// are not the same.
const PURL_TYPES: [(&str, &str); 7] = [
    ("cargo", "crates.io"),
    ("composer", "packagist"),
    ("conan", "conancenter"),
    ("gem", "rubygems"),
    ("github", "github actions"),
    ("golang", "go"),
    ("swift", "swifturl"),
];

/// Ubuntu's releases, by codename.
pub(super) const UBUNTU: [(&str, &str); 24] = [
    ("precise", "12.04"),
    ("trusty", "14.04"),
    ("xenial", "16.04"),
    ("yakkety", "16.10"),
    ("zesty", "17.04"),
    ("artful", "17.10"),
    ("bionic", "18.04"),
    ("cosmic", "18.10"),
    ("disco", "19.04"),
    ("eoan", "19.10"),
    ("focal", "20.04"),
    ("groovy", "20.10"),
    ("hirsute", "21.04"),
    ("impish", "21.10"),
    ("jammy", "22.04"),
    ("kinetic", "22.10"),
    ("lunar", "23.04"),
    ("mantic", "23.10"),
    ("noble", "24.04"),
    ("oracular", "24.10"),
    ("plucky", "25.04"),
    ("questing", "25.10"),
    ("resolute", "26.04"),
    ("stonking", "26.10"),
];

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
        let id = IDS.iter().find(|(name, _)| *name == ecosystem).map_or(ecosystem.as_str(), |(_, id)| id);
        let release = release.map(str::to_ascii_lowercase);
        if id == "opensuse" {
            return opensuse(release.as_deref());
        }
        let release = release.filter(|_| !ROLLING.contains(&id)).map(|release| normal_release(id, &release));
        Self { ecosystem: id.into(), release }
    }

    /// The ecosystem of packages whose URLs are of a type: of `cargo`, `crates.io`.
    #[must_use]
    pub fn of_purl_type(kind: &str) -> Self {
        let ecosystem = PURL_TYPES.iter().find(|(name, _)| *name == kind).map_or(kind, |(_, ecosystem)| ecosystem);
        Self::new(ecosystem, None)
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

    /// The name of a package as advisories are to have it: where the ecosystem takes several spellings for one name, the
    /// normal one (PEP 503 of Python; lower case of NuGet, Packagist, Hex and GitHub).
    #[must_use]
    pub fn package_name<'a>(&self, name: &'a str) -> Cow<'a, str> {
        match &*self.ecosystem {
            "pypi" => python_name(name),
            "github actions" | "hex" | "nuget" | "packagist" | "swifturl" => lower(name),
            _ => name.into(),
        }
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

/// Leap has releases, Tumbleweed has none; both are called openSUSE.
fn opensuse(release: Option<&str>) -> Scope {
    match release {
        Some("tumbleweed") => Scope::new("opensuse-tumbleweed", None),
        Some(release) => Scope::new("opensuse-leap", Some(release.trim_start_matches("leap").trim_start())),
        None => Scope { ecosystem: "opensuse".into(), release: None },
    }
}

/// A release as the distribution's advisories have it, of one in lower case.
fn normal_release(id: &str, release: &str) -> Arc<str> {
    match id {
        "alpine" => alpine_release(release).into(),
        "almalinux" | "azurelinux" | "ol" | "rocky" => numbers(release, 1).into(),
        "amzn" => match numbers(release, 1) {
            "2016" | "2017" | "2018" => "1".into(),
            major => major.into(),
        },
        "debian" => debian_release(release),
        "photon" if release.bytes().all(|byte| byte.is_ascii_digit()) => format!("{release}.0").into(),
        "rhel" => red_hat_release(release).into(),
        "sles" => suse_release(release),
        "ubuntu" => ubuntu_release(release).into(),
        _ => release.into(),
    }
}

/// The first so many numbers, where the text starts with one.
fn numbers(text: &str, count: usize) -> &str {
    let mut dots = text.match_indices('.').map(|(at, _)| at);
    match text.starts_with(|c: char| c.is_ascii_digit()) {
        true => dots.nth(count - 1).map_or(text, |dot| &text[..dot]),
        false => text,
    }
}

/// `3.20` of `3.20.3` and `v3.20`. The rolling branch is `edge`, whose images say `3.21_alpha20240807`.
fn alpine_release(text: &str) -> &str {
    match text.contains("_alpha") {
        true => "edge",
        false => numbers(text.strip_prefix('v').unwrap_or(text), 2),
    }
}

/// The major number, also out of a CPE: `enterprise_linux:9::baseos`. What is for extended support only stands apart.
fn red_hat_release(text: &str) -> &str {
    let number = text.strip_prefix("enterprise_linux:").map_or(text, |rest| rest.split(':').next().unwrap_or(rest));
    numbers(number, 1)
}

/// `15.5` of `linux enterprise server 15 sp5` and `15-sp5`; `15.0` of `15`.
fn suse_release(text: &str) -> Arc<str> {
    let words = || text.split([' ', '-', '.']);
    let number = |word: &&str| word.bytes().all(|byte| byte.is_ascii_digit()) && !word.is_empty();
    let Some(at) = words().position(|word| number(&word)) else { return text.into() };
    let major = words().nth(at).unwrap_or(text);
    let minor = words().nth(at + 1).map(|word| word.strip_prefix("sp").unwrap_or(word)).filter(number);
    format!("{major}.{}", minor.unwrap_or("0")).into()
}

/// `22.04` of `jammy` and `22.04:lts`.
fn ubuntu_release(text: &str) -> &str {
    let text = text.trim_end_matches(":lts");
    UBUNTU.iter().find(|(codename, _)| *codename == text).map_or(text, |(_, number)| number)
}

/// PEP 503: in lower case, with one hyphen for each stretch of hyphens, dots and underscores.
fn python_name(name: &str) -> Cow<'_, str> {
    let odd = |c: char| c.is_ascii_uppercase() || matches!(c, '.' | '_');
    if !name.contains(odd) && !name.contains("--") {
        return name.into();
    }
    let mut normal = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '-' | '.' | '_' if normal.ends_with('-') => {}
            '-' | '.' | '_' => normal.push('-'),
            c => normal.push(c.to_ascii_lowercase()),
        }
    }
    normal.into()
}

fn lower(name: &str) -> Cow<'_, str> {
    match name.contains(|c: char| c.is_ascii_uppercase()) {
        true => name.to_ascii_lowercase().into(),
        false => name.into(),
    }
}

fn debian_release(text: &str) -> Arc<str> {
    if let Some((_, number)) = DEBIAN.iter().find(|(codename, _)| *codename == text) {
        return (*number).into();
    }
    let major = numbers(text, 1);
    match major.parse::<u32>() {
        Ok(4..) => major.into(),
        _ => text.into(),
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
        assert_eq!(Scope::new("Ubuntu", Some("cosmic")).release(), Some("18.10"));
    }

    #[test]
    fn images_and_advisories_name_the_same_release() {
        for (os_release, ecosystem, release, shown) in [
            ("ID=alpine\nVERSION_ID=3.20.3", "Alpine", Some("v3.20"), "alpine 3.20"),
            ("ID=alpine\nVERSION_ID=3.21_alpha20240807", "alpine", Some("edge"), "alpine edge"),
            ("ID=wolfi\nVERSION_ID=20230201", "Wolfi", None, "wolfi"),
            ("ID=chainguard\nVERSION_ID=20230214", "Chainguard", None, "chainguard"),
            ("ID=arch\nVERSION_ID=20240101.0.204074", "arch", None, "arch"),
            ("ID=rhel\nVERSION_ID=9.4", "Red Hat", Some("enterprise_linux:9::baseos"), "rhel 9"),
            ("ID=centos\nVERSION_ID=8", "rhel", Some("8"), "rhel 8"),
            ("ID=almalinux\nVERSION_ID=9.4", "AlmaLinux", Some("9"), "almalinux 9"),
            ("ID=rocky\nVERSION_ID=9.3", "Rocky Linux", Some("9"), "rocky 9"),
            ("ID=ol\nVERSION_ID=8.9", "Oracle", Some("8"), "ol 8"),
            ("ID=amzn\nVERSION_ID=2", "Amazon", Some("2"), "amzn 2"),
            ("ID=amzn\nVERSION_ID=2018.03", "Amazon Linux", Some("1"), "amzn 1"),
            ("ID=amzn\nVERSION_ID=2023", "amazon", Some("2023.4.20240401"), "amzn 2023"),
            ("ID=fedora\nVERSION_ID=40", "fedora", Some("40"), "fedora 40"),
            ("ID=sles\nVERSION_ID=15.5", "SUSE", Some("Linux Enterprise Server 15 SP5"), "sles 15.5"),
            ("ID=sles\nVERSION_ID=15", "SUSE", Some("Linux Enterprise Server 15"), "sles 15.0"),
            ("ID=sled\nVERSION_ID=15.4", "sles", Some("15-SP4"), "sles 15.4"),
            ("ID=opensuse-leap\nVERSION_ID=15.5", "openSUSE", Some("Leap 15.5"), "opensuse-leap 15.5"),
            ("ID=opensuse-tumbleweed\nVERSION_ID=20240101", "openSUSE", Some("Tumbleweed"), "opensuse-tumbleweed"),
            ("ID=azurelinux\nVERSION_ID=3.0", "Azure Linux", Some("3"), "azurelinux 3"),
            ("ID=mariner\nVERSION_ID=2.0", "Azure Linux", Some("2"), "azurelinux 2"),
            ("ID=photon\nVERSION_ID=4.0", "Photon OS", Some("4"), "photon 4.0"),
            ("ID=ubuntu\nVERSION_ID=22.04", "Ubuntu", Some("jammy"), "ubuntu 22.04"),
            ("ID=ubuntu\nVERSION_ID=22.04", "Ubuntu", Some("22.04:LTS"), "ubuntu 22.04"),
        ] {
            let image = Scope::of(&crate::os_release::parse(os_release.as_bytes()).unwrap());
            assert_eq!(image.to_string(), shown, "{os_release}");
            assert_eq!(Scope::new(ecosystem, release), image, "{ecosystem} {release:?}");
        }
        let extended = Scope::new("Red Hat", Some("rhel_eus:9.2::baseos"));
        assert_eq!(extended.release(), Some("rhel_eus:9.2::baseos"));
    }

    #[test]
    fn ecosystems_of_languages_are_osvs_and_their_names_have_one_spelling() {
        for (kind, ecosystem, name, normal) in [
            ("pypi", "PyPI", "Flask_SQLAlchemy..X", "flask-sqlalchemy-x"),
            ("pypi", "PyPI", "requests", "requests"),
            ("nuget", "NuGet", "Newtonsoft.Json", "newtonsoft.json"),
            ("composer", "Packagist", "Symfony/Http-Kernel", "symfony/http-kernel"),
            ("npm", "npm", "JSONStream", "JSONStream"),
            ("cargo", "crates.io", "serde_json", "serde_json"),
            ("gem", "RubyGems", "RedCloth", "RedCloth"),
            ("golang", "Go", "github.com/BurntSushi/toml", "github.com/BurntSushi/toml"),
            ("maven", "Maven", "org.slf4j:slf4j-api", "org.slf4j:slf4j-api"),
            ("hex", "Hex", "Phoenix", "phoenix"),
            ("pub", "Pub", "http", "http"),
        ] {
            let scope = Scope::of_purl_type(kind);
            assert_eq!(scope, Scope::new(ecosystem, None));
            assert_eq!(scope.package_name(name), normal);
        }
    }

    #[test]
    fn an_image_without_a_number_has_its_codename() {
        let testing = crate::os_release::parse(b"ID=debian\nVERSION_CODENAME=trixie\n").unwrap();
        assert_eq!(Scope::of(&testing), Scope::new("debian", Some("13")));
    }
}
