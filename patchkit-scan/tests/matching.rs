//! Matching by real advisories: their versions can be read, and packages just before a fix are found by them.

#![allow(clippy::unwrap_used)]

mod scan_support;

use std::path::PathBuf;

use patchkit_core::{Package, PurlParts, Version};
use patchkit_scan::{
    AdvisoryStore,
    advisory::{Advisory, End, Scope, Statement, Status, input},
    matcher::Matcher,
    os_release,
    version::Scheme,
};
use scan_support::shared_data;

/// The feeds, and how many of the versions in each are refused: of Python's, `2019-09-12` and `0.2.0-n653`.
const FEEDS: [(&str, Scheme, usize); 5] = [
    ("debian/fixes.tsv", Scheme::Deb, 0),
    ("golang", Scheme::Golang, 0),
    ("pypa", Scheme::Pypi, 2),
    ("ghsa-subset", Scheme::Maven, 0),
    ("almalinux", Scheme::Rpm, 0),
];

/// The advisories of a feed: of a file, or of the files directly in a folder.
fn advisories(feed: &str) -> Option<Vec<Advisory>> {
    let path = shared_data(&format!("advisories/{feed}"))?;
    let is_feed =
        |path: &PathBuf| [".gz", ".jsonl", ".json", ".tsv"].iter().any(|end| path.to_string_lossy().ends_with(end));
    let files: Vec<PathBuf> = match path.is_file() {
        true => vec![path],
        false => std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).filter(is_feed).collect(),
    };
    let mut found = Vec::new();
    for file in files {
        input::read_file(&file, &mut |statement| match statement {
            Statement::Advisory(advisory) => found.push(advisory),
            Statement::Exploitation(..) => {}
        })
        .unwrap();
    }
    Some(found)
}

fn versions(advisory: &Advisory) -> Vec<&str> {
    let Status::Affected(ranges) = &advisory.status else { return vec![] };
    let ends = ranges.iter().filter_map(|range| match &range.end {
        End::Fixed(version) | End::FixedElsewhere(version) | End::Last(version) => Some(&**version),
        End::NotFixed | End::WillNotFix => None,
    });
    ranges.iter().filter_map(|range| range.from.as_deref()).chain(ends).collect()
}

#[test]
fn the_versions_of_real_advisories_can_be_read() {
    for (feed, scheme, refused) in FEEDS {
        let Some(advisories) = advisories(feed) else { return };
        let all: Vec<_> = advisories.iter().flat_map(versions).collect();
        let unread: Vec<_> = all.iter().filter_map(|version| scheme.parse(version).err()).collect();
        println!("{feed}: {} of {} versions are refused", unread.len(), all.len());
        assert!(all.len() > 300, "{feed}: {}", all.len());
        assert_eq!(
            unread.len(),
            refused,
            "{feed}: {:?}",
            unread.iter().take(5).map(ToString::to_string).collect::<Vec<_>>()
        );
    }
}

fn package(kind: &str, name: &str, version: &str) -> Package {
    let parts = PurlParts { kind: kind.into(), name: name.into(), version: version.into(), ..PurlParts::default() };
    Package::new(parts.build().unwrap(), name.parse().unwrap(), Version::new(kind, version).unwrap())
}

/// Of every package that a feed speaks of, the fixed version is not affected by that advisory's own range, and the
/// lowest version of all is affected by every range from the start.
#[test]
fn packages_are_found_by_real_advisories() {
    for (feed, scheme, _) in FEEDS.into_iter().filter(|(_, scheme, _)| *scheme != Scheme::Deb) {
        let Some(advisories) = advisories(feed) else { return };
        let scope = advisories[0].scope.clone();
        let own: Vec<_> = advisories.iter().filter(|advisory| advisory.scope == scope).take(1000).collect();
        let mut builder = AdvisoryStore::builder();
        own.iter().for_each(|advisory| builder.add((*advisory).clone()));
        let store = builder.build();
        let from_start = |advisory: &&&Advisory| match &advisory.status {
            Status::Affected(ranges) => ranges.iter().any(|range| range.from.is_none() && !is_modular(&range.end)),
            Status::NotAffected => false,
        };
        let oldest = if scheme == Scheme::Golang { "v0.0.0-0" } else { "0" };
        let (mut found, mut unread) = (0, 0);
        for advisory in own.iter().filter(from_start) {
            let package = package(scheme.as_str(), advisory.package.as_str(), oldest);
            let matches = Matcher::new(&store).judge(Some(&distribution(&scope)), &[package]).unwrap();
            if !matches.warnings.is_empty() {
                unread += 1;
                continue;
            }
            let is_it = |id| id == advisory.id || advisory.aliases.contains(&id) || advisory.id.as_str() == id.as_str();
            let named = |finding: &patchkit_core::Finding| {
                is_it(finding.id.clone()) || finding.aliases.iter().any(|alias| is_it(alias.clone()))
            };
            assert!(matches.findings.iter().any(named), "{feed}: {} in {}", advisory.id, advisory.package);
            found += 1;
        }
        println!("{feed}: {found} advisories find what is older than their fix");
        assert!(found > 50 && unread <= 1, "{feed}: {found} found, {unread} not read");
    }
}

fn is_modular(end: &End) -> bool {
    matches!(end, End::Fixed(version) if version.contains(".module"))
}

fn distribution(scope: &Scope) -> patchkit_core::Distribution {
    let release = scope.release().map(|release| format!("VERSION_ID={release}\n")).unwrap_or_default();
    os_release::parse(format!("ID={}\n{release}", scope.ecosystem()).as_bytes()).unwrap()
}
