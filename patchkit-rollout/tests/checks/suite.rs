//! A suite run before and after, in a runtime that answers by the image.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use patchkit_core::{
    Command, Context, Error, Exit, Image, Outcome, Seen, Used, Verdict, Verifier,
    attestation::TEST_RESULT,
    conformance,
    memory::{MemoryLedger, MemoryRuntime},
};
use patchkit_rollout::verify::suite::{Suite, SuiteVerifier};

use crate::support::{Made, image, patched, path};

const SUITE: &str = "
tests:
  - name: unit
    command: [prove]
    report: { format: tap }
    coverage: { format: lcov, file: /cov.info }
rules: { critical: ['*opens'], slower: { ratio: 2, floor: 100ms } }
";

const TAP: &str = "1..3\nok 1 - opens\nok 2 - reads\nok 3 - closes\n";

/// The images: what the patch changes is a library.
fn images() -> [Image; 2] {
    let base = Made::new().program("usr/lib/libz.so.1", b"\x7fELF old").program("usr/bin/app", b"\x7fELF app").finish();
    let patch = Made::new().program("usr/lib/libz.so.1", b"\x7fELF new").finish();
    [image(vec![base.clone()]), image(vec![base, patch])]
}

fn outcome(stdout: &str) -> Outcome {
    let covered = "SF:app.c\nDA:1,1\nDA:2,1\nend_of_record\n";
    Outcome {
        exit: Exit::Code(0),
        stdout: Bytes::from(stdout.to_owned()),
        stderr: Bytes::new(),
        files: [("/cov.info".to_owned(), Bytes::from(covered))].into(),
        used: Some(Used { seen: Seen::Opened, files: [path("usr/lib/libz.so.1"), path("usr/bin/app")].into() }),
        duration: Duration::from_millis(100),
    }
}

/// What the patched image answers, given how often it was asked; the original always answers well.
async fn verdict_of(
    suite: &str,
    after: impl Fn(usize) -> Result<Outcome, Error> + Send + Sync + 'static,
) -> (Verdict, usize) {
    let [before, patched_image] = images();
    let (count, is_after) = (Arc::new(AtomicUsize::new(0)), *patched_image.digest());
    let counted = count.clone();
    let runtime = MemoryRuntime::new("answers", move |image: &Image, _: &Command| match *image.digest() == is_after {
        true => after(counted.fetch_add(1, Relaxed)),
        false => Ok(outcome(TAP)),
    });
    let verifier = SuiteVerifier::new(Suite::parse(suite).unwrap(), runtime).unwrap();
    let patched = patched(&before, &patched_image).await;
    (verifier.verify(&patched, &Context::new()).await.unwrap(), count.load(Relaxed))
}

/// The reasons that do not hold, as text.
fn refusals(verdict: &Verdict) -> String {
    verdict.reasons.iter().filter(|reason| !reason.holds).map(ToString::to_string).collect()
}

#[tokio::test]
async fn the_same_tests_pass() {
    let (verdict, runs) = verdict_of(SUITE, |_| Ok(outcome(TAP))).await;
    assert!(verdict.passes(), "{}", refusals(&verdict));
    assert_eq!(runs, 1);
    let statement = verdict.evidence.iter().find_map(|evidence| evidence.statement().unwrap()).unwrap();
    assert_eq!(statement.predicate_type, TEST_RESULT);
    assert_eq!(statement.predicate["result"], "PASSED");
    assert!(statement.is_about(images()[1].descriptor()));
    let passed = statement.predicate["passedTests"].as_array().unwrap();
    assert!(passed.iter().any(|name| name == "unit::opens"), "{passed:?}");
    let exercise = verdict.evidence.iter().find(|evidence| evidence.name.starts_with("exercise")).unwrap();
    assert!(exercise.content.contains("usr/lib/libz.so.1"), "{}", exercise.content);
}

