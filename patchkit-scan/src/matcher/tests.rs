#![allow(clippy::unwrap_used)]

use patchkit_core::{
    CvssScore, Epss, Exploitation, FixState, Presence, Purl, PurlParts, Severity, SourcePackage, Version,
};

use super::*;
use crate::{
    advisory::{Advisory, End, Range, Scope, Statement, Status},
    os_release,
};

const DEB: &str = "deb";

fn package(name: &str, version: &str, source: Option<(&str, &str)>) -> Package {
    let version_of = |text: &str| Version::new(DEB, text).unwrap();
    let parts = PurlParts { kind: "deb".into(), name: name.into(), version: version.into(), ..PurlParts::default() };
    let source =
        source.map(|(name, version)| SourcePackage { name: name.parse().unwrap(), version: version_of(version) });
    Package { source, ..Package::new(parts.build().unwrap(), name.parse().unwrap(), version_of(version)) }
}

fn judge(list: &str, package: Package, unaffected: Unaffected) -> Vec<FixState> {
    let mut builder = AdvisoryStore::builder();
    builder.read("list", list.as_bytes()).unwrap();
    let store = builder.build();
    let debian = os_release::parse(b"ID=debian\nVERSION_ID=11\n").unwrap();
    let matches = Matcher::new(&store).with_unaffected(unaffected).judge(Some(&debian), &[package]).unwrap();
    assert_eq!(matches.warnings, [""; 0]);
    matches.findings.into_iter().map(|finding| finding.fix).collect()
}

fn fixed(version: &str) -> FixState {
    FixState::Fixed(Version::new(DEB, version).unwrap())
}

#[test]
fn every_state() {
    let curl = || package("libcurl4", "7.74.0-1.3+deb11u7", Some(("curl", "7.74.0-1.3+deb11u7")));
    for (line, expected) in [
        ("[bullseye] - curl 7.74.0-1.3+deb11u8", vec![fixed("7.74.0-1.3+deb11u8")]),
        ("[bullseye] - curl 7.74.0-1.3+deb11u7", vec![]),
        ("[bullseye] - curl <no-dsa> (Minor)", vec![FixState::NotFixed]),
        ("[bullseye] - curl <ignored> (Minor)", vec![FixState::WillNotFix]),
        ("[bullseye] - curl <not-affected> (Newer)", vec![FixState::NotAffected]),
        ("[bookworm] - curl <unfixed>", vec![]),
        ("- curl 7.88.1-7", vec![FixState::NotFixed]),
        ("- curl 7.70-1", vec![]),
    ] {
        let list = format!("CVE-2023-27534 (x)\n\t[bullseye] - other 1\n\t{line}\n");
        assert_eq!(judge(&list, curl(), Unaffected::Report), expected, "{line}");
    }
    let list = "CVE-2023-27534 (x)\n\t[bullseye] - curl <not-affected> (Newer)\n";
    assert_eq!(judge(list, curl(), Unaffected::Omit), []);
}

#[test]
fn the_highest_of_several_fixes_counts() {
    let list = "[01 Nov 2024] DLA-3942-2 openssl - regression update\n\t{CVE-2024-5535}\n\t[bullseye] - openssl 1.1.1w-0+deb11u2\n\
                [30 Oct 2024] DLA-3942-1 openssl - security update\n\t{CVE-2024-5535}\n\t[bullseye] - openssl 1.1.1n-0+deb11u6\n";
    let openssl = |version| package("libssl1.1", version, Some(("openssl", version)));
    for (installed, expected) in [
        ("1.1.1n-0+deb11u5", vec![fixed("1.1.1w-0+deb11u2")]),
        ("1.1.1w-0+deb11u1", vec![fixed("1.1.1w-0+deb11u2")]),
        ("1.1.1w-0+deb11u2", vec![]),
    ] {
        assert_eq!(judge(list, openssl(installed), Unaffected::Omit), expected, "{installed}");
    }
}

