//! The steps that sign an approved image and bring it to where it runs.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Scope, Step};
use crate::{
    Action, Approved, Context, Deployer, Descriptor, Digest, Identity, Observation, Plan, Reason, Released, Result,
    Signed, Signer, Stop,
    attestation::{Envelope, SignatureFormat, Statement},
};

pub(super) struct Sign<F, S> {
    pub(super) format: F,
    pub(super) signer: S,
}

#[async_trait]
impl<F: SignatureFormat, S: Signer> Step for Sign<F, S> {
    type In = Approved;
    type Out = Signed;

    async fn take(&self, approved: Arc<Approved>, scope: &Scope<'_>) -> Result<Arc<Signed>, Stop> {
        let plugin = self.signer.info();
        let images = approved.verified().patched().images();
        let identity = self.signer.identity(scope.cx).await.map_err(|error| error.by(&*plugin.name))?;
        let (repository, proof) =
            (approved.verified().patched().reference().repository().to_string(), proof(&approved));
        let mut signatures = Vec::new();
        let index = images.index().map(|_| images.root());
        let subjects = index.into_iter().chain(images.images().iter().map(|image| image.descriptor()));
        for subject in subjects.clone() {
            let statement = self.format.statement(&repository, subject, &proof);
            signatures.push(self.one(&approved, subject, &statement, &identity, scope.cx).await?);
        }
        let mut attestations = Vec::new();
        for statement in statements(&approved)? {
            let Some(subject) = subjects.clone().find(|subject| statement.is_about(subject)) else { continue };
            attestations.push(self.one(&approved, subject, &statement, &identity, scope.cx).await?);
        }
        let body = json!({
            "plugin": plugin, "identity": identity, "signatures": signatures, "attestations": attestations,
        });
        scope.journal.note("sign", *images.digest(), body, scope.cx).await?;
        Ok(Arc::new(Signed::new(approved, identity, signatures, attestations)))
    }
}

impl<F: SignatureFormat, S: Signer> Sign<F, S> {
    async fn one(
        &self,
        approved: &Approved,
        subject: &Descriptor,
        statement: &Statement,
        identity: &Identity,
        cx: &Context,
    ) -> Result<Descriptor> {
        let patched = approved.verified().patched();
        let envelope = Envelope::sign(statement, &self.signer, cx).await?;
        let artifact = self.format.artifact(statement, &envelope, identity);
        artifact.attach(subject, patched.registry().as_ref(), patched.reference().repository(), cx).await
    }
}

/// What verifiers stated, in the order of the verdicts.
fn statements(approved: &Approved) -> Result<Vec<Statement>> {
    let evidence = approved.verified().verdicts().iter().flat_map(|verdict| &verdict.evidence);
    evidence.filter_map(|evidence| evidence.statement().transpose()).collect()
}

/// What was proven, read off the chain.
fn proof(approved: &Approved) -> Value {
    let verified = approved.verified();
    let planned = verified.patched().planned();
    let plans = planned.plans();
    let fixes: Vec<_> = plans.iter().flat_map(Plan::fixes).map(|key| &key.id).collect();
    json!({
        "source": planned.scanned().target().images().digest(),
        "bases": plans.iter().map(|plan| plan.base).collect::<Vec<Digest>>(),
        "plans": plans.iter().map(Plan::digest).collect::<Vec<_>>(),
        "fixes": fixes.into_iter().collect::<std::collections::BTreeSet<_>>(),
        "verdicts": verified.verdicts().iter().flat_map(|verdict| &verdict.reasons).collect::<Vec<_>>(),
        "approval": approved.reason(),
    })
}

pub(super) struct Release<D>(pub(super) D);

/// How often a deployer is asked whether it is done.
const POLL: Duration = Duration::from_secs(1);

#[async_trait]
impl<D: Deployer> Step for Release<D> {
    type In = Signed;
    type Out = Released;

    async fn take(&self, signed: Arc<Signed>, scope: &Scope<'_>) -> Result<Arc<Released>, Stop> {
        let plugin = self.0.info();
        let image = signed.approved().verified().patched().reference();
        let digest = *signed.approved().verified().patched().images().digest();
        let action = Action::Release { image, percent: 100 };
        if !self.0.observe(scope.cx).await?.runs_only(&digest) {
            self.0.perform(&action, scope.cx).await.map_err(|error| error.by(&*plugin.name))?;
        }
        let seen = self.settled(scope.cx).await?;
        let body = json!({ "plugin": plugin, "action": action, "observation": seen });
        scope.journal.note("release", digest, body, scope.cx).await?;
        if seen.runs_only(&digest) {
            return Ok(Arc::new(Released::new(signed, seen)));
        }
        self.0.rollback(scope.cx).await.map_err(|error| error.by(&*plugin.name))?;
        let message = seen.message.unwrap_or_else(|| "the deployment settled on another image".into());
        Err(Stop::Refused { stage: "release", reasons: vec![Reason::no(format!("{message}; rolled back"))] })
    }
}

impl<D: Deployer> Release<D> {
    async fn settled(&self, cx: &Context) -> Result<Observation> {
        loop {
            let seen = self.0.observe(cx).await?;
            if seen.settled {
                return Ok(seen);
            }
            cx.sleep(POLL).await?;
        }
    }
}
