//! Real advisories of every format that is read: counted by other means, damaged at random, and hostile.

#![allow(clippy::unwrap_used)]

mod scan_support;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
};

use patchkit_core::{ErrorKind, Severity};
use patchkit_scan::{
    AdvisoryStore,
    advisory::{Advisory, End, Format, Scope, Statement, Status, input, read},
    os_release,
};
use proptest::prelude::*;
use scan_support::shared_data;

fn all(path: &Path) -> (Format, Vec<Advisory>) {
    let mut found = Vec::new();
    let format = input::read_file(path, &mut |statement| found.extend(advisory(statement))).unwrap();
    (format, found)
}

fn advisory(statement: Statement) -> Option<Advisory> {
    match statement {
        Statement::Advisory(advisory) => Some(advisory),
        Statement::Exploitation(..) => None,
    }
}

#[test]
fn the_table_of_fixes_is_read_whole() {
    let Some(path) = shared_data("advisories/debian/fixes.tsv") else { return };
    let (format, found) = all(&path);
    assert_eq!(format, Format::DebianFixes);
    let lines = BufReader::new(File::open(path).unwrap()).lines().count();
    assert_eq!(found.len(), lines - 1);
}

#[test]
fn the_announcements_say_what_the_table_says() {
    let paths = ["advisories/debian/debian-advisories.jsonl", "advisories/debian/fixes.tsv"];
    let [Some(announcements), Some(table)] = paths.map(shared_data) else { return };
    let in_table = |advisory: &Advisory| ["10", "11", "12", "13"].contains(&advisory.scope.release().unwrap());
    let facts = |advisories: Vec<Advisory>| {
        let fact = |a: Advisory| (a.id, a.bulletins, a.scope, a.package, a.status, a.date);
        advisories.into_iter().filter(in_table).map(fact).map(|fact| format!("{fact:?}")).collect::<BTreeSet<_>>()
    };
    let (format, announced) = all(&announcements);
    assert_eq!(format, Format::DebianBulletins);
    assert_eq!(facts(announced), facts(all(&table).1));
}

const TRACKER: &str =
    "advisories/samples/vuls-data-update/pkg/fetch/debian/tracker/api/testdata/fixtures/advisory.json";

#[test]
fn the_trackers_json_is_read() {
    let Some(path) = shared_data(TRACKER) else { return };
    let document: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let issues = document.as_object().unwrap().values().flat_map(|issues| issues.as_object().unwrap().values());
    let releases: usize = issues.map(|issue| issue["releases"].as_object().unwrap().len()).sum();
    let (format, found) = all(&path);
    assert_eq!((format, found.len()), (Format::DebianTracker, releases));
    let status = |id: &str, release: &str| {
        let scope = Scope::new("debian", Some(release));
        let found = found.iter().find(|advisory| advisory.id.as_str() == id && advisory.scope == scope).unwrap();
        (found.status.clone(), found.urgency)
    };
    assert_eq!(status("CVE-2012-0833", "bullseye"), (Status::NotAffected, Severity::Negligible));
    assert_eq!(status("CVE-2016-5405", "sid").0, Status::up_to(End::Fixed("1.3.5.15-1".into())));
    assert_eq!(status("CVE-2016-5416", "bullseye").0, Status::up_to(End::WillNotFix));
    assert_eq!(status("CVE-2016-5416", "sid").0, Status::up_to(End::NotFixed));
}

#[test]
fn the_trackers_lists_are_read() {
    let Some(path) = shared_data("advisories/debian/CVE.list-sample.txt") else { return };
    let (format, found) = all(&path);
    assert_eq!(format, Format::DebianList);
    let of = |id: &str| found.iter().filter(|advisory| advisory.id.as_str() == id).count();
    // A line about unstable counts twice: for unstable, and for every other release.
    assert_eq!((of("CVE-2025-7425"), of("CVE-2023-4911"), of("CVE-2023-27534")), (2, 3, 4));
}

