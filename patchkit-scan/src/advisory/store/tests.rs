#![allow(clippy::unwrap_used)]

use patchkit_core::Epss;

use super::*;
use crate::advisory::{Advisory, End, Range, Statement};

fn advisory(id: &str, release: Option<&str>, status: Status) -> Advisory {
    let scope = Scope::new("debian", release);
    Advisory::new(id.parse().unwrap(), scope, "curl".parse().unwrap(), status, "test")
}

fn fixed(version: &str) -> Status {
    Status::up_to(End::Fixed(version.into()))
}

fn store(advisories: impl IntoIterator<Item = Advisory>) -> AdvisoryStore {
    let mut builder = AdvisoryStore::builder();
    advisories.into_iter().for_each(|advisory| builder.add(advisory));
    builder.build()
}

fn statuses(store: &AdvisoryStore, release: &str) -> Vec<Status> {
    let claims = store.claims(&Scope::new("debian", Some(release)), "curl").unwrap();
    claims.into_iter().map(|claim| claim.status).collect()
}

#[test]
fn a_fix_outweighs_none_and_not_affected_outweighs_both() {
    let id = "CVE-2024-1000";
    let both = Status::Affected(vec![Range::up_to(End::Fixed("1".into())), Range::up_to(End::Fixed("2".into()))]);
    let open = || advisory(id, Some("11"), Status::up_to(End::NotFixed));
    let fixes = || [advisory(id, Some("11"), fixed("2")), advisory(id, Some("bullseye"), fixed("1"))];
    assert_eq!(statuses(&store(fixes().into_iter().chain([open()])), "11"), [both]);
    let unaffected = advisory(id, Some("11"), Status::NotAffected);
    assert_eq!(statuses(&store(fixes().into_iter().chain([unaffected, open()])), "11"), [Status::NotAffected]);
}

#[test]
fn every_release_is_said_only_where_nothing_is_said_of_its_own() {
    let store = store([
        advisory("CVE-2024-1000", None, Status::up_to(End::FixedElsewhere("9".into()))),
        advisory("CVE-2024-1001", None, Status::up_to(End::NotFixed)),
        advisory("CVE-2024-1000", Some("11"), fixed("3")),
    ]);
    assert_eq!(statuses(&store, "11"), [fixed("3"), Status::up_to(End::NotFixed)]);
    assert_eq!(statuses(&store, "12").len(), 2);
    assert!(store.covers(&Scope::new("debian", Some("13"))) && !store.covers(&Scope::new("ubuntu", None)));
}

#[test]
fn names_of_one_vulnerability_are_joined() {
    let ghsa = Advisory { severity: Severity::High, ..advisory("GHSA-1", Some("11"), fixed("2")) };
    let cve =
        Advisory { aliases: vec!["GHSA-1".parse().unwrap()], ..advisory("CVE-2024-1000", Some("12"), fixed("1")) };
    let store = store([ghsa, cve]);
    let scope = Scope::new("debian", Some("11"));
    let claims = store.claims(&scope, "curl").unwrap();
    let claim = &claims[0];
    assert_eq!(claim.id().as_str(), "CVE-2024-1000");
    let vulnerability = store.vulnerability(claim).unwrap().unwrap();
    assert_eq!(vulnerability.severity, Severity::High);
    assert_eq!(vulnerability.aliases.iter().map(|name| &**name).collect::<Vec<_>>(), ["GHSA-1"]);
}

#[test]
fn the_digest_is_of_the_content_not_of_its_order() {
    let (a, b) = (advisory("CVE-2024-1000", Some("11"), fixed("1")), advisory("CVE-2024-1001", Some("12"), fixed("2")));
    let one = store([a.clone(), b.clone()]);
    assert_eq!(one.digest(), store([b.clone(), a.clone(), b.clone()]).digest());
    assert_ne!(one.digest(), store([a.clone()]).digest());
    let other = Advisory { urgency: Severity::Low, ..b };
    assert_ne!(one.digest(), store([a, other]).digest());
}

