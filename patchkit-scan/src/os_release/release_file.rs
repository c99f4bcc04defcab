//! The files that said which distribution it is before there was `os-release`, and in images from which that is missing.

use patchkit_core::Distribution;

use super::assignments;

/// The files that are asked where there is no `os-release`, in this order: those that only one distribution has come
/// before those that derivatives keep of the one they derive from.
///
/// Oracle Linux has Red Hat's `redhat-release`, Ubuntu has Debian's `debian_version`.
pub const FALLBACKS: [&str; 16] = [
    "etc/oracle-release",
    "etc/almalinux-release",
    "etc/rocky-release",
    "etc/centos-release",
    "etc/fedora-release",
    "etc/photon-release",
    "etc/mariner-release",
    "etc/azurelinux-release",
    "etc/SuSE-release",
    "etc/alpine-release",
    "etc/arch-release",
    "etc/system-release-cpe",
    "etc/system-release",
    "etc/redhat-release",
    "etc/lsb-release",
    "etc/debian_version",
];

/// The distributions by the start of what such files call them, and their ids in `os-release`.
const PRODUCTS: [(&str, &str); 21] = [
    ("almalinux", "almalinux"),
    ("amazon linux", "amzn"),
    ("arch", "arch"),
    ("cbl-mariner", "mariner"),
    ("centos", "centos"),
    ("cloudlinux", "cloudlinux"),
    ("debian", "debian"),
    ("fedora", "fedora"),
    ("mariner", "mariner"),
    ("microsoft azure linux", "azurelinux"),
    ("openeuler", "openEuler"),
    ("opensuse", "opensuse"),
    ("oracle", "ol"),
    ("photon", "photon"),
    ("red hat", "rhel"),
    ("rocky linux", "rocky"),
    ("scientific linux", "scientific"),
    ("suse linux enterprise", "sles"),
    ("ubuntu", "ubuntu"),
    ("virtuozzo", "virtuozzo"),
    ("vmware photon", "photon"),
];

/// Vendor and product of the platform enumeration (CPE), and the id in `os-release`.
const PLATFORMS: [(&str, &str, &str); 7] = [
    ("amazon", "amazon_linux", "amzn"),
    ("amazon", "linux", "amzn"),
    ("centos", "linux", "centos"),
    ("fedoraproject", "fedora", "fedora"),
    ("oracle", "linux", "ol"),
    ("redhat", "enterprise_linux", "rhel"),
    ("scientificlinux", "scientificlinux", "scientific"),
];

/// The distribution that one of the [`FALLBACKS`] speaks of; `None` where it names none that is known.
///
/// ```
/// use patchkit_scan::os_release::parse_fallback;
///
/// let distribution = parse_fallback("etc/redhat-release", b"CentOS release 6.10 (Final)\n").unwrap();
/// assert_eq!((distribution.id.as_str(), distribution.version_id.as_deref()), ("centos", Some("6.10")));
/// ```
#[must_use]
pub fn parse_fallback(path: &str, bytes: &[u8]) -> Option<Distribution> {
    let text = String::from_utf8_lossy(bytes);
    let line = text.lines().next().unwrap_or_default().trim();
    match path {
        "etc/SuSE-release" => suse(&text),
        "etc/alpine-release" => Some(distribution("alpine", number(line)?, None)),
        "etc/arch-release" => Some(Distribution { version_id: None, ..distribution("arch", "", None) }),
        "etc/debian_version" => debian(line),
        "etc/lsb-release" => lsb(bytes),
        "etc/system-release-cpe" => platform(line),
        _ => product(line),
    }
}

fn distribution(id: &str, version: &str, pretty_name: Option<&str>) -> Distribution {
    Distribution {
        id: id.into(),
        version_id: Some(version.into()),
        codename: None,
        pretty_name: pretty_name.map(Into::into),
        id_like: Vec::new(),
    }
}

/// The first word that starts with a digit.
fn number(line: &str) -> Option<&str> {
    line.split_ascii_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))
}

/// The id of a product, by how its name starts.
fn id(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    PRODUCTS.iter().find(|(start, _)| name.starts_with(start)).map(|(_, id)| *id)
}

/// `CentOS release 6.10 (Final)`, `VMware Photon OS 3.0`.
fn product(line: &str) -> Option<Distribution> {
    Some(distribution(id(line)?, number(line)?, Some(line)))
}

/// `SUSE Linux Enterprise Server 11 (x86_64)`, with the service pack in another line.
fn suse(text: &str) -> Option<Distribution> {
    let found = product(text.lines().next()?.trim())?;
    let level = text.lines().filter_map(|line| line.split_once('='));
    let level = level.filter(|(name, _)| name.trim() == "PATCHLEVEL").find_map(|(_, level)| number(level));
    let version = match (found.version_id.clone()?, level) {
        (version, Some(level)) if level != "0" && !version.contains('.') => format!("{version}.{level}"),
        (version, _) => version,
    };
    Some(Distribution { version_id: Some(version), ..found })
}

/// `11.11`, of which `os-release` has the first number; `trixie/sid`.
fn debian(line: &str) -> Option<Distribution> {
    if let Some(number) = number(line) {
        return Some(distribution("debian", number.split('.').next()?, None));
    }
    let codename = line.split('/').next().filter(|name| !name.is_empty())?;
    Some(Distribution { version_id: None, codename: Some(codename.into()), ..distribution("debian", "", None) })
}

