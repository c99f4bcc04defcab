//! The memory implementations pass the suites, alone and wrapped; broken ones prove that every case can fail.
#![allow(clippy::unwrap_used)]
#![cfg(feature = "conformance")]
#![allow(unreachable_pub)]

mod broken;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use jiff::Timestamp;
use patchkit_core::{
    conformance::{self, Outcomes},
    memory::{
        LabelPatcher, MemoryDeployer, MemoryGate, MemoryLedger, MemoryRegistry, MemorySigner, MemoryTelemetry,
        MemoryVerifier,
    },
    wrap::{Limit, Retry, Timeout, Wrap},
    *,
};

/// Checks that every case failed for one of the broken implementations.
fn every_case_can_fail(all: &[Outcomes]) {
    let cases: BTreeSet<_> = all.iter().flat_map(Outcomes::cases).collect();
    let failed: BTreeSet<_> = all.iter().flat_map(Outcomes::failed).collect();
    let never: Vec<_> = cases.difference(&failed).collect();
    assert!(never.is_empty(), "these cases never failed: {never:?}");
    assert!(all.iter().all(|outcomes| outcomes.failed().next().is_some()), "a broken implementation passed");
}

#[tokio::test]
async fn registry() {
    let base = "example.org/conformance".parse().unwrap();
    conformance::registry::suite(&MemoryRegistry::default(), &base).await.assert();
    let wrapped = MemoryRegistry::default()
        .wrapped(Timeout(Duration::from_secs(60)))
        .wrapped(Retry::default())
        .wrapped(Limit::new(2));
    conformance::registry::suite(&wrapped, &base).await.assert();

    let mut all = Vec::new();
    for &fault in broken::RegistryFault::ALL {
        all.push(conformance::registry::suite(&broken::BrokenRegistry::new(fault), &base).await);
    }
    every_case_can_fail(&all);
}

#[tokio::test]
async fn ledger() {
    conformance::ledger::suite(&MemoryLedger::default()).await.assert();
    conformance::ledger::suite(&MemoryLedger::default().wrapped(Limit::new(1))).await.assert();
    let mut all = Vec::new();
    for &fault in broken::LedgerFault::ALL {
        all.push(conformance::ledger::suite(&broken::BrokenLedger::new(fault)).await);
    }
    every_case_can_fail(&all);
}

#[tokio::test]
async fn scanner() {
    let image = broken::image().await;
    conformance::scanner::suite(&broken::scanner(None), &image).await.assert();
    let mut all = Vec::new();
    for &fault in broken::ScannerFault::ALL {
        all.push(conformance::scanner::suite(&broken::scanner(Some(fault)), &image).await);
    }
    every_case_can_fail(&all);
}

#[tokio::test]
async fn patcher() {
    let image = broken::image().await;
    let report = broken::scanner(None).scan(&image, &Context::new()).await.unwrap();
    conformance::patcher::suite(&LabelPatcher::new("org.example"), &image, &report).await.assert();
    let mut all = Vec::new();
    for &fault in broken::PatcherFault::ALL {
        all.push(conformance::patcher::suite(&broken::BrokenPatcher::new(fault), &image, &report).await);
    }
    every_case_can_fail(&all);
}

#[tokio::test]
async fn verifier_and_gate() {
    let verified = broken::verified().await;
    let patched = verified.patched();
    conformance::verifier::suite(&broken::verifier(None), patched).await.assert();
    let mut all = Vec::new();
    for &fault in broken::VerifierFault::ALL {
        all.push(conformance::verifier::suite(&broken::verifier(Some(fault)), patched).await);
    }
    every_case_can_fail(&all);

    for decision in broken::decisions() {
        let gate = MemoryGate::new("says", move |_| Ok(decision.clone()));
        conformance::gate::suite(&gate, &verified).await.assert();
    }
    let mut all = Vec::new();
    for gate in broken::gates() {
        all.push(conformance::gate::suite(&gate, &verified).await);
    }
    every_case_can_fail(&all);
}

#[tokio::test]
async fn a_verifier_that_reads_nothing_does_not_fail_closed() {
    let verified = broken::verified().await;
    let blind = MemoryVerifier::new("blind", |patched| {
        Ok(Verdict { subject: *patched.images().digest(), reasons: vec![Reason::yes("fine")], evidence: vec![] })
    });
    let outcomes = conformance::verifier::suite(&blind, verified.patched()).await;
    assert_eq!(outcomes.failed().collect::<Vec<_>>(), ["a-damaged-image-does-not-pass"]);
}

#[tokio::test]
async fn signer() {
    conformance::signer::suite(&MemorySigner::new("me"), MemorySigner::verifies).await.assert();
    let mut all = Vec::new();
    for &fault in broken::SignerFault::ALL {
        all.push(conformance::signer::suite(&broken::BrokenSigner::new(fault), MemorySigner::verifies).await);
    }
    all.push(conformance::signer::suite(&MemorySigner::new("me"), |_, _, _| true).await);
    every_case_can_fail(&all);
}

#[tokio::test]
async fn deployer() {
    let image = |name: &str| -> Reference {
        let repository: Repository = "example.org/app".parse().unwrap();
        repository.digest(Digest::of(name))
    };
    let (first, second) = (image("first"), image("second"));
    conformance::deployer::suite(&MemoryDeployer::default(), (&first, &second)).await.assert();
    let mut all = Vec::new();
    for &fault in broken::DeployerFault::ALL {
        all.push(conformance::deployer::suite(&broken::BrokenDeployer::new(fault), (&first, &second)).await);
    }
    every_case_can_fail(&all);
}

#[tokio::test]
async fn telemetry() {
    let signal = |name: &str| Signal { name: name.into(), labels: [].into() };
    let telemetry = MemoryTelemetry::default();
    let end = Timestamp::from_second(100).unwrap();
    telemetry.record(signal("latency"), Timestamp::from_second(95).unwrap(), 0.25).unwrap();
    assert!(telemetry.record(signal("latency"), end, f64::NAN).is_err());
    let window = Window { end, length: Duration::from_secs(10) };
    let (known, unknown) = (signal("latency"), signal("errors"));
    conformance::telemetry::suite(&telemetry, (&known, &unknown), window).await.assert();
    let zeroes = broken::ZeroTelemetry(Sample::Value(0.0));
    let infinite = broken::ZeroTelemetry(Sample::Value(f64::INFINITY));
    let mut all = Vec::new();
    for broken in [zeroes, infinite] {
        all.push(conformance::telemetry::suite(&broken, (&known, &unknown), window).await);
    }
    every_case_can_fail(&all);
}

/// What really runs containers passes it in `patchkit-oci`.
#[tokio::test(start_paused = true)]
async fn runtime() {
    let image = broken::image().await;
    let silent = broken::answering(Exit::Code(0));
    every_case_can_fail(&[conformance::runtime::suite(&silent, &image).await]);
}

#[tokio::test]
async fn pointers_to_a_port_are_the_port() {
    let base = "example.org/pointers".parse().unwrap();
    let shared: Arc<dyn Registry> = Arc::new(MemoryRegistry::default());
    conformance::registry::suite(&shared, &base).await.assert();
    let boxed: Box<dyn Registry> = Box::new(MemoryRegistry::default());
    conformance::registry::suite(&boxed, &base).await.assert();
}
