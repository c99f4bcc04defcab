//! What programs and archives say they were made from, against the tools that made them and against syft: Go programs of
//! every format and byte order, a Rust program with the section of `cargo auditable`, archives in archives.
//!
//! They are made here with `go`, `rustc` and `python3`; syft is the program that the variable `SYFT` names, or the one of the
//! search path. What is absent is said and skipped, unless `PATCHKIT_REQUIRE_EXTERNAL=1`.

#![allow(clippy::unwrap_used)]

mod scan_support;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
    process::Command,
};

use patchkit_core::Package;
use patchkit_scan::fuzzing;
use scan_support::shared_data;
use serde_json::Value;
use tempfile::TempDir;

/// Operating systems and architectures: ELF with 32 and 64 bits in both byte orders, PE, Mach-O.
const TARGETS: [(&str, &str); 9] = [
    ("linux", "amd64"),
    ("linux", "arm64"),
    ("linux", "s390x"),
    ("linux", "386"),
    ("linux", "mips"),
    ("windows", "amd64"),
    ("windows", "386"),
    ("darwin", "amd64"),
    ("darwin", "arm64"),
];

/// The program of this name, or `None` (said on stderr) where it cannot be run.
fn tool(name: &str, argument: &str) -> Option<PathBuf> {
    let named = std::env::var_os(name.to_ascii_uppercase()).map(PathBuf::from);
    let program = named.unwrap_or_else(|| name.into());
    let runs = Command::new(&program).arg(argument).output().is_ok_and(|output| output.status.success());
    if !runs {
        let required = std::env::var_os("PATCHKIT_REQUIRE_EXTERNAL").is_some_and(|value| value == "1");
        assert!(!required, "required: {name}");
        eprintln!("skipped: {name} is absent");
    }
    runs.then_some(program)
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn detect(path: &Path) -> Vec<Package> {
    let name = path.file_name().unwrap().to_str().unwrap();
    fuzzing::detect(name, File::open(path).unwrap(), path.metadata().unwrap().len()).unwrap()
}

fn purls(path: &Path) -> BTreeSet<String> {
    detect(path).into_iter().map(|package| package.purl.into()).collect()
}

/// The name and each purl of the files in a folder.
fn ours(folder: &Path) -> BTreeSet<(String, String)> {
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap());
    let named = |file: fs::DirEntry| {
        let name = file.file_name().into_string().unwrap();
        purls(&file.path()).into_iter().map(move |purl| (name.clone(), purl))
    };
    files.flat_map(named).collect()
}

/// The same as syft has them, without those that have no version. A Go module's path is all in the name, as it is in the
/// module's own purl, where syft has what follows the third part as a subpath.
fn syft(program: &Path, folder: &Path) -> BTreeSet<(String, String)> {
    let catalogers = "go-module-binary-cataloger,java-archive-cataloger,cargo-auditable-binary-cataloger,binary-classifier-cataloger";
    let source = format!("dir:{}", folder.display());
    let arguments = ["-q", "-o", "json", &source, "--override-default-catalogers", catalogers];
    let output = run(Command::new(program).args(arguments).env("SYFT_CHECK_FOR_APP_UPDATE", "false"));
    let report: Value = serde_json::from_str(&output).unwrap();
    let mut found = BTreeSet::new();
    for artifact in report["artifacts"].as_array().unwrap() {
        let purl = artifact["purl"].as_str().unwrap();
        if purl.contains('@') && !purl.contains("@%28devel%29") && !purl.contains("@(devel)") {
            let locations = artifact["locations"].as_array().unwrap().iter();
            let files = locations.map(|location| location["path"].as_str().unwrap().trim_start_matches('/').to_owned());
            found.extend(files.map(|file| (file, whole_path(purl))));
        }
    }
    found
}

fn whole_path(purl: &str) -> String {
    match purl.split_once('#').zip(purl.split_once('@')) {
        Some(((whole, subpath), (path, _))) => format!("{path}/{subpath}{}", &whole[path.len()..]),
        None => purl.to_owned(),
    }
}

