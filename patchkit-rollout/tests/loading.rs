//! The verifier of loading: what it lets pass, every planted fault, and where linkers look.

#![allow(clippy::unwrap_used)]

mod loading_support;

use std::collections::BTreeSet;

use loading_support::{Compiler, Files, image, patched, with};
use patchkit_core::{Context, Image, Reason, Verdict, Verifier, conformance, image::FilePath};
use patchkit_rollout::verify::{
    Exception,
    loading::{Interfaces, Layers, Linkage, LoadOptions, Loading, check, compare, interfaces},
};
use serde_json::json;

const DEP: &str = "int alpha(void) { return 1; } int beta(void) { return 2; }";
const APP: &str = "int alpha(void); int beta(void); int main(void) { return alpha() + beta(); }";

/// A program that needs two symbols of a library, and a plugin that needs one of its host too.
fn files(cc: &Compiler) -> Files {
    let dep = cc.library("libdep.so.1", "libdep.so.1", DEP, "DEP_1");
    let plugin = "int beta(void); int host(void); int run(void) { return beta() + host(); }";
    let plugin = cc.compile("plugin.so", plugin, &["-shared", "-l:libdep.so.1"]);
    vec![
        ("lib/ld-test.so", cc.linker()),
        ("usr/bin/app", cc.program("app", APP, &["-l:libdep.so.1"])),
        ("usr/bin/other", cc.program("other", "int main(void) { return 0; }", &[])),
        ("usr/lib/libdep.so.1", b"->libdep.so.1.0".to_vec()),
        ("usr/lib/libdep.so.1.0", dep),
        ("usr/lib/plugins/plugin.so", plugin),
    ]
}

async fn verdict(before: &Image, after: &Image) -> Verdict {
    Loading::new().verify(&patched(before, after).await, &Context::new()).await.unwrap()
}

async fn linkage(image: &Image) -> Linkage {
    Linkage::read(image, &mut Layers::default(), &LoadOptions::default(), &Context::new()).await.unwrap()
}

/// The messages of all that does not hold and rests on nothing more.
fn faults(verdict: &Verdict) -> Vec<String> {
    fn leaves(reason: &Reason) -> Vec<String> {
        let own = [reason].into_iter().filter(|reason| !reason.holds && reason.because.is_empty());
        own.map(|reason| reason.message.clone()).chain(reason.because.iter().flat_map(leaves)).collect()
    }
    verdict.reasons.iter().flat_map(leaves).collect()
}

fn path(text: &str) -> FilePath {
    FilePath::new(text).unwrap()
}

/// The bytes with one text, which is there, replaced by another one of its length.
fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let places: Vec<_> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(from)).collect();
    assert!(!places.is_empty() && from.len() == to.len());
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to);
    }
    bytes
}

#[tokio::test]
async fn keeps_the_contract() {
    let Some(cc) = Compiler::new() else { return };
    let before = image(&files(&cc));
    let dep = cc.library("new", "libdep.so.1", &format!("{DEP} int gamma(void) {{ return 3; }}"), "DEP_1");
    let patched = patched(&before, &with(&before, &[("usr/lib/libdep.so.1.0", dep)], &[])).await;
    conformance::verifier::suite(&Loading::new(), &patched).await.assert();
}

