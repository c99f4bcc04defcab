//! What is found in real and made-up files is what syft finds, package by package; each difference has its reason.

#![allow(clippy::unwrap_used)]

mod made;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
};

use patchkit_core::{Purl, image::FilePath};

use crate::inventory::{Candidate, Content, HEAD};

/// A folder that both scan.
struct Case {
    /// Below the fixtures of syft, or `made`.
    folder: &'static str,
    /// The cataloguers of syft that see the same files.
    cataloguers: &'static [&'static str],
    /// How what is found may differ. Each must be met, lest it outlives its reason.
    differences: &'static [Difference],
}

/// Packages that only one of the two finds: those whose line (`path type/name@version`) has this text in it.
struct Difference {
    side: Side,
    has: &'static str,
    #[allow(dead_code, reason = "it is there to be read")]
    because: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    /// Only we find it.
    Ours,
    /// Only syft does.
    Syft,
}

const fn ours(has: &'static str, because: &'static str) -> Difference {
    Difference { side: Side::Ours, has, because }
}

const fn syft(has: &'static str, because: &'static str) -> Difference {
    Difference { side: Side::Syft, has, because }
}

const NOT_YET: &str = "syft 1.18 does not read this kind of file, later ones do";

const CASES: &[Case] = &[
    Case {
        folder: "javascript",
        cataloguers: &["javascript-lock-cataloger", "javascript-package-cataloger"],
        differences: &[
            ours(
                "pnpm-multi-doc/pnpm-lock.yaml npm/minimist@1.2.0",
                "syft 1.18 reads only the first document, later ones all",
            ),
            ours("pnpm-v5-peer-suffix/", "the version without the peers; syft 1.18 keeps them"),
            syft("pnpm-v5-peer-suffix/", "see there"),
            syft("pnpm/pnpm-lock.yaml npm/@bcoe/v8-coverage@0.2.3", "for development only"),
            syft("npm/c0n-fab_u.laTION@7.7.7", "a workspace"),
        ],
    },
    Case {
        folder: "python",
        cataloguers: &["python-package-cataloger", "python-installed-package-cataloger"],
        differences: &[
            ours("/pdm.lock", NOT_YET),
            ours(
                "requirements.txt pypi/local-version@1.2.3+gcr.2",
                "the local version is part of it; syft 1.18 cuts it off",
            ),
            syft("requirements.txt pypi/local-version@1.2.3", "see there"),
            ours("requirements.txt pypi/urllib3@1.26.20", "pinned with ===, of which syft 1.18 keeps one"),
            syft("requirements.txt pypi/urllib3@=1.26.20", "see there"),
            syft("pypi/no-version@", "it has no version"),
        ],
    },
    Case {
        folder: "ruby",
        cataloguers: &["ruby-gemfile-cataloger", "ruby-installed-gemspec-cataloger"],
        differences: &[],
    },
    Case {
        folder: "php",
        cataloguers: &["php-composer-lock-cataloger", "php-composer-installed-cataloger"],
        differences: &[],
    },
    Case {
        folder: "dotnet",
        cataloguers: &["dotnet-deps-cataloger"],
        differences: &[
            ours("packages.lock.json", NOT_YET),
            syft(
                "deps-with-referenceassembly/",
                "the version of an assembly, which is no package; later ones leave it out",
            ),
        ],
    },
    Case {
        folder: "dart",
        cataloguers: &["dart-pubspec-lock-cataloger"],
        differences: &[syft("pub/flutter@0.0.0", "part of the SDK, with no version of its own")],
    },
    Case {
        folder: "elixir",
        cataloguers: &["elixir-mix-lock-cataloger"],
        differences: &[
            syft("hex/enacl@", "from Git: what syft takes for the version is a URL"),
            syft("hex/local_dep@", "a folder: what syft takes for the version is a list"),
        ],
    },
    Case {
        folder: "erlang",
        cataloguers: &["erlang-rebar-lock-cataloger"],
        differences: &[ours("corrupt/rebar.lock", "the file is cut off behind whole entries, which are read")],
    },
    Case {
        folder: "swift",
        cataloguers: &["swift-package-manager-cataloger", "cocoapods-cataloger"],
        differences: &[
            ours("cocoapods/PINRemoteImage@3.0.3", "the pod whose parts are listed"),
            syft("cocoapods/PINCache/", "a part of a pod"),
            syft("cocoapods/PINRemoteImage/", "a part of a pod"),
            syft("cocoapods/Texture/", "a part of a pod"),
            syft("cocoapods/TextureSwiftSupport/", "a part of a pod"),
        ],
    },
    Case {
        folder: "cpp",
        cataloguers: &["conan-cataloger"],
        differences: &[
            ours("conan/mfast@1.2.2", "by the name alone, without who built it"),
            ours("conan/spdlog@1.9.2", "likewise"),
            ours("conan/fltk@1.3.8", "likewise"),
            syft("conan/my_user/", "see there"),
        ],
    },
    Case {
        folder: "made",
        cataloguers: &[
            "javascript-lock-cataloger",
            "javascript-package-cataloger",
            "python-package-cataloger",
            "python-installed-package-cataloger",
            "ruby-gemfile-cataloger",
            "ruby-installed-gemspec-cataloger",
            "dotnet-deps-cataloger",
        ],
        differences: &[
            ours("npm/left-pad@1.1.3", "the package behind an alias, which syft 1.18 calls by the alias"),
            syft("classic/yarn.lock npm/pad@1.1.3", "see there"),
            ours("v1/package-lock.json npm/nested@2.0.0", "syft 1.18 reads only the topmost dependencies"),
            ours("v3/npm-shrinkwrap.json", "syft 1.18 does not read this kind of file"),
            syft("berry/yarn.lock npm/app@0.0.0-use.local", "a workspace"),
            syft("v3/package-lock.json npm/app@", "it has no version"),
            syft("v3/package-lock.json npm/packages/ws@9.0.0", "a workspace"),
            syft("v3/package-lock.json npm/ws@", "a link"),
            ours("uv/uv.lock", NOT_YET),
            ours("gem/nokogiri@1.15.4", "the version without the platform"),
            syft("gem/nokogiri@1.15.4-x86_64-linux", "see there"),
            ours(
                "nuget/Microsoft.NETCore.App.Runtime.linux-x64@6.0.1",
                "by the name of the package; later ones do so too",
            ),
            syft("nuget/runtimepack.", "see there"),
        ],
    },
];

