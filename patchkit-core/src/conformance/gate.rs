//! The contract of [`Gate`].

use super::{Check, Outcomes, equal, holds};
use crate::{Context, Decision, Gate, Verified};

/// Runs every case on a verified image, whatever the gate decides about it.
pub async fn suite(gate: &dyn Gate, verified: &Verified) -> Outcomes {
    let mut outcomes = Outcomes::default();
    outcomes.case("the-reason-fits-the-decision", reason_fits(gate, verified)).await;
    outcomes.case("a-decision-says-why", says_why(gate, verified)).await;
    outcomes.case("deciding-again-keeps-the-ticket", keeps_ticket(gate, verified)).await;
    outcomes
}

async fn reason_fits(gate: &dyn Gate, verified: &Verified) -> Check {
    match gate.decide(verified, &Context::new()).await? {
        Decision::Allow { reason } => holds(reason.holds, "it allows for a reason that does not hold"),
        Decision::Deny { reason } => holds(!reason.holds, "it denies for a reason that holds"),
        Decision::Defer { .. } => Ok(()),
    }
}

async fn says_why(gate: &dyn Gate, verified: &Verified) -> Check {
    let reason = match gate.decide(verified, &Context::new()).await? {
        Decision::Allow { reason } | Decision::Deny { reason } => reason,
        Decision::Defer { ticket } => ticket.reason,
    };
    holds(!reason.message.is_empty(), "the reason has no words")
}

async fn keeps_ticket(gate: &dyn Gate, verified: &Verified) -> Check {
    let ticket = |decision| match decision {
        Decision::Defer { ticket } => Some(ticket.id),
        Decision::Allow { .. } | Decision::Deny { .. } => None,
    };
    let first = ticket(gate.decide(verified, &Context::new()).await?);
    equal(ticket(gate.decide(verified, &Context::new()).await?), first)
}
