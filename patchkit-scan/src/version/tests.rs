#![allow(clippy::unwrap_used)]

use std::path::Path;

use proptest::{prelude::*, string::string_regex};

use super::*;

/// The given versions are in ascending order, and those in one string with `=` between them are equal.
fn ascending(scheme: Scheme, groups: &[&str]) {
    let parse = |text: &str| scheme.parse(text).unwrap();
    for (n, group) in groups.iter().enumerate() {
        let same: Vec<_> = group.split(" = ").collect();
        same.iter().for_each(|other| assert_eq!(parse(same[0]), parse(other), "{scheme}: {} {other}", same[0]));
        for later in groups[n + 1..].iter().flat_map(|group| group.split(" = ")) {
            let earlier = same[0];
            assert!(parse(earlier) < parse(later), "{scheme}: {earlier} is not before {later}");
            assert!(parse(later) > parse(earlier), "{scheme}: {later} is not after {earlier}");
        }
    }
}

#[test]
fn each_scheme_has_its_order() {
    for (scheme, groups) in [
        (Scheme::Alpm, &["1.0a", "1.0b", "1.0beta", "1.0", "1.0-1", "1.0-2", "1.0.a", "1.0.1", "1:0.5"][..]),
        (
            Scheme::Apk,
            &[
                "1.2_alpha",
                "1.2_alpha2",
                "1.2_rc1",
                "1.2_foo = 1.2-1 = 1.2..3",
                "1.2",
                "1.2-r0",
                "1.2-r10",
                "1.2~1234",
                "1.2_git1",
                "1.2_p1",
                "1.2b",
                "1.2.0",
                "1.2.015",
                "1.2.02",
                "1.2.1",
                "1.2.10",
            ],
        ),
        (Scheme::Cargo, &["1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-rc.1", "1.0.0 = 1.0.0+build", "1.0.1"]),
        (
            Scheme::Composer,
            &[
                "dev-main = dev-other",
                "1.0-dev",
                "1.0a1",
                "1.0-beta.2",
                "1.0RC1",
                "1.0 = v1.0.0 = 1.0.0.0-stable",
                "1.0-p1",
                "1.0.1",
                "1.x-dev",
            ],
        ),
        (Scheme::Cran, &["0.1", "0.1-0 = 0.01.0", "0.1-0.1", "0.10"]),
        (Scheme::Deb, &["1.0~rc1-1", "1.0-1", "1.0-1+deb12u1", "1:0.1"]),
        (Scheme::Gem, &["1.0.a.9", "1.0.a10", "1.0.b", "1.0 = 1 = 1.0.0", "1.0.1", "1.2"]),
        (Scheme::Generic, &["1.1.1-rc1", "1.1.1", "1.1.1a", "1.1.1w", "1.1.1za", "3.0.0"]),
        (
            Scheme::Golang,
            &[
                "v0.0.0-20200101000000-abcdef123456",
                "v1.2.3-rc.1",
                "v1.2.3 = 1.2.3+incompatible",
                "go1.21rc2 = 1.21.0-rc.2",
                "go1.21 = 1.21.0",
                "go1.21.3",
            ],
        ),
        (Scheme::Hackage, &["1", "1.0", "1.0.0", "1.1"]),
        (
            Scheme::Maven,
            &[
                "1-alpha-1 = 1a1",
                "1-beta",
                "1-M2 = 1-milestone-2",
                "1-cr1 = 1-rc-1",
                "1-SNAPSHOT",
                "1 = 1.0.0 = 1.Final = 1-ga",
                "1-sp",
                "1-foo",
                "1-foo.1",
                "1-foo1",
                "1-1",
                "1.1",
            ],
        ),
        (Scheme::Npm, &["1.2.3-0", "1.2.3-beta = 1.2.3beta = =v1.2.3-beta", "1.2.3 = v1.2.3", "1.3"]),
        (Scheme::Nuget, &["1.0.0-BETA = 1.0.0-beta", "1.0.0-beta.2", "1.0 = 1.0.0.0", "1.0.0.1"]),
        (Scheme::Pub, &["1.2.3-pre", "1.2.3-pre+1", "1.2.3", "1.2.3+1", "1.2.3+a"]),
        (Scheme::Pypi, &["1.0.dev1", "1.0a1", "1.0rc1", "1.0 = 1.0.0 = v1", "1.0+local", "1.0.post1 = 1.0-1", "1!0.1"]),
        (Scheme::Rpm, &["1.0~rc1", "1.0", "1.0-1.el9", "1.0-2.el9", "1.0^git1-1", "1.0a", "1.0.1 = 1_0_1", "1:0.1-1"]),
        (Scheme::Semver, &["1.0.0-a", "1.0.0 = 1", "1.0.0.1", "999999999999999999999999999999999999999999.0"]),
    ] {
        ascending(scheme, groups);
    }
}

