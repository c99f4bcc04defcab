//! The comparison of two images' runs: the rules one by one, and what holds for any run.

#![allow(clippy::unwrap_used)]

use std::{collections::BTreeSet, time::Duration};

use patchkit_core::Reason;
use patchkit_rollout::verify::{
    compare::{Accepted, AcceptedKind, Attempts, Comparison, CoverageBounds, Rules, SlowBound},
    coverage::{Coverage, CoverageFormat},
    report::{Format, Status, TestCase, TestId, TestPattern, TestRun},
};
use proptest::prelude::*;

fn now() -> jiff::Timestamp {
    "2026-11-28T12:00:00Z".parse().unwrap()
}

/// One test a letter: `p`assed, `f`ailed, `e`rrored, `s`kipped, e`x`pected failure; ` ` is none.
fn run(letters: &str) -> TestRun {
    let status = |letter| match letter {
        'e' => Status::Errored,
        'f' => Status::Failed,
        'p' => Status::Passed,
        's' => Status::Skipped,
        _ => Status::ExpectedFailure,
    };
    let cases = letters.chars().enumerate().filter(|(_, letter)| *letter != ' ');
    cases.map(|(at, letter)| TestCase::new(TestId::new("t", &format!("{at}")), status(letter))).collect()
}

fn attempts(runs: &[&str]) -> Attempts {
    let (first, again) = runs.split_first().unwrap();
    again.iter().fold(Attempts::of(run(first)), |attempts, letters| attempts.and(run(letters)))
}

fn compare(before: &[&str], after: &[&str]) -> Comparison {
    Comparison::of(&attempts(before), &attempts(after), &Rules::default(), now())
}

fn refused(comparison: &Comparison) -> Vec<String> {
    comparison.reasons().iter().filter(|reason| !reason.holds).map(Reason::to_string).collect()
}

#[test]
fn each_change_has_its_class() {
    let comparison = compare(&["ppppp ffssxx"], &["pfsx pfppfsf"]);
    let names = |list: &[patchkit_rollout::verify::compare::Difference]| {
        list.iter().map(|difference| difference.test.name().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&comparison.newly_failing), ["1", "11", "3", "9"]);
    assert_eq!(names(&comparison.newly_skipped), ["10", "2"]);
    assert_eq!(names(&comparison.vanished), ["4"]);
    assert_eq!(names(&comparison.appeared), ["5"]);
    assert_eq!(names(&comparison.still_failing), ["6"]);
    assert_eq!(names(&comparison.fixed), ["7", "8"]);
    assert_eq!(refused(&comparison).len(), 3);
}

#[test]
fn a_new_test_that_fails_is_newly_failing() {
    assert_eq!(refused(&compare(&["p"], &["pf"])), ["✗ 1 test is newly failing\n  ✗ t::1"]);
    assert!(compare(&["p"], &["pp"]).passes());
}

#[test]
fn where_nothing_ran_nothing_is_shown() {
    for before in ["", "ss"] {
        assert_eq!(refused(&compare(&[before], &[before])).len(), 1, "{before:?}");
    }
}

#[test]
fn flaky_tests_are_judged_by_their_rates() {
    let flaky = compare(&["p", "p"], &["f", "p"]);
    assert!(flaky.passes());
    assert_eq!(flaky.flaky[0].to_string(), "t::0: failed 0 of 2 times before, 1 of 2 after, p = 0.500");
    assert!(flaky.flaky[0].least_p > 0.05 && flaky.suspects().len() == 1);

    let worse = compare(&["p"; 10], &["p", "p", "p", "p", "p", "f", "f", "f", "f", "f"]);
    assert!(worse.flaky[0].is_worse && !worse.passes());
    assert_eq!(
        refused(&worse),
        [
            "✗ 1 flaky tests fail more often than before (p < 0.05)\n  ✗ t::0: failed 0 of 10 times before, 5 of 10 after, p = 0.016"
        ]
    );

    let same = compare(&["f", "p", "p", "p", "p", "f"], &["p", "f", "f", "p", "p", "p"]);
    assert!(same.passes() && same.suspects().is_empty());
    let always = compare(&["p", "p", "p"], &["f", "f", "f"]);
    assert_eq!(always.newly_failing.len(), 1);
    assert!(!always.passes());
    let skipped = compare(&["p", "f", "p"], &["s"]);
    assert_eq!(skipped.newly_skipped.len(), 1);
}

#[test]
fn a_test_that_a_tool_tried_again_is_flaky() {
    let tried = TestCase { failed_tries: 1, ..TestCase::new(TestId::new("t", "0"), Status::Passed) };
    let after = Attempts::of([tried].into_iter().collect());
    let comparison = Comparison::of(&attempts(&["p"]), &after, &Rules::default(), now());
    assert_eq!(comparison.flaky[0].after.to_string(), "1 of 2");
    assert!(comparison.passes());
}

