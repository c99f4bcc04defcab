//! The tool as a new user meets it: the demo, and every way to hold it wrong.
#![allow(clippy::unwrap_used)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;
use tempfile::TempDir;

fn patchkit(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_patchkit"));
    // Nothing of whoever runs the tests is read or written.
    for (name, folder) in [("XDG_CACHE_HOME", folder.join("cache")), ("XDG_CONFIG_HOME", folder.join("config"))] {
        command.env(name, folder);
    }
    command.args(args).current_dir(folder).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", stderr(output));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// A demo that was run offline: a store with a patched image, a key, a ledger.
fn demo() -> (TempDir, Value) {
    let folder = tempfile::tempdir().unwrap();
    let output = patchkit(folder.path(), &["demo", "--offline", "--folder", "d", "--format", "json"]);
    let summary = json(&output);
    (folder, summary)
}

/// The layout of the demo's repository.
fn layout(folder: &Path) -> PathBuf {
    fn find(folder: &Path) -> Option<PathBuf> {
        if folder.join("oci-layout").exists() {
            return Some(folder.to_owned());
        }
        let mut below = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).filter(|path| path.is_dir());
        below.find_map(|path| find(&path))
    }
    find(&folder.join("d/registry")).expect("the store has a layout")
}

#[test]
fn the_demo_goes_from_nothing_to_a_release() {
    let (folder, summary) = demo();
    assert_eq!(summary["images"].as_array().unwrap().len(), 2);
    for image in summary["images"].as_array().unwrap() {
        assert_eq!(image["fixed"].as_array().unwrap().len(), 3);
        assert!(image["left"].as_array().unwrap().is_empty());
    }
    let after = summary["after"].as_str().unwrap();
    assert_eq!(summary["deployment"]["shares"][after], 100);
    let page = fs::read_to_string(folder.path().join("d/report.html")).unwrap();
    assert!(page.contains(after) && page.contains("CVE-0000-0001"));

    let verified = json(&patchkit(folder.path(), &["ledger", "verify", "d/ledger.jsonl", "--format", "json"]));
    assert!(verified["entries"].as_u64().unwrap() > 8);
    let shown = json(&patchkit(folder.path(), &["ledger", "show", "d/ledger.jsonl", "--format", "json"]));
    assert_eq!(shown.as_array().unwrap().last().unwrap()["record"]["kind"], "release");
}

#[test]
fn a_tampered_ledger_is_refused_by_its_entry() {
    let (folder, _) = demo();
    let path = folder.path().join("d/ledger.jsonl");
    let text = fs::read_to_string(&path).unwrap().replacen("demo-tool", "other-tool", 1);
    fs::write(&path, text).unwrap();
    let output = patchkit(folder.path(), &["ledger", "verify", "d/ledger.jsonl"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("ledger entry 0"), "{}", stderr(&output));
}

#[test]
fn what_is_installed_is_listed_and_compared() {
    let (folder, summary) = demo();
    let at = layout(folder.path());
    let image = |tag: &str| format!("oci:{}:{tag}", at.display());
    let (before, after) = (image("1.0-previous"), image("1.0"));
    let listed = json(&patchkit(folder.path(), &["inventory", &after, "--format", "json", "--quiet"]));
    assert_eq!(listed.as_array().unwrap().len(), 2);
    assert_eq!(listed[0]["packages"].as_array().unwrap().len(), 3);

    let one = ["inventory", &after, "--format", "json", "--platform", "linux/arm64"];
    assert_eq!(json(&patchkit(folder.path(), &one))[0]["platform"], "linux/arm64");

    let differ = json(&patchkit(folder.path(), &["diff", &before, &after, "--format", "json"]));
    let names: Vec<_> = differ[0]["packages"].as_array().unwrap().iter().map(|package| &package["name"]).collect();
    assert_eq!(names, ["demo-tool:amd64", "libdemo1:amd64"]);
    assert_eq!(summary["images"].as_array().unwrap().len(), differ.as_array().unwrap().len());
}

#[test]
fn a_distribution_without_advisories_is_said_to_be_unjudged() {
    let (folder, _) = demo();
    let image = format!("oci:{}:1.0", layout(folder.path()).display());
    let advisory = r#"{"id": "X-1", "modified": "2026-01-01T00:00:00Z", "affected": [{"package":
        {"ecosystem": "Debian:11", "name": "x"}, "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}]}]}"#;
    fs::write(folder.path().join("advisory.json"), advisory).unwrap();
    let args = ["scan", &image, "--advisories", "advisory.json", "--format", "json"];
    let reports = json(&patchkit(folder.path(), &args));
    assert!(reports[0]["warnings"][0].as_str().unwrap().contains("no advisories"), "{reports}");
}

/// A folder of the real data that lies beside the project; skipped where it does not, failed where it must.
fn shared(path: &str) -> Option<PathBuf> {
    let found = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|folder| folder.join("shared/data").join(path));
    let found = found.into_iter().find(|path| path.exists());
    if found.is_none() {
        assert!(std::env::var_os("PATCHKIT_REQUIRE_EXTERNAL").is_none(), "shared/data/{path} is needed");
        eprintln!("skipped: there is no shared/data/{path}");
    }
    found
}