#[test]
fn an_archive_of_the_tracker_is_read_file_by_file() {
    let folder = "advisories/samples/vuls-data-update/pkg/fetch/debian/tracker/salsa/testdata/fixtures";
    let Some(folder) = shared_data(folder) else { return };
    let archive = File::open(folder.join("security-tracker-master.tar.gz")).unwrap();
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(archive));
    let mut counts = BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let entry = entry.unwrap();
        let path = entry.path().unwrap().into_owned();
        if path.ends_with("CVE/list") || path.ends_with("DSA/list") || path.ends_with("DLA/list") {
            let mut count = 0;
            let format = read(&path.to_string_lossy(), entry, &mut |_| count += 1).unwrap();
            assert_eq!(format, Format::DebianList);
            let list = path.parent().unwrap().file_name().unwrap().to_string_lossy().into_owned();
            counts.insert(list, count);
        }
    }
    // 13 CVEs in two releases, a bulletin without any in two, one CVE in two; two DLAs of one each.
    let expected = [("CVE", 2 + 4 + 2 + 3), ("DLA", 2), ("DSA", 26 + 2 + 2)];
    assert_eq!(counts, expected.map(|(list, count)| (list.to_owned(), count)).into());
}

#[test]
fn collections_of_osv_are_read_whole() {
    for (file, records) in [
        ("almalinux/almalinux9.osv.jsonl.gz", 1783),
        ("golang/go-vulndb.osv.jsonl.gz", 4291),
        ("pypa/pypa.osv.jsonl.gz", 2659),
    ] {
        let Some(path) = shared_data(&format!("advisories/{file}")) else { return };
        let (format, found) = all(&path);
        assert_eq!(format, Format::Osv);
        let ids: BTreeSet<_> =
            found.iter().flat_map(|a| [&a.id].into_iter().chain(&a.aliases).chain(&a.bulletins)).collect();
        assert!(found.len() > records / 2 && ids.len() > records / 2, "{file}: {} of {records}", found.len());
    }
    let Some(folder) = shared_data("advisories/almalinux/raw-sample") else { return };
    let store = AdvisoryStore::open([folder]).unwrap();
    assert_eq!(store.scopes().map(ToString::to_string).collect::<Vec<_>>(), ["almalinux 9"]);
}

#[test]
fn osv_of_debian_is_what_the_table_says() {
    // What the OSV project publishes for DLA-0001-1, cut short.
    let osv = r#"{"id": "DLA-0001-1", "summary": "gnutls26 - security update", "modified": "2023-06-28T06:17:52Z",
        "published": "2014-06-02T00:00:00Z", "related": ["CVE-2014-3466"], "affected": [{"package": {"name": "gnutls26",
        "ecosystem": "Debian:6.0"}, "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"},
        {"fixed": "2.8.6-1+squeeze4"}]}], "versions": ["2.8.6-1"]}], "schema_version": "1.6.0"}"#;
    let list = "[02 Jun 2014] DLA-0001-1 gnutls26 - security update\n\t{CVE-2014-3466}\n\t[squeeze] - gnutls26 2.8.6-1+squeeze4\n";
    let facts = |text: &str| {
        let mut found = Vec::new();
        let mut take = |a: Advisory| found.push((a.id, a.bulletins, a.scope, a.package, a.status, a.date));
        read("test", text.as_bytes(), &mut |statement| advisory(statement).into_iter().for_each(&mut take)).unwrap();
        found
    };
    assert_eq!(facts(osv), facts(list));
}

#[test]
fn a_folder_says_what_is_wrong_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let open = || AdvisoryStore::open([folder.path()]);
    write("README.md", "no advisories");
    write(".hidden.json", "{}");
    assert_eq!(open().unwrap_err().kind(), ErrorKind::Invalid);
    write("notes.txt", "no advisories either");
    write("list", "CVE-2024-1000 (x)\n\t- curl 1\n");
    assert_eq!(open().unwrap().len(), 2);
    write("broken.json", "{\"id\": \"X-1\", \"affected\": [");
    let error = open().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("broken.json: line 1: EOF"), "{error}");
    write("broken.json", "{\"advisory\": 1}");
    assert_eq!(open().unwrap_err().kind(), ErrorKind::Unsupported);
    let mut going = AdvisoryStore::builder().keeping_going();
    assert_eq!(going.path(folder.path()).unwrap().records(), open_without(&folder, "broken.json"));
    assert_eq!(AdvisoryStore::open([folder.path().join("absent")]).unwrap_err().kind(), ErrorKind::NotFound);
}

