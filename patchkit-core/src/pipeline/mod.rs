//! Stages in a row, whose types say what has been proven at each point.

mod journal;
mod patch;
mod prove;
mod release;

use std::{fmt, sync::Arc};

use async_trait::async_trait;

use self::journal::Journal;
use crate::{
    Approved, Context, Deployer, Gate, Ledger, Patched, Patcher, Planned, Released, Scanned, Scanner, Signed, Signer,
    Stage, Stop, Target, Verified, Verifier,
    attestation::{DsseArtifact, SignatureFormat},
};

/// A pipeline from a [`Target`] to an `Out`.
///
/// Each step is there only on a pipeline that has come far enough: what is not verified cannot be approved, what is not
/// approved cannot be signed. To leave a step out does not compile:
///
/// ```compile_fail,E0599
/// # use patchkit_core::*;
/// # fn skip(scanner: impl Scanner + 'static, patcher: impl Patcher + 'static, signer: impl Signer + 'static) {
/// Pipeline::new().scan(scanner).patch(patcher).sign(signer);
/// # }
/// ```
///
/// With a [`Ledger`], everything that happens is recorded, and a run that was interrupted is resumed by running the
/// pipeline again: what a plugin of the same name, version and configuration made of the same input is taken from the
/// record. Decisions of gates never are: they are asked anew.
pub struct Pipeline<Out> {
    steps: Arc<dyn Steps<Out>>,
    names: Vec<String>,
    ledger: Option<Arc<dyn Ledger>>,
}

/// What all steps of a run share.
struct Scope<'a> {
    cx: &'a Context,
    journal: Journal,
}

/// All steps up to an `Out`.
#[async_trait]
trait Steps<Out>: Send + Sync {
    async fn run(&self, target: Arc<Target>, scope: &Scope<'_>) -> Result<Arc<Out>, Stop>;
}

/// One step of the engine.
#[async_trait]
trait Step: Send + Sync {
    type In: Send + Sync + 'static;
    type Out: Send + Sync + 'static;

    async fn take(&self, input: Arc<Self::In>, scope: &Scope<'_>) -> Result<Arc<Self::Out>, Stop>;
}

/// No step yet.
struct Start;

#[async_trait]
impl Steps<Target> for Start {
    async fn run(&self, target: Arc<Target>, _scope: &Scope<'_>) -> Result<Arc<Target>, Stop> {
        Ok(target)
    }
}

/// One step after others.
struct Then<S: Step> {
    before: Arc<dyn Steps<S::In>>,
    step: S,
}

#[async_trait]
impl<S: Step> Steps<S::Out> for Then<S> {
    async fn run(&self, target: Arc<Target>, scope: &Scope<'_>) -> Result<Arc<S::Out>, Stop> {
        let input = self.before.run(target, scope).await?;
        scope.cx.check()?;
        scope.cx.guard(async { Ok(self.step.take(input, scope).await) }).await?
    }
}

/// A stage of one's own as a step.
struct Via<S>(S);

#[async_trait]
impl<S: Stage> Step for Via<S> {
    type In = S::In;
    type Out = S::Out;

    async fn take(&self, input: Arc<S::In>, scope: &Scope<'_>) -> Result<Arc<S::Out>, Stop> {
        self.0.run(input, scope.cx).await
    }
}

impl Pipeline<Target> {
    /// A pipeline without steps.
    #[must_use]
    pub fn new() -> Self {
        Self { steps: Arc::new(Start), names: Vec::new(), ledger: None }
    }

    /// Finds out what is installed and vulnerable.
    #[must_use]
    pub fn scan(self, scanner: impl Scanner + 'static) -> Pipeline<Scanned> {
        self.then("scan", scanner.info().name, patch::Scan(scanner))
    }
}

impl Default for Pipeline<Target> {
    fn default() -> Self {
        Self::new()
    }
}

impl Pipeline<Scanned> {
    /// Decides what to change. Where nothing can be, the run stops with [`Stop::NothingToDo`].
    #[must_use]
    pub fn plan(self, patcher: impl Patcher + 'static) -> Pipeline<Planned> {
        self.then("plan", patcher.info().name, patch::Plans(patcher))
    }