#[test]
fn the_source_is_judged_not_the_binary() {
    let list = "CVE-2023-1000 (x)\n\t[bullseye] - bash 5.2.15-2\n\t[bullseye] - linux 5.10.226-1\n";
    let rebuilt = package("bash", "5.2.15-2+b13", Some(("bash", "5.2.15-2")));
    assert_eq!(judge(list, rebuilt, Unaffected::Omit), []);
    let epoch = package("bash-doc", "1:99", Some(("bash", "5.2.15-1")));
    assert_eq!(judge(list, epoch, Unaffected::Omit), [fixed("5.2.15-2")]);
    let kernel =
        |version, signed| package("linux-image-5.10.0-33-amd64", version, Some(("linux-signed-amd64", signed)));
    assert_eq!(judge(list, kernel("5.10.226-1", "5.10.226+1"), Unaffected::Omit), []);
    assert_eq!(judge(list, kernel("5.10.223-1", "5.10.223+1"), Unaffected::Omit), [fixed("5.10.226-1")]);
}

#[test]
fn what_cannot_be_judged_is_said() {
    let mut builder = AdvisoryStore::builder();
    builder.read("list", "CVE-2023-1000 (x)\n\t[bullseye] - bash 5.2.15-2\n".as_bytes()).unwrap();
    let store = builder.build();
    let bash = [package("bash", "5.1", None)];
    let judge = |release: &[u8]| {
        let distribution = os_release::parse(release).unwrap();
        Matcher::new(&store).judge(Some(&distribution), &bash).unwrap()
    };
    let derivative = judge(b"ID=vyos\nID_LIKE=debian\nVERSION_CODENAME=bullseye\n");
    assert!(derivative.findings.is_empty());
    assert_eq!(derivative.warnings, ["no advisories for vyos bullseye: its packages were not judged"]);
    assert_eq!(judge(b"ID=debian\nVERSION_ID=12\n").warnings.len(), 1);
    assert_eq!(Matcher::new(&store).judge(None, &bash).unwrap().warnings.len(), 1);
    assert_eq!(judge(b"ID=debian\nVERSION_ID=11\n").findings.len(), 1);
}

/// A package as an inventory gives it, of the given purl type and scheme.
fn installed(scheme: &str, name: &str, version: &str) -> Package {
    let (namespace, last) = name.rsplit_once([':', '/']).unwrap_or(("", name));
    let (namespace, last) = (namespace.into(), last.into());
    let parts =
        PurlParts { kind: scheme.into(), namespace, name: last, version: version.into(), ..PurlParts::default() };
    Package::new(parts.build().unwrap(), name.parse().unwrap(), Version::new(scheme, version).unwrap())
}

fn built_from(package: Package, name: &str, version: &str) -> Package {
    let version = Version::new(package.version.scheme(), version).unwrap();
    Package { source: Some(SourcePackage { name: name.parse().unwrap(), version }), ..package }
}

fn advisory(ecosystem: &str, release: Option<&str>, name: &str, status: Status) -> Advisory {
    let scope = Scope::new(ecosystem, release);
    Advisory::new("CVE-2024-1000".parse().unwrap(), scope, name.parse().unwrap(), status, "test")
}

fn up_to(version: &str) -> Status {
    Status::up_to(End::Fixed(version.into()))
}

fn store(advisories: impl IntoIterator<Item = Advisory>) -> AdvisoryStore {
    let mut builder = AdvisoryStore::builder();
    advisories.into_iter().for_each(|advisory| builder.add(advisory));
    builder.build()
}

/// What is found in packages of an image with such an `os-release`, as `fix`'s version or state, without warnings.
fn found(os_release: &str, store: &AdvisoryStore, packages: &[Package]) -> Vec<String> {
    let distribution = os_release::parse(os_release.as_bytes()).unwrap();
    let matches = Matcher::new(store).judge(Some(&distribution), packages).unwrap();
    assert_eq!(matches.warnings, [""; 0]);
    let show = |finding: Finding| match finding.fix {
        FixState::Fixed(version) => format!("{} {version}", version.scheme()),
        other => format!("{other:?}"),
    };
    matches.findings.into_iter().map(show).collect()
}

