//! How long the comparison of large suites takes. The bound is 50 ms for 20,000 tests.

#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use patchkit_rollout::verify::{
    compare::{Attempts, Comparison, CoverageBounds, Rules, SlowBound},
    coverage::{Coverage, FileCoverage},
    report::{Format, Status, TestCase, TestId, TestPattern, TestRun},
};

fn main() {
    divan::main();
}

/// Tests of which a few fail, a few are skipped, and some take longer.
fn run(tests: usize, seed: usize) -> TestRun {
    let case = |at: usize| {
        let id = TestId::new(&format!("org.example.suite{}.ShopTest", at % 200), &format!("keeps_order[{at}]"));
        let status = match (at + seed) % 97 {
            0 => Status::Failed,
            1 => Status::Skipped,
            _ => Status::Passed,
        };
        TestCase::new(id, status).took(Duration::from_millis((at % 50 * (1 + seed)) as u64))
    };
    (0..tests).map(case).collect()
}

#[divan::bench(args = [1_000, 20_000])]
fn compare(bencher: divan::Bencher, tests: usize) {
    let [before, after] = [0, 1].map(|seed| Attempts::of(run(tests, seed)).and(run(tests, seed + 2)));
    let rules = Rules {
        slower: Some(SlowBound { ratio: 1.5, floor: std::time::Duration::from_millis(10) }),
        critical: vec![TestPattern::new("*suite7.*::keeps*")],
        ..Rules::default()
    };
    let now = "2026-11-28T12:00:00Z".parse().unwrap();
    bencher.bench(|| Comparison::of(&before, &after, &rules, now).reasons());
}

#[divan::bench]
fn coverage_of_a_million_lines(bencher: divan::Bencher) {
    let coverage = |seed: u32| {
        let file = |name: u32| {
            let lines = (1..=1000).map(|line| (line, u64::from((line + name + seed) % 3))).collect();
            (format!("src/module{name}.rs"), FileCoverage { lines, branches: None })
        };
        Coverage { files: (0..1000).map(file).collect::<BTreeMap<_, _>>() }
    };
    let (before, after) = (coverage(0), coverage(1));
    let runs = Attempts::of(run(1, 5));
    let comparison = Comparison::of(&runs, &runs, &Rules::default(), "2026-11-28T12:00:00Z".parse().unwrap());
    bencher.bench(|| comparison.clone().with_coverage(&before, &after, CoverageBounds::default()));
}

#[divan::bench]
fn read_junit_of_20_000_tests(bencher: divan::Bencher) {
    let mut text = String::from("<testsuite name='all' tests='20000'>\n");
    for at in 0..20_000 {
        writeln!(text, "<testcase classname='org.example.Shop{}' name='keeps[{at}]' time='0.012'/>", at % 200).unwrap();
    }
    text.push_str("</testsuite>\n");
    bencher.bench(|| Format::Junit.parse(text.as_bytes()).unwrap().len());
}