    /// Decides what to change and changes it: [`plan`](Self::plan) and [`apply`](Pipeline::apply) with one patcher.
    #[must_use]
    pub fn patch(self, patcher: impl Patcher + 'static) -> Pipeline<Patched> {
        let patcher: Arc<dyn Patcher> = Arc::new(patcher);
        self.plan(patcher.clone()).apply(patcher)
    }
}

impl Pipeline<Planned> {
    /// Makes the patched images and stores them in the target's repository, without a tag.
    #[must_use]
    pub fn apply(self, patcher: impl Patcher + 'static) -> Pipeline<Patched> {
        self.then("patch", patcher.info().name, patch::Apply(patcher))
    }
}

impl Pipeline<Patched> {
    /// Goes on only where the verifier passes the patched image.
    #[must_use]
    pub fn verify(self, verifier: impl Verifier + 'static) -> Pipeline<Verified> {
        self.then("verify", verifier.info().name, prove::Verify(verifier))
    }
}

impl Pipeline<Verified> {
    /// Goes on only where one more verifier passes the patched image.
    #[must_use]
    pub fn verify(self, verifier: impl Verifier + 'static) -> Self {
        self.then("verify", verifier.info().name, prove::VerifyMore(verifier))
    }

    /// Goes on only where the gate allows it.
    #[must_use]
    pub fn approve(self, gate: impl Gate + 'static) -> Pipeline<Approved> {
        self.then("approve", gate.info().name, prove::Approve(gate))
    }
}

impl Pipeline<Approved> {
    /// Signs the index and every image, in the plain format of [`DsseArtifact`], and attaches what verifiers stated.
    #[must_use]
    pub fn sign(self, signer: impl Signer + 'static) -> Pipeline<Signed> {
        self.sign_as(DsseArtifact, signer)
    }

    /// Signs the index, every image, and the statements that verifiers gave as evidence, in a format that the verifying
    /// side understands.
    #[must_use]
    pub fn sign_as(self, format: impl SignatureFormat + 'static, signer: impl Signer + 'static) -> Pipeline<Signed> {
        self.then("sign", signer.info().name, release::Sign { format, signer })
    }
}

impl Pipeline<Signed> {
    /// Brings the signed image to where it runs, and rolls back where it does not settle.
    #[must_use]
    pub fn release(self, deployer: impl Deployer + 'static) -> Pipeline<Released> {
        self.then("release", deployer.info().name, release::Release(deployer))
    }
}

impl<Out: Send + Sync + 'static> Pipeline<Out> {
    /// Adds a stage of one's own.
    #[must_use]
    pub fn via<S: Stage<In = Out> + 'static>(self, stage: S) -> Pipeline<S::Out> {
        let name = format!("{stage:?}");
        self.then("via", name, Via(stage))
    }

    /// Records everything in a ledger, and resumes from what is recorded there.
    #[must_use]
    pub fn recorded_in(self, ledger: impl Ledger + 'static) -> Self {
        Self { ledger: Some(Arc::new(ledger)), ..self }
    }

    /// Runs the pipeline over one target.
    ///
    /// # Errors
    /// The [`Stop`] that ended it, recorded in the ledger like everything else.
    pub async fn run(&self, target: Target, cx: &Context) -> Result<Arc<Out>, Stop> {
        let subject = *target.images().digest();
        let scope = Scope { cx, journal: Journal::open(self.ledger.clone(), cx).await? };
        let result = self.steps.run(Arc::new(target), &scope).await;
        if let Err(stop) = &result {
            scope.journal.note("stop", subject, stop.to_string().into(), cx).await?;
        }
        result
    }

    fn then<S>(self, stage: &str, plugin: String, step: S) -> Pipeline<S::Out>
    where
        S: Step<In = Out> + 'static,
    {
        let mut names = self.names;
        names.push(format!("{stage} ({plugin})"));
        Pipeline { steps: Arc::new(Then { before: self.steps, step }), names, ledger: self.ledger }
    }
}

impl<Out> Clone for Pipeline<Out> {
    fn clone(&self) -> Self {
        let Self { steps, names, ledger } = self;
        Self { steps: steps.clone(), names: names.clone(), ledger: ledger.clone() }
    }
}

impl<Out> fmt::Debug for Pipeline<Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "target ▶ {}", self.names.join(" ▶ "))
    }
}
