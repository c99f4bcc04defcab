//! The contract of [`Deployer`].

use std::time::Duration;

use super::{Check, Outcomes, Wrong, equal, fails, holds};
use crate::{Action, Context, Deployer, Digest, ErrorKind, Observation, Reference, Result};

/// Runs every case with two images, named by digest, that the deployer can bring to run. The cases build on each
/// other, so the deployment should be new.
pub async fn suite(deployer: &dyn Deployer, (first, second): (&Reference, &Reference)) -> Outcomes {
    let cx = &Context::new();
    let mut outcomes = Outcomes::default();
    outcomes.case("a-release-runs", releases(deployer, first, cx)).await;
    outcomes.case("releasing-twice-is-releasing-once", twice(deployer, (first, second), cx)).await;
    outcomes.case("a-rollback-leads-back", rolls_back(deployer, (first, second), cx)).await;
    outcomes.case("a-tag-is-not-released", needs_a_digest(deployer, first, cx)).await;
    outcomes
}

async fn release(deployer: &dyn Deployer, image: &Reference, cx: &Context) -> Result<Observation> {
    deployer.perform(&Action::Release { image: image.clone(), percent: 100 }, cx).await?;
    settled(deployer, cx).await
}

async fn settled(deployer: &dyn Deployer, cx: &Context) -> Result<Observation> {
    for _ in 0..600 {
        let seen = deployer.observe(cx).await?;
        if seen.settled {
            return Ok(seen);
        }
        cx.sleep(Duration::from_millis(100)).await?;
    }
    deployer.observe(cx).await
}

fn digest(image: &Reference) -> std::result::Result<Digest, Wrong> {
    image.digest().copied().ok_or_else(|| Wrong(format!("the suite was given {image}, which has no digest")))
}

async fn releases(deployer: &dyn Deployer, first: &Reference, cx: &Context) -> Check {
    let seen = release(deployer, first, cx).await?;
    holds(seen.runs_only(&digest(first)?), &format!("{seen:?}"))
}

async fn twice(deployer: &dyn Deployer, (first, second): (&Reference, &Reference), cx: &Context) -> Check {
    release(deployer, first, cx).await?;
    let once = release(deployer, second, cx).await?;
    equal(release(deployer, second, cx).await?, once)?;
    deployer.rollback(cx).await?;
    let seen = settled(deployer, cx).await?;
    holds(seen.runs_only(&digest(first)?), &format!("the rollback after two releases of the same leads to {seen:?}"))
}

async fn rolls_back(deployer: &dyn Deployer, (first, second): (&Reference, &Reference), cx: &Context) -> Check {
    release(deployer, first, cx).await?;
    release(deployer, second, cx).await?;
    deployer.rollback(cx).await?;
    let seen = settled(deployer, cx).await?;
    holds(seen.runs_only(&digest(first)?), &format!("{seen:?}"))
}

async fn needs_a_digest(deployer: &dyn Deployer, first: &Reference, cx: &Context) -> Check {
    let tag = first.repository().tag("latest").map_err(|error| Wrong(error.to_string()))?;
    fails(deployer.perform(&Action::Release { image: tag, percent: 100 }, cx).await, ErrorKind::Invalid)
}