#[test]
fn what_is_found_is_what_syft_finds() {
    let required = std::env::var_os("PATCHKIT_REQUIRE_EXTERNAL").is_some_and(|value| value == "1");
    let (Some(fixtures), Some(program)) = (fixtures(), program()) else {
        assert!(!required, "required: shared/data, and syft on PATH or named by SYFT");
        eprintln!("skipped: it needs shared/data, and syft on PATH or named by SYFT");
        return;
    };
    let made = made::tree();
    let (real, made) = (Compared::of(&fixtures, &program), Compared::of(made.path(), &program));
    let wrong: Vec<_> =
        CASES.iter().flat_map(|case| if case.folder == "made" { &made } else { &real }.judge(case)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What both find below a folder.
struct Compared {
    ours: BTreeSet<String>,
    /// By cataloguer.
    syfts: Vec<(String, String)>,
}

impl Compared {
    fn of(root: &Path, program: &Path) -> Self {
        Self { ours: found(root), syfts: found_by(program, root) }
    }

    /// What is wrong with a case.
    fn judge(&self, case: &Case) -> Vec<String> {
        let folder = if case.folder == "made" { String::new() } else { format!("{}/", case.folder) };
        let ours = self.ours.iter().filter(|line| line.starts_with(&folder)).cloned().collect();
        let syfts =
            self.syfts.iter().filter(|(by, line)| line.starts_with(&folder) && case.cataloguers.contains(&by.as_str()));
        let syfts: BTreeSet<_> = syfts.map(|(_, line)| line.clone()).collect();
        assert!(!syfts.is_empty(), "{}: nothing is compared", case.folder);
        unexplained(case, &ours, &syfts)
    }
}

/// The differences that no reason is given for, and the reasons for no difference.
fn unexplained(case: &Case, ours: &BTreeSet<String>, syfts: &BTreeSet<String>) -> Vec<String> {
    let only_ours = ours.difference(syfts).map(|line| (Side::Ours, line));
    let only_syfts = syfts.difference(ours).map(|line| (Side::Syft, line));
    let differences: Vec<_> = only_ours.chain(only_syfts).collect();
    let explains = |by: &Difference, (side, line): &(Side, &String)| by.side == *side && line.contains(by.has);
    let unexplained = differences.iter().filter(|found| !case.differences.iter().any(|by| explains(by, found)));
    let unmet = case.differences.iter().filter(|by| !differences.iter().any(|found| explains(by, found)));
    unexplained
        .map(|(side, line)| format!("{}: only {side:?}: {line}", case.folder))
        .chain(unmet.map(|by| format!("{}: no longer only {:?}: {}", case.folder, by.side, by.has)))
        .collect()
}

fn fixtures() -> Option<PathBuf> {
    let folders = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    folders.map(|folder| folder.join("shared/data/pkgdb/syft/languages")).find(|candidate| candidate.exists())
}

fn program() -> Option<PathBuf> {
    let named = std::env::var_os("SYFT").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    named.or_else(|| std::env::split_paths(&path).map(|folder| folder.join("syft")).find(|program| program.is_file()))
}

/// What the detectors find, as lines.
fn found(root: &Path) -> BTreeSet<String> {
    let detectors = super::detectors();
    let mut lines = BTreeSet::new();
    for file in files(root) {
        let bytes = std::fs::read(root.join(&file)).unwrap();
        let path = FilePath::new(&file).unwrap();
        let head = &bytes[..bytes.len().min(HEAD)];
        let candidate = Candidate { path: &path, size: bytes.len() as u64, head };
        for detector in detectors.iter().filter(|detector| detector.wants(&candidate)) {
            // A file that cannot be read is one that syft finds nothing in either.
            let packages = detector.detect(&candidate, &Content::Memory(bytes.clone().into())).unwrap_or_default();
            lines.extend(packages.iter().map(|package| line(&file, &package.purl)));
        }
    }
    lines
}

/// The paths of all regular files below a folder, relative to it.
fn files(root: &Path) -> Vec<String> {
    let (mut files, mut todo) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = todo.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            match kind.is_dir() {
                true => todo.push(path),
                false if kind.is_file() => files.push(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned()),
                false => {}
            }
        }
    }
    files
}