#[test]
fn names_are_joined_from_one_to_the_next() {
    let named = |id: &str, aliases: &[&str]| Advisory {
        aliases: aliases.iter().map(|alias| alias.parse().unwrap()).collect(),
        ..advisory(id, Some("11"), fixed("1"))
    };
    let ids = |advisories: Vec<Advisory>| {
        let claims = store(advisories).claims(&Scope::new("debian", Some("11")), "curl").unwrap();
        claims.iter().map(|claim| claim.id().to_string()).collect::<Vec<_>>()
    };
    let chain = vec![named("RUSTSEC-1", &["GHSA-1"]), named("GHSA-1", &["CVE-2024-1000"])];
    assert_eq!(ids(chain), ["CVE-2024-1000"]);
    let without = vec![named("PYSEC-1", &["GHSA-1"]), named("OSV-1", &["PYSEC-1"]), named("GHSA-2", &[])];
    assert_eq!(ids(without), ["GHSA-1", "GHSA-2"]);
    let several = vec![
        named("GO-1", &["CVE-2024-1000", "CVE-2024-1001", "GHSA-1"]),
        named("GHSA-1", &["CVE-2024-1000"]),
        named("GHSA-2", &["CVE-2024-1001", "GO-1"]),
        named("GHSA-3", &["CVE-2024-1001", "GHSA-2"]),
    ];
    assert_eq!(ids(several), ["CVE-2024-1001", "GHSA-1", "GO-1"]);
}