/// How many records the advisories of a folder have when a file is gone from it.
fn open_without(folder: &tempfile::TempDir, file: &str) -> u64 {
    std::fs::remove_file(folder.path().join(file)).unwrap();
    AdvisoryStore::builder().path(folder.path()).unwrap().records()
}

#[test]
fn a_gzip_bomb_is_refused_in_little_memory() {
    let zeros = std::io::repeat(b'a').take(1 << 28);
    let bomb = flate2::read::GzEncoder::new(
        b"{\"modified\": \"\", \"id\": \"".as_slice().chain(zeros),
        flate2::Compression::best(),
    );
    let error = read("bomb", bomb, &mut |_| ()).unwrap_err();
    assert!(error.to_string().contains("a record is longer than"), "{error}");
}

/// The distributions that claircore reads from its samples of `os-release`.
#[test]
fn os_release_is_read_as_others_do() {
    let Some(folder) = shared_data("pkgdb/dpkg/claircore/osrelease/testdata") else { return };
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let (_, rest) = text.split_once("-- os-release --\n").unwrap();
        let (file, rest) = rest.split_once("-- Parsed --\n").unwrap();
        let (parsed, _) = rest.split_once("-- Distribution --\n").unwrap_or((rest, ""));
        let expected: BTreeMap<String, String> = serde_json::from_str(parsed).unwrap();
        assert_eq!(os_release::assignments(file.as_bytes()).unwrap(), expected, "{}", path.display());
        count += 1;
    }
    assert_eq!(count, 11);
}