#[test]
fn findings_at_the_bound_are_status_10() {
    let (Some(image), Some(fixes)) = (shared("images/debian-11.11-distroless"), shared("advisories/debian/fixes.tsv"))
    else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let (image, fixes) = (format!("oci:{}", image.display()), fixes.display().to_string());
    let scan = |bound: &str| {
        patchkit(folder.path(), &["scan", &image, "--advisories", &fixes, "--fail-on", bound, "--format", "json"])
    };
    let found = json(&scan("critical"));
    let ids = found[0]["findings"].as_array().unwrap().iter().map(|finding| finding["id"].as_str().unwrap());
    assert_eq!(ids.filter(|id| id.starts_with("CVE-")).count(), 63);
    assert_eq!(scan("unknown").status.code(), Some(10));
}

#[test]
fn wrong_usage_is_status_2_and_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    for args in [
        &["scan"][..],
        &["plan", "oci:x"],
        &["patch", "oci:x", "--all"],
        &["inventory", "not an image"],
        &["inventory", "oci:x", "--platform", "linux"],
        &["scan", "oci:x", "--advisories", "a", "--fail-on", "terrible"],
        &["frobnicate"],
    ] {
        let output = patchkit(folder.path(), args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", stderr(&output));
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{args:?}");
    }
}

#[test]
fn what_is_not_there_or_damaged_is_named() {
    let (folder, _) = demo();
    let output = patchkit(folder.path(), &["inventory", "oci:nowhere"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("nowhere"), "{}", stderr(&output));

    let at = layout(folder.path());
    let image = format!("oci:{}:1.0", at.display());
    for blob in fs::read_dir(at.join("blobs/sha256")).unwrap().flatten() {
        let bytes = fs::read(blob.path()).unwrap();
        if bytes.starts_with(&[0x1f, 0x8b]) || bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
            fs::write(blob.path(), &bytes[..bytes.len() / 2]).unwrap();
        }
    }
    let output = patchkit(folder.path(), &["inventory", &image, "--no-cache"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("sha256:") && stderr(&output).contains("corrupt"), "{}", stderr(&output));
    assert!(output.stdout.is_empty());
}

#[test]
fn a_pipeline_with_an_unknown_word_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("p.yaml"), "image: oci:x\ncolour: blue\n").unwrap();
    let output = patchkit(folder.path(), &["run", "p.yaml"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("p.yaml") && stderr(&output).contains("colour"), "{}", stderr(&output));
}

