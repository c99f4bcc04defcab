//! Which distribution's release a vendor's product is: by its CPE name, or by its name in words.
//!
//! Only what a distribution's release gets by itself counts: the distribution and its repositories. An extended support
//! that follows a release after its end ("ELS") says that all of it is affected, and where the fix is; one that keeps a
//! minor release alive beside its successors (EUS, AUS, TUS, E4S) has versions of its own and says nothing about others.

use std::sync::Arc;

use super::{End, Scope, scope::UBUNTU};

/// A release, and for whom its fixes are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Platform {
    pub(super) scope: Scope,
    /// Whether everybody gets the fixes, or only those who subscribe to something more.
    pub(super) fixes: Fixes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fixes {
    ForAll,
    ForSubscribers,
}

impl Platform {
    fn new(id: &str, release: &str) -> Self {
        Self { scope: Scope::new(id, Some(release).filter(|release| !release.is_empty())), fixes: Fixes::ForAll }
    }

    fn for_subscribers(self) -> Self {
        Self { fixes: Fixes::ForSubscribers, ..self }
    }

    /// Where what is fixed in a version ends.
    pub(super) fn fixed(&self, version: Arc<str>) -> End {
        match self.fixes {
            Fixes::ForAll => End::Fixed(version),
            Fixes::ForSubscribers => End::FixedElsewhere(version),
        }
    }
}

/// The release that a CPE name means: `cpe:/o:redhat:enterprise_linux:9::baseos`, `cpe:2.3:o:…`.
pub(super) fn of_cpe(cpe: &str) -> Option<Platform> {
    let name = cpe.strip_prefix("cpe:/").or_else(|| cpe.strip_prefix("cpe:2.3:"))?;
    let mut parts = name.split(':').map(|part| if part == "*" { "" } else { part });
    let (_part, vendor, product) = (parts.next()?, parts.next()?, parts.next()?);
    let (version, update) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let product = product.to_ascii_lowercase();
    match (vendor, product.as_str()) {
        ("almalinux", "almalinux") => major("almalinux", version),
        ("amazon", "linux" | "amazon_linux") => numbered("amzn", version),
        ("canonical", "ubuntu_linux") => numbered("ubuntu", version),
        ("fedoraproject", "fedora") => numbered("fedora", version),
        ("opensuse", "leap") => numbered("opensuse-leap", version),
        ("opensuse", "leap-micro") => numbered("leap-micro", version),
        ("opensuse", "opensuse") => numbered("opensuse", version),
        ("opensuse", "tumbleweed") => Some(Platform::new("opensuse-tumbleweed", "")),
        ("oracle", "linux") => major("ol", version),
        ("redhat", "enterprise_linux") => major("rhel", version),
        // Channels of older releases, with packages of their own.
        (
            "redhat",
            "rhel_cluster" | "rhel_cluster_storage" | "rhel_extras" | "rhel_productivity" | "rhel_virtualization",
        ) => major("rhel", version),
        ("redhat", "rhel_els") => major("rhel", version).map(Platform::for_subscribers),
        ("rocky", "rocky" | "rocky_linux") => major("rocky", version),
        ("suse", product) => suse_cpe(product, version, update),
        ("vmware", "photon" | "photon_os") => numbered("photon", version),
        _ => None,
    }
}

/// Whether a CPE name is of a distribution whose releases are known, in whatever release, or in none.
pub(super) fn is_distribution(cpe: &str) -> bool {
    let without_release = cpe.splitn(5, ':').take(4).collect::<Vec<_>>().join(":");
    of_cpe(cpe).or_else(|| of_cpe(&format!("{without_release}:1"))).is_some()
}

fn suse_cpe(product: &str, version: &str, update: &str) -> Option<Platform> {
    let product = product.strip_prefix("suse_").unwrap_or(product).replace('_', "-");
    let id = match product.as_str() {
        "sle-micro" | "suse-microos" => "sle-micro",
        "sl-micro" => "sl-micro",
        "sle-hpc" => "sle_hpc",
        "sle-sdk" | "sles" | "sles-ltss" => "sles",
        "sled" => "sled",
        "sles-sap" => "sles_sap",
        product if product.starts_with("sle-module-") => "sles",
        _ => return None,
    };
    let minor = update.strip_prefix("sp").unwrap_or_default();
    match (is_number(version), minor) {
        (true, _) if update.starts_with(version) && update.contains('.') => numbered(id, update),
        (true, "") => numbered(id, version),
        (true, minor) => numbered(id, &format!("{version}.{minor}")),
        _ => None,
    }
}

