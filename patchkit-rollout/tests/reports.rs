//! Reports that the real tools wrote: fixtures of them, and the tools themselves where they are.

#![allow(clippy::unwrap_used)]

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use patchkit_rollout::verify::{
    coverage::{Branches, CoverageFormat, Totals},
    report::{Counts, Format, Status, TestId, TestRun},
};

fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/verify").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn counts(passed: usize, failed: usize, errored: usize, skipped: usize, expected_failures: usize) -> Counts {
    Counts { errored, expected_failures, failed, passed, skipped }
}

/// Each fixture, its format, and what its tool's own last line says (pytest counts a test whose clean-up fails twice).
fn fixtures() -> Vec<(&'static str, Format, Counts)> {
    vec![
        ("ctest-v.txt", Format::Ctest, counts(2, 1, 3, 2, 0)),
        ("ctest.txt", Format::Ctest, counts(2, 1, 3, 2, 0)),
        ("ctest.xml", Format::Ctest, counts(2, 3, 1, 2, 0)),
        ("go.json", Format::GoJson, counts(4, 3, 1, 1, 0)),
        ("libtest.json", Format::Libtest, counts(4, 1, 0, 1, 0)),
        ("libtest.txt", Format::Libtest, counts(5, 1, 0, 1, 0)),
        ("nextest.json", Format::Nextest, counts(4, 1, 0, 1, 0)),
        ("nextest.txt", Format::Nextest, counts(4, 1, 0, 0, 0)),
        ("nextest.xml", Format::Junit, counts(4, 1, 0, 0, 0)),
        ("perl.tap", Format::Tap, counts(5, 1, 0, 1, 1)),
        ("pytest-ra.txt", Format::Pytest, counts(10, 1, 2, 1, 1)),
        ("pytest-v.txt", Format::Pytest, counts(10, 1, 2, 1, 1)),
        ("pytest.xml", Format::Junit, counts(10, 1, 2, 1, 1)),
    ]
}

