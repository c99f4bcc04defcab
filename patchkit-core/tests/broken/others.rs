use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use patchkit_core::{
    memory::{LabelPatcher, MemoryDeployer, MemoryLedger, MemoryRuntime, MemorySigner},
    *,
};

use super::{faults, report};

macro_rules! broken {
    ($($name:ident($fault:ident) around $inner:ty = $new:expr;)*) => { $(
        #[derive(Debug)]
        pub struct $name {
            #[allow(dead_code)]
            inner: $inner,
            fault: $fault,
            count: AtomicU64,
        }

        impl $name {
            pub fn new(fault: $fault) -> Self {
                Self { inner: $new, fault, count: AtomicU64::new(0) }
            }

            #[allow(dead_code)]
            fn next(&self) -> u64 {
                self.count.fetch_add(1, Relaxed)
            }
        }

        impl Plugin for $name {
            fn info(&self) -> PluginInfo {
                PluginInfo::new("broken", "0")
            }
        }
    )* };
}

faults!(LedgerFault { ChangesRecords ForgetsAll IgnoresFrom LosesOthers RepeatsAtTheEnd Unchained });
faults!(PatcherFault { AlwaysNew AnswersForOthers DoesNothing ForgetsFindings SpeaksOfAnother FixesNothing });
faults!(ScannerFault { Blind ChangesItsMind InventsPackages SpeaksOfAnother Unsorted });
faults!(VerifierFault { ChangesItsMind SaysNo SpeaksOfAnother });
faults!(SignerFault { AnotherName Constant NewIdentity });
faults!(DeployerFault { ForgetsToRollBack Lazy TakesTags TwoSteps });

broken! {
    BrokenLedger(LedgerFault) around MemoryLedger = MemoryLedger::default();
    BrokenPatcher(PatcherFault) around LabelPatcher = LabelPatcher::new("org.example");
    BrokenSigner(SignerFault) around MemorySigner = MemorySigner::new("me");
    BrokenDeployer(DeployerFault) around MemoryDeployer = MemoryDeployer::default();
}

#[async_trait]
impl Ledger for BrokenLedger {
    async fn append(&self, record: &Record, cx: &Context) -> Result<Entry> {
        let entry = self.inner.append(record, cx).await?;
        Ok(match self.fault {
            LedgerFault::ChangesRecords => Entry { record: Record { kind: "other".into(), ..entry.record }, ..entry },
            LedgerFault::LosesOthers => Entry { sequence: 0, ..entry },
            _ => entry,
        })
    }

    async fn read(&self, from: u64, limit: usize, cx: &Context) -> Result<Vec<Entry>> {
        match self.fault {
            LedgerFault::ForgetsAll => Ok(vec![]),
            LedgerFault::IgnoresFrom => self.inner.read(0, limit, cx).await,
            LedgerFault::RepeatsAtTheEnd if from > 1000 => self.inner.read(0, 1, cx).await,
            LedgerFault::Unchained => {
                let mut entries = self.inner.read(from, limit, cx).await?;
                entries.iter_mut().for_each(|entry| entry.previous = Digest::of(b"?"));
                Ok(entries)
            }
            _ => self.inner.read(from, limit, cx).await,
        }
    }
}

#[async_trait]
impl Patcher for BrokenPatcher {
    async fn plan(&self, image: &Image, report: &ScanReport, cx: &Context) -> Result<Plan> {
        let plan = self.inner.plan(image, report, cx).await?;
        Ok(match self.fault {
            PatcherFault::ForgetsFindings => Plan { unfixable: vec![], ..plan },
            PatcherFault::SpeaksOfAnother => Plan { subject: Digest::of(b"?"), ..plan },
            PatcherFault::FixesNothing => Plan { changes: vec![], ..plan },
            _ => plan,
        })
    }

    async fn apply(&self, image: &Image, plan: &Plan, cx: &Context) -> Result<Application> {
        let patched = |image| Ok(Application::Patched { image, notes: vec![] });
        match self.fault {
            PatcherFault::AlwaysNew => patched(image.edit().label("n", self.next().to_string()).finish()?),
            PatcherFault::AnswersForOthers | PatcherFault::DoesNothing => patched(image.clone()),
            _ => self.inner.apply(image, plan, cx).await,
        }
    }
}

/// A scanner that reads every layer, so that it sees damage, and says what [`report`] says, with a fault or none.
pub fn scanner(fault: Option<ScannerFault>) -> ToyScanner {
    ToyScanner { fault, count: AtomicU64::new(0) }
}

#[derive(Debug)]
pub struct ToyScanner {
    fault: Option<ScannerFault>,
    count: AtomicU64,
}

impl Plugin for ToyScanner {
    fn info(&self) -> PluginInfo {
        PluginInfo::new("toy", "0")
    }
}

async fn read_all(image: &Image, cx: &Context) -> Result<()> {
    for layer in image.layers() {
        let mut stream = layer.blob().open(cx).await?;
        while let Some(piece) = stream.next().await {
            piece?;
        }
    }
    Ok(())
}