#[tokio::test]
async fn every_planted_fault_is_named() {
    let Some(cc) = Compiler::new() else { return };
    let files = files(&cc);
    let before = image(&files);
    let dep = &files[4].1;
    let at = "usr/lib/libdep.so.1.0";
    let mut damaged = dep.clone();
    damaged.truncate(500);
    let no_beta = "needs the symbol beta of version DEP_1 of libdep.so.1, which nothing that is loaded has";
    let both = |message: &str| vec![format!("usr/bin/app {message}"), format!("usr/lib/plugins/plugin.so {message}")];
    for (what, changed, gone, expected) in [
        ("nothing", vec![], vec![], vec![]),
        ("the same again", vec![(at, dep.clone())], vec![], vec![]),
        ("a symbol dropped", vec![(at, replaced(dep, b"\0beta\0", b"\0bet_\0"))], vec![], both(no_beta)),
        (
            "a library removed",
            vec![],
            vec![at],
            vec![
                "usr/bin/app needs libdep.so.1, which is not found".to_owned(),
                "usr/bin/app needs the symbol alpha of version DEP_1 of libdep.so.1, which nothing that is loaded has"
                    .into(),
                format!("usr/bin/app {no_beta}"),
                "usr/lib/plugins/plugin.so needs libdep.so.1, which is not found".into(),
                format!("usr/lib/plugins/plugin.so {no_beta}"),
            ],
        ),
        (
            "a version renamed",
            vec![(at, cc.library("v2", "libdep.so.1", DEP, "DEP_2"))],
            vec![],
            vec![
                "usr/bin/app needs the symbol alpha of version DEP_1 of libdep.so.1, which nothing that is loaded has"
                    .into(),
                format!("usr/bin/app {no_beta}"),
                "usr/bin/app needs version DEP_1 of libdep.so.1, which does not have it".into(),
                format!("usr/lib/plugins/plugin.so {no_beta}"),
                "usr/lib/plugins/plugin.so needs version DEP_1 of libdep.so.1, which does not have it".into(),
            ],
        ),
        ("versions given up", vec![(at, cc.library("v0", "libdep.so.1", DEP, ""))], vec![], vec![]),
        (
            "the linker removed",
            vec![],
            vec!["lib/ld-test.so"],
            ["app", "other"]
                .map(|name| format!("usr/bin/{name} is started with /lib/ld-test.so, which is not there"))
                .into(),
        ),
    ] {
        let verdict = verdict(&before, &with(&before, &changed, &gone)).await;
        assert_eq!(faults(&verdict), expected, "{what}");
        assert_eq!(verdict.passes(), expected.is_empty(), "{what}");
    }
    let dropped = with(&before, &[(at, replaced(dep, b"\0beta\0", b"\0bet_\0"))], &[]);
    let dropped = patched(&before, &dropped).await;
    for (pattern, left) in [("usr/*", 0), ("usr/bin/*", 1), ("opt/*", 2)] {
        let exception = Exception {
            pattern: pattern.into(),
            owner: "ana".into(),
            reason: "nobody calls it".into(),
            expires: "2999-01-01".parse().unwrap(),
        };
        let verdict = Loading::new().excepting(exception).verify(&dropped, &Context::new()).await.unwrap();
        assert_eq!((faults(&verdict).len(), verdict.counts_until().is_some()), (left, left < 2), "{pattern}");
    }

    let verdict = verdict(&before, &with(&before, &[(at, damaged)], &[])).await;
    let faults = faults(&verdict);
    assert!(faults.iter().any(|fault| fault.starts_with("usr/lib/libdep.so.1.0 is damaged: ")), "{faults:?}");
    assert!(faults.iter().any(|fault| fault == "usr/bin/app needs libdep.so.1, which is not found"), "{faults:?}");
}

#[tokio::test]
async fn what_was_missing_before_is_no_reason_to_refuse() {
    let Some(cc) = Compiler::new() else { return };
    let mut files = files(&cc);
    let lost = "int lost(void); int main(void) { return lost(); }";
    cc.library("liblost.so", "liblost.so", "int lost(void) { return 0; }", "");
    files.push(("usr/bin/broken", cc.program("broken", lost, &["-l:liblost.so"])));
    files.push(("usr/lib/liblost.so", cc.library("empty", "liblost.so", "int found;", "")));
    let before = image(&files);
    let report = check(&before, &Context::new()).await.unwrap();
    assert_eq!(report.faults.len(), 1, "{report}");
    assert_eq!(report.faults[0].to_string(), "usr/bin/broken needs the symbol lost, which nothing that is loaded has");
    assert_eq!(
        report.left_to_hosts[0].to_string(),
        "usr/lib/plugins/plugin.so needs the symbol host, which nothing that is loaded has"
    );
    let verdict = verdict(&before, &before).await;
    assert!(verdict.passes());
    let known = format!("was so before: {}", report.faults[0]);
    assert!(verdict.reasons[0].because.contains(&Reason::yes(known)), "{:?}", verdict.reasons);
    // What a host may bring is not held against a plugin that asks for it only now.
    let plugin = "int host(void); int other(void); int run(void) { return host() + other(); }";
    let plugin = cc.compile("plugin2.so", plugin, &["-shared"]);
    let after = with(&before, &[("usr/lib/plugins/plugin.so", plugin)], &[]);
    let change = compare(&linkage(&before).await, &linkage(&after).await);
    assert!(change.broken.is_empty());
    assert_eq!(change.left_to_hosts.len(), 1);
}

