use std::sync::Arc;

use super::*;
use crate::debian::{
    apt::{
        index::{Origin, PackageIndex},
        release::Release,
        sources::parse_sources,
    },
    dpkg::status::StatusFile,
};

/// A package in few words: `name version; Depends: a, b; Source: c`.
fn stanza(words: &str, installed: bool) -> String {
    let mut parts = words.split("; ");
    let (name, version) = parts.next().and_then(|first| first.split_once(' ')).expect(words);
    let mut text = format!("Package: {name}\nVersion: {version}\nMaintainer: x\nDescription: x\n");
    let rest: Vec<_> = parts.collect();
    if installed && !rest.iter().any(|field| field.starts_with("Status:")) {
        text += "Status: install ok installed\n";
    }
    if !rest.iter().any(|field| field.starts_with("Architecture:")) {
        text += "Architecture: amd64\n";
    }
    rest.into_iter().fold(text, |text, field| text + field + "\n") + "\n"
}

struct World {
    installed: Vec<InstalledPackage>,
    archive: Archive,
    preferences: Preferences,
}

impl World {
    fn new(installed: &[&str], available: &[&str]) -> Self {
        let status: String = installed.iter().map(|words| stanza(words, true)).collect();
        let status = StatusFile::read("status", status.as_bytes()).expect("sound");
        let source = parse_sources("s", b"deb http://deb.example.org stable main\n").expect("sound").remove(0);
        let release = Release::parse("Suite: stable\nDate: Sat, 11 Jul 2026 10:16:37 UTC\n").expect("sound");
        let origin = Origin { source, release: Arc::new(release), component: "main".to_owned() };
        let text: String = available.iter().map(|words| stanza(words, false)).collect();
        let index = PackageIndex::parse(text.into_bytes(), "amd64", origin).expect("sound");
        let archive = Archive::new([Arc::new(index)]);
        Self { installed: status.packages().cloned().collect(), archive, preferences: Preferences::new() }
    }

    fn pinned(mut self, pins: &str) -> Self {
        self.preferences = self.preferences.with_file("p", pins.as_bytes()).expect(pins);
        self
    }

    fn situation(&self) -> Situation<'_> {
        Situation {
            installed: &self.installed,
            archive: &self.archive,
            preferences: &self.preferences,
            architecture: "amd64",
        }
    }

    fn reach(&self, goals: &[(&str, &str)]) -> Solution {
        let goal = |(package, version): &(&str, &str)| Goal {
            package: (*package).to_owned(),
            version: DebVersion::parse(version).expect(version),
        };
        let goals: Vec<_> = goals.iter().map(goal).collect();
        reach(self.situation(), &goals)
    }

    fn upgrade_all(&self) -> Solution {
        upgrade_all(self.situation())
    }
}

fn changes(solution: &Solution) -> Vec<String> {
    solution.changes.iter().map(ToString::to_string).collect()
}

fn reasons(solution: &Solution) -> Vec<(Obstacle, String)> {
    solution.unreachable.iter().map(|unreachable| (unreachable.obstacle, unreachable.reason.to_string())).collect()
}

#[test]
fn only_what_is_asked_for_changes() {
    let world = World::new(&["a 1", "b 1", "c 1; Depends: a"], &["a 2", "b 2", "c 2"]);
    let solution = world.reach(&[("a", "1.5")]);
    assert_eq!(changes(&solution), ["a 1 -> 2: asked for"]);
    assert_eq!(reasons(&solution), []);
    assert_eq!(changes(&world.reach(&[("a", "1")])), [""; 0], "reached already");
}

#[test]
fn what_is_needed_comes_along_with_its_reason() {
    let world = World::new(
        &["app 1; Depends: lib (= 1)", "lib 1", "other 1"],
        &[
            "app 2; Depends: lib (= 2), fresh",
            "lib 2; Depends: base (>= 2) | fresh",
            "fresh 1; Depends: deep",
            "deep 1",
            "other 2",
        ],
    );
    let solution = world.reach(&[("lib", "2")]);
    assert_eq!(
        changes(&solution),
        [
            "app 1 -> 2: lib needs another app than 1, which needs lib (= 1)",
            "deep 1 (new): fresh needs deep",
            "fresh 1 (new): lib needs base (>= 2) | fresh",
            "lib 1 -> 2: asked for"
        ]
    );
    let chain: Vec<_> = solution.chain("deep").iter().map(|change| change.name.clone()).collect();
    assert_eq!(chain, ["deep", "fresh", "lib"]);
    assert_eq!(solution.changes[0].package.version(), "2");
}