/// How releases are named in words, and the distribution's id. The rest of a name is the release.
const NAMES: [(&str, &str, Shape); 24] = [
    ("almalinux-", "almalinux", Shape::Major),
    ("almalinux ", "almalinux", Shape::Major),
    ("amazon linux ", "amzn", Shape::Whole),
    ("debian gnu/linux ", "debian", Shape::Whole),
    ("debian ", "debian", Shape::Whole),
    ("fedora ", "fedora", Shape::Whole),
    ("opensuse leap micro ", "leap-micro", Shape::Suse),
    ("opensuse leap ", "opensuse-leap", Shape::Suse),
    ("opensuse ", "opensuse", Shape::Suse),
    ("oracle linux ", "ol", Shape::Major),
    ("photon os ", "photon", Shape::Photon),
    ("photon ", "photon", Shape::Photon),
    ("red hat enterprise linux ", "rhel", Shape::Major),
    ("rocky linux ", "rocky", Shape::Major),
    ("rocky-linux-", "rocky", Shape::Major),
    ("suse linux enterprise desktop ", "sled", Shape::Suse),
    ("suse linux enterprise high performance computing ", "sle_hpc", Shape::Suse),
    ("suse linux enterprise micro ", "sle-micro", Shape::Suse),
    ("suse linux enterprise server for sap applications ", "sles_sap", Shape::Suse),
    ("suse linux enterprise server ", "sles", Shape::Suse),
    ("suse linux enterprise software development kit ", "sles", Shape::Suse),
    ("suse linux micro ", "sl-micro", Shape::Suse),
    ("suse linux enterprise module for ", "sles", Shape::SuseModule),
    ("ubuntu ", "ubuntu", Shape::Whole),
];

/// How a release is written after the name.
#[derive(Clone, Copy)]
enum Shape {
    /// Its first number counts.
    Major,
    /// A number that the distribution writes with `.0`.
    Photon,
    /// `15`, `15 SP4`, `15 SP4-LTSS`, `15.2`.
    Suse,
    /// The same, after the name of a module.
    SuseModule,
    /// All of it counts.
    Whole,
}

/// The release that a name in words means: `SUSE Linux Enterprise Server 15 SP4`, `AlmaLinux 9`.
pub(super) fn of_name(name: &str) -> Option<Platform> {
    let name = name.trim().to_ascii_lowercase();
    if name == "opensuse tumbleweed" {
        return Some(Platform::new("opensuse-tumbleweed", ""));
    }
    let found = NAMES.iter().find_map(|(prefix, id, shape)| Some((name.strip_prefix(prefix)?, id, shape)));
    let Some((rest, id, shape)) = found else { return old_suse(&name) };
    match shape {
        Shape::Suse => numbered(id, &suse_release(rest)?),
        Shape::SuseModule => {
            let at = rest.rfind(" sp").or(Some(rest.len()))?;
            let at = rest[..at].rfind(' ')?;
            numbered(id, &suse_release(&rest[at + 1..])?)
        }
        Shape::Major => major(id, plain_release(rest)?),
        Shape::Photon => match plain_release(rest)? {
            release if release.contains('.') => numbered(id, release),
            release => numbered(id, &format!("{release}.0")),
        },
        Shape::Whole => numbered(id, plain_release(rest)?),
    }
}

/// The release of Ubuntu that a codename means.
pub(super) fn ubuntu(codename: &str) -> Option<Platform> {
    let (archive, codename) = codename.split_once('/').unwrap_or(("", codename));
    let (_, release) = UBUNTU.iter().find(|(name, _)| *name == codename)?;
    match archive {
        "" => Some(Platform::new("ubuntu", release)),
        // Archives of Ubuntu Pro with the same versions and later ones.
        _ if archive.starts_with("esm-") => Some(Platform::new("ubuntu", release).for_subscribers()),
        _ => None,
    }
}