const ALPINE: &str = "ID=alpine\nVERSION_ID=3.20.3\n";
const ALMA: &str = "ID=almalinux\nVERSION_ID=8.9\n";
const RHEL: &str = "ID=rhel\nVERSION_ID=9.4\n";

#[test]
fn every_ecosystem_has_its_order_and_its_names() {
    for (kind, ecosystem, name, claimed, before, fixed, after) in [
        ("npm", "npm", "@babel/traverse", "@babel/traverse", "7.23.1", "7.23.2", "7.23.10"),
        ("pypi", "PyPI", "jinja2", "Jinja2", "3.1.3rc1", "3.1.3", "3.1.3.post1"),
        ("pypi", "PyPI", "Flask_Login", "flask-login", "0.5", "0.6", "0.6.0"),
        ("golang", "Go", "golang.org/x/net", "golang.org/x/net", "v0.16.0", "0.17.0", "v0.17.0"),
        ("golang", "Go", "stdlib", "stdlib", "1.21rc2", "1.21.0", "1.21.0"),
        ("cargo", "crates.io", "openssl", "openssl", "0.10.54", "0.10.55", "0.10.60"),
        ("maven", "Maven", "org.a:b", "org.a:b", "2.17.1-rc1", "2.17.1", "2.17.1.Final"),
        ("gem", "RubyGems", "rack", "rack", "2.2.6.rc1", "2.2.6", "2.2.6.4"),
        ("composer", "Packagist", "symfony/http-kernel", "Symfony/http-kernel", "v5.4.19-BETA1", "5.4.20", "5.4.20.0"),
        ("nuget", "NuGet", "Newtonsoft.Json", "Newtonsoft.Json", "13.0.1-Beta1", "13.0.1", "13.0.1.0"),
        ("hex", "Hex", "phoenix", "Phoenix", "1.6.13", "1.6.14", "1.7.0"),
        ("pub", "Pub", "http", "http", "0.13.2", "0.13.3", "0.13.3+1"),
    ] {
        let store = store([advisory(ecosystem, None, claimed, up_to(fixed))]);
        let packages = [installed(kind, name, before), installed(kind, name, after)];
        assert_eq!(found(ALPINE, &store, &packages), [format!("{kind} {fixed}")], "{kind} {name}");
    }
}

#[test]
fn a_range_has_a_start_and_the_fix_of_its_own_branch_counts() {
    let range = |from: &str, end| Range { from: Some(from.into()), end };
    let ranges = vec![
        range("1.0.0", End::Fixed("1.4.2".into())),
        range("2.0.0", End::Fixed("2.1.0".into())),
        range("3.0.0", End::Last("3.0.5".into())),
        range("4.0.0", End::NotFixed),
    ];
    let store = store([advisory("npm", None, "x", Status::Affected(ranges))]);
    for (version, expected) in [
        ("0.9.0", None),
        ("1.0.0", Some("npm 1.4.2")),
        ("1.4.2", None),
        ("2.0.0-rc.1", None),
        ("2.0.9", Some("npm 2.1.0")),
        ("3.0.5", Some("NotFixed")),
        ("3.0.6", None),
        ("5.0.0", Some("NotFixed")),
    ] {
        let found = found(ALPINE, &store, &[installed("npm", "x", version)]);
        assert_eq!(found.first().map(String::as_str), expected, "{version}");
    }
}

