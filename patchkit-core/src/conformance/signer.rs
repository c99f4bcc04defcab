//! The contract of [`Signer`].

use super::{Check, Outcomes, equal, holds};
use crate::{Context, Identity, Signature, Signer};

/// Runs every case; `verify` says whether a signature over a message is by the identity's key.
pub async fn suite(signer: &dyn Signer, verify: impl Fn(&Identity, &[u8], &Signature) -> bool) -> Outcomes {
    let mut outcomes = Outcomes::default();
    outcomes.case("a-signature-verifies", verifies(signer, &verify)).await;
    outcomes.case("a-signature-is-of-its-message-only", only_its_message(signer, &verify)).await;
    outcomes.case("a-signature-names-the-key", names_the_key(signer)).await;
    outcomes.case("the-identity-stays", identity_stays(signer)).await;
    outcomes
}

async fn verifies(signer: &dyn Signer, verify: &impl Fn(&Identity, &[u8], &Signature) -> bool) -> Check {
    let cx = Context::new();
    let identity = signer.identity(&cx).await?;
    for message in [&b""[..], b"hello", &[0xff; 100_000]] {
        let signature = signer.sign(message, &cx).await?;
        holds(verify(&identity, message, &signature), &format!("not over {} bytes", message.len()))?;
    }
    Ok(())
}

async fn only_its_message(signer: &dyn Signer, verify: &impl Fn(&Identity, &[u8], &Signature) -> bool) -> Check {
    let cx = Context::new();
    let identity = signer.identity(&cx).await?;
    let signature = signer.sign(b"hello", &cx).await?;
    holds(!verify(&identity, b"hellO", &signature), "it verifies over another message")
}

async fn names_the_key(signer: &dyn Signer) -> Check {
    let cx = Context::new();
    equal(signer.sign(b"hello", &cx).await?.key_id, signer.identity(&cx).await?.key_id)
}

async fn identity_stays(signer: &dyn Signer) -> Check {
    let cx = Context::new();
    let first = signer.identity(&cx).await?;
    equal(signer.identity(&cx).await?, first)
}