#[test]
fn names_are_those_of_vers() {
    for scheme in Scheme::ALL {
        assert_eq!(scheme.as_str().parse(), Ok(scheme));
    }
    assert_eq!("debian".parse::<Scheme>().unwrap_err().to_string(), "the order of debian versions is not known");
    assert_eq!(Scheme::of_purl_type("pypi"), Some(Scheme::Pypi));
    assert_eq!(Scheme::of_purl_type("swift"), Some(Scheme::Semver));
    assert_eq!(Scheme::of_purl_type("docker"), None);
}

#[test]
fn what_is_no_version_is_said_with_its_place() {
    for (scheme, text, expected) in [
        (Scheme::Apk, "v1.2", r#"apk version "v1.2": a number is expected, at byte 0"#),
        (Scheme::Deb, "1.0-", r#"deb version "1.0-": the revision after the last hyphen is empty, at byte 0"#),
        (Scheme::Golang, "(devel)", r#"golang version "(devel)": a number is expected, at byte 0"#),
        (Scheme::Npm, "1.2.*", r#"npm version "1.2.*": a number is expected, at byte 4"#),
        (Scheme::Npm, "1.2.3-a_b", r#"npm version "1.2.3-a_b": letters, digits and hyphens are expected, at byte 7"#),
        (Scheme::Rpm, "1:", r#"rpm version "1:": there is no version after the epoch, at byte 2"#),
        (Scheme::Gem, "", r#"gem version "": it is empty, at byte 0"#),
    ] {
        match scheme.parse(text) {
            Err(error) => assert_eq!(error.to_string(), expected),
            Ok(_) => panic!("{scheme} version {text:?} was read"),
        }
    }
    let long = "1".repeat(MAX_LENGTH + 1);
    assert!(Scheme::ALL.into_iter().all(|scheme| scheme.parse(&long).is_err()));
}

#[test]
fn a_release_that_a_bound_does_not_name_is_not_compared() {
    for scheme in [Scheme::Alpm, Scheme::Rpm] {
        let version = |text: &str| scheme.parse(text).unwrap();
        assert_eq!(version("1.0-5").against(&version("1.0")), Ordering::Equal);
        assert_eq!(version("1.0-5").against(&version("1.0-6")), Ordering::Less);
        assert!(version("1.0-5") > version("1.0"));
    }
}

/// Texts that look like versions of a scheme, short and of few characters, so that they often are nearly the same.
fn versions(scheme: Scheme) -> BoxedStrategy<Parsed> {
    let regex = match scheme {
        Scheme::Alpm | Scheme::Rpm => "([01]:)?[01a.~^_]{0,5}[01ab](-[01a.]{1,3})?",
        Scheme::Apk => "[01]{1,2}(\\.[012]{1,2}){0,2}[ab]?(_(alpha|rc|git|p)[12]?){0,2}(~[ab1]{1,2})?(-r[012])?",
        Scheme::Composer => "(v?[012](\\.[01x]){0,4}|dev-a)(-?(dev|alpha|b|RC|p|stable|zz)[.-]?[012]?){0,2}",
        Scheme::Cran | Scheme::Hackage => "[01](\\.[012]{1,2}){0,3}",
        Scheme::Deb => "([01]:)?[0-2a.+~]{1,4}(-[0-2a.+~]{1,3})?",
        Scheme::Gem => "[01](\\.([01]|a|b|rc1|b0)){0,4}(-a)?",
        Scheme::Generic => "[01a.-]{0,3}[01](rc|a|-beta|b)?[01]?",
        Scheme::Maven => "[01]?([.-]?(0|1|01|a|b|x|rc|sp|ga|snapshot|final)){0,5}",
        Scheme::Golang => "v?[01](\\.[01]){0,2}(-[01a.]{0,2}[0a])?(rc[12])?(\\+incompatible)?",
        Scheme::Pypi => "([01]!)?[01](\\.[01]){0,2}(a[01]|rc[01])?(\\.post[01])?(\\.dev[01])?(\\+[a1](\\.[a1])?)?",
        _ => "v?[01](\\.[01]{1,2}){0,3}(-[01ab-]{1,2}(\\.[01ab]{1,2}){0,2})?(\\+[01a](\\.[01a])?)?",
    };
    let texts = prop_oneof![3 => string_regex(regex).unwrap(), 1 => string_regex("[0-2][012a.:~^+_-]{0,4}").unwrap()];
    texts.prop_filter_map("no version", move |text| scheme.parse(&text).ok()).boxed()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn every_order_is_total(
        (a, b, c) in proptest::sample::select(&Scheme::ALL[..])
            .prop_flat_map(|scheme| (versions(scheme), versions(scheme), versions(scheme)))
    ) {
        prop_assert_eq!(a.cmp(&a), Ordering::Equal);
        prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
        if a <= b && b <= c {
            prop_assert!(a <= c);
        }
        if a == b {
            prop_assert_eq!(a.cmp(&c), b.cmp(&c));
        }
        prop_assert_eq!(a.against(&b), b.against(&a).reverse());
        prop_assert!(a.against(&b).is_eq() || a.against(&b) == a.cmp(&b));
    }

    #[test]
    fn no_text_panics(a in ".{0,20}", b in "[0-9a-zA-Zü.:~^+@_-]{0,20}") {
        for scheme in Scheme::ALL {
            if let (Ok(a), Ok(b)) = (scheme.parse(&a), scheme.parse(&b)) {
                prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
            }
        }
    }
}

/// The published comparisons.
const FIXTURES: [(&str, Scheme); 12] = [
    ("alpine", Scheme::Apk),
    ("cran", Scheme::Cran),
    ("debian", Scheme::Deb),
    ("hackage", Scheme::Hackage),
    ("maven", Scheme::Maven),
    ("nuget", Scheme::Nuget),
    ("packagist", Scheme::Composer),
    ("pub", Scheme::Pub),
    ("pypi", Scheme::Pypi),
    ("redhat", Scheme::Rpm),
    ("rubygems", Scheme::Gem),
    ("semver", Scheme::Semver),
];

/// Lines that are answered otherwise: what apk-tools 2 made of versions that are invalid, which 3 does no more (its own
/// cases are another test); where Composer writes out four numbers before it asks PHP, or no order could be; and what
/// Python's packaging called legacy versions, which it now refuses.
const OTHERWISE: [&str; 28] = [
    "1-r = 1-r0",
    "0..1..0 < 0..1..1",
    "0...1...0 < 0...1...1",
    "0...1...0.r1 < 0...1...0.r2",
    "0...1...0r1 < 0...1...0r2",
    "0..8 > 0...8",
    "0.8.21.r2 > 0.8.21.r1",
    "6.6.2p1 < 6.6.2p2",
    "1-r0-1 = 1-r-2",
    ".1 < 1",
    "1 > .1",
    ".2 > .1",
    "a < b",
    "c > b",
    "c = c",
    "1.0.0 > 1.0",
    "1.2.3.# = 1.2.3.1",
    "0.1-bulbasaur < 0.1-charmander",
    "0.1-charmander < 0.9-doduo",
    "0.9-doduo < 0.9-eevee",
    "0.9-eevee < 0.9-fearow",
    "0.9-fearow < 0.9-gyarados",
    "0.9-gyarados < 0.9-horsea",
    "0.9-horsea < 0.9-ivysaur",
    "0.9-ivysaur < 1.0",
    "-class.-jw.util.version.version-pre < 1.0",
    "-class.-jw.util.version.version-preview < 1.0",
    "-class.-jw.util.version.version-dev < 1.0",
];

/// A file of the shared data, or `None` (said on stderr) where it is absent.
pub(super) fn shared_data(path: &str) -> Option<String> {
    let folders = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let found = folders.map(|folder| folder.join("shared/data").join(path)).find(|candidate| candidate.exists());
    if found.is_none() {
        let required = std::env::var_os("PATCHKIT_REQUIRE_EXTERNAL").is_some_and(|value| value == "1");
        assert!(!required, "required: shared data {path}");
        eprintln!("skipped: shared data {path} is absent");
    }
    found.map(|path| std::fs::read_to_string(path).unwrap())
}

#[test]
fn published_comparisons_hold() {
    let mut wrong = Vec::new();
    for (name, scheme) in FIXTURES {
        let Some(text) = shared_data(&format!("versions/osv-scalibr-semantic/{name}-versions.txt")) else { return };
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with(['#', '/']));
        for line in lines {
            let problem = problem(scheme, line);
            match (
                problem,
                matches!(scheme, Scheme::Apk | Scheme::Composer | Scheme::Pypi) && OTHERWISE.contains(&line),
            ) {
                (Some(problem), false) => wrong.push(format!("{scheme}: {line}: {problem}")),
                (None, true) => wrong.push(format!("{scheme}: {line}: holds after all")),
                _ => {}
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn problem(scheme: Scheme, line: &str) -> Option<String> {
    let [left, operator, right] = line.split(' ').collect::<Vec<_>>()[..] else { return Some("odd line".into()) };
    let expected = match operator {
        "<" => Ordering::Less,
        "=" => Ordering::Equal,
        ">" => Ordering::Greater,
        _ => return Some("odd operator".into()),
    };
    match scheme.compare(left, right) {
        Ok(order) if order == expected => None,
        Ok(order) => Some(format!("{order:?}")),
        Err(error) => Some(error.to_string()),
    }
}