#[test]
fn accepted_differences_expire() {
    let accepted = |expires: &str| Accepted {
        test: TestPattern::new("t::*"),
        kind: AcceptedKind::Vanished,
        owner: "alice".into(),
        reason: "moved to another suite".into(),
        expires: expires.parse().unwrap(),
    };
    let compare = |expires: &str, after: &str| {
        let rules = Rules { accepted: vec![accepted(expires)], ..Rules::default() };
        Comparison::of(&attempts(&["ppp"]), &attempts(&[after]), &rules, now())
    };
    let valid = compare("2026-11-28", "pp");
    assert!(valid.passes() && valid.vanished.is_empty());
    let end = valid.reasons().iter().filter_map(Reason::counts_until).min();
    assert_eq!(end, Some("2026-11-29T00:00:00Z".parse().unwrap()));
    assert_eq!(
        valid.accepted[0].to_string(),
        "t::2 vanished, accepted by alice until 2026-11-28: moved to another suite"
    );
    let expired = compare("2026-11-27", "pp");
    assert!(!expired.passes() && expired.accepted.is_empty());
    assert_eq!((expired.expired.len(), expired.vanished.len()), (1, 1));
    assert!(!compare("2026-11-28", "pfp").passes());
}

#[test]
fn critical_journeys_must_pass() {
    let rules = |pattern: &str| Rules { critical: vec![TestPattern::new(pattern)], ..Rules::default() };
    let compare = |pattern: &str, letters: &str| {
        let runs = attempts(&[letters]);
        Comparison::of(&runs, &runs, &rules(pattern), now()).passes()
    };
    assert!(compare("t::0", "pf"));
    assert!(!compare("t::1", "pf"), "it fails, if not newly");
    assert!(!compare("t::1", "ps"));
    assert!(!compare("u::*", "pp"), "there is none");
}

#[test]
fn slow_tests_are_over_both_bounds() {
    let runs = |millis: &[u64]| {
        let run = |millis: &u64| {
            let case = TestCase::new(TestId::new("t", "0"), Status::Passed).took(Duration::from_millis(*millis));
            [case].into_iter().collect::<TestRun>()
        };
        millis[1..].iter().fold(Attempts::of(run(&millis[0])), |attempts, millis| attempts.and(run(millis)))
    };
    let rules = Rules {
        slower: Some(SlowBound { ratio: 2.0, floor: std::time::Duration::from_millis(100) }),
        ..Rules::default()
    };
    let slower = |before: &[u64], after: &[u64]| {
        Comparison::of(&runs(before), &runs(after), &rules, now()).slower.first().map(ToString::to_string)
    };
    assert_eq!(slower(&[100], &[500]).as_deref(), Some("t::0: 0.100 s before, 0.500 s after"));
    assert_eq!(slower(&[10], &[90]), None, "below the floor");
    assert_eq!(slower(&[1000], &[1500]), None, "below the ratio");
    assert_eq!(slower(&[100, 100, 100], &[500, 110, 120]), None, "the median is not");
}

#[test]
fn lost_coverage_is_refused_beyond_its_bounds() {
    let read = |text: &str| CoverageFormat::Lcov.parse(text.as_bytes()).unwrap();
    let before = read("SF:a.c\nDA:1,1\nDA:2,1\nDA:3,1\nDA:4,0\nend_of_record\n");
    let after = read("SF:a.c\nDA:1,1\nDA:2,0\nDA:3,0\nDA:4,1\nend_of_record\n");
    let judge = |after: &Coverage, bounds| compare(&["p"], &["p"]).with_coverage(&before, after, bounds);
    let strict = judge(&after, CoverageBounds::default());
    assert_eq!(
        refused(&strict),
        [
            "✗ coverage was 75.00 % (3 of 4 lines) and is 50.00 % (2 of 4 lines)\n  ✗ 25.00 points are lost, and 0.00 are allowed\n  ✗ a.c lost 2 lines: 2-3"
        ]
    );
    assert!(judge(&after, CoverageBounds { total_drop: 25.0, file_lines: 2 }).passes());
    assert!(!judge(&after, CoverageBounds { total_drop: 24.9, file_lines: 2 }).passes());
    assert!(!judge(&after, CoverageBounds { total_drop: 25.0, file_lines: 1 }).passes());
    assert!(!judge(&Coverage::default(), CoverageBounds { total_drop: 25.0, file_lines: 9 }).passes());
    assert!(judge(&before, CoverageBounds::default()).passes());
}

