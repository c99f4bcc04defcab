//! The contract of [`Patcher`].

use std::collections::BTreeMap;

use super::{Check, Outcomes, Wrong, equal, fails, holds};
use crate::{Application, Context, Digest, ErrorKind, Finding, FindingKey, Image, Patcher, Plan, Result, ScanReport};

/// Runs every case on an image and a report about it with at least one finding that the patcher can fix.
pub async fn suite(patcher: &dyn Patcher, image: &Image, report: &ScanReport) -> Outcomes {
    let mut outcomes = Outcomes::default();
    outcomes.case("the-plan-is-for-the-image", subject(patcher, image, report)).await;
    outcomes.case("each-finding-is-spoken-of-once", each_finding_once(patcher, image, report)).await;
    outcomes.case("something-is-fixed", something_is_fixed(patcher, image, report)).await;
    outcomes.case("applying-again-makes-the-same", same_digest(patcher, image, report)).await;
    outcomes.case("applying-makes-another-image", another_image(patcher, image, report)).await;
    outcomes.case("a-plan-for-another-image-is-invalid", wrong_subject(patcher, image, report)).await;
    outcomes
}

async fn plan(patcher: &dyn Patcher, image: &Image, report: &ScanReport) -> Result<Plan> {
    patcher.plan(image, report, &Context::new()).await
}

async fn apply(patcher: &dyn Patcher, image: &Image, plan: &Plan) -> std::result::Result<Image, Wrong> {
    match patcher.apply(image, plan, &Context::new()).await? {
        Application::Patched { image, .. } => Ok(image),
        Application::Refused(notes) => Err(Wrong(format!("refused: {notes:?}"))),
    }
}

async fn subject(patcher: &dyn Patcher, image: &Image, report: &ScanReport) -> Check {
    equal(&plan(patcher, image, report).await?.subject, image.digest())
}

async fn each_finding_once(patcher: &dyn Patcher, image: &Image, report: &ScanReport) -> Check {
    let plan = plan(patcher, image, report).await?;
    let mut times: BTreeMap<FindingKey, i32> = report.findings.iter().map(|finding| (finding.key(), 0)).collect();
    let fixes = plan.changes.iter().flat_map(|change| &change.fixes);
    for key in fixes.chain(plan.unfixable.iter().map(|left| &left.finding)) {
        *times.entry(key.clone()).or_default() += 1;
    }
    equal(times.into_iter().find(|(_, times)| *times != 1), None)
}

async fn something_is_fixed(patcher: &dyn Patcher, image: &Image, report: &ScanReport) -> Check {
    let plan = plan(patcher, image, report).await?;
    holds(report.findings.iter().map(Finding::key).any(|key| plan.fixes().contains(&key)), "nothing is fixed")
}

async fn same_digest(patcher: &dyn Patcher, image: &Image, report: &ScanReport) -> Check {
    let plan = plan(patcher, image, report).await?;
    let first = apply(patcher, image, &plan).await?;
    equal(apply(patcher, image, &plan).await?.digest(), first.digest())
}

async fn another_image(patcher: &dyn Patcher, image: &Image, report: &ScanReport) -> Check {
    let plan = plan(patcher, image, report).await?;
    let patched = apply(patcher, image, &plan).await?;
    holds(patched.digest() != image.digest(), "the image is the same")?;
    equal(patched.platform(), image.platform())
}

async fn wrong_subject(patcher: &dyn Patcher, image: &Image, report: &ScanReport) -> Check {
    let plan = plan(patcher, image, report).await?;
    let other = Plan { subject: Digest::of(b"another"), base: Digest::of(b"another"), ..plan };
    let applied = patcher.apply(image, &other, &Context::new()).await;
    fails(applied, ErrorKind::Invalid)
}