#[tokio::test]
async fn the_difference_of_interfaces_and_whom_it_touches() {
    let Some(cc) = Compiler::new() else { return };
    let before = image(&files(&cc));
    let script = "DEP_1 { global: alpha; }; DEP_2 { global: beta; gamma; } DEP_1;";
    std::fs::write(cc.folder().join("two"), script).unwrap();
    let source = format!("{DEP} int gamma(void) {{ return 3; }}");
    let dep = cc.compile("two.so", &source, &["-shared", "-Wl,-soname,libdep.so.1", "-Wl,--version-script=two"]);
    let moved = [("usr/lib/libdep.so.1.1", dep), ("usr/lib/libdep.so.1", b"->libdep.so.1.1".to_vec())];
    let after = with(&before, &moved, &["usr/lib/libdep.so.1.0"]);
    let verdict = verdict(&before, &after).await;
    let evidence: serde_json::Value = serde_json::from_str(&verdict.evidence[0].content).unwrap();
    assert_eq!(
        evidence["interfaces"],
        json!({
            "changed": [{
                "library": "usr/lib/libdep.so.1",
                "before": "usr/lib/libdep.so.1.0",
                "after": "usr/lib/libdep.so.1.1",
                "added": ["gamma@DEP_2"],
                "moved": {"beta": [["DEP_1"], ["DEP_2"]]},
                "versions_added": ["DEP_2"],
                "programs": ["usr/bin/app"],
                "libraries": ["usr/lib/plugins/plugin.so"],
            }],
            "changed_programs": [],
            "programs": ["usr/bin/app"],
            "of_programs": 2,
        })
    );
    let found: Interfaces = serde_json::from_value(evidence["interfaces"].clone()).unwrap();
    assert!((found.blast_radius() - 0.5).abs() < f64::EPSILON && !found.is_compatible());
    let (old, new) = (linkage(&before).await, linkage(&after).await);
    assert_eq!(found, interfaces(&old, &new));
    assert_eq!(new.touched_by(&[path("usr/lib/libdep.so.1")]), BTreeSet::from([path("usr/bin/app")]));
    assert_eq!(new.touched_by(&[path("lib/ld-test.so")]).len(), 2);
    // Another name for the same library.
    let renamed = with(&before, &[("usr/lib/libdep.so.1.0", cc.library("r", "libdep.so.2", DEP, "DEP_1"))], &[]);
    let change = &interfaces(&old, &linkage(&renamed).await).changed[0];
    assert_eq!(change.soname, Some(("libdep.so.1".into(), "libdep.so.2".into())));
    assert!(change.removed.is_empty() && !change.is_compatible());
}

/// Where the program finds a library, for each way to say where it is.
#[tokio::test]
async fn libraries_are_found_where_linkers_look() {
    let Some(cc) = Compiler::new() else { return };
    let leaf = cc.library("libleaf.so", "libleaf.so", "int leaf(void) { return 1; }", "");
    let mid = "int leaf(void); int mid(void) { return leaf(); }";
    let main = "int mid(void); int main(void) { return mid(); }";
    let plain = cc.compile("libmid.so", mid, &["-shared", "-Wl,-soname,libmid.so", "-l:libleaf.so"]);
    let old = "-Wl,--disable-new-dtags,-rpath,$ORIGIN/../private";
    let new = "-Wl,--enable-new-dtags,-rpath,$ORIGIN/../private";
    let nodeflib = "-Wl,-z,nodefaultlib";
    let cases = [
        ("no path", vec![], "usr/lib", vec![], Some("/usr/lib/libleaf.so")),
        ("elsewhere", vec![], "opt/private", vec![], None),
        ("RPATH is inherited", vec![old], "opt/private", vec![], Some("/opt/bin/../private/libleaf.so")),
        ("RUNPATH is not", vec![new], "opt/private", vec![], None),
        (
            "the environment",
            vec![],
            "opt/private",
            vec!["LD_LIBRARY_PATH=/nowhere:/opt/private"],
            Some("/opt/private/libleaf.so"),
        ),
        (
            "RPATH goes first",
            vec![old],
            "opt/private",
            vec!["LD_LIBRARY_PATH=/usr/lib"],
            Some("/opt/bin/../private/libleaf.so"),
        ),
        ("RUNPATH goes last", vec![new], "usr/lib", vec!["LD_LIBRARY_PATH=/usr/lib"], Some("/usr/lib/libleaf.so")),
        (
            "the program has no default folders, its library has",
            vec![old, nodeflib],
            "usr/lib",
            vec![],
            Some("/usr/lib/libleaf.so"),
        ),
    ];
    for (what, options, folder, env, expected) in cases {
        let program = cc.program("main", main, &[&options[..], &["-l:libmid.so"]].concat());
        let mut files: Files =
            vec![("lib/ld-test.so", cc.linker()), ("opt/bin/main", program), ("opt/private/libmid.so", plain.clone())];
        let leaf = leaf.clone();
        files.push((if folder == "usr/lib" { "usr/lib/libleaf.so" } else { "opt/private/libleaf.so" }, leaf));
        files.push(("usr/lib/libmid.so", plain.clone()));
        let image = image(&files).edit().config("Env", json!(env)).finish().unwrap();
        let linkage = linkage(&image).await;
        let loads: Vec<_> = linkage.loaded(&path("opt/bin/main")).collect();
        let leaf = loads.iter().find(|load| load.name == "libleaf.so").unwrap();
        assert_eq!(leaf.path, expected, "{what}: {loads:?}");
        assert_eq!(*leaf.by, *loads.iter().find(|load| load.name == "libmid.so").map(|_| leaf.by).unwrap());
    }
}
