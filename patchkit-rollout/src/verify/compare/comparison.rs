use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Write as _},
    time::Duration,
};

use jiff::Timestamp;
use patchkit_core::Reason;
use serde::Serialize;

use super::{
    Accepted, AcceptedKind, Attempts, CoverageBounds, Rules, Tally,
    classify::{Classes, classify},
    reasons,
};
use crate::verify::{
    coverage::{Coverage, Totals},
    report::{Counts, TestId, TestPattern},
};

/// How two images' runs of one suite differ. All lists are sorted by test.
///
/// What was accepted is only in [`accepted`](Self::accepted), not in the list of its kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Comparison {
    /// How the tests of the first run before ended.
    pub before: Counts,
    /// How the tests of the first run after ended.
    pub after: Counts,
    /// Failed or errored in every attempt after, and not before; or passed before, and fail only as expected now.
    pub newly_failing: Vec<Difference>,
    /// Were run before, and skipped in every attempt after.
    pub newly_skipped: Vec<Difference>,
    /// Are in the first run before, and not in the first run after.
    pub vanished: Vec<Difference>,
    /// Are in the first run after, and not in the first run before.
    pub appeared: Vec<Difference>,
    /// Are better than before: pass, or are run.
    pub fixed: Vec<Difference>,
    /// Failed before and after.
    pub still_failing: Vec<Difference>,
    /// Take longer than the bound allows.
    pub slower: Vec<Slower>,
    /// Passed and did not pass in the same image.
    pub flaky: Vec<Flaky>,
    /// What was let pass, and by whom.
    pub accepted: Vec<AcceptedDifference>,
    /// What would have been let pass, had it not expired.
    pub expired: Vec<AcceptedDifference>,
    /// The critical journeys.
    pub critical: Vec<Journey>,
    /// The coverage, where it was measured.
    pub coverage: Option<CoverageChange>,
    /// The significance that flaky tests were judged at.
    pub significance: f64,
    #[serde(skip)]
    rules: Vec<Accepted>,
    #[serde(skip)]
    now: Timestamp,
}

/// A test that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Which test.
    pub test: TestId,
    /// How it ended before; nothing where it is not there.
    pub before: Option<Tally>,
    /// How it ended after; nothing where it is not there.
    pub after: Option<Tally>,
    /// Why it fails or is skipped after, in its own words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.test)?;
        let line = self.message.as_deref().and_then(|message| message.lines().find(|line| !line.trim().is_empty()));
        match line {
            Some(line) => write!(f, ": {}", line.trim()),
            None => Ok(()),
        }
    }
}

/// A test that takes too long. Times are medians.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Slower {
    /// Which test.
    pub test: TestId,
    /// How long it took.
    pub before: Duration,
    /// How long it takes.
    pub after: Duration,
}

/// `name: 0.100 s before, 2.000 s after`
impl fmt::Display for Slower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { test, before, after } = self;
        write!(f, "{test}: {:.3} s before, {:.3} s after", before.as_secs_f64(), after.as_secs_f64())
    }
}

/// A test that passes at times, and the statistics of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Flaky {
    /// Which test.
    pub test: TestId,
    /// How it ended before.
    pub before: Tally,
    /// How it ended after.
    pub after: Tally,
    /// How likely at least as many failures after are, had nothing changed (Fisher's exact test, one-sided).
    pub p: f64,
    /// The p had every attempt after failed: where it is not below the significance, there were too few attempts to tell.
    pub least_p: f64,
    /// Whether it is worse after, at the significance.
    pub is_worse: bool,
}

/// `name: failed 1 of 5 times before, 2 of 5 after, p = 0.500`
impl fmt::Display for Flaky {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { test, before, after, p, .. } = self;
        write!(f, "{test}: failed {before} times before, {after} after, p = {p:.3}")
    }
}

/// A difference that is accepted, or was until it expired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AcceptedDifference {
    /// The test, or for lost coverage the file.
    pub subject: String,
    /// Who accepts what of it.
    pub by: Accepted,
}

impl fmt::Display for AcceptedDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}, {}", self.subject, self.by.kind, self.by)
    }
}

/// A critical journey: tests that must be there and pass after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Journey {
    /// Which tests.
    pub pattern: TestPattern,
    /// How many of them there are.
    pub tests: usize,
    /// Those that did not pass in any attempt.
    pub not_passed: Vec<TestId>,
}

/// How much was run before and after.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct CoverageChange {
    /// All files before.
    pub before: Totals,
    /// All files after.
    pub after: Totals,
    /// Percentage points lost; negative where more is run.
    pub drop: f64,
    /// The lines of each file that are not run any more.
    pub lost: BTreeMap<String, BTreeSet<u32>>,
    /// The files that lost more lines than allowed, and are not accepted.
    pub over: BTreeSet<String>,
    /// What is allowed.
    pub bounds: CoverageBounds,
}