#[tokio::test]
async fn each_fault_is_named() {
    type Fault = (&'static str, fn(usize) -> Result<Outcome, Error>);
    let faults: [Fault; 9] = [
        ("unit::reads", |_| Ok(outcome("1..2\nok 1 - opens\nok 2 - closes\n"))),
        ("unit::reads", |_| Ok(outcome("1..3\nok 1 - opens\nnot ok 2 - reads\nok 3 - closes\n"))),
        ("newly skipped", |_| Ok(outcome("1..3\nok 1 - opens\nok 2 - reads # SKIP new libz\nok 3 - closes\n"))),
        ("has its report", |_| Ok(outcome("Segmentation fault\n"))),
        ("exits with 0", |_| Ok(Outcome { exit: Exit::Signal(11), ..outcome(TAP) })),
        ("slower", |_| Ok(Outcome { duration: Duration::from_secs(1), ..outcome(TAP) })),
        ("app.c", |_| {
            let less = "SF:app.c\nDA:1,1\nDA:2,0\nend_of_record\n";
            Ok(Outcome { files: [("/cov.info".to_owned(), Bytes::from(less))].into(), ..outcome(TAP) })
        }),
        ("has its coverage", |_| Ok(Outcome { files: [].into(), ..outcome(TAP) })),
        ("no such program", |_| Err(Error::not_found("no such program"))),
    ];
    for (named, fault) in faults {
        let (verdict, _) = verdict_of(SUITE, fault).await;
        assert!(!verdict.passes(), "{named}");
        assert!(refusals(&verdict).contains(named), "{named}: {}", refusals(&verdict));
    }
}

#[tokio::test]
async fn a_flaky_test_fails_no_patch_and_is_a_warning() {
    let shaky = |run: usize| match run {
        0 => Ok(outcome("1..3\nok 1 - opens\nnot ok 2 - reads\nok 3 - closes\n")),
        _ => Ok(outcome(TAP)),
    };
    let (verdict, runs) = verdict_of(SUITE, shaky).await;
    assert!(verdict.passes(), "{}", refusals(&verdict));
    assert!(runs > 1);
    let statement = verdict.evidence.iter().find_map(|evidence| evidence.statement().unwrap()).unwrap();
    assert_eq!(statement.predicate["result"], "WARNED");
    assert_eq!(statement.predicate["warnedTests"][0], "unit::reads");
}

#[tokio::test]
async fn a_suite_that_does_not_work_in_the_original_shows_nothing() {
    let [before, after] = images();
    let runtime = MemoryRuntime::new("broken", |_: &Image, _: &Command| Ok(outcome("no TAP at all\n")));
    let verifier = SuiteVerifier::new(Suite::parse(SUITE).unwrap(), runtime).unwrap();
    let verdict = verifier.verify(&patched(&before, &after).await, &Context::new()).await.unwrap();
    assert!(refusals(&verdict).contains("does not work in the original"), "{}", refusals(&verdict));
}

#[tokio::test]
async fn the_original_is_tested_once_where_a_ledger_remembers() {
    let [before, after] = images();
    let (asked, original) = (Arc::new(AtomicUsize::new(0)), *before.digest());
    let counted = asked.clone();
    let runtime = MemoryRuntime::new("answers", move |image: &Image, _: &Command| {
        counted.fetch_add(usize::from(*image.digest() == original), Relaxed);
        Ok(outcome(TAP))
    });
    let ledger = Arc::new(MemoryLedger::default());
    let patched = patched(&before, &after).await;
    for (suite, runs) in [(SUITE.to_owned(), 1), (SUITE.to_owned(), 1), (format!("{SUITE}attempts: 3\n"), 2)] {
        let verifier = SuiteVerifier::new(Suite::parse(&suite).unwrap(), runtime.clone()).unwrap();
        let verdict = verifier.remembering(ledger.clone()).verify(&patched, &Context::new()).await.unwrap();
        assert!(verdict.passes(), "{}", refusals(&verdict));
        assert_eq!(asked.load(Relaxed), runs);
    }
}

#[tokio::test]
async fn a_platform_that_the_suite_is_not_for_is_no_proof() {
    let suite = format!("platforms: [linux/arm64]\n{SUITE}");
    let (verdict, runs) = verdict_of(&suite, |_| Ok(outcome(TAP))).await;
    assert_eq!(runs, 0);
    assert!(refusals(&verdict).contains("none of the image's platforms"));
}

#[tokio::test]
async fn it_keeps_the_contract_of_verifiers() {
    let [before, after] = images();
    let runtime = MemoryRuntime::new("answers", |_: &Image, _: &Command| Ok(outcome(TAP)));
    let verifier = SuiteVerifier::new(Suite::parse(SUITE).unwrap(), runtime).unwrap();
    conformance::verifier::suite(&verifier, &patched(&before, &after).await).await.assert();
}

#[test]
fn what_is_no_suite_is_refused() {
    for (yaml, named) in [
        ("tests: []", "without tests"),
        ("tests: [{ name: a, command: [] }]", "no command"),
        ("tests: [{ name: a, command: [x] }, { name: a, command: [y] }]", "\"a\""),
        ("tests: [{ name: a, command: [x], report: { format: tap, file: x.tap } }]", "absolute"),
        ("confined: [seccomp]\ntests: [{ name: a, command: [x] }]", "no service"),
        ("tests: [{ name: a, command: [x], reprot: {} }]", "reprot"),
        ("tests: [{ name: a, command: [x], time: soon }]", "soon"),
        (
            "tests: [{ name: a, command: [x] }]\nrules:\n  accepted: [{ test: t, kind: slower, owner: '', reason: r, \
             expires: 2026-12-31 }]",
            "accepted of t has no owner",
        ),
    ] {
        let error = Suite::parse(yaml).unwrap_err().to_string();
        assert!(error.contains(named), "{yaml}: {error}");
    }
}
