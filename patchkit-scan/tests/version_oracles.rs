//! The order of versions against the tools of their ecosystems: rpm, RubyGems, Python's packaging, node-semver, pacman,
//! Composer and Maven, each asked about every pair of some hundred versions. (dpkg is in `debian_version.rs`.)
//!
//! A tool that is absent is said so and passed over, or with `PATCHKIT_REQUIRE_EXTERNAL=1` fails the test.

#![allow(clippy::unwrap_used)]

use std::{
    cmp::Ordering,
    io::Write,
    process::{Command, Stdio},
};

use patchkit_scan::version::Scheme;

/// A program that reads two versions a line and writes `<`, `=`, `>` or, for what it refuses, `?`.
struct Oracle {
    scheme: Scheme,
    name: &'static str,
    command: &'static [&'static str],
}

impl Oracle {
    /// Asks about every pair of the versions and compares the answers with ours.
    fn agrees(&self, versions: &[String]) {
        let pairs: Vec<_> = versions.iter().flat_map(|a| versions.iter().map(move |b| (a, b))).collect();
        let Some(answers) = self.ask(&pairs) else { return };
        assert_eq!(answers.len(), pairs.len(), "{}: one answer a pair", self.name);
        let (mut judged, mut wrong) = (0, Vec::new());
        for ((a, b), theirs) in pairs.into_iter().zip(answers) {
            let Some(theirs) = theirs else { continue };
            judged += 1;
            let ours = self.scheme.parse(a).and_then(|a| Ok(a.against(&self.scheme.parse(b)?)));
            if ours != Ok(theirs) {
                wrong.push(format!("{a} {b}: {theirs:?}, not {ours:?}"));
            }
        }
        println!("{}: {judged} pairs", self.name);
        assert!(judged > 1000, "{}: refused nearly all", self.name);
        assert!(
            wrong.is_empty(),
            "{}, {} of {judged}:\n{}",
            self.name,
            wrong.len(),
            wrong[..wrong.len().min(40)].join("\n")
        );
    }

    /// The answers; `None` where the tool is absent.
    fn ask(&self, pairs: &[(&String, &String)]) -> Option<Vec<Option<Ordering>>> {
        let input: String = pairs.iter().map(|(a, b)| format!("{a} {b}\n")).collect();
        let Some(output) = self.run(&input) else {
            let required = std::env::var_os("PATCHKIT_REQUIRE_EXTERNAL").is_some_and(|value| value == "1");
            assert!(!required, "required: {}", self.name);
            eprintln!("skipped: {} does not run here", self.name);
            return None;
        };
        Some(output.lines().map(order).collect())
    }

    /// What the command writes; `None` where it does not run, or at once fails on one pair.
    fn run(&self, input: &str) -> Option<String> {
        let run = |input: &str| {
            let command = Command::new(self.command[0])
                .args(&self.command[1..])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn();
            let mut child = command.ok()?;
            let mut stdin = child.stdin.take()?;
            let input = input.to_owned();
            let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
            let output = child.wait_with_output().ok()?;
            let _closed_early = writer.join();
            output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
        };
        run("1 2\n").filter(|answer| answer.trim() == "<" || answer.trim() == "?")?;
        Some(run(input).unwrap_or_else(|| panic!("{} failed", self.name)))
    }
}

fn order(answer: &str) -> Option<Ordering> {
    match answer {
        "<" => Some(Ordering::Less),
        "=" => Some(Ordering::Equal),
        ">" => Some(Ordering::Greater),
        _ => None,
    }
}

/// Every base with every suffix, and each base alone.
fn versions(bases: &[&str], suffixes: &[&str]) -> Vec<String> {
    let suffixed = bases.iter().flat_map(|base| suffixes.iter().map(move |suffix| format!("{base}{suffix}")));
    bases.iter().map(|base| (*base).to_owned()).chain(suffixed).collect()
}

