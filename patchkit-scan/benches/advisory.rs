//! How long it takes to compile advisories, to open them, and to match a thousand packages with them.
//!
//! `cargo bench -p patchkit-scan --bench advisory`, by the folder `shared/data/advisories` above this one, or the one
//! that `PATCHKIT_BENCH_ADVISORIES` names; and by as many made-up advisories as all sources have together.
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use patchkit_core::{CvssScore, Package, PurlParts, Severity, Version};
use patchkit_scan::{
    advisory::{Advisory, AdvisoryStore, Builder, End, Scope, Statement, Status, input},
    matcher::Matcher,
    os_release,
};

const RUNS: usize = 7;
const PACKAGES: usize = 1000;

fn main() {
    // `cargo test --benches` only wants to know that it starts.
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    match advisories() {
        Some(folder) => real(&folder),
        None => println!("no folder of advisories: only made-up ones"),
    }
    made_up();
}

fn advisories() -> Option<PathBuf> {
    let named = std::env::var_os("PATCHKIT_BENCH_ADVISORIES").map(PathBuf::from);
    let mut folders = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    named
        .or_else(|| folders.find_map(|folder| Some(folder.join("shared/data/advisories")).filter(|path| path.is_dir())))
}

fn real(folder: &Path) {
    let start = Instant::now();
    let mut builder = AdvisoryStore::builder();
    let mut folders: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    for path in folders {
        if let Err(error) = builder.path(&path) {
            println!("left out: {error}");
        }
    }
    let names = debian_packages(&folder.join("debian/fixes.tsv"));
    measure("real advisories", builder, start, &names);
}

/// The source packages that Debian 12 has advisories about.
fn debian_packages(table: &Path) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let scope = Scope::new("debian", Some("12"));
    let take = &mut |statement| match statement {
        Statement::Advisory(advisory) if advisory.scope == scope => drop(names.insert(advisory.package.to_string())),
        _ => {}
    };
    input::read_file(table, take).unwrap();
    names
}

/// A million claims about as many packages and vulnerabilities as the sources of all distributions have.
fn made_up() {
    let start = Instant::now();
    let mut builder = AdvisoryStore::builder();
    for n in 0..1_000_000_u32 {
        let (release, package) = ((n % 50).to_string(), format!("package-{}", n / 50 % 2000));
        let id = format!("CVE-{}-{}", 2005 + n % 20, 1000 + n.wrapping_mul(7919) % 15_000);
        let status = Status::up_to(End::Fixed(format!("1:{}.{}-{}", n % 9, n % 31, n % 7).into()));
        let scope = Scope::new("debian", Some(&release));
        let advisory = Advisory::new(id.parse().unwrap(), scope, package.parse().unwrap(), status, "made-up");
        let vector = format!("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:{n}");
        builder.add(Advisory {
            severity: Severity::High,
            cvss: vec![CvssScore { vector, tenths: 98 }].into_iter().filter(|_| n % 8 == 0).collect(),
            title: Some(
                format!("a bug in package {package} that somebody found, number {n}", package = n % 977).into(),
            ),
            ..advisory
        });
    }
    let names = (0..2000).map(|n| format!("package-{n}")).collect();
    measure("made-up advisories", builder, start, &names);
}

fn measure(what: &str, builder: Builder, start: Instant, names: &BTreeSet<String>) {
    let records = builder.records();
    let store = builder.build();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("advisories.db");
    store.write(&path).unwrap();
    let (built, size) = (start.elapsed(), store.size() >> 10);
    println!("{what}: {records} records, {} claims, {size} KiB", store.len());
    println!("  read, compiled, written    {built:.2?}, at most {} MiB of memory in this process", peak());
    drop(store);
    println!("  opened                     {:.2?}", best(|| drop(AdvisoryStore::open([&path]).unwrap())));
    let packages: Vec<Package> = names.iter().take(PACKAGES).map(|name| package(name, "0.1-1")).collect();
    let debian = os_release::parse(b"ID=debian\nVERSION_ID=12\n").unwrap();
    let scope = Scope::new("debian", Some("12"));
    let asked = best(|| {
        let store = AdvisoryStore::open([&path]).unwrap();
        packages.iter().for_each(|package| drop(store.claims(&scope, package.name.as_str()).unwrap()));
    });
    println!("  opened, {} packages asked for {asked:.2?}", packages.len());
    let mut findings = 0;
    let matched = best(|| {
        let store = AdvisoryStore::open([&path]).unwrap();
        findings = Matcher::new(&store).judge(Some(&debian), &packages).unwrap().findings.len();
    });
    println!("  opened, {} packages matched {matched:.2?}, {findings} findings", packages.len());
    let current: Vec<Package> = (0..PACKAGES).map(|n| current(names.iter().nth(n), n)).collect();
    let matched = best(|| {
        let store = AdvisoryStore::open([&path]).unwrap();
        findings = Matcher::new(&store).judge(Some(&debian), &current).unwrap().findings.len();
    });
    println!("  opened, {} packages matched {matched:.2?}, {findings} findings, most are up to date", current.len());
    let verified = best(|| AdvisoryStore::open([&path]).unwrap().verify().unwrap());
    println!("  opened, read to the end    {verified:.2?}");
}

/// A package of an installation that was updated a while ago: one in ten is old.
fn current(name: Option<&String>, n: usize) -> Package {
    let other = format!("without-advisories-{n}");
    package(name.unwrap_or(&other), if n.is_multiple_of(10) { "0.1-1" } else { "99:1-1" })
}

fn package(name: &str, version: &str) -> Package {
    let parts = PurlParts { kind: "deb".into(), name: name.into(), version: version.into(), ..PurlParts::default() };
    Package::new(parts.build().unwrap(), name.parse().unwrap(), Version::new("deb", version).unwrap())
}

/// The most memory that this process had at once, in MiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or_default() >> 10
}

fn best(mut run: impl FnMut()) -> Duration {
    let time = |_| {
        let start = Instant::now();
        run();
        start.elapsed()
    };
    (0..RUNS).map(time).min().expect("there are runs")
}