#[async_trait]
impl Scanner for ToyScanner {
    async fn scan(&self, image: &Image, cx: &Context) -> Result<ScanReport> {
        if self.fault != Some(ScannerFault::Blind) {
            read_all(image, cx).await?;
        }
        let mut report = report(image);
        match self.fault {
            Some(ScannerFault::ChangesItsMind) => report.warnings.push(self.count.fetch_add(1, Relaxed).to_string()),
            Some(ScannerFault::InventsPackages) => report.packages.clear(),
            Some(ScannerFault::SpeaksOfAnother) => report.subject = Digest::of(b"?"),
            Some(ScannerFault::Unsorted) => report.findings.reverse(),
            Some(ScannerFault::Blind) | None => {}
        }
        Ok(report)
    }
}

/// A verifier that reads every layer, with a fault or none.
pub fn verifier(fault: Option<VerifierFault>) -> ToyVerifier {
    ToyVerifier { fault, count: AtomicU64::new(0) }
}

#[derive(Debug)]
pub struct ToyVerifier {
    fault: Option<VerifierFault>,
    count: AtomicU64,
}

impl Plugin for ToyVerifier {
    fn info(&self) -> PluginInfo {
        PluginInfo::new("toy", "0")
    }
}

#[async_trait]
impl Verifier for ToyVerifier {
    async fn verify(&self, patched: &Patched, cx: &Context) -> Result<Verdict> {
        let mut reasons = vec![Reason::yes("it has layers")];
        for image in patched.images().images() {
            match read_all(image, cx).await {
                Err(error) if self.fault != Some(VerifierFault::ChangesItsMind) => {
                    reasons.push(Reason::no(error.to_string()))
                }
                _ => {}
            }
        }
        let mut subject = *patched.images().digest();
        match self.fault {
            Some(VerifierFault::ChangesItsMind) => {
                reasons.push(Reason::yes(self.count.fetch_add(1, Relaxed).to_string()))
            }
            Some(VerifierFault::SaysNo) => reasons.push(Reason::no("no")),
            Some(VerifierFault::SpeaksOfAnother) => subject = Digest::of(b"?"),
            None => {}
        }
        Ok(Verdict { subject, reasons, evidence: vec![] })
    }
}

#[async_trait]
impl Signer for BrokenSigner {
    async fn sign(&self, message: &[u8], cx: &Context) -> Result<Signature> {
        let signature = self.inner.sign(message, cx).await?;
        Ok(match self.fault {
            SignerFault::AnotherName => Signature { key_id: "other".into(), ..signature },
            SignerFault::Constant => self.inner.sign(b"", cx).await?,
            SignerFault::NewIdentity => signature,
        })
    }

    async fn identity(&self, cx: &Context) -> Result<Identity> {
        let identity = self.inner.identity(cx).await?;
        Ok(match self.fault {
            SignerFault::NewIdentity => Identity { key_id: self.next().to_string(), ..identity },
            SignerFault::AnotherName | SignerFault::Constant => identity,
        })
    }
}

#[async_trait]
impl Deployer for BrokenDeployer {
    async fn observe(&self, cx: &Context) -> Result<Observation> {
        self.inner.observe(cx).await
    }

    async fn perform(&self, action: &Action, cx: &Context) -> Result<()> {
        let Action::Release { image, .. } = action else { return Ok(()) };
        match self.fault {
            DeployerFault::Lazy => Ok(()),
            DeployerFault::TakesTags if image.digest().is_none() => Ok(()),
            DeployerFault::TwoSteps => {
                // Performing twice makes the new image its own predecessor.
                let between = image.repository().digest(Digest::of(self.next().to_string()));
                self.inner.perform(&Action::Release { image: between, percent: 100 }, cx).await?;
                self.inner.perform(action, cx).await
            }
            _ => self.inner.perform(action, cx).await,
        }
    }

    async fn rollback(&self, cx: &Context) -> Result<()> {
        match self.fault {
            DeployerFault::ForgetsToRollBack => Ok(()),
            _ => self.inner.rollback(cx).await,
        }
    }
}

/// Telemetry that always says the same.
#[derive(Debug)]
pub struct ZeroTelemetry(pub Sample);

impl Plugin for ZeroTelemetry {
    fn info(&self) -> PluginInfo {
        PluginInfo::new("zero", "0")
    }
}

#[async_trait]
impl Telemetry for ZeroTelemetry {
    async fn sample(&self, _signal: &Signal, _window: Window, _cx: &Context) -> Result<Sample> {
        Ok(self.0)
    }
}

/// A runtime that runs nothing and ends every command like this.
pub fn answering(exit: Exit) -> MemoryRuntime {
    let outcome = Outcome {
        exit,
        stdout: Bytes::new(),
        stderr: Bytes::new(),
        files: [].into(),
        used: None,
        duration: Duration::ZERO,
    };
    MemoryRuntime::new("silent", move |_, _| Ok(outcome.clone()))
}