#[test]
fn what_comes_from_one_source_goes_together() {
    let installed = ["a 1; Source: s", "b 1; Source: s", "c 1; Source: s", "d 1; Source: t"];
    let available = ["a 2; Source: s", "b 2; Source: s", "c 2; Source: s; Depends: nowhere", "d 2; Source: t"];
    let solution = World::new(&installed, &available).reach(&[("a", "2")]);
    assert_eq!(changes(&solution), ["a 1 -> 2: asked for", "b 1 -> 2: from the same source package s"]);
}

#[test]
fn goals_out_of_reach_say_why() {
    let world = World::new(
        &[
            "held 1; Status: hold ok installed",
            "old 1",
            "pinned 1",
            "gone 1",
            "needy 1",
            "lib 1",
            "user 1; Depends: lib (= 1)",
            "x 1",
            "y 1; Conflicts: x (>= 2)",
        ],
        &[
            "held 2",
            "old 2",
            "pinned 2",
            "needy 2; Depends: held (>= 2), lib",
            "lib 2",
            "x 2",
            "rmadison 1; Status: deinstall ok config-files",
        ],
    );
    let world = world.pinned("Package: pinned\nPin: version 2\nPin-Priority: 10\n");
    let goals = ["absent", "gone", "held", "lib", "needy", "pinned", "x"].map(|name| (name, "2"));
    let solution = world.reach(&[&goals[..], &[("old", "3")]].concat());
    assert_eq!(changes(&solution), [""; 0]);
    let expected = [
        (Obstacle::NotInstalled, "absent is not installed"),
        (Obstacle::NotAvailable, "no archive has gone"),
        (Obstacle::Held, "apt-mark hold keeps held at 1"),
        (
            Obstacle::Conflict,
            "lib 2 cannot be installed\n  because user 1 needs lib (= 1), and would have to be removed",
        ),
        (Obstacle::Conflict, "needy 2 cannot be installed\n  because it needs held (>= 2), held is on hold at 1"),
        (Obstacle::NotAvailable, "no archive has old (>= 3): the newest is 2"),
        (Obstacle::Pinned, "pinned 2 is there, but pins prefer another version: p:1 gives it priority 10"),
        (
            Obstacle::Conflict,
            "x 2 cannot be installed\n  because y 1 conflicts with x (>= 2), and would have to be removed",
        ),
    ];
    assert_eq!(reasons(&solution), expected.map(|(obstacle, text)| (obstacle, text.to_owned())));
}

#[test]
fn reasons_have_reasons() {
    let world = World::new(
        &["top 1", "z 1"],
        &["top 2; Depends: mid", "mid 1; Depends: low (>= 2) | z (>= 5)", "low 1; Depends: z"],
    );
    let solution = world.reach(&[("top", "2")]);
    assert_eq!(
        solution.unreachable[0].reason.to_string(),
        "top 2 cannot be installed\n  because it needs mid\n    because mid 1 cannot be installed\n      because it needs low (>= 2) | z (>= 5), the archive has low 1, no archive has z"
    );
    let world = World::new(&["top 1", "there 1"], &["top 2; Conflicts: there"]);
    let reason = &world.reach(&[("top", "2")]).unreachable[0].reason;
    assert_eq!(
        reason.to_string(),
        "top 2 cannot be installed\n  because it conflicts with there 1 (there), which would have to be removed"
    );
}

#[test]
fn one_goal_may_stand_in_the_way_of_another() {
    let world = World::new(&["a 1", "b 1", "c 1"], &["a 2; Conflicts: b (>= 2)", "b 2", "c 2"]);
    let solution = world.reach(&[("a", "2"), ("b", "2"), ("c", "2")]);
    assert_eq!(changes(&solution), ["a 1 -> 2: asked for", "c 1 -> 2: asked for"]);
    assert_eq!(
        reasons(&solution),
        [(
            Obstacle::Conflict,
            "b 2 cannot be installed\n  because it conflicts with a 2, which was asked for too".to_owned()
        )]
    );
}

#[test]
fn breaks_bring_the_other_package_along() {
    let world = World::new(&["libc 1", "tool 1", "idle 1"], &["libc 2; Breaks: tool (<< 2)", "tool 2", "idle 2"]);
    let solution = world.reach(&[("libc", "2")]);
    assert_eq!(
        changes(&solution),
        ["libc 1 -> 2: asked for", "tool 1 -> 2: libc needs another tool than 1, which it excludes by tool (<< 2)"]
    );
}