/// An advisory of which everything is known.
fn full(n: u32) -> Advisory {
    let ranges = vec![
        Range { from: Some("1".into()), end: End::Fixed("2".into()) },
        Range { from: Some("3".into()), end: End::FixedElsewhere("4".into()) },
        Range { from: Some("5".into()), end: End::Last("6".into()) },
        Range { from: None, end: End::WillNotFix },
    ];
    Advisory {
        aliases: vec![format!("GHSA-{n}").parse().unwrap()],
        bulletins: vec![format!("DSA-{n}-1").parse().unwrap()],
        urgency: Severity::Low,
        severity: Severity::Critical,
        cvss: vec![CvssScore { vector: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H".into(), tenths: 98 }],
        architectures: vec!["aarch64".into(), "x86_64".into()],
        module: Some("nodejs:18".into()),
        symbols: vec![format!("example.org/x.F{n}").into()],
        title: Some("a bug".into()),
        date: Some("2024-05-06".parse().unwrap()),
        ..advisory(&format!("CVE-2024-{}", 1000 + n), Some("11"), Status::Affected(ranges))
    }
}

#[test]
fn everything_comes_back_from_a_file() {
    let epss = Exploitation { known: true, epss: Some(Epss { probability: 97_000, percentile: 99_999 }) };
    let mut builder = AdvisoryStore::builder();
    builder.source("a feed", Some("2026-03-01T00:00:00Z".parse().unwrap()));
    (0..500).for_each(|n| builder.add(full(n)));
    builder.take(Statement::Exploitation("CVE-2024-1007".parse().unwrap(), epss));
    let memory = builder.build();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("advisories.db");
    memory.write(&path).unwrap();
    let file = AdvisoryStore::open([&path]).unwrap();
    assert_eq!((file.digest(), file.len(), file.sources()), (memory.digest(), 500, memory.sources()));
    file.verify().unwrap();
    let scope = Scope::new("debian", Some("11"));
    let claims = file.claims(&scope, "curl").unwrap();
    assert_eq!(claims, memory.claims(&scope, "curl").unwrap());
    let claim = &claims[7];
    let Advisory { status, module, architectures, symbols, urgency, .. } = full(7);
    assert_eq!((claim.id().as_str(), claim.urgency(), claim.source()), ("CVE-2024-1007", urgency, "test"));
    assert_eq!(
        (claim.module(), claim.architectures(), claim.symbols()),
        (module.as_deref(), &*architectures, &*symbols)
    );
    let sorted = |status: &Status| match status {
        Status::Affected(ranges) => ranges.iter().cloned().collect::<BTreeSet<_>>(),
        Status::NotAffected => BTreeSet::new(),
    };
    assert_eq!(sorted(claim.status()), sorted(&status));
    assert_eq!(claim.bulletins().map(|id| id.to_string()).collect::<Vec<_>>(), ["DSA-7-1"]);
    let known = file.vulnerability(claim).unwrap().unwrap();
    assert_eq!((known.severity, known.exploitation, known.title.as_deref()), (Severity::Critical, epss, Some("a bug")));
    assert_eq!((known.aliases, known.cvss), (["GHSA-7".into()].into(), full(7).cvss.into_iter().collect()));
    assert!(
        file.claims(&scope, "curl-").unwrap().is_empty()
            && file.claims(&Scope::new("x", None), "curl").unwrap().is_empty()
    );
}

#[test]
fn the_same_statements_make_the_same_file() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = |advisories: Vec<Advisory>| {
        let path = folder.path().join("advisories.db");
        store(advisories).write(&path).unwrap();
        std::fs::read(&path).unwrap()
    };
    let one = bytes((0..300).map(full).collect());
    assert_eq!(one, bytes((0..300).rev().map(full).collect()));
    assert_ne!(one, bytes((1..300).map(full).collect()));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn databases_are_joined_with_other_sources() {
    let folder = tempfile::tempdir().unwrap();
    let [one, other, list] = ["one.db", "other.db", "list"].map(|name| folder.path().join(name));
    store([full(1), full(2)]).write(&one).unwrap();
    store([full(2), full(3)]).write(&other).unwrap();
    std::fs::write(&list, "CVE-2024-1004 (x)\n\t- curl 1\n").unwrap();
    let joined = AdvisoryStore::open([folder.path()]).unwrap();
    assert_eq!(joined.claims(&Scope::new("debian", Some("11")), "curl").unwrap().len(), 4);
    assert_eq!(joined.digest(), AdvisoryStore::open([&list, &one, &other]).unwrap().digest());
    let source = joined.sources().iter().find(|source| &*source.name == "test").unwrap();
    assert_eq!((source.records, source.newest), (4, full(1).date));
    let same = AdvisoryStore::open([&one, &one]).unwrap();
    assert_eq!(same.digest(), AdvisoryStore::open([&one]).unwrap().digest());
}

#[test]
fn stale_sources_are_known() {
    let mut builder = AdvisoryStore::builder();
    builder.source("old", Some("2026-03-01T00:00:00Z".parse().unwrap())).add(full(1));
    builder.source("new", Some("2026-03-20T00:00:00Z".parse().unwrap())).add(full(2));
    let store = builder.build();
    let stale = |now: &str| {
        let stale = store.stale(now.parse().unwrap(), Duration::from_secs(14 * 86_400));
        stale.map(|source| source.name.to_string()).collect::<Vec<_>>()
    };
    assert!(stale("2026-03-15T00:00:00Z").is_empty());
    assert_eq!(stale("2026-03-15T00:00:01Z"), ["old"]);
    assert_eq!(stale("2026-05-01T00:00:00Z"), ["new", "old"]);
}

/// A database that was put together by hand, byte by byte, by the description of the format.
#[test]
fn the_format_is_what_its_description_says() {
    let bytes = include_bytes!("../../../../fuzz/seeds/scan_database/one_claim");
    let store = AdvisoryStore::of_bytes(bytes.to_vec()).unwrap();
    store.verify().unwrap();
    let claims = store.claims(&Scope::new("debian", Some("11")), "curl").unwrap();
    assert_eq!((claims[0].id().as_str(), &claims[0].status), ("CVE-2024-1000", &fixed("1-2")));
    assert_eq!((store.len(), store.newest()), (1, Some("2024-01-02".parse().unwrap())));
}

#[test]
fn a_scope_that_has_another_name_by_now_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("the.db");
    let mut old = advisory("CVE-2024-1000", None, fixed("1"));
    old.scope = Scope::of_normalised("debian", Some("bullseye"));
    store([old]).write(&path).unwrap();
    let error = AdvisoryStore::open([&path]).unwrap_err();
    assert_eq!(error.kind(), patchkit_core::ErrorKind::Unsupported);
    assert!(
        error.to_string().ends_with("the.db: this program has another name for debian bullseye: build it again"),
        "{error}"
    );
}