#[test]
fn distributions_speak_of_sources_or_of_packages() {
    let alpine = store([advisory("alpine", Some("v3.20"), "openssl", up_to("3.3.1-r1"))]);
    let libssl = |version| built_from(installed("apk", "libssl3", version), "openssl", version);
    assert_eq!(found(ALPINE, &alpine, &[libssl("3.3.1-r0")]), ["apk 3.3.1-r1"]);
    assert_eq!(found(ALPINE, &alpine, &[libssl("3.3.1-r1")]), [""; 0]);

    let wolfi = store([advisory("Wolfi", None, "glibc", up_to("2.39-r2"))]);
    let glibc = built_from(installed("apk", "ld-linux", "2.39-r1"), "glibc", "2.39-r1");
    assert_eq!(found("ID=wolfi\nVERSION_ID=20230201\n", &wolfi, &[glibc]), ["apk 2.39-r2"]);

    let arch = store([advisory("arch", None, "openssl", up_to("3.2.0-2"))]);
    assert_eq!(found("ID=arch\n", &arch, &[installed("alpm", "openssl", "3.2.0-1")]), ["alpm 3.2.0-2"]);

    let ubuntu = store([advisory("Ubuntu", Some("22.04:LTS"), "linux-aws", up_to("5.15.0-1050.55"))]);
    let image = installed("deb", "linux-image-5.15.0-1049-aws", "5.15.0-1049.54");
    let image = built_from(image, "linux-signed-aws", "5.15.0-1049.54");
    assert_eq!(found("ID=ubuntu\nVERSION_ID=22.04\n", &ubuntu, &[image]), ["deb 5.15.0-1050.55"]);
}

#[test]
fn rpm_packages_are_judged_by_their_own_name_first() {
    let claims = [
        advisory("rhel", Some("9"), "openssl", up_to("1:3.0.7-27.el9")),
        advisory("rhel", Some("9"), "openssl-libs", up_to("1:3.0.7-25.el9")),
        advisory("rhel", Some("9"), "perl", up_to("4:5.32.1-481.el9")),
    ];
    let store = store(claims);
    let openssl = |name, version| built_from(installed("rpm", name, version), "openssl", "3.0.7-24.el9");
    assert_eq!(found(RHEL, &store, &[openssl("openssl-libs", "1:3.0.7-24.el9")]), ["rpm 1:3.0.7-25.el9"]);
    assert_eq!(found(RHEL, &store, &[openssl("openssl-libs", "1:3.0.7-25.el9")]), [""; 0]);
    // Only the source is spoken of.
    assert_eq!(found(RHEL, &store, &[openssl("openssl-perl", "1:3.0.7-24.el9")]), ["rpm 1:3.0.7-27.el9"]);
    // A package with a version of its own is judged by that of the source, without the epoch that it does not have.
    let perl = |source| built_from(installed("rpm", "perl-Errno", "1.30-481.el9"), "perl", source);
    assert_eq!(found(RHEL, &store, &[perl("5.32.1-480.el9")]), ["rpm 4:5.32.1-481.el9"]);
    assert_eq!(found(RHEL, &store, &[perl("5.32.1-481.el9")]), [""; 0]);
}

#[test]
fn a_bound_without_a_release_is_met_by_any() {
    let last = Status::up_to(End::Last("1.0".into()));
    let store = store([advisory("rhel", Some("9"), "x", last)]);
    assert_eq!(found(RHEL, &store, &[installed("rpm", "x", "1.0-5.el9")]), ["NotFixed"]);
    assert_eq!(found(RHEL, &store, &[installed("rpm", "x", "1.1-1.el9")]), [""; 0]);
}

#[test]
fn module_streams_stay_apart() {
    let of = |module: Option<&str>, version: &str| {
        let claim = advisory("rhel", Some("9"), "nodejs", up_to(version));
        Advisory { module: module.map(Into::into), ..claim }
    };
    let store =
        store([of(Some("nodejs:18"), "1:18.19.1-1"), of(Some("nodejs:20"), "1:20.11.1-1"), of(None, "1:16.20.2-4")]);
    for (module, version, expected) in [
        (Some("nodejs:18"), "1:18.19.0-1", Some("rpm 1:18.19.1-1")),
        (Some("nodejs:18:9030020240301:rhel9"), "1:18.19.1-1", None),
        (Some("nodejs:20"), "1:18.19.0-1", Some("rpm 1:20.11.1-1")),
        (Some("nodejs:22"), "1:18.19.0-1", None),
        (None, "1:16.20.2-3", Some("rpm 1:16.20.2-4")),
        (None, "1:16.20.2-4", None),
    ] {
        let package = Package { module: module.map(Into::into), ..installed("rpm", "nodejs", version) };
        assert_eq!(found(RHEL, &store, &[package]).first().map(String::as_str), expected, "{module:?} {version}");
    }
}