/// The release of an ecosystem's name in the Open Source Vulnerability format that is a distribution of its own kind:
/// the part after the colon.
pub(super) fn of_osv(distribution: &str, release: &str) -> Option<Platform> {
    match distribution {
        "Red Hat" => of_cpe(&format!("cpe:/a:redhat:{release}")),
        "SUSE" => of_name(&format!("suse {release}")),
        "Ubuntu" => ubuntu_osv(release),
        "openSUSE" => of_name(&format!("opensuse {release}")),
        _ => None,
    }
}

/// `22.04:LTS`, `Pro:18.04:LTS`, and others with versions of their own: `Pro:FIPS:22.04:LTS`.
fn ubuntu_osv(release: &str) -> Option<Platform> {
    let release = release.strip_suffix(":LTS").unwrap_or(release);
    match release.strip_prefix("Pro:") {
        Some(release) => numbered("ubuntu", release).map(Platform::for_subscribers),
        None => numbered("ubuntu", release),
    }
}

fn major(id: &str, version: &str) -> Option<Platform> {
    numbered(id, version).map(|_| Platform::new(id, version.split('.').next().unwrap_or(version)))
}

fn numbered(id: &str, version: &str) -> Option<Platform> {
    is_number(version).then(|| Platform::new(id, version))
}