impl Comparison {
    /// Compares the runs by the rules; what is accepted until before now does not count.
    #[must_use]
    pub fn of(before: &Attempts, after: &Attempts, rules: &Rules, now: Timestamp) -> Self {
        let Classes { newly_failing, newly_skipped, vanished, appeared, fixed, still_failing, slower, flaky } =
            classify(before, after, rules);
        let mut comparison = Self {
            before: before.first.counts(),
            after: after.first.counts(),
            newly_failing,
            newly_skipped,
            vanished,
            appeared,
            fixed,
            still_failing,
            slower,
            flaky,
            accepted: Vec::new(),
            expired: Vec::new(),
            critical: rules.critical.iter().map(|pattern| Journey::of(pattern, after)).collect(),
            coverage: None,
            significance: rules.significance,
            rules: rules.accepted.clone(),
            now,
        };
        comparison.accept();
        comparison
    }

    /// The same, with the coverage of the two. Give an empty one where a report that was there before is missing after.
    #[must_use]
    pub fn with_coverage(mut self, before: &Coverage, after: &Coverage, bounds: CoverageBounds) -> Self {
        let (old, new) = (before.totals(), after.totals());
        let drop = old.percent().map_or(0.0, |old| old - new.percent().unwrap_or_default());
        let lost = Coverage::lost(before, after);
        let over = lost.iter().filter(|(_, lines)| lines.len() as u64 > bounds.file_lines);
        let over: Vec<_> = over.map(|(path, _)| path.clone()).collect();
        let over = over.into_iter().filter(|path| !self.is_accepted(path, AcceptedKind::CoverageLost)).collect();
        self.coverage = Some(CoverageChange { before: old, after: new, drop, lost, over, bounds });
        self
    }

    /// The tests worth running again in both images before the verdict: those that count against the patch and might
    /// not, if they are flaky or were slow by chance.
    #[must_use]
    pub fn suspects(&self) -> BTreeSet<&TestId> {
        let failing = self.newly_failing.iter().chain(&self.newly_skipped).map(|difference| &difference.test);
        let flaky = self.flaky.iter().filter(|flaky| flaky.least_p >= self.significance).map(|flaky| &flaky.test);
        failing.chain(self.slower.iter().map(|slower| &slower.test)).chain(flaky).collect()
    }

    /// Every rule, with what it rests on.
    #[must_use]
    pub fn reasons(&self) -> Vec<Reason> {
        reasons::of(self)
    }

    /// Whether every rule holds.
    #[must_use]
    pub fn passes(&self) -> bool {
        self.reasons().iter().all(|reason| reason.holds)
    }

    /// Moves what is accepted out of the lists of what counts.
    fn accept(&mut self) {
        if self.rules.is_empty() {
            return;
        }
        for kind in [AcceptedKind::NewlyFailing, AcceptedKind::NewlySkipped, AcceptedKind::Vanished] {
            let mut list = std::mem::take(self.list(kind));
            list.retain(|difference| !self.is_accepted(&difference.test.to_string(), kind));
            *self.list(kind) = list;
        }
        let mut slower = std::mem::take(&mut self.slower);
        slower.retain(|slower| !self.is_accepted(&slower.test.to_string(), AcceptedKind::Slower));
        self.slower = slower;
        let mut flaky = std::mem::take(&mut self.flaky);
        flaky.retain(|flaky| !flaky.is_worse || !self.is_accepted(&flaky.test.to_string(), AcceptedKind::Flakier));
        self.flaky = flaky;
    }

    fn list(&mut self, kind: AcceptedKind) -> &mut Vec<Difference> {
        match kind {
            AcceptedKind::NewlySkipped => &mut self.newly_skipped,
            AcceptedKind::Vanished => &mut self.vanished,
            _ => &mut self.newly_failing,
        }
    }

    /// Whether somebody accepts it; who does, or did until it expired, is noted.
    fn is_accepted(&mut self, subject: &str, kind: AcceptedKind) -> bool {
        let matching = |by: &&Accepted| by.kind == kind && by.test.matches_text(subject);
        let Some(longest) = self.rules.iter().filter(matching).max_by_key(|by| by.expires) else { return false };
        let noted = AcceptedDifference { subject: subject.to_owned(), by: longest.clone() };
        let is_over = longest.expires.is_over(self.now);
        if is_over {
            self.expired.push(noted)
        } else {
            self.accepted.push(noted)
        }
        !is_over
    }
}

impl Journey {
    fn of(pattern: &TestPattern, after: &Attempts) -> Self {
        let mut text = String::new();
        let mut matches = |id: &TestId| {
            text.clear();
            write!(text, "{id}").is_ok() && pattern.matches_text(&text)
        };
        let tests: Vec<_> = after.first.cases().map(|case| &case.id).filter(|id| matches(id)).collect();
        let is_passed = |id: &TestId| {
            let mut cases = after.runs().filter_map(|run| run.case(id));
            cases.any(|case| case.status == crate::verify::report::Status::Passed)
        };
        let not_passed = tests.iter().filter(|id| !is_passed(id)).map(|id| (*id).clone()).collect();
        Self { pattern: pattern.clone(), tests: tests.len(), not_passed }
    }

    /// Whether it can still be made.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.tests > 0 && self.not_passed.is_empty()
    }
}
