use std::sync::Arc;

use patchkit_core::{
    Context, Error, ErrorKind, Evidence, MediaType, Plugin, Reason, Verdict, Verifier, conformance,
    memory::MemoryVerifier,
};
use patchkit_rollout::verify::{Configuration, combine};

use super::support::{Made, over, patched, plain};

fn says(name: &str, holds: bool) -> Arc<dyn Verifier> {
    Arc::new(MemoryVerifier::new(name, move |patched| {
        let reason = if holds { Reason::yes("fine") } else { Reason::no("not fine") };
        let evidence =
            Evidence { name: "log".into(), media_type: MediaType::new("text/plain"), content: holds.to_string() };
        Ok(Verdict { subject: *patched.images().digest(), reasons: vec![reason], evidence: vec![evidence] })
    }))
}

fn fails(name: &str, kind: ErrorKind) -> Arc<dyn Verifier> {
    Arc::new(MemoryVerifier::new(name, move |_| Err(Error::new(kind, "the disk is full"))))
}

#[tokio::test]
async fn the_contract_is_kept() {
    let image = plain();
    let patched = patched(&image, &over(&image, Made::new().file("etc/x", "x"))).await;
    let real = || -> Arc<dyn Verifier> { Arc::new(Configuration::new()) };
    conformance::verifier::suite(&combine::all(real(), [real()]), &patched).await.assert();
    conformance::verifier::suite(&combine::any(real(), [says("no", false)]), &patched).await.assert();
    let two = combine::at_least(2, real(), [real(), says("no", false)]).unwrap();
    conformance::verifier::suite(&two, &patched).await.assert();
}

#[tokio::test]
async fn each_rule_passes_and_fails() {
    let image = plain();
    let patched = patched(&image, &image).await;
    let (yes, no) = (|| says("yes", true), || says("no", false));
    let broken = || fails("broken", ErrorKind::Unavailable);
    let cases = [
        (combine::all(yes(), [yes()]), true),
        (combine::all(yes(), [no()]), false),
        (combine::all(yes(), [broken()]), false),
        (combine::any(no(), [yes()]), true),
        (combine::any(broken(), [yes()]), true),
        (combine::any(no(), [broken()]), false),
        (combine::at_least(2, yes(), [no(), yes()]).unwrap(), true),
        (combine::at_least(2, yes(), [no(), broken()]).unwrap(), false),
    ];
    for (combined, passes) in cases {
        let verdict = combined.with_parallel(1).verify(&patched, &Context::new()).await.unwrap();
        assert_eq!(verdict.passes(), passes, "{:?}", verdict.reasons);
    }
    for impossible in [0, 3] {
        let error = combine::at_least(impossible, yes(), [no()]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    }
}

#[tokio::test]
async fn everything_is_kept() {
    let image = plain();
    let patched = patched(&image, &image).await;
    let parts = [says("no", false), fails("broken", ErrorKind::Corrupt), says("yes", true)];
    let verdict = combine::any(says("yes", true), parts).verify(&patched, &Context::new()).await.unwrap();
    let [reason] = &verdict.reasons[..] else { panic!("{:?}", verdict.reasons) };
    assert_eq!(
        reason.to_string(),
        "✓ 2 of 4 verifiers pass, at least 1 must\n  ✓ yes passes\n    ✓ fine\n  ✗ no does not pass\n    ✗ not fine\n  \
         ✗ broken: could not tell: the disk is full\n  ✓ yes passes\n    ✓ fine"
    );
    let names: Vec<_> = verdict.evidence.iter().map(|evidence| evidence.name.as_str()).collect();
    assert_eq!(names, ["1-yes/log", "2-no/log", "4-yes/log"]);
}

#[tokio::test]
async fn what_answers_wrongly_or_not_at_all_does_not_hold() {
    let image = plain();
    let patched = patched(&image, &image).await;
    let other = MemoryVerifier::new("other", |_| {
        let subject = patchkit_core::Digest::of(b"another");
        Ok(Verdict { subject, reasons: vec![Reason::yes("fine")], evidence: vec![] })
    });
    let silent = MemoryVerifier::new("silent", |patched| {
        Ok(Verdict { subject: *patched.images().digest(), reasons: vec![], evidence: vec![] })
    });
    for part in [other, silent] {
        let verdict = combine::all(part, []).verify(&patched, &Context::new()).await.unwrap();
        assert!(!verdict.passes() && verdict.reasons[0].message.contains("could not tell"), "{verdict:?}");
    }
    let cancelled = combine::any(says("yes", true), [fails("cancelled", ErrorKind::Cancel)]);
    assert_eq!(cancelled.verify(&patched, &Context::new()).await.unwrap_err().kind(), ErrorKind::Cancel);
}

#[test]
fn the_configuration_is_that_of_the_parts() {
    let two = |a, b| combine::all(says(a, true), [says(b, true)]).info().configuration;
    assert_eq!(two("a", "b"), two("a", "b"));
    assert_ne!(two("a", "b"), two("a", "c"));
    let of = |n| combine::at_least(n, says("a", true), [says("b", true)]).unwrap().info().configuration;
    assert_ne!(of(1), of(2));
}