/// Whether a text is digits with dots between them.
fn is_number(text: &str) -> bool {
    text.split('.').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The number that a release starts with, where nothing follows that makes it another product.
fn plain_release(rest: &str) -> Option<&str> {
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let (number, tail) = rest.split_at(end);
    let tail = tail.split(" (").next().unwrap_or_default();
    let same = matches!(tail, "" | " lts" | " modular") || tail.starts_with('-');
    same.then(|| number.trim_end_matches('.'))
}

/// `15 sp4`, `15 sp4-ltss`, `15-ltss`, `15.2`
fn suse_release(rest: &str) -> Option<String> {
    let rest = rest.strip_suffix("-ltss").unwrap_or(rest);
    match rest.split_once(" sp") {
        Some((major, minor)) if is_number(minor) => Some(format!("{major}.{minor}")),
        Some(_) => None,
        None => Some(rest.into()),
    }
}

/// `sles10-sp4`, `core9`, `suse102`: how old OVAL names releases.
fn old_suse(name: &str) -> Option<Platform> {
    if let Some(rest) = name.strip_prefix("sles").or_else(|| name.strip_prefix("core")) {
        return numbered("sles", &suse_release(&rest.replacen("-sp", " sp", 1))?);
    }
    let digits = name.strip_prefix("suse").filter(|digits| digits.len() == 3 && is_number(digits))?;
    numbered("opensuse", &format!("{}.{}", &digits[..2], &digits[2..]))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn shown(platform: Option<Platform>) -> String {
        match platform {
            Some(Platform { scope, fixes: Fixes::ForAll }) => scope.to_string(),
            Some(Platform { scope, fixes: Fixes::ForSubscribers }) => format!("{scope} (subscribers)"),
            None => "none".into(),
        }
    }

    #[test]
    fn a_cpe_names_a_release() {
        for (cpe, expected) in [
            ("cpe:/o:redhat:enterprise_linux:9", "rhel 9"),
            ("cpe:/a:redhat:enterprise_linux:8::appstream", "rhel 8"),
            ("cpe:/o:redhat:enterprise_linux:10.0", "rhel 10"),
            ("cpe:/o:redhat:rhel_els:7", "rhel 7 (subscribers)"),
            ("cpe:/o:redhat:rhel_eus:9.2::baseos", "none"),
            ("cpe:/a:redhat:openshift:4.16::el9", "none"),
            ("cpe:/a:almalinux:almalinux:9::crb", "almalinux 9"),
            ("cpe:/o:suse:sles:15:sp4", "sles 15.4"),
            ("cpe:/o:suse:sles:12", "sles 12.0"),
            ("cpe:/o:suse:suse_sles_ltss:11:sp2", "sles 11.2"),
            ("cpe:/o:suse:sles:16:16.0:server", "sles 16.0"),
            ("cpe:/o:suse:sle-module-basesystem:15:sp3", "sles 15.3"),
            ("cpe:/o:suse:sles-bcl:12:sp3", "none"),
            ("cpe:/o:suse:ses:7", "none"),
            ("cpe:/o:opensuse:leap:15.2", "opensuse-leap 15.2"),
            ("cpe:2.3:o:fedoraproject:fedora:40:*:*:*:*:*:*:*", "fedora 40"),
            ("cpe:/o:redhat:enterprise_linux", "none"),
            ("enterprise_linux", "none"),
        ] {
            assert_eq!(shown(of_cpe(cpe)), expected, "{cpe}");
        }
    }

    #[test]
    fn a_distribution_is_one_without_a_release_too() {
        for cpe in
            ["cpe:/o:redhat:enterprise_linux", "cpe:/a:redhat:enterprise_linux:9::crb", "cpe:/o:suse:sles:15:sp4"]
        {
            assert!(is_distribution(cpe), "{cpe}");
        }
        for cpe in ["cpe:/a:oracle:linux_automation_manager:2.2", "cpe:/a:redhat:rhel_eus:9.2", "cpe:/a", "x"] {
            assert!(!is_distribution(cpe), "{cpe}");
        }
    }

    #[test]
    fn a_name_names_a_release() {
        for (name, expected) in [
            ("Red Hat Enterprise Linux 5", "rhel 5"),
            ("Red Hat Enterprise Linux 8.6 Extended Update Support", "none"),
            ("AlmaLinux 9", "almalinux 9"),
            ("almalinux-9-for-x86_64-baseos-rpms__9_1_default", "almalinux 9"),
            ("rocky-linux-8-x86-64-baseos-rpms", "rocky 8"),
            ("Oracle Linux 5", "ol 5"),
            ("Photon OS 5", "photon 5.0"),
            ("Photon 3", "photon 3.0"),
            ("Debian GNU/Linux 11", "debian 11"),
            ("Ubuntu 22.04 LTS", "ubuntu 22.04"),
            ("Ubuntu 22.04 LTS (jammy)", "ubuntu 22.04"),
            ("Fedora 38 Modular", "fedora 38"),
            ("Fedora EPEL 6", "none"),
            ("SUSE Linux Enterprise Server 12 SP2-BCL", "none"),
            ("SUSE Linux Enterprise Server 11 SP2-LTSS", "sles 11.2"),
            ("SUSE Linux Enterprise Server 15-LTSS", "sles 15.0"),
            ("SUSE Linux Enterprise Server for SAP Applications 12 SP5", "sles 12.5"),
            ("SUSE Linux Enterprise Module for Public Cloud 15 SP4", "sles 15.4"),
            ("SUSE Linux Enterprise Module for Basesystem 15", "sles 15.0"),
            ("openSUSE Leap 15.2", "opensuse-leap 15.2"),
            ("openSUSE Tumbleweed", "opensuse-tumbleweed"),
            ("openSUSE 13.2", "opensuse-leap 13.2"),
            ("sles10-sp4", "sles 10.4"),
            ("sles10-sp4-sdk", "none"),
            ("suse102", "opensuse-leap 10.2"),
            ("core9", "sles 9.0"),
            ("tar", "none"),
        ] {
            assert_eq!(shown(of_name(name)), expected, "{name}");
        }
    }

    #[test]
    fn ubuntus_archives_are_told_apart() {
        for (name, expected) in [
            ("jammy", "ubuntu 22.04"),
            ("esm-infra-legacy/trusty", "ubuntu 14.04 (subscribers)"),
            ("fips-updates/jammy", "none"),
            ("warty", "none"),
        ] {
            assert_eq!(shown(ubuntu(name)), expected, "{name}");
        }
        for (release, expected) in [
            ("24.10", "ubuntu 24.10"),
            ("Pro:18.04:LTS", "ubuntu 18.04 (subscribers)"),
            ("Pro:FIPS-updates:22.04:LTS", "none"),
        ] {
            assert_eq!(shown(of_osv("Ubuntu", release)), expected, "{release}");
        }
    }
}