/// The fields of the Linux Standard Base.
fn lsb(bytes: &[u8]) -> Option<Distribution> {
    let mut fields = assignments(bytes).ok()?;
    let mut take = |name: &str| fields.remove(name).filter(|value| !value.is_empty());
    let id = id(&take("DISTRIB_ID")?)?;
    Some(Distribution {
        version_id: take("DISTRIB_RELEASE").filter(|release| release != "rolling"),
        codename: take("DISTRIB_CODENAME").filter(|codename| codename != "n/a"),
        pretty_name: take("DISTRIB_DESCRIPTION"),
        ..distribution(id, "", None)
    })
}

/// `cpe:/o:centos:linux:6:GA`, `cpe:2.3:o:amazon:amazon_linux:2`, `cpe:/o:redhat:enterprise_linux:6server:ga:server`.
fn platform(line: &str) -> Option<Distribution> {
    let rest = line.strip_prefix("cpe:/o:").or_else(|| line.strip_prefix("cpe:2.3:o:"))?;
    let mut parts = rest.split(':');
    let (vendor, product, version) = (parts.next()?, parts.next()?, parts.next()?);
    let (_, _, id) = PLATFORMS.iter().find(|known| (known.0, known.1) == (vendor, product))?;
    let end = version.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(version.len());
    Some(&version[..end]).filter(|version| !version.is_empty()).map(|version| distribution(id, version, None))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn products_have_the_id_and_version_of_os_release() {
        for (path, text, id, version) in [
            ("etc/redhat-release", "Red Hat Enterprise Linux Server release 7.9 (Maipo)\n", "rhel", "7.9"),
            ("etc/redhat-release", "Scientific Linux release 6.10 (Carbon)", "scientific", "6.10"),
            ("etc/oracle-release", "Oracle Linux Server release 8.9\n", "ol", "8.9"),
            ("etc/centos-release", "CentOS Stream release 9\n", "centos", "9"),
            ("etc/fedora-release", "Fedora release 40 (Forty)\n", "fedora", "40"),
            ("etc/almalinux-release", "AlmaLinux release 9.3 (Shamrock Pampas Cat)\n", "almalinux", "9.3"),
            ("etc/rocky-release", "Rocky Linux release 8.9 (Green Obsidian)\n", "rocky", "8.9"),
            ("etc/system-release", "Amazon Linux release 2 (Karoo)\n", "amzn", "2"),
            ("etc/system-release", "Amazon Linux AMI release 2018.03\n", "amzn", "2018.03"),
            ("etc/photon-release", "VMware Photon OS 3.0\nPHOTON_BUILD_NUMBER=abc\n", "photon", "3.0"),
            ("etc/mariner-release", "CBL-Mariner 2.0.20240301\n", "mariner", "2.0.20240301"),
            (
                "etc/SuSE-release",
                "SUSE Linux Enterprise Server 11 (x86_64)\nVERSION = 11\nPATCHLEVEL = 3\n",
                "sles",
                "11.3",
            ),
            ("etc/SuSE-release", "openSUSE 13.1 (x86_64)\nVERSION = 13.1\n", "opensuse", "13.1"),
            ("etc/alpine-release", "3.20.3\n", "alpine", "3.20.3"),
            ("etc/debian_version", "11.11\n", "debian", "11"),
            (
                "etc/lsb-release",
                "DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=22.04\nDISTRIB_CODENAME=jammy\n",
                "ubuntu",
                "22.04",
            ),
            ("etc/system-release-cpe", "cpe:/o:centos:linux:6:GA\n", "centos", "6"),
            ("etc/system-release-cpe", "cpe:/o:redhat:enterprise_linux:6server:ga:server\n", "rhel", "6"),
            ("etc/system-release-cpe", "cpe:2.3:o:amazon:amazon_linux:2\n", "amzn", "2"),
        ] {
            let found = parse_fallback(path, text.as_bytes()).unwrap();
            assert_eq!((found.id.as_str(), found.version_id.as_deref()), (id, Some(version)), "{path}");
        }
    }

    #[test]
    fn rolling_releases_have_no_number() {
        for (path, text, id, codename) in [
            ("etc/arch-release", "", "arch", None),
            ("etc/lsb-release", "DISTRIB_ID=\"Arch\"\nDISTRIB_RELEASE=\"rolling\"\n", "arch", None),
            ("etc/debian_version", "trixie/sid\n", "debian", Some("trixie")),
        ] {
            let found = parse_fallback(path, text.as_bytes()).unwrap();
            assert_eq!(
                (found.id.as_str(), found.version_id, found.codename.as_deref()),
                (id, None, codename),
                "{path}"
            );
        }
    }

    #[test]
    fn what_names_no_known_distribution_is_none() {
        for (path, text) in [
            ("etc/redhat-release", ""),
            ("etc/redhat-release", "Some release 1\n"),
            ("etc/redhat-release", "CentOS release\n"),
            ("etc/debian_version", "\n"),
            ("etc/alpine-release", "edge\n"),
            ("etc/lsb-release", "DISTRIB_RELEASE=1\n"),
            ("etc/system-release-cpe", "cpe:/o:centos:6:GA\n"),
            ("etc/system-release-cpe", "cpe:/o:centos:linux:GA\n"),
        ] {
            assert_eq!(parse_fallback(path, text.as_bytes()), None, "{path} {text:?}");
        }
    }
}
