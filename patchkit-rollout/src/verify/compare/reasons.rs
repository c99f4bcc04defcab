use std::fmt::Display;

use patchkit_core::Reason;

use super::{Comparison, CoverageChange, Flaky};

/// How many tests a reason names before it only counts them.
const NAMED: usize = 50;

/// Every rule, whether it holds, and what it rests on.
pub(super) fn of(comparison: &Comparison) -> Vec<Reason> {
    let mut reasons = vec![
        ran(comparison),
        none("vanished", &comparison.vanished),
        none("newly failing", &comparison.newly_failing),
        none("newly skipped", &comparison.newly_skipped),
        flaky(comparison),
        none("slower", &comparison.slower),
    ];
    reasons.extend(comparison.critical.iter().map(journey));
    reasons.extend(comparison.coverage.as_ref().map(coverage));
    reasons.extend(notes(comparison));
    reasons
}

fn ran(comparison: &Comparison) -> Reason {
    let (before, after) = (comparison.before, comparison.after);
    let message = format!("{} tests before: {before}; {} after: {after}", before.total(), after.total());
    let ran = before.total() - before.skipped;
    match ran {
        0 => Reason::no(message).with(Reason::no("no test ran before, so that nothing can be compared")),
        _ => Reason::yes(message),
    }
}

fn none(what: &str, tests: &[impl Display]) -> Reason {
    match (tests.len(), what) {
        (0, "vanished") => Reason::yes("every test is still there"),
        (0, _) => Reason::yes(format!("no test is {what}")),
        (1, "vanished") => list(Reason::no("1 test has vanished"), tests),
        (1, _) => list(Reason::no(format!("1 test is {what}")), tests),
        (count, "vanished") => list(Reason::no(format!("{count} tests have vanished")), tests),
        (count, _) => list(Reason::no(format!("{count} tests are {what}")), tests),
    }
}

fn list(mut reason: Reason, items: &[impl Display]) -> Reason {
    let holds = reason.holds;
    let more = items.len().saturating_sub(NAMED);
    let more = (more > 0).then(|| format!("and {more} more"));
    let named = items.iter().take(NAMED).map(ToString::to_string).chain(more);
    reason.because.extend(named.map(|message| Reason::of(holds, message, Vec::new())));
    reason
}

fn flaky(comparison: &Comparison) -> Reason {
    let worse: Vec<_> = comparison.flaky.iter().filter(|flaky| flaky.is_worse).collect();
    let significance = comparison.significance;
    if !worse.is_empty() {
        let message = format!("{} flaky tests fail more often than before (p < {significance})", worse.len());
        return list(Reason::no(message), &worse);
    }
    match comparison.flaky.len() {
        0 => Reason::yes("no test is flaky"),
        count => {
            let message = format!("{count} flaky tests do not fail more often than before (p ≥ {significance})");
            let shown: Vec<_> = comparison.flaky.iter().map(|flaky| told(flaky, significance)).collect();
            list(Reason::yes(message), &shown)
        }
    }
}

fn told(flaky: &Flaky, significance: f64) -> String {
    match flaky.least_p < significance {
        true => flaky.to_string(),
        false => format!("{flaky}; too few attempts to tell"),
    }
}

fn journey(journey: &super::Journey) -> Reason {
    let pattern = &journey.pattern;
    match (journey.tests, journey.not_passed.len()) {
        (0, _) => Reason::no(format!("critical {pattern}: no such test ran")),
        (tests, 0) => Reason::yes(format!("critical {pattern}: {tests} passed")),
        (tests, bad) => {
            list(Reason::no(format!("critical {pattern}: {bad} of {tests} did not pass")), &journey.not_passed)
        }
    }
}

fn coverage(change: &CoverageChange) -> Reason {
    let CoverageChange { before, after, drop, lost, over, bounds } = change;
    // A hair's breadth is left for the rounding of percentages.
    let total_holds = *drop <= bounds.total_drop + 1e-9;
    let holds = total_holds && over.is_empty();
    let message = format!("coverage was {before} and is {after}");
    let mut reason = Reason::of(holds, message, Vec::new());
    if !total_holds {
        let text = format!("{drop:.2} points are lost, and {:.2} are allowed", bounds.total_drop);
        reason = reason.with(Reason::no(text));
    }
    let shown = lost.iter().map(|(path, lines)| {
        let message = format!("{path} lost {} lines: {}", lines.len(), ranges(lines.iter().copied()));
        if over.contains(path) { Reason::no(message) } else { Reason::yes(message) }
    });
    let (no, yes): (Vec<_>, Vec<_>) = shown.partition(|reason| !reason.holds);
    let more = (no.len() + yes.len()).saturating_sub(NAMED);
    reason.because.extend(no.into_iter().chain(yes).take(NAMED));
    match more {
        0 => reason,
        more => reason.with(Reason::of(holds, format!("and {more} more files"), Vec::new())),
    }
}

/// `1-3, 7`
fn ranges(lines: impl Iterator<Item = u32>) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for line in lines {
        match ranges.last_mut() {
            Some((_, end)) if end.checked_add(1) == Some(line) => *end = line,
            _ => ranges.push((line, line)),
        }
    }
    let shown =
        ranges.iter().map(|(start, end)| if start == end { start.to_string() } else { format!("{start}-{end}") });
    shown.collect::<Vec<_>>().join(", ")
}

/// What decides nothing, and should be read.
fn notes(comparison: &Comparison) -> Vec<Reason> {
    let Comparison { appeared, fixed, still_failing, accepted, expired, .. } = comparison;
    let mut notes = Vec::new();
    let mut note = |count: usize, what: &str, reason: &dyn Fn(Reason) -> Reason| {
        if count > 0 {
            notes.push(reason(Reason::yes(format!("{count} {what}"))));
        }
    };
    note(appeared.len(), "tests are new", &|reason| list(reason, appeared));
    note(fixed.len(), "tests are better than before", &|reason| list(reason, fixed));
    note(still_failing.len(), "tests fail as they did before", &|reason| list(reason, still_failing));
    let until = accepted.iter().map(|accepted| accepted.by.expires.end()).min();
    note(accepted.len(), "differences are accepted", &|reason| list(reason, accepted).until(until));
    note(expired.len(), "acceptances have expired and do not count", &|reason| list(reason, expired));
    notes
}
