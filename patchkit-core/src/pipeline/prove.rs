//! The steps that prove a patched image and decide on it.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;

use super::{Scope, Step, journal::Key};
use crate::{
    Approved, Decision, Digest, Error, Gate, Patched, Plan, Reason, Result, Stop, Verdict, Verified, Verifier,
};

pub(super) struct Verify<V>(pub(super) V);

#[async_trait]
impl<V: Verifier> Step for Verify<V> {
    type In = Patched;
    type Out = Verified;

    async fn take(&self, patched: Arc<Patched>, scope: &Scope<'_>) -> Result<Arc<Verified>, Stop> {
        let verdict = verdict(&self.0, &patched, scope).await?;
        Ok(Arc::new(Verified::new(patched, vec![verdict])))
    }
}

pub(super) struct VerifyMore<V>(pub(super) V);

#[async_trait]
impl<V: Verifier> Step for VerifyMore<V> {
    type In = Verified;
    type Out = Verified;

    async fn take(&self, verified: Arc<Verified>, scope: &Scope<'_>) -> Result<Arc<Verified>, Stop> {
        let patched = verified.patched().clone();
        let mut verdicts = verified.verdicts().to_vec();
        verdicts.push(verdict(&self.0, &patched, scope).await?);
        Ok(Arc::new(Verified::new(patched, verdicts)))
    }
}

/// A verdict that passes, or the stop that it is.
async fn verdict(verifier: &impl Verifier, patched: &Patched, scope: &Scope<'_>) -> Result<Verdict, Stop> {
    let subject = *patched.images().digest();
    let plugin = verifier.info();
    let name = plugin.name.clone();
    let key = Key { stage: "verify", plugin, input: proven_about(patched) };
    let verify = async { verifier.verify(patched, scope.cx).await };
    let verdict = scope.journal.recall(key, subject, scope.cx, Verdict::counts_until, verify).await?;
    if verdict.subject != subject {
        let message = format!("the verdict is about {}", verdict.subject);
        return Err(Error::unexpected(message).by(name).on(subject).into());
    }
    if verdict.passes() {
        return Ok(verdict);
    }
    let mut reasons = verdict.reasons;
    if reasons.is_empty() {
        reasons.push(Reason::no(format!("{name} checked nothing")));
    }
    Err(Stop::Refused { stage: "verify", reasons })
}

/// What a verdict depends on: the patched image and how it came about.
fn proven_about(patched: &Patched) -> Digest {
    let plans: Vec<_> = patched.planned().plans().iter().map(Plan::digest).collect();
    Digest::of(json!([patched.images().digest(), plans]).to_string())
}

pub(super) struct Approve<G>(pub(super) G);

#[async_trait]
impl<G: Gate> Step for Approve<G> {
    type In = Verified;
    type Out = Approved;

    async fn take(&self, verified: Arc<Verified>, scope: &Scope<'_>) -> Result<Arc<Approved>, Stop> {
        let plugin = self.0.info();
        let subject = *verified.patched().images().digest();
        let decision = self.0.decide(&verified, scope.cx).await.map_err(|error| error.by(&*plugin.name))?;
        let body = json!({ "plugin": plugin, "decision": decision });
        scope.journal.note("approve", subject, body, scope.cx).await?;
        match decision {
            Decision::Allow { reason } => Ok(Arc::new(Approved::new(verified, reason))),
            Decision::Defer { ticket } => Err(Stop::Waiting(ticket)),
            Decision::Deny { reason } => Err(Stop::Refused { stage: "approve", reasons: vec![reason] }),
        }
    }
}