/// What syft finds, by cataloguer, as lines.
fn found_by(program: &Path, root: &Path) -> Vec<(String, String)> {
    let cataloguers: BTreeSet<_> = CASES.iter().flat_map(|case| case.cataloguers).copied().collect();
    let cataloguers = Vec::from_iter(cataloguers).join(",");
    let mut command = Command::new(program);
    command.arg("scan").arg(format!("dir:{}", root.display()));
    command.args(["-q", "-o", "json", "--override-default-catalogers", &cataloguers]);
    let output = command.env("SYFT_CHECK_FOR_APP_UPDATE", "false").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut lines = Vec::new();
    for artifact in report["artifacts"].as_array().unwrap() {
        let purl: Purl = artifact["purl"].as_str().unwrap().parse().unwrap();
        let locations = artifact["locations"].as_array().unwrap().iter();
        let primary = locations.filter(|location| location["annotations"]["evidence"] != "supporting");
        let paths = primary.map(|location| location["path"].as_str().unwrap().trim_start_matches('/'));
        let by = artifact["foundBy"].as_str().unwrap();
        lines.extend(paths.map(|path| (by.to_owned(), line(path, &purl))));
    }
    lines
}

/// A package without what is of no matter here: qualifiers, and the path of a Swift package, which syft doubles.
fn line(path: &str, purl: &Purl) -> String {
    let parts = purl.parts();
    let namespace = if parts.kind == "swift" { "" } else { parts.namespace.as_str() };
    let name = [namespace, &parts.name].join("/");
    format!("{path} {}/{}@{}", parts.kind, name.trim_start_matches('/'), parts.version)
}