#[test]
fn virtual_packages_are_their_providers() {
    let world = World::new(
        &["app 1; Depends: mta", "exim 1; Provides: mta; Conflicts: mta"],
        &[
            "app 2; Depends: mta (>= 3) | http",
            "exim 2; Provides: mta (= 3); Conflicts: mta",
            "nginx 1; Provides: http",
        ],
    );
    assert_eq!(
        changes(&world.reach(&[("app", "2")])),
        ["app 1 -> 2: asked for", "exim 1 -> 2: app needs mta (>= 3) | http"]
    );
    let unversioned = World::new(&["app 1", "exim 1; Provides: mta"], &["app 2; Depends: mta (>= 3)"]);
    assert_eq!(unversioned.reach(&[("app", "2")]).unreachable.len(), 1);
    let renamed =
        World::new(&["app 1", "lib 1; Provides: abi-1"], &["app 2; Conflicts: abi-1", "lib 2; Provides: abi-2"]);
    assert_eq!(renamed.reach(&[("app", "2")]).changes.len(), 2);
}

#[test]
fn what_is_installed_is_preferred_to_what_is_new() {
    let world = World::new(&["app 1", "second 1"], &["app 2; Depends: first | second", "first 1", "second 2"]);
    assert_eq!(changes(&world.reach(&[("app", "2")])), ["app 1 -> 2: asked for"]);
    let none = World::new(&["app 1"], &["app 2; Depends: first | second", "first 1", "second 2"]);
    assert_eq!(
        changes(&none.reach(&[("app", "2")])),
        ["app 1 -> 2: asked for", "first 1 (new): app needs first | second"]
    );
}

#[test]
fn what_is_broken_already_may_stay_broken() {
    let world = World::new(
        &["tzdata 1; Depends: debconf (>= 0.5) | debconf-2.0", "libc 1"],
        &[
            "tzdata 2; Depends: debconf (>= 1) | debconf-2.0, libc (>= 2)",
            "libc 2",
            "debconf 3; Depends: perl",
            "perl 5",
        ],
    );
    let solution = world.reach(&[("tzdata", "2")]);
    assert_eq!(changes(&solution), ["libc 1 -> 2: tzdata needs libc (>= 2)", "tzdata 1 -> 2: asked for"]);
    assert_eq!(solution.broken, ["tzdata: debconf (>= 1) | debconf-2.0"]);
    assert_eq!(world.upgrade_all().changes.len(), 2);
}

#[test]
fn other_architectures_stay_and_hold_their_twins() {
    let world = World::new(
        &[
            "libc 1; Multi-Arch: same",
            "libc 1; Architecture: i386; Multi-Arch: same",
            "tool 1; Architecture: i386; Multi-Arch: foreign",
            "app 1",
        ],
        &["libc 2; Multi-Arch: same", "tool 2", "app 2; Depends: tool"],
    );
    let solution = world.reach(&[("libc", "2"), ("app", "2")]);
    assert_eq!(changes(&solution), ["app 1 -> 2: asked for"]);
    let expected = "libc:i386 1 is installed too, and both must have the same version";
    assert_eq!(reasons(&solution), [(Obstacle::Conflict, expected.to_owned())]);
    assert_eq!(reasons(&world.upgrade_all()).len(), 1);
}

#[test]
fn everything_that_can_be_upgraded_is() {
    let world = World::new(
        &[
            "a 1",
            "b 1; Depends: a (= 1)",
            "c 1",
            "d 1; Status: hold ok installed",
            "e 1",
            "gone 1; Status: deinstall ok config-files",
        ],
        &["a 2", "c 2; Depends: new", "new 1", "d 2", "e 2; Conflicts: c", "gone 2", "unrelated 1"],
    );
    let solution = world.upgrade_all();
    assert_eq!(changes(&solution), ["c 1 -> 2: a newer version is available", "new 1 (new): c needs new"]);
    let expected = [
        (Obstacle::Conflict, "a 2 cannot be installed\n  because b 1 needs a (= 1), and would have to be removed"),
        (
            Obstacle::Conflict,
            "e 2 cannot be installed\n  because it conflicts with c 1 (c), which would have to be removed",
        ),
    ];
    assert_eq!(reasons(&solution), expected.map(|(obstacle, text)| (obstacle, text.to_owned())));
}

#[test]
fn a_package_that_cannot_be_read_is_not_chosen() {
    let world = World::new(&["a 1", "b 1"], &["a 2; Depends: ((", "b 2"]);
    let solution = world.upgrade_all();
    assert_eq!(changes(&solution), ["b 1 -> 2: a newer version is available"]);
    assert!(
        solution.unreachable[0].reason.to_string().contains("its Depends cannot be read"),
        "{}",
        solution.unreachable[0].reason
    );
}
