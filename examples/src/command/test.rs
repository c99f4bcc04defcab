//! `test`: whether a patched image still does what it did.

use std::sync::Arc;

use jiff::Timestamp;
use patchkit_core::{
    Context, Error, Image, Patched, Plan, Planned, Reason, Result, Runtime, ScanReport, Scanned, Stop, Target, Verdict,
    Verifier,
};
use patchkit_rollout::{
    FileLedger,
    verify::{
        self, CheckProfile,
        suite::{Suite, SuiteRun, SuiteVerifier},
    },
};

use crate::{
    checking,
    cli::{self, Global},
    output::{self, Progress},
    place, running,
};

pub(crate) async fn run(args: &cli::Test, global: &Global, cx: &Context) -> Result<(), Stop> {
    let suite = args.suite.as_deref().map(Suite::read).transpose()?;
    let target = place::target(&args.image, global, cx).await?;
    match (&args.baseline, suite) {
        (Some(baseline), suite) => {
            let before = place::target(baseline, global, cx).await?;
            compare(args, suite, patched(before, &target)?, global, cx).await
        }
        (None, Some(suite)) => alone(args, &suite, &target, global, cx).await,
        (None, None) => Err(Error::invalid("neither --suite nor --baseline is given").into()),
    }
}

/// Runs the suite and the checks on both, and prints the verdict.
async fn compare(
    args: &cli::Test,
    suite: Option<Suite>,
    patched: Patched,
    global: &Global,
    cx: &Context,
) -> Result<(), Stop> {
    let profile = args.profile.as_deref().map(CheckProfile::read).transpose()?.unwrap_or_default();
    let mut verifiers = checking::checks(&args.checks, &profile);
    if let Some(suite) = suite {
        let mut verifier = SuiteVerifier::new(suite, running::runtime(&args.containers, cx).await?)?;
        if let Some(ledger) = &args.ledger {
            verifier = verifier.remembering(Arc::new(FileLedger::new(ledger)));
        }
        verifiers.insert(0, Arc::new(verifier));
    }
    let mut verifiers = verifiers.into_iter();
    let first = verifiers.next().ok_or_else(|| Error::invalid("neither a suite nor a check is asked for"))?;
    // One after the other: what runs beside tests makes them slower.
    let all = verify::combine::all(first, verifiers).with_parallel(1);
    let verdict = Progress::of(global).step("test before and after", all.verify(&patched, cx)).await?;
    output::print(global, &verdict, || text(&verdict.reasons))?;
    judged(&verdict)
}

fn judged(verdict: &Verdict) -> Result<(), Stop> {
    match verdict.passes() {
        true => Ok(()),
        false => Err(Stop::Refused { stage: "test", reasons: verdict.reasons.clone() }),
    }
}

/// What was made of an image by somebody, as if we had: with plans that promise nothing.
fn patched(before: Target, after: &Target) -> Result<Patched> {
    let platforms = |target: &Target| target.images().images().iter().map(Image::platform).cloned().collect::<Vec<_>>();
    if platforms(&before) != platforms(after) {
        let message = format!("its platforms are not those of {}, in the same order", before.reference());
        return Err(Error::invalid(message).on(after.reference()));
    }
    let reports = before.images().images().iter().map(ScanReport::of).collect();
    let plans = before.images().images().iter().map(|image| Plan {
        subject: *image.digest(),
        base: *image.digest(),
        timestamp: Timestamp::UNIX_EPOCH,
        changes: Vec::new(),
        unfixable: Vec::new(),
    });
    let plans: Vec<_> = plans.collect();
    let notes = vec![Vec::new(); plans.len()];
    let planned = Planned::new(Arc::new(Scanned::new(Arc::new(before), reports)?), plans)?;
    let place = (after.registry().clone(), after.reference().repository().clone());
    Patched::new(Arc::new(planned), place, after.images().clone(), notes)
}

/// Runs the suite once; every test must pass.
async fn alone(args: &cli::Test, suite: &Suite, target: &Target, global: &Global, cx: &Context) -> Result<(), Stop> {
    let runtime = running::runtime(&args.containers, cx).await?;
    let mut runs = Vec::new();
    for image in target.images().images().iter().filter(|image| suite.is_for(image.platform())) {
        runs.push((image.platform().clone(), one(suite, image, &*runtime, global, cx).await?));
    }
    let reasons: Vec<_> = runs.iter().map(|(platform, run)| reason(&platform.to_string(), run)).collect();
    let runs: Vec<_> = runs.iter().map(|(_, run)| run).collect();
    output::print(global, &runs, || text(&reasons))?;
    match !reasons.is_empty() && reasons.iter().all(|reason| reason.holds) {
        true => Ok(()),
        false => Err(Stop::Refused { stage: "test", reasons }),
    }
}

async fn one(suite: &Suite, image: &Image, runtime: &dyn Runtime, global: &Global, cx: &Context) -> Result<SuiteRun> {
    let name = format!("test {}", image.platform());
    Progress::of(global).step(&name, verify::suite::run(suite, image, runtime, cx)).await
}

fn reason(platform: &str, run: &SuiteRun) -> Reason {
    let failed = run.tests.cases().filter(|case| case.status.is_failure());
    let failed = failed.map(|case| Reason::no(format!("{}: {}", case.id, case.message.as_deref().unwrap_or("failed"))));
    let because: Vec<_> = failed.collect();
    let message = format!("{platform}: {} tests: {}", run.tests.len(), run.tests.counts());
    Reason::of(because.is_empty() && !run.tests.is_empty(), message, because)
}

fn text(reasons: &[Reason]) -> String {
    reasons.iter().map(|reason| format!("{reason}\n")).collect()
}