#[test]
fn semver_crate() {
    let bases = ["1.0.0", "1.0.1", "1.2.3", "1.10.0", "0.0.0"];
    let suffixes = ["-0", "-1", "-10", "-alpha", "-alpha.1", "-alpha.beta", "-Alpha", "-rc.1", "-a-b", "-1a", "-a.1.b"];
    let versions = versions(&bases, &suffixes);
    let parsed: Vec<semver::Version> = versions.iter().map(|version| version.parse().unwrap()).collect();
    for (a, theirs) in versions.iter().zip(&parsed) {
        for (b, other) in versions.iter().zip(&parsed) {
            assert_eq!(Scheme::Cargo.compare(a, b), Ok(theirs.cmp(other)), "{a} {b}");
        }
    }
}

#[test]
fn rpm() {
    const ASK: &str = r#"%{lua: for line in io.lines() do
        local a, b = line:match("(%S+) (%S+)")
        local order = rpm.vercmp(a, b)
        print((order < 0 and "<" or (order > 0 and ">" or "=")) .. "\n")
    end}"#;
    let oracle = Oracle { scheme: Scheme::Rpm, name: "rpm", command: &["sh", "-c", "rpm --eval \"$0\" | grep .", ASK] };
    let bases =
        ["1.0", "1", "01.00", "1.0.1", "1.10", "1_0", "2.0a", "2.0aa", "2.0.a", "a.2", "0:1.0", "1:0.9", "10b2"];
    let suffixes =
        ["-1", "-1.el9", "-1.el9_4.2", "-10", "~rc1", "~rc1-1", "~~", "^git1", "^git1-2", "^", ".", "+", "-0"];
    // Where only one side has a release, rpm.vercmp has an order and no equality.
    for with_release in [true, false] {
        let some = versions(&bases, &suffixes).into_iter().filter(|version| version.contains('-') == with_release);
        oracle.agrees(&some.collect::<Vec<_>>());
    }
}

#[test]
fn rubygems() {
    const ASK: &str = r#"STDIN.each_line do |line|
        a, b = line.split.map { |text| Gem::Version.create(text) rescue nil }
        puts a && b ? "<=>"[(a <=> b) + 1] : "?"
    end"#;
    let oracle = Oracle { scheme: Scheme::Gem, name: "ruby", command: &["ruby", "-e", ASK] };
    let bases = ["1", "1.0", "1.0.0", "1.2", "1.10", "1.2.0", "0", "0.0.1", "01.2", "1.a", "1.0.a"];
    let suffixes = ["-1", ".a", ".b1", ".b.1", ".rc1", ".rc.0", ".0.rc", "-x86", ".pre", "-rc.1", ".1", ".00"];
    oracle.agrees(&versions(&bases, &suffixes));
}

#[test]
fn packaging() {
    const ASK: &str = "import sys\nfrom packaging.version import Version, InvalidVersion\n\
        for line in sys.stdin:\n    try:\n        a, b = map(Version, line.split())\n    except InvalidVersion:\n        print('?')\n\
        \x20   else:\n        print('<' if a < b else '>' if a > b else '=')\n";
    let oracle = Oracle {
        scheme: Scheme::Pypi,
        name: "python3 with packaging",
        command: &["sh", "-c", "\"${PYTHON:-python3}\" -c \"$0\"", ASK],
    };
    let bases = ["1", "1.0", "v1.0.0", "1.2", "1.10", "2024.1", "1!0.1", "0!1.0", "1.0+local", "1.a"];
    let suffixes = [
        "a1",
        ".A.1",
        "-alpha",
        "b2",
        "rc1",
        "c1",
        ".pre1",
        ".dev",
        ".dev3",
        "a1.dev2",
        ".post1",
        "-1",
        "-r4",
        ".post1.dev1",
        "rc1.post2",
        "+a",
        "+1",
        "+a.1",
        ".x",
    ];
    oracle.agrees(&versions(&bases, &suffixes));
}

