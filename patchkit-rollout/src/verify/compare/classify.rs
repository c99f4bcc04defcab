use super::{
    Attempts, Difference, Flaky, Rules, Slower,
    attempts::{State, Tallied},
    fisher,
};
use crate::verify::report::TestId;

/// The tests that differ, by how.
#[derive(Debug, Default)]
pub(super) struct Classes {
    pub(super) newly_failing: Vec<Difference>,
    pub(super) newly_skipped: Vec<Difference>,
    pub(super) vanished: Vec<Difference>,
    pub(super) appeared: Vec<Difference>,
    pub(super) fixed: Vec<Difference>,
    pub(super) still_failing: Vec<Difference>,
    pub(super) slower: Vec<Slower>,
    pub(super) flaky: Vec<Flaky>,
}

/// Sorts the tests into classes, each in the order of tests.
pub(super) fn classify(before: &Attempts, after: &Attempts, rules: &Rules) -> Classes {
    let mut classes = Classes::default();
    // Both are sorted.
    let mut after = after.tallies().into_iter().peekable();
    for (test, old) in before.tallies() {
        while let Some((test, new)) = after.next_if(|(new, _)| *new < test) {
            classes.appeared(test, &new);
        }
        match after.next_if(|(new, _)| *new == test) {
            Some((_, new)) => classes.both(test, old, new, rules),
            None => classes.vanished.push(difference(test, Some(&old), None)),
        }
    }
    for (test, new) in after {
        classes.appeared(test, &new);
    }
    classes
}

impl Classes {
    fn appeared(&mut self, test: &TestId, new: &Tallied<'_>) {
        self.appeared.push(difference(test, None, Some(new)));
        if new.tally.state() == State::Failing {
            self.newly_failing.push(difference(test, None, Some(new)));
        }
    }

    fn both(&mut self, test: &TestId, old: Tallied<'_>, new: Tallied<'_>, rules: &Rules) {
        use State::{Expected, Failing, Mixed, Passing, Skipped};
        let list = match (old.tally.state(), new.tally.state()) {
            // What is skipped in every attempt is no flakiness.
            (Mixed | Passing | Expected | Failing, Skipped) => &mut self.newly_skipped,
            (_, Mixed) | (Mixed, _) => return self.flaky.push(flaky(test, &old, &new, rules)),
            (Passing, Passing) => return self.slower.extend(slower(test, old, new, rules)),
            (Expected, Expected) | (Skipped, Skipped) => return,
            (Failing, Failing) => &mut self.still_failing,
            (_, Failing) | (Passing, Expected) => &mut self.newly_failing,
            (Failing | Skipped, Passing | Expected) | (Expected, Passing) => &mut self.fixed,
        };
        list.push(difference(test, Some(&old), Some(&new)));
    }
}

fn difference(test: &TestId, old: Option<&Tallied<'_>>, new: Option<&Tallied<'_>>) -> Difference {
    let message = new.and_then(|new| new.message).map(str::to_owned);
    Difference { test: test.clone(), before: old.map(|old| old.tally), after: new.map(|new| new.tally), message }
}

fn flaky(test: &TestId, old: &Tallied<'_>, new: &Tallied<'_>, rules: &Rules) -> Flaky {
    // Where it passes in either image, failing as expected is worse than its best in both.
    let passes = old.tally.passed + new.tally.passed > 0;
    let bad = |tallied: &Tallied<'_>| {
        let tally = tallied.tally;
        let expected = if passes { tally.expected_failures } else { 0 };
        (tally.failed.saturating_add(tally.skipped).saturating_add(expected), tally.attempts())
    };
    let (before, after) = (bad(old), bad(new));
    let p = fisher(before, after);
    let least_p = fisher(before, (after.1, after.1));
    let is_worse = p < rules.significance;
    Flaky { test: test.clone(), before: old.tally, after: new.tally, p, least_p, is_worse }
}

fn slower(test: &TestId, old: Tallied<'_>, new: Tallied<'_>, rules: &Rules) -> Option<Slower> {
    let (before, after) = (old.median()?, new.median()?);
    let is_over = rules.slower?.is_over(before, after);
    is_over.then(|| Slower { test: test.clone(), before, after })
}