#[test]
fn the_demo_does_not_write_into_a_used_folder() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("used")).unwrap();
    fs::write(folder.path().join("used/file"), "mine").unwrap();
    let output = patchkit(folder.path(), &["demo", "--offline", "--folder", "used"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(fs::read_dir(folder.path().join("used")).unwrap().count(), 1);
}

#[test]
fn a_compiled_database_says_the_same_in_every_format() {
    let (Some(image), Some(fixes)) = (shared("images/debian-11.11-distroless"), shared("advisories/debian/fixes.tsv"))
    else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let (image, fixes) = (format!("oci:{}", image.display()), fixes.display().to_string());
    let run = |args: &[&str]| {
        let output = patchkit(folder.path(), args);
        assert!(output.status.success(), "{args:?}: {}", stderr(&output));
        output
    };
    let ids = |reports: &Value| -> Vec<String> {
        let findings = reports[0]["findings"].as_array().unwrap().iter();
        findings.map(|finding| format!("{} {}", finding["id"], finding["package"])).collect()
    };
    let of_files = ids(&json(&run(&["scan", &image, "--advisories", &fixes, "--format", "json"])));
    assert!(of_files.len() > 60, "{of_files:?}");

    run(&["db", "build", &fixes, "-o", "a.db"]);
    let info = json(&run(&["db", "info", "a.db", "--format", "json"]));
    assert_eq!(info["sources"][0]["name"], "debian-security-advisories");
    let of_database = json(&run(&["scan", &image, "--advisories", "a.db", "--format", "json"]));
    assert_eq!(ids(&of_database), of_files);

    for format in ["cyclonedx", "openvex", "sarif", "spdx", "spdx3", "trivy"] {
        run(&["scan", &image, "--advisories", "a.db", "--format", format, "-o", format]);
        let document: Value = serde_json::from_slice(&fs::read(folder.path().join(format)).unwrap()).unwrap();
        assert!(document.is_object(), "{format}");
    }
    let of_bill = json(&run(&["scan", "sbom:cyclonedx", "--advisories", "a.db", "--format", "json"]));
    assert_eq!(ids(&of_bill), of_files);
    let of_report = json(&run(&["scan", &image, "--report", "trivy", "--format", "json"]));
    assert_eq!(ids(&of_report), of_files);

    let rule = "rules: [{id: CVE-2024-5535, owner: us, reason: a test, expires: 9999-01-01}]";
    fs::write(folder.path().join("rules.yaml"), rule).unwrap();
    let judged = json(&run(&["scan", &image, "--advisories", "a.db", "--ignore", "rules.yaml", "--format", "json"]));
    assert_eq!(judged[0]["suppressed"][0]["by"], "us");
    assert!(!ids(&judged).iter().any(|id| id.contains("CVE-2024-5535")));

    let output = patchkit(folder.path(), &["diff", &image, &image, "--format", "sarif"]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    let mut bytes = fs::read(folder.path().join("a.db")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(folder.path().join("a.db"), bytes).unwrap();
    let output = patchkit(folder.path(), &["db", "info", "a.db"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("a.db") && stderr(&output).contains("corrupt"), "{}", stderr(&output));
}

#[test]
fn an_update_keeps_what_it_has_when_a_feed_fails() {
    let folder = tempfile::tempdir().unwrap();
    let feed = folder.path().join("feed.tsv");
    let rows =
        "suite\tsource\tcve\tfixed_version\tadvisory\tdate\nbullseye\tcurl\tCVE-2024-1000\t1-2\tDSA-1-1\t2024-01-02\n";
    fs::write(&feed, rows).unwrap();
    let feeds = format!("feeds: [{{name: fixes, url: \"file://{}\"}}]", feed.display());
    fs::create_dir_all(folder.path().join("config/patchkit")).unwrap();
    fs::write(folder.path().join("config/patchkit/feeds.yaml"), feeds).unwrap();
    let update = || {
        let output = patchkit(folder.path(), &["db", "update"]);
        assert!(output.status.success(), "{}", stderr(&output));
        stderr(&output)
    };
    assert!(update().contains("fixes: changed"));
    fs::remove_file(&feed).unwrap();
    assert!(update().contains("fixes: warning: kept as it was"));
    let info = json(&patchkit(folder.path(), &["db", "info", "--format", "json"]));
    assert_eq!((&info["claims"], &info["sources"][0]["name"]), (&Value::from(1), &Value::from("fixes")));
}

#[test]
fn a_patched_image_is_checked_against_the_one_before() {
    let (folder, _) = demo();
    let at = layout(folder.path());
    let image = |tag: &str| format!("oci:{}:{tag}", at.display());
    let (before, after) = (image("1.0-previous"), image("1.0"));
    let args = ["test", &after, "--baseline", &before, "--format", "json"];
    let verdict = json(&patchkit(folder.path(), &args));
    assert_eq!(verdict["reasons"].as_array().unwrap().len(), 4, "{verdict}");
    assert!(verdict["reasons"].as_array().unwrap().iter().all(|reason| reason["holds"] == true), "{verdict}");

    let neither = patchkit(folder.path(), &["test", &after]);
    assert_eq!(neither.status.code(), Some(2), "{}", stderr(&neither));
    let none = patchkit(folder.path(), &["test", &after, "--baseline", &before, "--checks", "none"]);
    assert_eq!(none.status.code(), Some(1), "{}", stderr(&none));

    // The image starts as root, before and after.
    let by_profile = |profile: &str| {
        fs::write(folder.path().join("checks.yaml"), profile).unwrap();
        let args = ["test", &after, "--baseline", &before, "--checks", "hardening", "--profile", "checks.yaml"];
        patchkit(folder.path(), &args)
    };
    let refused = by_profile("require: [PK-H006]");
    assert_eq!(refused.status.code(), Some(3), "{}", stderr(&refused));
    let exception = "{check: PK-H006, pattern: '*', owner: us, reason: a test, expires: 9999-01-01}";
    let excepted = by_profile(&format!("require: [PK-H006]\nexceptions: [{exception}]"));
    assert_eq!(excepted.status.code(), Some(0), "{}", stderr(&excepted));
    let wrong = by_profile(&format!("exceptions: [{}]", exception.replace("PK-H006", "PK-H6")));
    assert_eq!(wrong.status.code(), Some(1));
    assert!(stderr(&wrong).contains("checks.yaml") && stderr(&wrong).contains("PK-H6"), "{}", stderr(&wrong));
}

#[test]
fn a_suite_that_is_none_is_refused_by_its_file_and_field() {
    let (folder, _) = demo();
    let image = format!("oci:{}:1.0", layout(folder.path()).display());
    fs::write(folder.path().join("suite.yaml"), "tests: [{ name: a, command: [x], reprot: {} }]").unwrap();
    let output = patchkit(folder.path(), &["test", &image, "--suite", "suite.yaml"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("suite.yaml") && stderr(&output).contains("reprot"), "{}", stderr(&output));
}

#[test]
fn the_doctor_says_what_works_and_why_the_rest_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let checkups = json(&patchkit(folder.path(), &["doctor", "--format", "json"]));
    let names: Vec<_> = checkups.as_array().unwrap().iter().map(|checkup| checkup["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"built-in") && names.contains(&"runc"), "{names:?}");
    for checkup in checkups.as_array().unwrap() {
        let said = if checkup["health"] == "works" { &checkup["seen"] } else { &checkup["why"] };
        assert!(said.as_str().is_some_and(|said| !said.is_empty()), "{checkup}");
    }
}