#[test]
fn every_fixture_has_its_tests() {
    for (name, format, expected) in fixtures() {
        let run = format.parse(&fixture(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(run.counts(), expected, "{name}");
        let json = serde_json::to_string(&run).unwrap();
        assert_eq!(serde_json::from_str::<TestRun>(&json).unwrap(), run, "{name}");
    }
}

/// At every length: either an error, or something that failed, or all the tests that the whole has. Nextest's JSON and
/// Go's have no end mark, and their programs end one by one: of these only a cut within a line is looked at.
#[test]
fn a_report_that_is_cut_off_never_is_a_shorter_list_of_passed_tests() {
    for (name, format, counts) in fixtures() {
        let bytes = fixture(name);
        let has_no_end = matches!(name, "go.json" | "nextest.json" | "libtest.json" | "libtest.txt");
        let cuts = (0..bytes.len()).filter(|cut| !has_no_end || (*cut > 0 && bytes[cut - 1] != b'\n'));
        for cut in cuts {
            let Ok(run) = format.parse(&bytes[..cut]) else { continue };
            let is_bad = run.cases().any(|case| case.status.is_failure());
            let is_whole = run.counts().total() >= counts.total();
            assert!(is_bad || is_whole, "{name} cut at {cut}: {}", run.counts());
        }
    }
}

#[test]
fn tries_and_messages_are_kept() {
    for name in ["nextest.txt", "nextest.json", "nextest.xml"] {
        let run = Format::Nextest.parse(&fixture(name)).unwrap();
        let tries: Vec<_> = run.cases().filter(|case| case.failed_tries > 0).collect();
        let shown: Vec<_> = tries.iter().map(|case| (case.id.name(), case.status, case.failed_tries)).collect();
        let expected = [("tests::flaky", Status::Passed, 1), ("tests::wrong", Status::Failed, 2)];
        assert_eq!(shown, expected, "{name}");
    }
    let run = Format::Pytest.parse(&fixture("pytest-v.txt")).unwrap();
    let table = run.case(&TestId::new("test_shop.py", "test_table[3-31]")).unwrap();
    assert_eq!((table.status, table.message.as_deref()), (Status::Failed, Some("assert 30 == 31")));
    let run = Format::GoJson.parse(&fixture("go.json")).unwrap();
    let panics = run.case(&TestId::new("shop/crash", "TestPanics")).unwrap();
    assert!(panics.message.as_ref().unwrap().contains("panic: lost"), "{panics:?}");
}

#[test]
fn coverage_is_what_the_tools_say() {
    let python = Totals { covered: 33, coverable: 35, branches: Some(Branches { covered: 27, total: 30 }) };
    let go = Totals { covered: 3, coverable: 6, branches: None };
    for (name, format, totals) in [
        ("cobertura.xml", CoverageFormat::Cobertura, python),
        ("coverage-py.json", CoverageFormat::CoveragePy, python),
        ("coverage.lcov", CoverageFormat::Lcov, python),
        ("go-cover.out", CoverageFormat::GoProfile, go),
    ] {
        let coverage = format.parse(&fixture(name)).unwrap();
        assert_eq!(coverage.totals(), totals, "{name}");
        assert!(format.parse(&fixture(name)[..fixture(name).len() / 2]).is_err(), "{name}");
    }
    let of = |format: CoverageFormat, name: &str| format.parse(&fixture(name)).unwrap();
    let xml = of(CoverageFormat::Cobertura, "cobertura.xml");
    assert_eq!(xml, of(CoverageFormat::CoveragePy, "coverage-py.json"));
}

/// Whether the program is there; where it has to be, its absence is a failure.
fn has(program: &str, args: &[&str]) -> bool {
    let found = Command::new(program).args(args).output().is_ok_and(|output| output.status.success());
    if !found {
        assert!(std::env::var_os("PATCHKIT_REQUIRE_EXTERNAL").is_none(), "{program} {args:?} does not work here");
        eprintln!("skipped: {program} {args:?} does not work here");
    }
    found
}

fn write(folder: &Path, files: &[(&str, &str)]) {
    for (name, content) in files {
        std::fs::write(folder.join(name), content).unwrap();
    }
}

fn output(folder: &Path, program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).current_dir(folder).env("HOME", folder).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The number before a word.
fn said(text: &str, word: &str) -> usize {
    let before = text.split(word).next().unwrap().trim_end();
    before.rsplit(|other: char| !other.is_ascii_digit()).next().unwrap().parse().unwrap()
}

#[test]
fn pytest_and_its_junit_agree_with_the_last_line() {
    // One that has pytest, which need not be the machine's own.
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".into());
    if !has(&python, &["-m", "pytest", "--version"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let test = "import pytest\n@pytest.mark.parametrize('n', range(7))\ndef test_n(n, tmp_path):\n    assert n != 3, tmp_path\n\
        @pytest.mark.skip\ndef test_s(): pass\n";
    write(folder.path(), &[("test_a.py", test)]);
    let text = output(folder.path(), &python, &["-m", "pytest", "-v", "-p", "no:cacheprovider", "--junitxml=r.xml"]);
    let last = text.trim_end().lines().last().unwrap();
    let xml = std::fs::read(folder.path().join("r.xml")).unwrap();
    let runs = [Format::Pytest.parse(text.as_bytes()).unwrap(), Format::Junit.parse(&xml).unwrap()];
    for counts in runs.map(|run| run.counts()) {
        let expected = (said(last, "passed"), said(last, "failed"), said(last, "skipped"));
        assert_eq!((counts.passed, counts.failed, counts.skipped), expected, "{text}");
    }
}

#[test]
fn go_agrees_with_its_verbose_output() {
    if !has("go", &["version"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let test = "package a\nimport \"testing\"\nfunc TestA(t *testing.T) { if A(1) != 2 { t.Fail() } }\n\
        func TestB(t *testing.T) { t.Run(\"x\", func(t *testing.T) {}); t.Run(\"y\", func(t *testing.T) { t.Fail() }) }\n";
    let code = "package a\n\nfunc A(n int) int {\n\tif n < 0 {\n\t\treturn 0\n\t}\n\treturn n + 1\n}\n";
    write(folder.path(), &[("go.mod", "module a\n"), ("a_test.go", test), ("a.go", code)]);
    let json = output(folder.path(), "go", &["test", "-json", "-coverprofile=c.out", "./..."]);
    let text = output(folder.path(), "go", &["test", "-v", "./..."]);
    let counts = Format::GoJson.parse(json.as_bytes()).unwrap().counts();
    let lines = |word: &str| text.lines().filter(|line| line.trim_start().starts_with(word)).count();
    assert_eq!((counts.passed, counts.failed, counts.errored), (lines("--- PASS"), lines("--- FAIL"), 0), "{text}");
    let profile = std::fs::read(folder.path().join("c.out")).unwrap();
    let coverage = CoverageFormat::GoProfile.parse(&profile).unwrap();
    assert_eq!(coverage.files["a/a.go"].covered().collect::<Vec<_>>(), [3, 4, 7]);
}

#[test]
fn ctest_agrees_with_its_totals() {
    if !has("ctest", &["--version"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // What CMake would write.
    let tests = "add_test(one \"true\")\nadd_test(two \"false\")\nadd_test([[with blanks]] \"true\")\nadd_test(gone \"/no/such\")\n";
    write(folder.path(), &[("CTestTestfile.cmake", tests)]);
    let text = output(folder.path(), "ctest", &["-V"]);
    let run = Format::Ctest.parse(text.as_bytes()).unwrap();
    let counts = run.counts();
    assert_eq!((counts.failed + counts.errored, counts.total()), (said(&text, "tests failed"), 4), "{text}");
    output(folder.path(), "ctest", &["--output-junit", "r.xml"]);
    let xml = std::fs::read(folder.path().join("r.xml")).unwrap();
    let junit = Format::Ctest.parse(&xml).unwrap();
    let names = |run: &TestRun| run.cases().map(|case| case.id.clone()).collect::<Vec<_>>();
    assert_eq!(names(&junit), names(&run));
    assert!(junit.case(&TestId::new("", "gone")).unwrap().status.is_failure());
}

#[test]
fn perl_agrees_with_prove() {
    if !has("prove", &["--version"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let test =
        "use Test::More; ok(1,'a'); ok(0,'b'); subtest c => sub { ok(1,'in'); done_testing }; ok(1,'d'); done_testing;";
    write(folder.path(), &[("a.t", test)]);
    let summary = output(folder.path(), "prove", &["a.t"]);
    let run = Format::Tap.parse(output(folder.path(), "perl", &["a.t"]).as_bytes()).unwrap();
    let top = run.cases().filter(|case| case.id.suite().is_empty());
    let (all, failed) =
        top.fold((0, 0), |(all, failed), case| (all + 1, failed + usize::from(case.status.is_failure())));
    let last = summary.lines().find(|line| line.contains("Tests:")).unwrap();
    let after = |word: &str| last.split(word).nth(1).unwrap().trim().split([' ', ')']).next().unwrap().parse::<usize>();
    assert_eq!((all, failed), (after("Tests:").unwrap(), after("Failed:").unwrap()), "{summary}");
    assert_eq!(run.case(&TestId::new("c", "in")).unwrap().status, Status::Passed);
}

/// The p-values of SciPy, where it is; the published ones are beside the function.
#[test]
fn fisher_is_scipys() {
    let python = std::env::var_os("PATCHKIT_SCIPY_PYTHON").map_or_else(|| PathBuf::from("python3"), PathBuf::from);
    let code = "from scipy.stats import fisher_exact as f\nfor n in (1, 2, 5, 20, 300):\n for m in (1, 3, 20, 300):\n  for a in {0, n // 3, n}:\n   for b in {0, m // 2, m}:\n    print(a, n, b, m, repr(float(f([[b, m - b], [a, n - a]], alternative='greater')[1])))";
    let run = Command::new(python).args(["-c", code]).output();
    let Some(output) = run.ok().filter(|output| output.status.success()) else {
        return eprintln!("skipped: no SciPy here (PATCHKIT_SCIPY_PYTHON names a python3 that has it)");
    };
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.lines().count() > 100);
    for line in text.lines() {
        let parts: Vec<_> = line.split(' ').collect();
        let [a, n, b, m] = [0, 1, 2, 3].map(|at| parts[at].parse::<u32>().unwrap());
        let expected: f64 = parts[4].parse().unwrap();
        let p = patchkit_rollout::verify::compare::fisher((a, n), (b, m));
        assert!((p - expected).abs() <= 1e-8 * expected.max(1e-12), "{line}: {p}");
    }
}
