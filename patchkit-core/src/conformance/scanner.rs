//! The contract of [`Scanner`].

use super::{Check, Outcomes, Wrong, damaged, equal, fails, holds};
use crate::{Context, ErrorKind, Finding, Image, Scanner};

/// Runs every case on an image that has at least one layer with something for the scanner to find.
pub async fn suite(scanner: &dyn Scanner, image: &Image) -> Outcomes {
    let mut outcomes = Outcomes::default();
    outcomes.case("the-report-is-about-the-image", subject(scanner, image)).await;
    outcomes.case("the-report-is-sorted", sorted(scanner, image)).await;
    outcomes.case("scanning-again-says-the-same", repeatable(scanner, image)).await;
    outcomes.case("findings-name-packages-of-the-report", findings_have_packages(scanner, image)).await;
    outcomes.case("a-damaged-layer-is-corrupt", damaged_layer(scanner, image)).await;
    outcomes
}

async fn subject(scanner: &dyn Scanner, image: &Image) -> Check {
    let report = scanner.scan(image, &Context::new()).await?;
    equal(&report.subject, image.digest())?;
    equal(&report.platform, image.platform())
}

async fn sorted(scanner: &dyn Scanner, image: &Image) -> Check {
    let report = scanner.scan(image, &Context::new()).await?;
    holds(report.packages.is_sorted_by(|a, b| a.purl <= b.purl), "the packages are not sorted by purl")?;
    holds(report.findings.is_sorted_by_key(Finding::key), "the findings are not sorted by id and purl")
}

async fn repeatable(scanner: &dyn Scanner, image: &Image) -> Check {
    let first = scanner.scan(image, &Context::new()).await?;
    equal(scanner.scan(image, &Context::new()).await?, first)
}

async fn findings_have_packages(scanner: &dyn Scanner, image: &Image) -> Check {
    let report = scanner.scan(image, &Context::new()).await?;
    match report.findings.iter().find(|finding| report.package(&finding.package).is_none()) {
        Some(finding) => Err(Wrong(format!("{} is not among the packages", finding.key()))),
        None => Ok(()),
    }
}

async fn damaged_layer(scanner: &dyn Scanner, image: &Image) -> Check {
    fails(scanner.scan(&damaged(image)?, &Context::new()).await, ErrorKind::Corrupt)
}