fn cases() -> impl Strategy<Value = Vec<TestCase>> {
    let status = prop_oneof![
        Just(Status::Errored),
        Just(Status::ExpectedFailure),
        Just(Status::Failed),
        Just(Status::Passed),
        Just(Status::Skipped),
    ];
    let case =
        ("[a-c]", "[a-f]{1,2}(\\[[0-9]\\])?", status, 0..3_u32).prop_map(|(suite, name, status, failed_tries)| {
            TestCase { failed_tries, ..TestCase::new(TestId::new(&suite, &name), status) }
        });
    proptest::collection::vec(case, 1..40)
}

fn compare_runs(before: TestRun, after: TestRun) -> Comparison {
    Comparison::of(&Attempts::of(before), &Attempts::of(after), &Rules::default(), now())
}

/// Lines of all formats, whole and broken, in any order.
fn report_text() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        "[ -~]{0,30}",
        "( {4}){0,3}(not )?ok [0-9]{0,2} - [a-c]( # (TODO|SKIP) x)?",
        "( {4}){0,2}1\\.\\.[0-9]",
        "<(testsuite|testcase|failure|/testsuite|/testcase)( name='[a-c]'| tests='[0-9]'){0,2}/?>",
        "test [a-c] \\.\\.\\. (ok|FAILED|ignored)",
        "running [0-3] tests?",
        "[1-3]/3 Test #[1-3]: [a-c] \\.{2,5} {0,3}(Passed|\\*\\*\\*Failed) 0.0[0-9] sec",
        "a.py::[a-c] (PASSED|FAILED|ERROR) +\\[ [0-9]{2}%\\]",
        "[0-3] (passed|failed) in 0.1s",
        "(DA:[0-9],[0-9]|SF:[a-c]|end_of_record|mode: set|a.go:[0-9].1,[0-9].2 1 [01])",
        "\\{\"Action\":\"(run|pass|fail)\",\"Package\":\"[a-c]\",\"Test\":\"[a-c]\"\\}",
    ];
    proptest::collection::vec(line, 0..12).prop_map(|lines| lines.iter().map(|line| format!("{line}\n")).collect())
}

proptest! {
    #[test]
    fn a_run_is_as_good_as_itself(cases in cases()) {
        let run: TestRun = cases.into_iter().collect();
        let comparison = compare_runs(run.clone(), run.clone());
        prop_assert_eq!(comparison.passes(), run.counts().total() > run.counts().skipped, "{:?}", refused(&comparison));
        prop_assert!(comparison.vanished.is_empty() && comparison.newly_failing.is_empty());
    }

    #[test]
    fn no_test_goes_unnoticed(cases in cases(), at in any::<prop::sample::Index>()) {
        let mut fewer = cases.clone();
        let removed = fewer.remove(at.index(cases.len()));
        let comparison = compare_runs(cases.into_iter().collect(), fewer.into_iter().collect());
        prop_assert_eq!(comparison.vanished.len(), 1);
        let vanished = &comparison.vanished[0].test;
        prop_assert_eq!((vanished.suite(), vanished.name()), (removed.id.suite(), removed.id.name()));
        prop_assert!(!comparison.passes());
    }

    #[test]
    fn order_decides_nothing(cases in cases(), seed in any::<u64>()) {
        let mut shuffled = cases.clone();
        let length = shuffled.len() as u64;
        (0..shuffled.len()).for_each(|at| {
            let other = (seed.rotate_left(at as u32) % length) as usize;
            shuffled.swap(at, other);
        });
        let ids = |cases: Vec<TestCase>| {
            cases.into_iter().collect::<TestRun>().cases().map(|case| (case.id.clone(), case.status, case.failed_tries)).collect::<BTreeSet<_>>()
        };
        prop_assert_eq!(ids(cases), ids(shuffled));
    }

    #[test]
    fn no_report_is_a_panic(text in report_text(), bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for input in [text.as_bytes(), &bytes] {
            Format::ALL.iter().for_each(|format| {
                if let Err(error) = format.parse(input) {
                    assert!(error.message().starts_with("line "), "{error}");
                }
            });
            CoverageFormat::ALL.iter().for_each(|format| drop(format.parse(input)));
        }
    }

    #[test]
    fn a_tap_report_that_is_cut_off_is_noticed(count in 1..30_usize, cut in any::<prop::sample::Index>()) {
        let plan = format!("1..{count}\n");
        let text: String = std::iter::once(plan).chain((1..=count).map(|at| format!("ok {at} - t{at}\n"))).collect();
        let whole = Format::Tap.parse(text.as_bytes()).unwrap();
        if let Ok(less) = Format::Tap.parse(&text.as_bytes()[..cut.index(text.len())]) {
            prop_assert!(!compare_runs(whole, less).passes());
        }
    }
}
