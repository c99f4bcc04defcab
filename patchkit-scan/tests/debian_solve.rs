//! The solver beside apt: the same packages installed, the same archive, the same upgrades.
//!
//! apt itself picks what is "installed" in a scratch root: closures of packages of bookworm's main archive. Then both
//! upgrade it from bookworm-updates and bookworm-security.

#![allow(clippy::unwrap_used)]

mod debian_support;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Instant,
};

use debian_support::{read_xz, shared_data, tool};
use patchkit_scan::debian::{
    apt::{
        client::Archive,
        index::{Origin, PackageIndex},
        preferences::Preferences,
        release::Release,
        sources::parse_sources,
    },
    control::Stanzas,
    dpkg::{package::InstalledPackage, status::StatusFile},
    solve::{Goal, Situation, Solution, reach, upgrade_all},
    version::DebVersion,
};

/// A root of apt's own, whose archive is one flat folder of text.
struct Apt {
    root: tempfile::TempDir,
    main: Vec<u8>,
    updates: Vec<u8>,
}

impl Apt {
    fn new(data: &Path) -> Self {
        let read = |path: &str| read_xz(&data.join(path).join("main/binary-amd64/Packages.xz"));
        let main = read("debian/dists/bookworm");
        let updates =
            [read("debian/dists/bookworm-updates"), b"\n".to_vec(), read("debian-security/dists/bookworm-security")]
                .concat();
        let root = tempfile::tempdir().unwrap();
        for path in ["state/lists/partial", "cache/archives/partial", "etc/preferences.d", "main", "updates"] {
            fs::create_dir_all(root.path().join(path)).unwrap();
        }
        let apt = Self { root, main, updates };
        fs::write(apt.path("main/Packages"), &apt.main).unwrap();
        fs::write(apt.path("updates/Packages"), &apt.updates).unwrap();
        apt.use_sources(&["main"]);
        apt
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    fn use_sources(&self, folders: &[&str]) {
        let line =
            |folder: &&str| format!("deb [trusted=yes allow-insecure=yes] file:{} ./\n", self.path(folder).display());
        fs::write(self.path("etc/sources.list"), folders.iter().map(line).collect::<String>()).unwrap();
        fs::write(self.path("status"), "").unwrap();
        self.run(&["update"]);
    }

    fn run(&self, arguments: &[&str]) -> String {
        let folders =
            [("Dir::State", "state"), ("Dir::State::status", "status"), ("Dir::Cache", "cache"), ("Dir::Etc", "etc")];
        let folders = folders.map(|(name, path)| format!("-o{name}={}", self.path(path).display()));
        let options = [
            "-oAPT::Architecture=amd64",
            "-oAPT::Architectures=amd64",
            "-oAcquire::Languages=none",
            "-oAPT::Sandbox::User=",
            "-oDebug::NoLocking=1",
        ];
        let output = Command::new("apt-get")
            .args(folders)
            .args(options)
            .args(["-q", "-y", "--no-install-recommends"])
            .args(arguments)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "apt-get {arguments:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
        text
    }

    /// What apt would install: `Inst name [old] (new …)` as name and new version.
    fn simulate(&self, arguments: &[&str]) -> BTreeMap<String, String> {
        let text = self.run(&[&["--simulate"], arguments].concat());
        assert!(!text.contains("\nRemv "), "{text}");
        let lines = text.lines().filter_map(|line| line.strip_prefix("Inst "));
        lines
            .map(|line| {
                let name = line.split([' ', ':']).next().unwrap();
                let version = line.split_once('(').unwrap().1.split(' ').next().unwrap();
                (name.to_owned(), version.to_owned())
            })
            .collect()
    }

    /// The status file of a system on which apt has installed these packages from main.
    fn status(&self, packages: &[&str]) -> String {
        self.use_sources(&["main"]);
        let chosen = self.simulate(&[&["install"], packages].concat());
        let mut status = String::new();
        for stanza in Stanzas::strict(&self.main).map(Result::unwrap) {
            let name = stanza.text("Package").unwrap().unwrap();
            if chosen.get(name).map(String::as_str) == stanza.text("Version").unwrap() {
                let text = std::str::from_utf8(stanza.bytes()).unwrap();
                status += &format!(
                    "{}Status: install ok installed\n\n",
                    text.replace("Description-md5", "X-Description-md5")
                );
            }
        }
        status
    }

    fn archive(&self) -> Archive {
        let index = |text: &[u8]| Arc::new(PackageIndex::parse(text.to_vec(), "amd64", origin()).unwrap());
        Archive::new([index(&self.main), index(&self.updates)])
    }
}

fn origin() -> Origin {
    let source = parse_sources("s", b"deb http://deb.example.org stable main\n").unwrap().remove(0);
    let release = Release::parse("Suite: stable\nDate: Sat, 11 Jul 2026 10:16:37 UTC\n").unwrap();
    Origin { source, release: Arc::new(release), component: "main".to_owned() }
}

fn installed(status: &str) -> Vec<InstalledPackage> {
    StatusFile::read("status", status.as_bytes()).unwrap().packages().cloned().collect()
}

fn changed(solution: &Solution) -> BTreeMap<String, String> {
    solution.changes.iter().map(|change| (change.name.clone(), change.package.version().to_owned())).collect()
}

/// Sets of packages that pull in very different parts of the archive.
const SYSTEMS: [&[&str]; 5] = [
    &["nginx", "python3", "curl", "dpkg"],
    &["postgresql", "openssh-server", "systemd-sysv"],
    &["apache2", "php", "mariadb-server", "imagemagick"],
    &["build-essential", "git", "vim", "default-jre-headless"],
    &["task-desktop", "firefox-esr", "libreoffice-writer", "gimp", "samba", "chromium"],
];

#[test]
fn everything_is_upgraded_as_apt_does() {
    let Some(data) = shared_data("deb/archive") else {
        return;
    };
    if !tool("apt-get") {
        return;
    }
    let apt = Apt::new(&data);
    let archive = apt.archive();
    let mut upgrades = 0;
    for packages in SYSTEMS {
        let status = apt.status(packages);
        apt.use_sources(&["main", "updates"]);
        fs::write(apt.path("status"), &status).unwrap();
        let wanted = apt.simulate(&["upgrade", "--with-new-pkgs"]);
        let installed = installed(&status);
        let started = Instant::now();
        let situation = Situation {
            installed: &installed,
            archive: &archive,
            preferences: &Preferences::new(),
            architecture: "amd64",
        };
        let solution = upgrade_all(situation);
        eprintln!(
            "{packages:?}: {} installed, {} changes in {:?}",
            installed.len(),
            solution.changes.len(),
            started.elapsed()
        );
        assert_eq!(changed(&solution), wanted, "{packages:?}");
        assert!(solution.broken.is_empty(), "{:?}", solution.broken);
        upgrades += wanted.len();
    }
    assert!(upgrades > 100, "only {upgrades} upgrades: the archive has nothing to compare");
}

#[test]
fn one_package_is_upgraded_as_apt_does() {
    let Some(data) = shared_data("deb/archive") else {
        return;
    };
    if !tool("apt-get") {
        return;
    }
    let apt = Apt::new(&data);
    let archive = apt.archive();
    let status = apt.status(SYSTEMS[0]);
    apt.use_sources(&["main", "updates"]);
    fs::write(apt.path("status"), &status).unwrap();
    let installed = installed(&status);
    let situation =
        Situation { installed: &installed, archive: &archive, preferences: &Preferences::new(), architecture: "amd64" };
    let all = upgrade_all(situation);
    for change in &all.changes {
        let asked = format!("{}={}", change.name, change.package.version());
        let mut wanted = apt.simulate(&["install", "--only-upgrade", &asked]);
        let goal = Goal { package: change.name.clone(), version: DebVersion::parse(change.package.version()).unwrap() };
        let solution = reach(situation, &[goal]);
        let ours = changed(&solution);
        // This apt leaves packages of the same source behind; newer ones do not, and neither do we.
        let siblings: BTreeSet<_> = solution
            .changes
            .iter()
            .filter(|other| other.package.source_name() == change.package.source_name())
            .collect::<Vec<_>>()
            .iter()
            .map(|other| other.name.clone())
            .collect();
        for name in siblings {
            wanted.entry(name.clone()).or_insert_with(|| ours[&name].clone());
        }
        assert_eq!(ours, wanted, "{asked}");
        assert!(solution.unreachable.is_empty());
    }
}