#[test]
fn builds_show_the_module_that_an_advisory_does_not_name() {
    let build = |version: &str| Range::up_to(End::Fixed(version.into()));
    let ranges = vec![build("1:18.19.1-1.module_el8.9.0+1"), build("1:20.11.1-1.module_el8.9.0+2")];
    let tools = vec![build("3.0.1-1.module_el8.9.0+1")];
    let store = store([
        advisory("AlmaLinux", Some("8"), "nodejs", Status::Affected(ranges)),
        advisory("AlmaLinux", Some("8"), "nodejs-nodemon", Status::Affected(tools)),
    ]);
    for (name, module, version, expected) in [
        ("nodejs", Some("nodejs:18"), "1:18.19.0-1.module_el8.8.0+1", Some("rpm 1:18.19.1-1.module_el8.9.0+1")),
        ("nodejs", Some("nodejs:20"), "1:20.11.0-1.module_el8.8.0+1", Some("rpm 1:20.11.1-1.module_el8.9.0+2")),
        ("nodejs", Some("nodejs:18"), "1:18.19.1-1.module_el8.9.0+1", None),
        ("nodejs", Some("nodejs:1"), "1:18.19.1-1.module_el8.9.0+1", Some("rpm 1:20.11.1-1.module_el8.9.0+2")),
        ("nodejs", None, "1:16.0.0-1.el8", None),
        ("nodejs-nodemon", Some("nodejs:18"), "3.0.0-1.module_el8.8.0+1", Some("rpm 3.0.1-1.module_el8.9.0+1")),
    ] {
        let package = Package { module: module.map(Into::into), ..installed("rpm", name, version) };
        let found = found(ALMA, &store, &[package]);
        assert_eq!(found.first().map(String::as_str), expected, "{name} {module:?} {version}");
    }
}

#[test]
fn architectures_are_the_claims_or_all() {
    let claim = Advisory { architectures: vec!["x86_64".into()], ..advisory("rhel", Some("9"), "x", up_to("2-1")) };
    let store = store([claim]);
    for (architecture, affected) in [(Some("x86_64"), 1), (Some("aarch64"), 0), (Some("noarch"), 1), (None, 1)] {
        let package = Package { architecture: architecture.map(Into::into), ..installed("rpm", "x", "1-1") };
        assert_eq!(found(RHEL, &store, &[package]).len(), affected, "{architecture:?}");
    }
}

#[test]
fn claims_of_one_vulnerability_are_one_finding_with_the_highest_fix() {
    let of = |architectures: &[&str], version: &str, bulletin: &str| Advisory {
        architectures: architectures.iter().map(|name| (*name).into()).collect(),
        bulletins: vec![bulletin.parse().unwrap()],
        ..advisory("rhel", Some("9"), "x", up_to(version))
    };
    let store = store([of(&[], "10-1", "B-1"), of(&["x86_64"], "9-1", "A-1")]);
    let package = Package { architecture: Some("x86_64".into()), ..installed("rpm", "x", "1-1") };
    assert_eq!(found(RHEL, &store, std::slice::from_ref(&package)), ["rpm 10-1"]);
    let distribution = os_release::parse(RHEL.as_bytes()).unwrap();
    let matches = Matcher::new(&store).judge(Some(&distribution), &[package]).unwrap();
    assert_eq!(matches.findings[0].aliases.iter().map(ToString::to_string).collect::<Vec<_>>(), ["A-1", "B-1"]);
}

