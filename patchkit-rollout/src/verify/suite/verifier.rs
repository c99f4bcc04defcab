use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use patchkit_core::{
    Context, Digest, Evidence, Image, Ledger, Patched, Platform, Plugin, PluginInfo, Reason, Result, Runtime, Verdict,
    Verifier,
};
use serde_json::json;

use super::{Suite, SuiteRun, baseline, run, statement::statement};
use crate::verify::{
    compare::{Attempts, Comparison},
    exercise::{Changes, TestStep, exercise},
    pair::{self, Pair},
    report::TestId,
};

/// How often a test that always ends the same way is run at most: four failures after four passes are no chance
/// (p = 0.014, Fisher's exact test).
const ENOUGH: usize = 4;

/// Runs a suite in the original and in the patched image, and passes where the same tests ran and none is worse.
///
/// What differs is run again in both, as often as the suite says, before it counts: a test that fails now and then does
/// not fail a patch, and one that fails more often than before does. Evidence is an in-toto statement for each image,
/// the comparison, and which files of the patch the tests used.
#[derive(Debug)]
pub struct SuiteVerifier<R> {
    suite: Suite,
    runtime: R,
    /// The digest of all that the answers depend on.
    key: Digest,
    ledger: Option<Arc<dyn Ledger>>,
}

impl<R: Runtime> SuiteVerifier<R> {
    /// A verifier that runs the suite in containers of the runtime.
    ///
    /// # Errors
    /// [`Invalid`](patchkit_core::ErrorKind::Invalid) where a fixture cannot be read.
    pub fn new(suite: Suite, runtime: R) -> Result<Self> {
        let key = baseline::key(&suite, &runtime.info())?;
        Ok(Self { suite, runtime, key, ledger: None })
    }

    /// The same, which remembers runs of originals in a ledger and takes them from there: where image, suite, fixtures
    /// and runtime are the same.
    #[must_use]
    pub fn remembering(self, ledger: Arc<dyn Ledger>) -> Self {
        Self { ledger: Some(ledger), ..self }
    }

    async fn one(&self, pair: Pair<'_>, name: &str, cx: &Context) -> Result<(Reason, Vec<Evidence>)> {
        let platform = pair.after.platform();
        if pair.before.digest() == pair.after.digest() {
            return Ok((Reason::yes(format!("{platform}: the image was not changed")), Vec::new()));
        }
        if !self.suite.is_for(platform) {
            return Ok((Reason::yes(format!("{platform}: the suite is not for it; no test was run")), Vec::new()));
        }
        let trial = self.trial(pair, cx).await?;
        let side_by_side = super::beside::judge(&self.suite, pair, &self.runtime, cx).await?;
        let reason = trial.reason(&self.suite, platform, side_by_side);
        let evidence = trial.evidence(name, pair.after, self.key, reason.holds);
        Ok((reason, evidence))
    }

    async fn trial(&self, pair: Pair<'_>, cx: &Context) -> Result<Trial> {
        let (before, is_remembered) = self.baseline(pair.before, cx).await?;
        let after = run(&self.suite, pair.after, &self.runtime, cx).await?;
        let mut trial = Trial {
            comparison: self.compare(&before, std::slice::from_ref(&after), cx),
            before,
            after: vec![after],
            is_remembered,
            exercise: None,
        };
        self.repeat(&mut trial, pair, cx).await?;
        if !is_remembered {
            self.remember(pair.before, &trial.before, cx).await?;
        }
        let changes = Changes::between(pair.before, pair.after, pair.plan, cx).await?;
        let steps = trial.after[0].steps.iter().map(|step| TestStep { name: &step.name, used: step.used.as_ref() });
        trial.exercise = Some(exercise(&changes, &steps.collect::<Vec<_>>()));
        Ok(trial)
    }

    /// The runs of the original: remembered ones, or a new one.
    async fn baseline(&self, image: &Image, cx: &Context) -> Result<(Vec<SuiteRun>, bool)> {
        if let Some(ledger) = &self.ledger
            && let Some(runs) = baseline::recorded(ledger, image, &self.key, cx).await?
        {
            return Ok((runs, true));
        }
        Ok((vec![run(&self.suite, image, &self.runtime, cx).await?], false))
    }

    async fn remember(&self, image: &Image, runs: &[SuiteRun], cx: &Context) -> Result<()> {
        match &self.ledger {
            Some(ledger) => baseline::record(ledger, image, (self.key, runs), cx).await,
            None => Ok(()),
        }
    }

    /// Runs again, in both images, what counts against the patch and may not have to.
    async fn repeat(&self, trial: &mut Trial, pair: Pair<'_>, cx: &Context) -> Result<()> {
        while trial.after.len() < self.suite.attempts.max(1) {
            let suspects: BTreeSet<TestId> = trial.comparison.suspects().into_iter().cloned().collect();
            let is_flaky = !trial.comparison.flaky.is_empty();
            if suspects.is_empty() || (trial.after.len() >= ENOUGH && !is_flaky) {
                return Ok(());
            }
            let again = self.suite.only(&suspects);
            trial.after.push(run(&again, pair.after, &self.runtime, cx).await?);
            if trial.before.len() < trial.after.len() {
                trial.before.push(run(&again, pair.before, &self.runtime, cx).await?);
            }
            trial.comparison = self.compare(&trial.before, &trial.after, cx);
        }
        Ok(())
    }