/// A module with a dependency, one that is replaced by a fork and one by a folder, in a proxy of files.
fn go_module(folder: &Path) {
    for (module, version) in [("example.org/dep/v2", "v2.1.0"), ("example.org/fork", "v1.0.1")] {
        let place = format!("proxy/{module}/@v/{version}");
        let definition = format!("module {module}\n\ngo 1.18\n");
        write(folder, &format!("{place}.mod"), &definition);
        write(folder, &format!("{place}.info"), format!(r#"{{"Version":"{version}"}}"#));
        let source = format!("zip/{module}@{version}");
        write(folder, &format!("{source}/go.mod"), &definition);
        write(folder, &format!("{source}/dep.go"), "package dep\n\nfunc Word() string { return \"word\" }\n");
        let archive = folder.join(format!("{place}.zip"));
        let packed = "import sys, os, zipfile\nwith zipfile.ZipFile(sys.argv[1], 'w') as z:\n for f in ('go.mod', 'dep.go'):\n  z.write(os.path.join(sys.argv[2], f), sys.argv[3] + '/' + f)\n";
        let name = format!("{module}@{version}");
        run(Command::new("python3").args(["-c", packed]).args([&archive, &folder.join(&source)]).arg(name));
    }
    write(folder, "local/go.mod", "module example.org/local\n\ngo 1.18\n");
    write(folder, "local/local.go", "package local\n\nfunc Word() string { return \"local\" }\n");
    let definition = "module example.org/hello\n\ngo 1.18\n\nrequire (\n\texample.org/dep/v2 v2.1.0\n\
                      \texample.org/original v1.0.0\n\texample.org/local v0.0.0\n)\n\n\
                      replace example.org/original => example.org/fork v1.0.1\nreplace example.org/local => ../local\n";
    // A replacement has the path that it replaces in its own definition or none: Go asks for the former.
    write(folder, "hello/go.mod", definition);
    let program = "package main\n\nimport (\n\tdep \"example.org/dep/v2\"\n\t\"example.org/local\"\n\
                   \toriginal \"example.org/original\"\n)\n\nvar version string\n\n\
                   func main() { println(version, dep.Word(), local.Word(), original.Word()) }\n";
    write(folder, "hello/main.go", program);
}

fn go(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    let proxy = format!("file://{}", folder.join("proxy").display());
    command.current_dir(folder.join("hello")).env("GOPROXY", proxy).env("GOMODCACHE", folder.join("cache"));
    command.envs([
        ("GOFLAGS", "-mod=mod -modcacherw"),
        ("GOSUMDB", "off"),
        ("CGO_ENABLED", "0"),
        ("GO111MODULE", "on"),
    ]);
    command
}

/// The purls of the lines of `go version -m`, without those that have no version.
fn as_go_says(lines: &str) -> BTreeSet<String> {
    let mut modules: Vec<(String, String)> = Vec::new();
    for line in lines.lines().skip(1) {
        let columns: Vec<&str> = line.trim_start().split('\t').collect();
        match columns[..] {
            ["dep" | "mod", path, version, ..] => modules.push((path.into(), version.into())),
            ["=>", path, version, ..] => *modules.last_mut().unwrap() = (path.into(), version.into()),
            _ => {}
        }
    }
    let version = lines.lines().next().unwrap().rsplit_once(": go").unwrap().1;
    modules.push(("stdlib".into(), version.into()));
    let known = modules.into_iter().filter(|(_, version)| version != "(devel)" && !version.is_empty());
    known.map(|(path, version)| format!("pkg:golang/{path}@{version}")).collect()
}

#[test]
fn go_programs_say_what_go_says_of_them() {
    let Some(program) = tool("go", "version").filter(|_| tool("python3", "--version").is_some()) else { return };
    let folder = TempDir::new().unwrap();
    go_module(folder.path());
    let made = folder.path().join("made");
    for (system, architecture) in TARGETS {
        let output = made.join(format!("{system}-{architecture}"));
        let mut command = go(&program, folder.path());
        command.args(["build", "-ldflags=-s -w", "-o"]).arg(&output).envs([("GOOS", system), ("GOARCH", architecture)]);
        run(&mut command);
        let expected = as_go_says(&run(go(&program, folder.path()).args(["version", "-m"]).arg(&output)));
        assert!(expected.contains("pkg:golang/example.org/dep/v2@v2.1.0"), "{expected:?}");
        assert!(expected.contains("pkg:golang/example.org/fork@v1.0.1"), "{expected:?}");
        assert_eq!(expected.len(), 3);
        assert_eq!(purls(&output), expected, "{system} {architecture}");
    }
    universal(&made);
    if let Some(syft_program) = tool("syft", "version") {
        assert_eq!(ours(&made), syft(&syft_program, &made));
    }
}

/// Both programs for macOS in one file, which has what each of them has.
fn universal(made: &Path) {
    let parts = ["amd64", "arm64"].map(|name| fs::read(made.join(format!("darwin-{name}"))).unwrap());
    let mut bytes = [0xcafe_babe_u32.to_be_bytes(), 2_u32.to_be_bytes()].concat();
    let (mut offset, start) = (1_u32 << 14, 1_usize << 14);
    for (kind, part) in [0x0100_0007_u32, 0x0100_000c].into_iter().zip(&parts) {
        let size = part.len() as u32;
        bytes.extend([kind, 0, offset, size, 14].iter().flat_map(|number| number.to_be_bytes()));
        offset = (offset + size).next_multiple_of(1 << 14);
    }
    bytes.resize(start, 0);
    for part in &parts {
        bytes.extend(part);
        bytes.resize(bytes.len().next_multiple_of(1 << 14), 0);
    }
    write(made, "universal", bytes);
    assert_eq!(purls(&made.join("universal")), purls(&made.join("darwin-amd64")));
}

#[test]
fn a_program_without_a_version_has_the_one_that_the_linker_was_told() {
    let Some(program) = tool("go", "version").filter(|_| tool("python3", "--version").is_some()) else { return };
    let folder = TempDir::new().unwrap();
    go_module(folder.path());
    let output = folder.path().join("made/hello");
    run(go(&program, folder.path()).args(["build", "-ldflags=-X main.version=1.2.3", "-o"]).arg(&output));
    assert!(purls(&output).contains("pkg:golang/example.org/hello@v1.2.3"));
    if let Some(syft_program) = tool("syft", "version") {
        let made = folder.path().join("made");
        assert_eq!(ours(&made), syft(&syft_program, &made));
    }
}

#[test]
fn a_rust_program_has_its_crates() {
    let Some(compiler) = tool("rustc", "--version").filter(|_| tool("python3", "--version").is_some()) else { return };
    let folder = TempDir::new().unwrap();
    let audit = r#"{"packages":[{"name":"a","version":"1.0.0","source":"crates.io"},{"name":"cc","version":"1.0.1","source":"crates.io","kind":"build"},{"name":"mine","version":"0.1.0","source":"local","dependencies":[0],"root":true}]}"#;
    let section = folder.path().join("audit.zlib");
    let pack = "import sys, zlib\nopen(sys.argv[1], 'wb').write(zlib.compress(sys.argv[2].encode()))\n";
    run(Command::new("python3").args(["-c", pack]).arg(&section).arg(audit));
    let length = fs::metadata(&section).unwrap().len();
    let source = format!(
        "#[used]\n#[unsafe(link_section = \".dep-v0\")]\nstatic AUDIT: [u8; {length}] = *include_bytes!({section:?});\nfn main() {{}}\n"
    );
    write(folder.path(), "main.rs", source);
    let output = folder.path().join("made/mine");
    fs::create_dir(folder.path().join("made")).unwrap();
    run(Command::new(compiler).args(["--edition", "2024", "-o"]).arg(&output).arg(folder.path().join("main.rs")));
    assert_eq!(purls(&output), BTreeSet::from(["pkg:cargo/a@1.0.0", "pkg:cargo/mine@0.1.0"].map(String::from)));
    if let Some(syft_program) = tool("syft", "version") {
        let made = folder.path().join("made");
        assert_eq!(ours(&made), syft(&syft_program, &made));
    }
}

/// Writes archives: a list of names and contents, where a list is an archive again; the first word says how it is packed.
const ARCHIVES: &str = r#"
import io, json, sys, zipfile
def pack(entries):
    out = io.BytesIO()
    with zipfile.ZipFile(out, 'w') as z:
        for name, how, content in entries:
            content = pack(content) if isinstance(content, list) else content.encode()
            z.writestr(name, content, zipfile.ZIP_DEFLATED if how == 'deflated' else zipfile.ZIP_STORED)
    return out.getvalue()
for name, entries in json.load(open(sys.argv[2])).items():
    open(sys.argv[1] + '/' + name, 'wb').write(pack(entries))
"#;

fn archives() -> Value {
    let manifest = |text: &str| serde_json::json!(["META-INF/MANIFEST.MF", "deflated", text]);
    let maven = |group: &str, name: &str, version: &str| {
        let text = format!("#Generated\ngroupId={group}\nartifactId={name}\nversion={version}\n");
        serde_json::json!([format!("META-INF/maven/{group}/{name}/pom.properties"), "deflated", text])
    };
    let plain = "Manifest-Version: 1.0\n\n";
    let library = serde_json::json!([manifest(plain), maven("org.a", "library", "1.0")]);
    let core = serde_json::json!([manifest(
        "Manifest-Version: 1.0\nImplementation-Title: spring-core\nImplementation-Version: 5.3.1\n\n"
    )]);
    let shaded = serde_json::json!([
        manifest(plain),
        maven("org.a", "shaded", "2.0"),
        maven("org.b", "inner", "0.1"),
        maven("org.c", "other", "7")
    ]);
    let bundle = serde_json::json!([manifest(
        "Manifest-Version: 1.0\nBundle-SymbolicName: com.example.bundle;singleton:=true\nBundle-Version: 3.1.0\n\n"
    )]);
    let nested = serde_json::json!([manifest(plain), ["WEB-INF/lib/library-1.0.jar", "deflated", library]]);
    serde_json::json!({
        "app-1.2.jar": [
            manifest("Manifest-Version: 1.0\nMain-Class: org.example.Launcher\n\n"),
            ["BOOT-INF/lib/library-1.0.jar", "stored", library],
            ["BOOT-INF/lib/spring-core-5.3.1.jar", "stored", core],
        ],
        "all.ear": [manifest(plain), ["web.war", "deflated", nested]],
        "shaded-2.0.jar": shaded,
        "bundle.jar": bundle,
        "name_only-4.5.6.war": [manifest(plain)],
        "gradle.hpi": [manifest("Manifest-Version: 1.0\nShort-Name: gradle\nPlugin-Version: 2.11\n\n"),
            maven("org.jenkins-ci.plugins", "gradle", "2.11")],
    })
}

#[test]
fn archives_of_java_are_what_syft_finds() {
    if tool("python3", "--version").is_none() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let made = folder.path().join("made");
    fs::create_dir(&made).unwrap();
    write(folder.path(), "archives.json", archives().to_string());
    run(Command::new("python3").args(["-c", ARCHIVES]).arg(&made).arg(folder.path().join("archives.json")));
    let found: BTreeSet<String> = ours(&made).into_iter().map(|(_, purl)| purl).collect();
    let expected = [
        "pkg:maven/com.example.bundle/bundle@3.1.0",
        "pkg:maven/name_only/name_only@4.5.6",
        "pkg:maven/org.a/library@1.0",
        "pkg:maven/org.a/shaded@2.0",
        "pkg:maven/org.b/inner@0.1",
        "pkg:maven/org.c/other@7",
        "pkg:maven/org.example.Launcher/app@1.2",
        "pkg:maven/org.jenkins-ci.plugins/gradle@2.11",
        "pkg:maven/org.springframework/spring-core@5.3.1",
    ];
    assert_eq!(found, expected.map(String::from).into());
    if let Some(syft_program) = tool("syft", "version") {
        assert_eq!(ours(&made), syft(&syft_program, &made));
    }
}

/// An archive of two artifacts that are called alike, of which syft has one, now this, now that.
const ALIKE: &str = "org.multiple-thename.jar";

/// Packs a folder.
const FOLDER: &str = r#"
import os, sys, zipfile
with zipfile.ZipFile(sys.argv[2], 'w', zipfile.ZIP_DEFLATED) as z:
    for root, _, files in os.walk(sys.argv[1]):
        for name in files:
            path = os.path.join(root, name)
            z.write(path, os.path.relpath(path, sys.argv[1]))
"#;

/// Where we differ from syft 1.18, on purpose: coordinates that only a `pom.xml` has are read from it.
const ONLY_OURS: [&str; 2] =
    ["pkg:maven/org.apache.commons/commons-lang3@3.12.0", "pkg:maven/io.micronaut/micronaut-aop@4.9.11"];
const ONLY_SYFT: [&str; 2] =
    ["pkg:maven/commons-lang3/commons-lang3@3.12.0", "pkg:maven/io.micronaut.micronaut_aop/micronaut-aop@4.9.11"];

#[test]
fn the_archives_of_syfts_own_tests() {
    let Some(fixtures) = shared_data("pkgdb/syft/languages/java/testdata/jar-metadata") else { return };
    let (Some(_), Some(program)) = (tool("python3", "--version"), tool("syft", "version")) else { return };
    let folder = TempDir::new().unwrap();
    for fixture in fs::read_dir(fixtures).unwrap().map(|entry| entry.unwrap().path()) {
        let name = fixture.file_name().unwrap().to_str().unwrap();
        if fixture.join("META-INF").is_dir() {
            let jar = folder.path().join(format!("{name}.jar"));
            run(Command::new("python3").args(["-c", FOLDER]).args([&fixture, &jar]));
        }
    }
    let (mut ours, mut theirs) = (ours(folder.path()), syft(&program, folder.path()));
    assert!(ours.len() >= 12, "{ours:?}");
    assert_eq!(ours.iter().filter(|(file, _)| file == ALIKE).count(), 2);
    ours.retain(|(file, _)| file != ALIKE);
    theirs.retain(|(file, _)| file != ALIKE);
    let difference = |a: &BTreeSet<(String, String)>, b| a.difference(b).map(|(_, purl)| purl.clone()).collect();
    let (more, less): (Vec<_>, Vec<_>) = (difference(&ours, &theirs), difference(&theirs, &ours));
    assert_eq!((more, less), (ONLY_OURS.map(String::from).into(), ONLY_SYFT.map(String::from).into()));
}

#[test]
fn a_guess_is_the_version_that_the_package_manager_knows() {
    let Some(folder) = shared_data("images/alpine-minirootfs") else { return };
    let mut compared = 0;
    for archive in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if archive.extension().is_none_or(|ending| ending != "gz") {
            continue;
        }
        let (guessed, installed) = alpine(&archive);
        let upstream = |names: &[&str]| {
            let version = names.iter().find_map(|name| installed.get(*name)).unwrap();
            version.rsplit_once("-r").unwrap().0.to_owned()
        };
        let openssl = upstream(&["libcrypto3", "libcrypto1.1"]);
        let expected = [("busybox".to_owned(), upstream(&["busybox"])), ("openssl".to_owned(), openssl)];
        assert_eq!(guessed, BTreeMap::from(expected), "{}", archive.display());
        compared += 1;
    }
    assert_eq!(compared, 4);
}

/// What is guessed of the programs in an archive, and what its package database says is installed.
fn alpine(archive: &Path) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
    let (mut guessed, mut installed) = (BTreeMap::new(), BTreeMap::new());
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(File::open(archive).unwrap()));
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_str().unwrap().to_owned();
        if path.ends_with("lib/apk/db/installed") {
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            for stanza in text.split("\n\n") {
                let field = |key| stanza.lines().find_map(|line| line.strip_prefix(key)).map(str::to_owned);
                installed.extend(field("P:").zip(field("V:")));
            }
        } else if entry.header().entry_type().is_file() {
            let size = entry.size();
            let found = fuzzing::detect(&path, entry, size).unwrap();
            guessed.extend(found.into_iter().map(|package| (package.name.to_string(), package.version.to_string())));
        }
    }
    (guessed, installed)
}