#[test]
fn owned_packages_are_judged_by_their_owner_and_guesses_only_where_something_is_known() {
    let store =
        store([advisory("PyPI", None, "requests", up_to("3")), advisory("alpine", Some("3.20"), "y", up_to("1-r0"))]);
    let owner: Purl = "pkg:apk/alpine/py3-requests@2-r0".parse().unwrap();
    let owned = Package { owner: Some(owner), ..installed("pypi", "requests", "2") };
    assert_eq!(found(ALPINE, &store, &[owned]), [""; 0]);
    let guessed = |kind, name| Package { presence: Presence::Guessed, ..installed(kind, name, "2") };
    assert_eq!(found(ALPINE, &store, &[guessed("generic", "busybox")]), [""; 0]);
    assert_eq!(found(ALPINE, &store, &[guessed("pypi", "requests")]), ["pypi 3"]);
}

#[test]
fn what_is_not_known_of_a_language_or_cannot_be_read_is_said() {
    let store = store([
        advisory("Go", None, "example.org/app", up_to("1.2.3")),
        advisory("RubyGems", None, "rack", up_to("two")),
        advisory("npm", None, "b", up_to("2.0.0")),
    ]);
    let packages = [
        installed("golang", "example.org/app", "(devel)"),
        installed("golang", "example.org/unknown", "(devel)"),
        installed("gem", "rack", "1.0"),
        installed("pypi", "x", "1"),
        installed("pypi", "y", "1"),
        installed("npm", "b", "1.0.0"),
        installed("deb", "bash", "5"),
    ];
    let matches = Matcher::new(&store).judge(None, &packages).unwrap();
    assert_eq!(matches.findings.len(), 1);
    assert_eq!(
        matches.warnings,
        [
            "without a distribution, its packages cannot be judged",
            "no advisories for pypi: its packages were not judged",
            "pkg:gem/rack@1.0 was not judged by all advisories: CVE-2024-1000: gem version \"two\": a number is \
             expected, at byte 0",
            "pkg:golang/example.org/app@%28devel%29 was not judged by all advisories: golang version \"(devel)\": a \
             number is expected, at byte 0",
        ]
    );
    let odd = Package { version: Version::new("odd", "1").unwrap(), ..installed("npm", "b", "1") };
    let matches = Matcher::new(&store).judge(None, &[odd]).unwrap();
    assert_eq!(
        matches.warnings,
        ["pkg:npm/b@1 was not judged by all advisories: the order of odd versions is not known"]
    );
}

#[test]
fn a_finding_carries_what_is_known_of_its_vulnerability() {
    let score = |vector: &str| CvssScore { vector: vector.into(), tenths: 98 };
    let vectors = ["AV:N/AC:L/Au:N/C:P/I:P/A:P", "CVSS:3.0/AV:N", "CVSS:3.1/AV:N", "CVSS:4.0/AV:N"];
    let claim = Advisory {
        cvss: vectors.iter().map(|vector| score(vector)).collect(),
        aliases: vec!["GHSA-1".parse().unwrap()],
        severity: Severity::Critical,
        title: Some("A title".into()),
        ..advisory("npm", None, "x", up_to("2.0.0"))
    };
    let exploitation = Exploitation { known: true, epss: Some(Epss { probability: 90_000, percentile: 99_000 }) };
    let mut builder = AdvisoryStore::builder();
    builder.add(claim);
    builder.take(Statement::Exploitation("CVE-2024-1000".parse().unwrap(), exploitation));
    let store = builder.build();
    let matches = Matcher::new(&store).judge(None, &[installed("npm", "x", "1.0.0")]).unwrap();
    let finding = &matches.findings[0];
    let found: Vec<_> = finding.cvss.iter().map(|score| score.vector.as_str()).collect();
    assert_eq!(found, vectors.iter().rev().copied().collect::<Vec<_>>());
    assert_eq!((finding.severity, finding.exploitation), (Severity::Critical, exploitation));
    assert_eq!(finding.aliases.iter().map(ToString::to_string).collect::<Vec<_>>(), ["GHSA-1"]);
    assert_eq!(finding.title.as_deref(), Some("A title"));
}
