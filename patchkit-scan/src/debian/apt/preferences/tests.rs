use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::debian::apt::{
    index::{Origin, PackageIndex},
    release::Release,
    sources::parse_sources,
};

fn index(host: &str, release: &str, versions: &[&str]) -> Arc<PackageIndex> {
    let source = parse_sources("s", format!("deb http://{host} s main\n").as_bytes()).expect("sound").remove(0);
    let release = Release::parse(&format!("{release}Date: Sat, 11 Jul 2026 10:16:37 UTC\n")).expect("sound");
    let text: String = versions
        .iter()
        .map(|version| format!("Package: p\nSource: src\nVersion: {version}\nArchitecture: all\n\n"))
        .collect();
    let origin = Origin { source, release: Arc::new(release), component: "main".to_owned() };
    Arc::new(PackageIndex::parse(text.into_bytes(), "amd64", origin).expect("sound"))
}

fn world() -> Vec<Arc<PackageIndex>> {
    vec![
        index("a.example.org", "Suite: stable\nCodename: rex\nOrigin: Example\n", &["1", "2"]),
        index("b.example.org", "Suite: stable-backports\nNotAutomatic: yes\nButAutomaticUpgrades: yes\n", &["3"]),
        index("c.example.org", "Suite: experimental\nNotAutomatic: yes\n", &["4"]),
    ]
}

fn choose(pins: &str, installed: Option<&str>) -> Option<String> {
    let preferences = Preferences::new().with_file("p", pins.as_bytes()).expect(pins);
    let installed = installed.map(|version| DebVersion::parse(version).expect(version));
    let available = world().into_iter().flat_map(|index| index.packages().collect::<Vec<_>>());
    preferences.candidate(installed.as_ref(), available).map(|choice| choice.package.version().to_owned())
}

fn some(version: &str) -> Option<String> {
    Some(version.to_owned())
}

#[test]
fn defaults_are_apt_s() {
    assert_eq!(choose("", None), some("2"));
    assert_eq!(choose("", Some("1")), some("2"));
    assert_eq!(choose("", Some("2")), None);
    assert_eq!(choose("", Some("2.5")), some("3"), "from backports, what came from there");
    assert_eq!(choose("", Some("3")), None);
    assert_eq!(choose("", Some("3.5")), None, "experimental never by itself");
    let target = Preferences::new().with_target_release("experimental");
    let available = world().into_iter().flat_map(|index| index.packages().collect::<Vec<_>>());
    assert_eq!(target.candidate(None, available).map(|choice| choice.priority), Some(990));
}

#[test]
fn pins_decide() {
    let pin = |package: &str, pin: &str, priority: i32| {
        format!("Package: {package}\nPin: {pin}\nPin-Priority: {priority}\n\n")
    };
    assert_eq!(choose(&pin("p", "version 1*", 900), None), some("1"));
    assert_eq!(choose(&pin("p", "version 1*", 900), Some("2")), None, "no downgrade");
    assert_eq!(choose(&pin("p", "version 1*", 1001), Some("2")), some("1"), "but from 1000 on");
    assert_eq!(choose(&pin("p", "release a=stable", -1), Some("1")), some("3"));
    assert_eq!(choose(&pin("*", "release n=rex", -1), None), some("3"));
    assert_eq!(choose(&pin("src:s*", "release a=experimental", 600), None), some("4"));
    assert_eq!(choose(&pin("*", "origin \"c.example.org\"", 600), None), some("4"));
    assert_eq!(choose(&pin("q* p", "release o=Example, c=main", 50), Some("1")), some("3"), "backports are worth more");
    let both = pin("*", "release a=experimental", 700) + &pin("p", "version 4", 1);
    assert_eq!(choose(&both, None), some("2"), "the specific one wins, whatever its place");
    let first = pin("p", "version 4", 1) + &pin("p", "version *", 700);
    assert_eq!(choose(&first, None), some("3"), "of two specific ones, the first that fits");
}

#[test]
fn faults_name_file_and_line() {
    for (text, expected) in [
        ("Package: a\nPin: version 1\n", "p:1: Pin-Priority: is missing"),
        ("Package: a\nPin: version 1\nPin-Priority: high\n", "p:3: Pin-Priority: \"high\" is no number"),
        (
            "Package: a\nPin: sometimes 1\nPin-Priority: 1\n",
            "p:2: Pin: \"sometimes\" is none of version, release, origin",
        ),
        ("Package: a\nPin: release x=1\nPin-Priority: 1\n", "p:2: Pin: \"x\" is none of a, b, c, l, n, o, v"),
        (
            "Package: /^a/\nPin: version 1\nPin-Priority: 1\n",
            "p:1: Package: /^a/: regular expressions are not supported",
        ),
        ("Explanation: x\n\n# c\nPin: version 1\nPin-Priority: 1\n", "p:4: Package: is missing"),
    ] {
        assert_eq!(Preferences::new().with_file("p", text.as_bytes()).expect_err(text).to_string(), expected);
    }
    assert!(Preferences::new().with_file("p", b"Explanation: nothing here\n").expect("a comment").is_empty());
}

proptest! {
    #[test]
    fn never_panics(text in "(Package: |Pin: |Pin-Priority: |release |a=|[^x]|\\*|\n|-1){0,20}") {
        let _ = Preferences::new().with_file("p", text.as_bytes());
    }
}
