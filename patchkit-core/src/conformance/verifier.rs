//! The contract of [`Verifier`].

use super::{Check, Outcomes, Wrong, damaged, equal, holds};
use crate::{Context, Image, Patched, Verifier};

/// Runs every case on a patched image that passes.
pub async fn suite(verifier: &dyn Verifier, good: &Patched) -> Outcomes {
    let mut outcomes = Outcomes::default();
    outcomes.case("the-verdict-is-about-the-image", subject(verifier, good)).await;
    outcomes.case("a-good-image-passes", passes(verifier, good)).await;
    outcomes.case("verifying-again-says-the-same", repeatable(verifier, good)).await;
    outcomes.case("a-damaged-image-does-not-pass", fails_closed(verifier, good)).await;
    outcomes
}

async fn subject(verifier: &dyn Verifier, good: &Patched) -> Check {
    equal(verifier.verify(good, &Context::new()).await?.subject, *good.images().digest())
}

async fn passes(verifier: &dyn Verifier, good: &Patched) -> Check {
    let verdict = verifier.verify(good, &Context::new()).await?;
    holds(verdict.passes(), &format!("{:?}", verdict.reasons))
}

async fn repeatable(verifier: &dyn Verifier, good: &Patched) -> Check {
    let first = verifier.verify(good, &Context::new()).await?;
    equal(verifier.verify(good, &Context::new()).await?.reasons, first.reasons)
}

async fn fails_closed(verifier: &dyn Verifier, good: &Patched) -> Check {
    let images = good.images().images().iter().map(damaged).collect::<Result<Vec<Image>, Wrong>>()?;
    let reference = good.reference();
    let place = (good.registry().clone(), reference.repository().clone());
    let images = good.images().with_images(images)?;
    let bad = Patched::new(good.planned().clone(), place, images, good.notes().to_vec())?;
    match verifier.verify(&bad, &Context::new()).await {
        Ok(verdict) => holds(!verdict.passes(), "an image that cannot be read passes"),
        Err(_) => Ok(()),
    }
}