#[test]
fn node_semver() {
    const ASK: &str = r#"let semver;
        try {
            const root = require('child_process').execSync('npm root -g').toString().trim();
            semver = require(root + '/npm/node_modules/semver');
        } catch { semver = require('semver') }
        for (const line of require('fs').readFileSync(0, 'utf8').trim().split('\n')) {
            const [a, b] = line.split(' ').map(text => semver.parse(text, { loose: true }));
            console.log(a && b ? '<=>'[semver.compare(a, b, true) + 1] : '?');
        }"#;
    let oracle = Oracle { scheme: Scheme::Npm, name: "node with npm's semver", command: &["node", "-e", ASK] };
    let bases = ["1.0.0", "v1.0.0", "=1.0.1", "1.2.3", "1.10.0", "0.0.0", "1.2.03"];
    let suffixes = [
        "-0",
        "-1",
        "-10",
        "-alpha",
        "-alpha.1",
        "-alpha.beta",
        "alpha",
        "-Alpha",
        "-rc.1",
        "-rc.01",
        "-a-b",
        "-1a",
        "+build",
        "-rc.1+b",
        "beta.2",
    ];
    oracle.agrees(&versions(&bases, &suffixes));
}

#[test]
fn pacman() {
    const ASK: &str = r#"while read -r a b; do case "$(vercmp "$a" "$b")" in -1) echo "<";; 0) echo "=";; 1) echo ">";; *) exit 1;; esac; done"#;
    let oracle = Oracle { scheme: Scheme::Alpm, name: "vercmp of pacman", command: &["sh", "-c", ASK] };
    let bases = ["1.0", "1", "1.5.a", "1.5a", "1..5", "1:0.5", "0:1.0", "1_0"];
    let suffixes = ["-1", "-2", "-1.1", "a", "beta", ".b", ".1", "rc2-1", "+r3"];
    oracle.agrees(&versions(&bases, &suffixes));
}

#[test]
fn composer() {
    const ASK: &str = r#"require 'Composer/Semver/autoload.php';
        $parser = new Composer\Semver\VersionParser;
        while (($line = fgets(STDIN)) !== false) {
            try { [$a, $b] = array_map([$parser, 'normalize'], explode(' ', trim($line))); }
            catch (UnexpectedValueException $e) { echo "?\n"; continue; }
            $less = Composer\Semver\Comparator::lessThan($a, $b);
            $more = Composer\Semver\Comparator::lessThan($b, $a);
            echo $less ? "<\n" : ($more ? ">\n" : "=\n");
        }"#;
    let oracle = Oracle { scheme: Scheme::Composer, name: "php with composer/semver", command: &["php", "-r", ASK] };
    let bases = ["1", "1.0", "v1.0.0", "1.0.0.0", "1.2", "1.10.1", "dev-main", "1.x-dev", "1.2.x-dev"];
    let suffixes = [
        "-dev",
        "-alpha",
        "a1",
        "-alpha.1",
        "-beta2",
        "b3",
        "RC1",
        "-rc.2",
        "-stable",
        "-patch1",
        "p2",
        "pl3",
        "+build",
        "-beta1-dev",
        "@dev",
    ];
    oracle.agrees(&versions(&bases, &suffixes));
}

#[test]
fn maven() {
    // Maven's own class compares each argument with the one before, so of its answers every other is to a pair.
    const ASK: &str = r#"tr ' ' '\n' | xargs -n 200 java -cp /usr/share/java/maven3-artifact.jar \
        org.apache.maven.artifact.versioning.ComparableVersion \
        | awk '/^Display/ { n = 0 } /^   / { if (n++ % 2 == 0) print substr($2, 1, 1) }'"#;
    let command = &["bash", "-o", "pipefail", "-c", ASK];
    let oracle = Oracle { scheme: Scheme::Maven, name: "java with maven3-artifact", command };
    let bases = ["1", "1.0", "1.0.1", "1.2", "1.10", "2.0.0", "32.1.3"];
    let suffixes = [
        "-alpha",
        "-alpha-1",
        "-alpha-2",
        "a1",
        "-beta",
        "b2",
        "-M1",
        "-rc",
        "-RC1",
        "CR2",
        "-SNAPSHOT",
        ".Final",
        "-ga",
        "-sp",
        "-jre",
        "-android",
        "-foo",
    ];
    oracle.agrees(&versions(&bases, &suffixes));
}
