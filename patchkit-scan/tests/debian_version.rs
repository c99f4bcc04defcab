//! The order of versions against published fixtures and against dpkg itself.

#![allow(clippy::unwrap_used)]

mod debian_support;

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use debian_support::{read_xz, shared_data, tool};
use patchkit_scan::debian::version::DebVersion;

/// How many pairs dpkg is asked about: each costs a process or two.
const PAIRS: usize = 500;

#[test]
fn published_comparisons_hold() {
    let Some(path) = shared_data("versions/osv-scalibr-semantic/debian-versions.txt") else {
        return;
    };
    let text = std::fs::read_to_string(path).unwrap();
    let lines: Vec<_> = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    assert!(lines.len() > 20);
    for line in lines {
        let [left, operator, right] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("odd line {line:?}") };
        let order = DebVersion::parse_lenient(left).unwrap().cmp(&DebVersion::parse_lenient(right).unwrap());
        assert_eq!(order, expected_order(operator), "{line}");
    }
}

fn expected_order(operator: &str) -> Ordering {
    match operator {
        "<" => Ordering::Less,
        "=" => Ordering::Equal,
        ">" => Ordering::Greater,
        _ => panic!("odd operator {operator}"),
    }
}

#[test]
fn dpkg_orders_real_versions_the_same() {
    let Some(pairs) = real_pairs() else { return };
    if !tool("dpkg") {
        return;
    }
    for ((a, b), order) in pairs.iter().zip(dpkg_orders(&pairs)) {
        let ours = DebVersion::parse(a).unwrap().cmp(&DebVersion::parse(b).unwrap());
        assert_eq!(ours, order, "{a} against {b}");
    }
}

/// Versions of the same package in the main and the security suite, and of unlike packages that start alike.
fn real_pairs() -> Option<Vec<(String, String)>> {
    let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for index in ["debian/dists/bookworm/main", "debian-security/dists/bookworm-security/main"] {
        let path = shared_data(&format!("deb/archive/{index}/binary-amd64/Packages.xz"))?;
        let mut package = String::new();
        for line in String::from_utf8(read_xz(&path)).unwrap().lines() {
            if let Some(name) = line.strip_prefix("Package: ") {
                name.clone_into(&mut package);
            } else if let Some(version) = line.strip_prefix("Version: ") {
                versions.entry(package.clone()).or_default().push(version.to_owned());
            }
        }
    }
    let same_package = versions.values().filter(|v| v.len() > 1).map(|v| (v[0].clone(), v[1].clone()));
    let mut all: Vec<&String> = versions.values().flatten().collect();
    all.sort();
    let step = all.len() / PAIRS;
    let alike = all.windows(2).step_by(step).map(|w| (w[0].clone(), w[1].clone()));
    Some(same_package.take(PAIRS / 2).chain(alike.take(PAIRS / 2)).collect())
}

/// dpkg's answers, all from one shell.
fn dpkg_orders(pairs: &[(String, String)]) -> Vec<Ordering> {
    const LOOP: &str = r#"while read -r a b; do
        if dpkg --compare-versions "$a" lt "$b"; then echo "<"
        elif dpkg --compare-versions "$a" eq "$b"; then echo "="
        else echo ">"; fi; done"#;
    let mut shell = Command::new("sh").args(["-c", LOOP]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let input: String = pairs.iter().map(|(a, b)| format!("{a} {b}\n")).collect();
    shell.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = shell.wait_with_output().unwrap();
    let answers: Vec<_> = String::from_utf8(output.stdout).unwrap().lines().map(expected_order).collect();
    assert_eq!(answers.len(), pairs.len());
    answers
}