/// A sample of each format, to be damaged.
const SAMPLES: [&str; 17] = [
    "#model_version:v1,score_date:x\ncve,epss,percentile\nCVE-2020-5902,0.97567,0.99995\n",
    r#"{"catalogVersion": "x", "vulnerabilities": [{"cveID": "CVE-2022-21971", "product": "x"}]}"#,
    r#"{"apkurl": "x", "distroversion": "v3.20", "packages": [{"pkg": {"name": "a", "secfixes": {"0": ["CVE-2019-1001"], "1-r1": ["CVE-2019-1002 XSA-1"]}}}]}"#,
    "---\ndistroversion: v3.10\npackages:\n  - pkg:\n      name: a\n      secfixes:\n        1-r1:\n          - CVE-2019-1001\n",
    "```toml\n[advisory]\nid = \"RUSTSEC-2024-0001\"\npackage = \"a\"\ndate = \"2024-01-02\"\n[affected.functions]\n\"a::b\" = [\"< 1\"]\n[versions]\npatched = [\"^1.2.3\", \">= 2.1.0-rc.1\"]\nunaffected = [\"< 0.1\"]\n```\n\n# x\n",
    r#"{"document": {"tracking": {"id": "CVE-2024-1001"}}, "product_tree": {"branches": [{"product": {"product_id": "9", "name": "x", "product_identification_helper": {"cpe": "cpe:/o:redhat:enterprise_linux:9"}}}, {"product": {"product_id": "c", "product_identification_helper": {"purl": "pkg:rpm/redhat/curl@1-2?arch=x86_64&epoch=1&rpmmod=a:1:2:3"}}}], "relationships": [{"full_product_name": {"product_id": "9:c"}, "product_reference": "c", "relates_to_product_reference": "9"}]}, "vulnerabilities": [{"cve": "CVE-2024-1001", "product_status": {"fixed": ["9:c"], "known_affected": ["9:c"]}, "scores": [{"cvss_v3": {"vectorString": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}}], "threats": [{"category": "impact", "details": "Low", "product_ids": ["9:c"]}]}]}"#,
    r#"<oval_definitions><definitions><definition class="patch" id="d:1"><metadata><reference ref_id="RHSA-2024:1" source="RHSA"/><advisory><severity>Low</severity><issued date="2024-01-02"/><cve cvss3="7.5/CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H">CVE-2024-1001</cve></advisory></metadata><criteria operator="AND"><criterion test_ref="t:9" comment="Red Hat Enterprise Linux 5 is installed"/><criteria operator="OR"><criterion test_ref="t:1" comment="curl is earlier than 0:1-2"/></criteria></criteria></definition></definitions><tests><r:rpminfo_test id="t:1"><r:object object_ref="o:1"/><r:state state_ref="s:1"/></r:rpminfo_test></tests><objects><r:rpminfo_object id="o:1"><r:name>curl</r:name></r:rpminfo_object></objects><states><r:rpminfo_state id="s:1"><r:arch>(aarch64|x86_64)</r:arch><r:evr operation="less than">0:1-2</r:evr></r:rpminfo_state></states></oval_definitions>"#,
    r#"<?xml version="1.0"?><updates><update type="security"><id>ALAS2NGINX1-2024-1</id><severity>low</severity><references><reference id="CVE-2024-1001"/></references><pkglist><collection short="x"><package name="nginx" epoch="1" version="1.2" release="3" arch="x86_64"/></collection></pkglist></update></updates>"#,
    r#"{"@context": "https://openvex.dev/ns", "statements": [{"vulnerability": {"name": "CVE-2024-1001"}, "products": [{"@id": "pkg:deb/ubuntu/a@1%2Besm1?arch=source&distro=esm-apps/bionic"}], "status": "fixed"}]}"#,
    r#"[{"cve_id": "CVE-2025-9086", "pkg": "curl", "cve_score": 7.5, "res_ver": "8.16.0-1.ph4", "status": "Fixed"}]"#,
    r#"[{"name": "AVG-1", "packages": ["a"], "status": "Fixed", "affected": "1-1", "fixed": "1-2", "issues": ["CVE-2016-6352"]}]"#,
    "suite\tsource\tcve\tfixed_version\tadvisory\tdate\nbullseye\tcurl\tCVE-2024-1000\t1-2\tDSA-1-1\t2024-01-02\n",
    r#"{"id": "DSA-9-1", "date": "2026-08-20", "title": "x", "cves": ["CVE-2026-0001"], "cvss4": {"CVE-2026-0001": 9.4}, "fixes": [{"suite": "trixie", "source": "a", "fixed": "1.9-2"}]}"#,
    "CVE-2023-XXXX [x]\n\t- curl 7.88.1-7 (low; bug #12)\n\t[buster] - curl <no-dsa> (Minor)\n\tNOTE: x\n",
    "[02 Nov 2023] DSA-5546-1 chromium - x\n\t{CVE-2023-5480}\n\t[bullseye] - chromium 119\n",
    r#"{"curl": {"CVE-2024-1234": {"description": "x", "releases": {"sid": {"status": "open", "urgency": "low", "nodsa_reason": "ignored"}}}}}"#,
    r#"{"id": "DSA-1-1", "aliases": ["CVE-2024-1001"], "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}], "affected": [{"package": {"ecosystem": "Debian:12", "name": "x"}, "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1"}]}], "versions": ["1"]}]}"#,
];

proptest! {
    /// Whatever is done to an input, it is read or refused; and what was read makes a store.
    #[test]
    fn damage_never_panics(sample in 0..SAMPLES.len(), edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 0..8)) {
        let mut bytes = SAMPLES[sample].as_bytes().to_vec();
        for (at, byte, kind) in edits {
            if bytes.is_empty() {
                break;
            }
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
        }
        let mut builder = AdvisoryStore::builder();
        if let Err(error) = builder.read("damaged", bytes.as_slice()) {
            prop_assert!(error.to_string().contains("damaged"), "{error}");
        }
        drop(builder.build());
        let _ = os_release::parse(&bytes);
    }
}
