//! How fast it is, as numbers to put into STATUS.md. Not run by default: `cargo test --release -p patchkit-scan --test
//! speed -- --ignored --nocapture`, with `PATCHKIT_SPEED_LAYOUT` naming an OCI layout with a large gzip layer.

#![allow(clippy::unwrap_used)]

mod scan_support;

use std::{
    collections::BTreeSet,
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use patchkit_core::{Context, Package, Version};
use patchkit_scan::{AdvisoryStore, Inventory, matcher::Matcher};
use scan_support::{layout_image, shared_data};

/// The shortest of several runs.
fn best(mut run: impl FnMut()) -> Duration {
    let time = |_: u8| {
        let start = Instant::now();
        run();
        start.elapsed()
    };
    [0; 7].map(time).into_iter().min().unwrap()
}

#[test]
#[ignore = "a measurement"]
fn advisories_are_read_fast() {
    for file in ["debian/fixes.tsv", "debian/debian-advisories.jsonl", "golang/go-vulndb.osv.jsonl.gz"] {
        let Some(path) = shared_data(&format!("advisories/{file}")) else { return };
        let parse = best(|| _ = patchkit_scan::advisory::input::read_file(&path, &mut |_| ()).unwrap());
        let store = best(|| drop(AdvisoryStore::open([&path]).unwrap()));
        let claims = AdvisoryStore::open([&path]).unwrap().len();
        println!("{file}: read {parse:.1?}, read and indexed {store:.1?}, {claims} claims");
    }
}

/// Packages that all have advisories, and each fourth many vulnerabilities: more than any image has.
#[test]
#[ignore = "a measurement"]
fn a_thousand_packages_are_matched_fast() {
    let Some(path) = shared_data("advisories/debian/fixes.tsv") else { return };
    let text = std::fs::read_to_string(&path).unwrap();
    let rows = text.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let names: BTreeSet<_> = rows.filter(|row| row[0] == "bookworm").map(|row| row[1].to_owned()).collect();
    let package = |(n, name): (usize, &String)| {
        let purl = format!("pkg:deb/debian/{name}-{n}@1").parse().unwrap();
        let version = Version::new("deb", if n % 4 == 0 { "0.1-1" } else { "99:1-1" }).unwrap();
        Package::new(purl, name.parse().unwrap(), version)
    };
    let packages: Vec<_> = names.iter().cycle().take(1000).enumerate().map(package).collect();
    let store = AdvisoryStore::open([&path]).unwrap();
    let debian = patchkit_scan::os_release::parse(b"ID=debian\nVERSION_ID=12\n").unwrap();
    let judge = || Matcher::new(&store).judge(Some(&debian), &packages).unwrap();
    let time = best(|| drop(judge()));
    println!("{} packages of {} names, {} findings: {time:.1?}", packages.len(), names.len(), judge().findings.len());
}

/// The two sides take turns, so that a machine that is busy slows both.
#[test]
#[ignore = "a measurement"]
fn an_inventory_takes_as_long_as_unpacking_and_hashing() {
    let Some(layout) = std::env::var_os("PATCHKIT_SPEED_LAYOUT").map(PathBuf::from) else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let image = runtime.block_on(layout_image(&layout));
    let layer = image.layers().iter().max_by_key(|layer| layer.blob().descriptor().size).unwrap();
    let blob = layout.join("blobs").join(layer.digest().to_string().replace(':', "/"));
    let (mut ours, mut theirs) = (Duration::MAX, Duration::MAX);
    for _ in 0..5 {
        ours = ours.min(best_of_one(|| drop(runtime.block_on(Inventory::of(&image, &Context::new())).unwrap())));
        theirs = theirs.min(best_of_one(|| {
            let mut gzip = Command::new("gzip").arg("-dc").arg(&blob).stdout(Stdio::piped()).spawn().unwrap();
            let mut sum = Command::new("sha256sum");
            let sum = sum.stdin(gzip.stdout.take().unwrap()).stdout(Stdio::null()).status().unwrap();
            assert!(sum.success() && gzip.wait().unwrap().success());
        }));
    }
    let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
    let size = layer.blob().descriptor().size >> 20;
    println!("a layer of {size} MiB: inventory {ours:.2?}, gzip -dc | sha256sum {theirs:.2?}, ratio {ratio:.2}");
}

fn best_of_one(run: impl FnOnce()) -> Duration {
    let start = Instant::now();
    run();
    start.elapsed()
}