    fn compare(&self, before: &[SuiteRun], after: &[SuiteRun], cx: &Context) -> Comparison {
        let comparison = Comparison::of(&attempts(before), &attempts(after), &self.suite.rules, cx.now());
        match (&before[0].coverage, &after[0].coverage) {
            (None, None) => comparison,
            (old, new) => {
                let [old, new] = [old, new].map(|coverage| coverage.clone().unwrap_or_default());
                comparison.with_coverage(&old, &new, self.suite.rules.coverage)
            }
        }
    }
}

fn attempts(runs: &[SuiteRun]) -> Attempts {
    let (first, again) = runs.split_first().expect("a trial has a run of each image");
    again.iter().fold(Attempts::of(first.tests.clone()), |attempts, run| attempts.and(run.tests.clone()))
}

impl<R: Runtime> Plugin for SuiteVerifier<R> {
    fn info(&self) -> PluginInfo {
        PluginInfo::new("suite", env!("CARGO_PKG_VERSION")).configured(&self.key).needing("a container runtime")
    }
}

#[async_trait]
impl<R: Runtime> Verifier for SuiteVerifier<R> {
    async fn verify(&self, patched: &Patched, cx: &Context) -> Result<Verdict> {
        let name = patched.reference().repository().to_string();
        let mut verdict = Verdict { subject: *patched.images().digest(), reasons: vec![], evidence: vec![] };
        for pair in pair::pairs(patched) {
            let (reason, evidence) = self.one(pair, &name, cx).await?;
            verdict.reasons.push(reason);
            verdict.evidence.extend(evidence);
        }
        if !pair::pairs(patched).any(|pair| self.suite.is_for(pair.after.platform())) {
            verdict.reasons.push(Reason::no("the suite is for none of the image's platforms"));
        }
        Ok(verdict)
    }
}

/// What the runs of both images showed.
struct Trial {
    before: Vec<SuiteRun>,
    after: Vec<SuiteRun>,
    is_remembered: bool,
    comparison: Comparison,
    exercise: Option<crate::verify::exercise::Exercise>,
}

impl Trial {
    fn reason(&self, suite: &Suite, platform: &Platform, side_by_side: Vec<Reason>) -> Reason {
        let mut because = self.comparison.reasons();
        because.extend(self.sound());
        because.extend(self.listening(suite));
        because.extend(self.exercise.as_ref().map(|exercise| exercise.reason(suite.require_exercise)));
        because.extend(side_by_side);
        if self.is_remembered {
            because.push(Reason::yes("the original was tested before; its runs were taken from the ledger"));
        }
        if self.after.len() > 1 {
            because.push(Reason::yes(format!("what differed was run {} times in the patched image", self.after.len())));
        }
        pair::judged(platform, ["passes the tests that it passed before", "does not pass as before"], because)
    }

    /// Whether the services listen on no port that they did not listen on before.
    fn listening(&self, suite: &Suite) -> Option<Reason> {
        let [before, after] = [&self.before, &self.after].map(|runs| &runs[0].listening);
        let new: Vec<_> = after.difference(before).filter(|port| !suite.ports.contains(port)).collect();
        match (suite.services.is_empty(), new.is_empty()) {
            (true, _) => None,
            (false, true) => Some(Reason::yes("no port is newly listened on")),
            (false, false) => Some(Reason::no(format!("ports are newly listened on: {new:?}"))),
        }
    }

    /// A suite that does not work in the original shows nothing.
    fn sound(&self) -> Option<Reason> {
        let faults: Vec<_> = self.before[0].faults().collect();
        if faults.is_empty() {
            return None;
        }
        let reason = Reason::no("the suite does not work in the original, so that it shows nothing");
        Some(faults.into_iter().map(Reason::no).fold(reason, Reason::with))
    }

    fn evidence(&self, name: &str, image: &Image, key: Digest, holds: bool) -> Vec<Evidence> {
        let comparison = &self.comparison;
        let flaky = comparison.flaky.iter().filter(|flaky| !flaky.is_worse).map(|flaky| flaky.test.clone());
        let accepted = comparison.accepted.iter().map(|accepted| accepted.subject.as_str()).collect::<BTreeSet<_>>();
        let cases = self.after[0].tests.cases().map(|case| &case.id);
        let warned = flaky.chain(cases.filter(|id| accepted.contains(id.to_string().as_str())).cloned()).collect();
        let statement = statement(name, image, key, &self.after[0], &warned, holds);
        let suffix = format!("{}-{}", image.platform().to_string().replace('/', "-"), image.digest().short());
        let report = json!({ "comparison": comparison, "before": self.before, "after": self.after });
        let mut evidence = vec![
            Evidence::stating(format!("test-result-{suffix}.json"), &statement),
            pair::evidence("tests", image, &report),
        ];
        evidence.extend(self.exercise.as_ref().map(|exercise| exercise.evidence(&format!("exercise-{suffix}.json"))));
        evidence
    }
}
