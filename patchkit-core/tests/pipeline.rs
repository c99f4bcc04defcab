//! The typed pipeline from end to end, over the memory implementations and plugins of a few lines.
#![allow(clippy::unwrap_used)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use patchkit_core::{
    attestation::{PREDICATE_TYPE, Statement, TEST_RESULT},
    memory::{ManualClock, MemoryDeployer, MemoryLedger, MemoryRegistry},
    *,
};
use serde_json::json;

const WEAK: &str = "pkg:generic/weak@1";
const EXCEPTED_UNTIL: Timestamp = Timestamp::constant(1_800_000_000, 0);

/// Counts how often each plugin was really asked.
#[derive(Clone, Debug, Default)]
struct Calls(Arc<[AtomicUsize; 5]>);

impl Calls {
    fn count(&self, plugin: usize) {
        self.0[plugin].fetch_add(1, Relaxed);
    }

    fn seen(&self) -> [usize; 5] {
        std::array::from_fn(|plugin| self.0[plugin].load(Relaxed))
    }
}

macro_rules! toy {
    ($($name:ident)*) => { $(
        #[derive(Clone, Debug, Default)]
        struct $name { calls: Calls, answer: Option<&'static str> }

        impl Plugin for $name {
            fn info(&self) -> PluginInfo {
                PluginInfo::new(stringify!($name), "1").configured(&self.answer)
            }
        }
    )* };
}
toy!(Scans Patches Verifies Decides);

#[async_trait]
impl Scanner for Scans {
    async fn scan(&self, image: &Image, _cx: &Context) -> Result<ScanReport> {
        self.calls.count(0);
        let purl: Purl = WEAK.parse().unwrap();
        let fix = FixState::Fixed(Version::new("semver", "2").unwrap());
        let finding = Finding::new("CVE-2026-0001".parse().unwrap(), purl, Severity::High, fix, "toy");
        let patched = image.config().labels().contains_key("patched");
        let until = (self.answer == Some("suppresses")).then_some(EXCEPTED_UNTIL);
        let text = String::new;
        let suppressed =
            until.map(|_| Suppressed { finding: finding.clone(), by: text(), reason: text(), source: text(), until });
        let findings = if patched { vec![] } else { vec![finding] };
        Ok(ScanReport { findings, suppressed: suppressed.into_iter().collect(), ..ScanReport::of(image) })
    }
}

#[async_trait]
impl Patcher for Patches {
    async fn plan(&self, image: &Image, report: &ScanReport, _cx: &Context) -> Result<Plan> {
        self.calls.count(1);
        let fixes: Vec<_> = match self.answer {
            Some("forgets") => vec![],
            _ => report.findings.iter().map(Finding::key).collect(),
        };
        let change = Change {
            package: "weak".parse().unwrap(),
            architecture: None,
            from: None,
            to: Some(Version::new("semver", "2").unwrap()),
            artifact: None,
            fixes,
            reason: "toy".into(),
        };
        let changes = if report.findings.is_empty() { vec![] } else { vec![change] };
        let digest = *image.digest();
        Ok(Plan { subject: digest, base: digest, timestamp: Timestamp::UNIX_EPOCH, changes, unfixable: vec![] })
    }

    async fn apply(&self, image: &Image, plan: &Plan, _cx: &Context) -> Result<Application> {
        self.calls.count(2);
        if self.answer == Some("refuses") {
            let note = Note { class: NoteClass::Refuse, subject: "weak".into(), message: "it would break".into() };
            return Ok(Application::Refused(vec![note]));
        }
        let image = image.edit().label("patched", plan.digest().to_string()).finish()?;
        Ok(Application::Patched { image, notes: vec![] })
    }
}

#[async_trait]
impl Verifier for Verifies {
    async fn verify(&self, patched: &Patched, _cx: &Context) -> Result<Verdict> {
        self.calls.count(3);
        let reasons = match self.answer {
            Some("says no") => vec![Reason::yes("it starts"), Reason::no("it stops"), Reason::no("it leaks")],
            Some("says nothing") => vec![],
            Some("excepts") => vec![Reason::yes("nearly").with(Reason::yes("excepted").until(EXCEPTED_UNTIL))],
            _ => vec![Reason::yes("it starts")],
        };
        let subject = match self.answer {
            Some("speaks of another") => Digest::of(b"another"),
            _ => *patched.images().digest(),
        };
        let image = patched.images().images()[0].descriptor();
        let evidence = match self.answer {
            Some("states") => {
                let about = |subject| Statement::about("app", subject, TEST_RESULT, json!({"result": "PASSED"}));
                let other = Descriptor::of(MediaType::OCI_MANIFEST, b"another");
                vec![Evidence::stating("here", &about(image)), Evidence::stating("elsewhere", &about(&other))]
            }
            _ => vec![],
        };
        Ok(Verdict { subject, reasons, evidence })
    }
}

#[async_trait]
impl Gate for Decides {
    async fn decide(&self, _verified: &Verified, _cx: &Context) -> Result<Decision> {
        let reason = Reason::yes("because");
        self.calls.count(4);
        Ok(match self.answer {
            Some("waits") => Decision::Defer { ticket: Ticket { id: "T-1".into(), reason } },
            Some("denies") => Decision::Deny { reason: Reason::no("never on a Friday") },
            _ => Decision::Allow { reason },
        })
    }
}

#[derive(Debug)]
struct Key;

impl Plugin for Key {
    fn info(&self) -> PluginInfo {
        PluginInfo::new("key", "1")
    }
}

#[async_trait]
impl Signer for Key {
    async fn sign(&self, message: &[u8], _cx: &Context) -> Result<Signature> {
        Ok(Signature { key_id: "k".into(), bytes: Digest::of(message).bytes().to_vec() })
    }

    async fn identity(&self, _cx: &Context) -> Result<Identity> {
        Ok(Identity { key_id: "k".into(), algorithm: "toy".into(), public_key: String::new() })
    }
}

/// A registry with an index of two platforms under `example.org/app:1`.
async fn stored(cx: &Context) -> (MemoryRegistry, Reference) {
    let registry = MemoryRegistry::default();
    let reference: Reference = "example.org/app:1".parse().unwrap();
    let repository = reference.repository();
    let mut entries = Vec::new();
    for architecture in ["amd64", "arm64"] {
        let layer = Blob::of(MediaType::OCI_LAYER, vec![0; 1024]);
        registry.put_blob(repository, &layer, cx).await.unwrap();
        let diff_ids = [layer.descriptor().digest];
        let config =
            json!({"architecture": architecture, "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}});
        let config = Blob::of(MediaType::OCI_CONFIG, config.to_string());
        registry.put_blob(repository, &config, cx).await.unwrap();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MediaType::OCI_MANIFEST, "config": config.descriptor(),
            "layers": [layer.descriptor()],
        });
        let descriptor = put(
            &registry,
            &repository.digest(Digest::of(manifest.to_string())),
            MediaType::OCI_MANIFEST,
            &manifest.to_string(),
            cx,
        )
        .await;
        entries.push(json!({"mediaType": descriptor.media_type, "digest": descriptor.digest, "size": descriptor.size, "platform": {"os": "linux", "architecture": architecture}}));
    }
    let index = json!({"schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": entries});
    put(&registry, &reference, MediaType::OCI_INDEX, &index.to_string(), cx).await;
    (registry, reference)
}

async fn put(
    registry: &MemoryRegistry,
    reference: &Reference,
    media_type: MediaType,
    json: &str,
    cx: &Context,
) -> Descriptor {
    let manifest = ManifestBytes { media_type, bytes: Bytes::from(json.to_owned()) };
    registry.put_manifest(reference, &manifest, &PutManifest::default(), cx).await.unwrap()
}

/// What differs between the cases.
#[derive(Clone, Debug, Default)]
struct Case {
    calls: Calls,
    scanner: Option<&'static str>,
    patcher: Option<&'static str>,
    verifier: Option<&'static str>,
    gate: Option<&'static str>,
    ledger: MemoryLedger,
    deployer: MemoryDeployer,
}

impl Case {
    fn pipeline(&self) -> Pipeline<Released> {
        let calls = || self.calls.clone();
        Pipeline::new()
            .scan(Scans { calls: calls(), answer: self.scanner })
            .patch(Patches { calls: calls(), answer: self.patcher })
            .verify(Verifies { calls: calls(), answer: self.verifier })
            .approve(Decides { calls: calls(), answer: self.gate })
            .sign(Key)
            .release(self.deployer.clone())
            .recorded_in(self.ledger.clone())
    }

    async fn run(&self, stored: &(MemoryRegistry, Reference)) -> Result<Arc<Released>, Stop> {
        self.run_in(stored, &Context::new()).await
    }

    async fn run_in(
        &self,
        (registry, reference): &(MemoryRegistry, Reference),
        cx: &Context,
    ) -> Result<Arc<Released>, Stop> {
        let target = Target::open(Arc::new(registry.clone()), reference.clone(), cx).await?;
        self.pipeline().run(target, cx).await
    }
}

#[tokio::test]
async fn from_target_to_released_on_every_platform() {
    let cx = Context::new();
    let stored = stored(&cx).await;
    let case = Case::default();
    let released = case.run(&stored).await.unwrap();
    let patched = released.signed().approved().verified().patched();
    assert_eq!(patched.images().images().len(), 2);
    assert!(patched.images().images().iter().all(|image| image.config().labels().contains_key("patched")));
    assert!(released.observation().runs_only(patched.images().digest()));

    // The index and both images carry a signature that the registry lists.
    assert_eq!(released.signed().signatures().len(), 3);
    let subjects = patched.images().images().iter().map(|image| image.digest()).chain([patched.images().digest()]);
    for subject in subjects {
        let found = stored.0.referrers(stored.1.repository(), subject, &ReferrersFilter::default(), &cx).await.unwrap();
        assert_eq!(found.len(), 1);
    }
    let kinds: Vec<_> = case.ledger.entries().into_iter().map(|entry| entry.record.kind).collect();
    assert_eq!(kinds, ["scan", "scan", "plan", "plan", "patch", "patch", "verify", "approve", "sign", "release"]);
}

#[tokio::test]
async fn running_again_takes_results_from_the_ledger_but_asks_the_gate() {
    let stored = stored(&Context::new()).await;
    let waiting = Case { gate: Some("waits"), ..Case::default() };
    let stop = waiting.run(&stored).await.unwrap_err();
    assert!(matches!(&stop, Stop::Waiting(ticket) if ticket.id == "T-1"), "{stop}");
    assert_eq!(waiting.calls.seen(), [2, 2, 2, 1, 1]);

    let answered = Case { gate: None, ..waiting };
    let first = answered.run(&stored).await.unwrap();
    let again = answered.run(&stored).await.unwrap();
    assert_eq!(answered.calls.seen(), [2, 2, 2, 1, 3], "only the gate was asked again");
    assert_eq!(first.signed().signatures(), again.signed().signatures());
}

#[tokio::test]
async fn what_rests_on_an_exception_is_asked_again_once_that_has_ended() {
    let stored = stored(&Context::new()).await;
    let case = Case { verifier: Some("excepts"), ..Case::default() };
    let clock = ManualClock::at(EXCEPTED_UNTIL - Duration::from_secs(1));
    let cx = Context::new().with_clock(Arc::new(clock.clone()));
    case.run_in(&stored, &cx).await.unwrap();
    case.run_in(&stored, &cx).await.unwrap();
    assert_eq!(case.calls.seen(), [2, 2, 2, 1, 2]);
    clock.advance(Duration::from_secs(1));
    case.run_in(&stored, &cx).await.unwrap();
    assert_eq!(case.calls.seen(), [2, 2, 2, 2, 3], "the verifier was asked again");

    let case = Case { scanner: Some("suppresses"), ..Case::default() };
    let clock = ManualClock::at(EXCEPTED_UNTIL - Duration::from_secs(1));
    let cx = Context::new().with_clock(Arc::new(clock.clone()));
    case.run_in(&stored, &cx).await.unwrap();
    case.run_in(&stored, &cx).await.unwrap();
    clock.advance(Duration::from_secs(1));
    case.run_in(&stored, &cx).await.unwrap();
    assert_eq!(case.calls.seen(), [4, 2, 2, 1, 3], "the scanner was asked again");
}

#[tokio::test]
async fn another_configuration_does_not_take_the_old_result() {
    let stored = stored(&Context::new()).await;
    let case = Case::default();
    case.run(&stored).await.unwrap();
    let other = Case { verifier: Some("says no"), ..case };
    assert!(matches!(other.run(&stored).await.unwrap_err(), Stop::Refused { stage: "verify", .. }));
}

#[tokio::test]
async fn a_no_has_all_its_reasons() {
    let stored = stored(&Context::new()).await;
    for (case, stage, reasons) in [
        (Case { patcher: Some("refuses"), ..Case::default() }, "patch", 1),
        (Case { verifier: Some("says no"), ..Case::default() }, "verify", 2),
        (Case { verifier: Some("says nothing"), ..Case::default() }, "verify", 1),
        (Case { gate: Some("denies"), ..Case::default() }, "approve", 1),
    ] {
        match case.run(&stored).await.unwrap_err() {
            Stop::Refused { stage: refused, reasons: all } => {
                assert_eq!((refused, all.iter().filter(|reason| !reason.holds).count()), (stage, reasons));
            }
            other => panic!("{case:?}: {other}"),
        }
        assert_eq!(case.ledger.entries().last().unwrap().record.kind, "stop");
    }
}

#[tokio::test]
async fn a_plugin_that_breaks_its_contract_is_an_error() {
    let stored = stored(&Context::new()).await;
    for case in [
        Case { patcher: Some("forgets"), ..Case::default() },
        Case { verifier: Some("speaks of another"), ..Case::default() },
    ] {
        match case.run(&stored).await.unwrap_err() {
            Stop::Failed(error) => assert_eq!(error.kind(), ErrorKind::Unexpected, "{error}"),
            other => panic!("{case:?}: {other}"),
        }
    }
}

#[tokio::test]
async fn what_is_patched_already_is_nothing_to_do() {
    let cx = Context::new();
    let (registry, reference) = stored(&cx).await;
    let case = Case::default();
    let released = case.run(&(registry.clone(), reference)).await.unwrap();
    let patched = released.signed().approved().verified().patched().reference();
    assert!(matches!(case.run(&(registry, patched)).await.unwrap_err(), Stop::NothingToDo(_)));
}

#[tokio::test]
async fn a_doctored_ledger_is_refused() {
    #[derive(Debug)]
    struct Doctored(MemoryLedger);
    impl Plugin for Doctored {
        fn info(&self) -> PluginInfo {
            self.0.info()
        }
    }
    #[async_trait]
    impl Ledger for Doctored {
        async fn append(&self, record: &Record, cx: &Context) -> Result<Entry> {
            self.0.append(record, cx).await
        }
        async fn read(&self, from: u64, limit: usize, cx: &Context) -> Result<Vec<Entry>> {
            let mut entries = self.0.read(from, limit, cx).await?;
            for entry in entries.iter_mut().filter(|entry| entry.record.body.is_object()) {
                entry.record.body["result"] =
                    json!({"subject": entry.record.subject, "reasons": [{"holds": true, "message": "forged"}]});
            }
            Ok(entries)
        }
    }
    let cx = Context::new();
    let (registry, reference) = stored(&cx).await;
    let case = Case { verifier: Some("says no"), ..Case::default() };
    case.run(&(registry.clone(), reference.clone())).await.unwrap_err();
    let target = Target::open(Arc::new(registry), reference, &cx).await.unwrap();
    let stop = case.pipeline().recorded_in(Doctored(case.ledger.clone())).run(target, &cx).await.unwrap_err();
    assert!(matches!(&stop, Stop::Failed(error) if error.kind() == ErrorKind::Corrupt), "{stop}");
}

#[tokio::test]
async fn what_a_verifier_stated_about_an_image_is_signed_and_attached_to_it() {
    let cx = Context::new();
    let (registry, reference) = stored(&cx).await;
    let case = Case { verifier: Some("states"), ..Case::default() };
    let released = case.run(&(registry.clone(), reference.clone())).await.unwrap();
    let attested = released.signed().attestations();
    assert_eq!(attested.len(), 1, "the statement about another image is not ours to attach");
    let image = *released.signed().approved().verified().patched().images().images()[0].digest();
    let found = registry.referrers(reference.repository(), &image, &ReferrersFilter::default(), &cx).await.unwrap();
    let found = found.iter().find(|found| found.digest == attested[0].digest).unwrap();
    assert_eq!(found.annotations[PREDICATE_TYPE], TEST_RESULT);
}

#[tokio::test]
async fn a_cancelled_run_stops() {
    let cx = Context::new();
    let (registry, reference) = stored(&cx).await;
    let target = Target::open(Arc::new(registry), reference, &cx).await.unwrap();
    cx.cancel();
    let stop = Case::default().pipeline().run(target, &cx).await.unwrap_err();
    assert!(matches!(&stop, Stop::Failed(error) if error.kind() == ErrorKind::Cancel), "{stop}");
}
