//! The package database against dpkg itself: packages are installed and upgraded by dpkg in a scratch root, and our
//! answer to the same upgrade must be the same bytes.

#![allow(clippy::unwrap_used)]

mod debian_support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use debian_support::{run, shared_data, tool};
use md5::{Digest, Md5};
use patchkit_scan::debian::deb::{ControlFile, Deb, EntryKind};
use patchkit_scan::debian::dpkg::conffile::{Conffile, ShippedConffile, obsolete_conffiles};
use patchkit_scan::debian::dpkg::info::{self, FileHash};
use patchkit_scan::debian::dpkg::package::InstalledPackage;
use patchkit_scan::debian::dpkg::stanza::InstalledStanza;
use patchkit_scan::debian::dpkg::state::MultiArch;
use patchkit_scan::debian::dpkg::status::StatusFile;
use patchkit_scan::debian::dpkg::{status_d, trigger};
use patchkit_scan::debian::path::PackagePath;

/// A root folder with an empty package database, and the packages made for it.
struct Scratch {
    folder: tempfile::TempDir,
}

/// The status file and the info folder, by name, without what dpkg's run time decides.
#[derive(Debug, Eq, PartialEq)]
struct Database {
    status: String,
    info: BTreeMap<String, String>,
}

impl Scratch {
    fn new() -> Self {
        let scratch = Self { folder: tempfile::tempdir().unwrap() };
        for folder in ["info", "updates", "triggers", "parts"] {
            fs::create_dir_all(scratch.admin().join(folder)).unwrap();
        }
        fs::write(scratch.admin().join("status"), "").unwrap();
        scratch
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    fn admin(&self) -> PathBuf {
        self.root().join("var/lib/dpkg")
    }

    /// Builds a package of these files; those under `DEBIAN/` are control files.
    fn build(&self, name: &str, files: &[(&str, &str)]) -> PathBuf {
        let tree = self.folder.path().join(format!("{name}.tree"));
        for (path, content) in files {
            let path = tree.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        self.pack(&tree, name)
    }

    /// The package without its scripts, which must not run here.
    fn without_scripts(&self, deb: &Path) -> PathBuf {
        let name = deb.file_name().unwrap().to_str().unwrap();
        let tree = self.folder.path().join(format!("{name}.tree"));
        run(Command::new("dpkg-deb").arg("-R").arg(deb).arg(&tree));
        for script in ["preinst", "postinst", "prerm", "postrm", "config", "templates"] {
            let _ = fs::remove_file(tree.join("DEBIAN").join(script));
        }
        self.pack(&tree, name)
    }

    fn pack(&self, tree: &Path, name: &str) -> PathBuf {
        let deb = self.folder.path().join(format!("{name}.built.deb"));
        run(Command::new("dpkg-deb").args(["-Zgzip", "--root-owner-group", "--nocheck", "-b"]).args([tree, &deb]));
        deb
    }

    fn dpkg_install(&self, deb: &Path) {
        let force = "--force-not-root,script-chrootless,depends,confold,confdef,bad-path,architecture";
        let root = format!("--root={}", self.root().display());
        run(Command::new("dpkg").args([&root, force, "--no-triggers", "-i"]).arg(deb).env("LC_ALL", "C"));
    }

    fn database(&self) -> Database {
        let files = fs::read_dir(self.admin().join("info")).unwrap().map(|file| file.unwrap());
        let read = |path: &Path| String::from_utf8(fs::read(path).unwrap()).unwrap();
        let info = files.map(|file| (file.file_name().into_string().unwrap(), read(&file.path())));
        Database {
            status: read(&self.admin().join("status")),
            info: info.filter(|(name, _)| name != "format").collect(),
        }
    }
}

/// What we make of a database when `deb` is installed, `root` being as it is before.
fn install(database: &Database, deb: &Path, root: &Path) -> Database {
    let mut status = StatusFile::read("status", database.status.as_bytes()).unwrap();
    let new = Archive::read(deb);
    let stanza = InstalledStanza::new("control", &new.control["control"].bytes).unwrap();
    let old = status.packages().find(|package| *package.name == *stanza.name()).cloned();
    let list = old.as_ref().map(|old| old_list(database, old)).unwrap_or_default();
    let shipped = new.control.get("conffiles").map(|file| ShippedConffile::read_all("conffiles", &file.bytes).unwrap());
    let shipped = shipped.unwrap_or_default();
    let old_conffiles = old.as_ref().map(|old| old.conffiles.clone()).unwrap_or_default();
    let on_disk = |path: &PackagePath| root.join(std::str::from_utf8(path.as_bytes()).unwrap()).is_file();
    let obsolete = obsolete_conffiles(&old_conffiles, &list, &shipped, |path| new.paths.contains(path), on_disk);
    let hash = |path: &PackagePath| new.hashes.iter().find(|hash| hash.path == *path).map(|hash| hash.md5.to_string());
    let conffiles = Conffile::after_upgrade(&old_conffiles, &shipped, &obsolete, hash);
    let stanza = stanza.with_conffiles(conffiles);
    let stanza = old.iter().fold(stanza, |stanza, old| stanza.replacing(old));
    let name = stanza.name().to_owned();
    status.install(&stanza).unwrap();
    let installed = status.packages().find(|package| *package.name == *name).unwrap();
    let list = info::write_list(new.paths.iter().chain(&obsolete));
    let files = info::files(&installed.info_name(), &new.control, list, info::write_md5sums(&new.hashes));
    let mut all = database.info.clone();
    if let Some(old) = old {
        info::stale(database.info.keys().map(String::as_str), &old.info_name(), &files).for_each(|name| {
            all.remove(name);
        });
    }
    all.extend(files.into_iter().map(|file| (file.name, String::from_utf8(file.bytes).unwrap())));
    Database { status: String::from_utf8(status.to_bytes()).unwrap(), info: all }
}

fn old_list(database: &Database, old: &InstalledPackage) -> Vec<PackagePath> {
    let name = format!("{}.list", old.info_name());
    info::read_list(&name, database.info[&name].as_bytes()).unwrap()
}

/// What of an archive goes into the database.
struct Archive {
    control: BTreeMap<String, ControlFile>,
    paths: Vec<PackagePath>,
    hashes: Vec<FileHash>,
}

impl Archive {
    fn read(deb: &Path) -> Self {
        let mut deb = Deb::open(fs::File::open(deb).unwrap()).unwrap();
        let control = deb.control_files().unwrap();
        let (mut paths, mut hashes) = (Vec::new(), Vec::new());
        let mut data = deb.data().unwrap();
        while let Some(mut entry) = data.next_entry().unwrap() {
            paths.push(entry.path.clone());
            match entry.kind.clone() {
                EntryKind::File { .. } => {
                    hashes.push(FileHash { md5: md5(&mut entry).into(), path: entry.path.clone() })
                }
                EntryKind::HardLink { target } => {
                    let first: &FileHash = hashes.iter().find(|hash| hash.path == target).unwrap();
                    hashes.push(FileHash { md5: first.md5.clone(), path: entry.path.clone() });
                }
                _ => {}
            }
        }
        Self { control, paths, hashes }
    }
}

fn md5(reader: &mut impl Read) -> String {
    let mut content = Vec::new();
    reader.read_to_end(&mut content).unwrap();
    Md5::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Lets dpkg and us install the packages one after the other, and compares after each.
fn follow(scratch: &Scratch, debs: &[PathBuf], between: impl Fn(usize, &Path)) {
    for (at, deb) in debs.iter().enumerate() {
        between(at, &scratch.root());
        let ours = install(&scratch.database(), deb, &scratch.root());
        scratch.dpkg_install(deb);
        let theirs = scratch.database();
        assert_eq!(ours.status, theirs.status, "after {}", deb.display());
        assert_eq!(ours.info, theirs.info, "after {}", deb.display());
    }
}

#[test]
fn conffiles_and_fields_as_dpkg_writes_them() {
    if !tool("dpkg") {
        return;
    }
    let scratch = Scratch::new();
    let control = |version: &str, more: &str| {
        format!(
            "Version: {version}\nPackage: Sample\nArchitecture: all\nMaintainer: A <a@example.org>\n{more}Description: a\n sample  \n .\n"
        )
    };
    let first = control(
        "0:1.0-1",
        "Section: misc\nX-Odd: b \nPriority: Optional\nDepends: libc6,\n  dpkg(>=0:1.0)|foo ,  apt\n",
    );
    let second =
        control("1.0-2", "Essential: yes\nMulti-Arch: foreign\nProvides: x (= 1:2)\nHomepage: https://example.org\n");
    let debs = [
        scratch.build(
            "first",
            &[
                ("DEBIAN/control", &first),
                ("DEBIAN/conffiles", "/etc/kept\n/etc/gone\n/etc/gone2\n/etc/removed\n/etc/deleted\n"),
                ("DEBIAN/triggers", "interest-noawait /usr/share/sample\n"),
                ("etc/kept", "1"),
                ("etc/gone", "1"),
                ("etc/gone2", "1"),
                ("etc/removed", "1"),
                ("etc/deleted", "1"),
                ("usr/share/sample/a file", "1"),
            ],
        ),
        scratch.build(
            "second",
            &[
                ("DEBIAN/control", &second),
                ("DEBIAN/conffiles", "/etc/new\nremove-on-upgrade /etc/removed\n/etc/kept\n"),
                ("DEBIAN/shlibs", "libx 1 x\n"),
                ("etc/kept", "2"),
                ("etc/new", "2"),
                ("usr/share/sample/b", "2"),
            ],
        ),
        scratch.build("third", &[("DEBIAN/control", &control("2", "Priority: extra\n")), ("usr/share/sample/b", "3")]),
    ];
    follow(&scratch, &debs, |at, root| {
        if at == 1 {
            fs::write(root.join("etc/kept"), "edited").unwrap();
            fs::remove_file(root.join("etc/deleted")).unwrap();
        }
    });
}

#[test]
fn a_package_that_becomes_multi_arch() {
    if !tool("dpkg") {
        return;
    }
    let scratch = Scratch::new();
    let architecture = String::from_utf8(run(Command::new("dpkg").arg("--print-architecture"))).unwrap();
    let control = |name: &str, more: &str| {
        format!(
            "Package: {name}\nVersion: 1{}\nArchitecture: {}\nMaintainer: A\n{more}Description: a\n",
            more.len(),
            architecture.trim()
        )
    };
    let package = |at: &str, name: &str, more: &str| {
        scratch.build(
            at,
            &[("DEBIAN/control", &control(name, more)), ("DEBIAN/md5sums", ""), ("DEBIAN/prerm", "#!/bin/sh\n")],
        )
    };
    let executable = |path: PathBuf| path;
    let debs = [
        package("0", "libz", "Multi-Arch: same\n"),
        package("1", "liba", ""),
        package("2", "libz.x", ""),
        package("3", "liba", "Multi-Arch: same\n"),
        package("4", "liba", "Multi-Arch: allowed\n"),
    ];
    follow(&scratch, &debs.map(executable), |_, _| {});
}

#[test]
fn real_packages_as_dpkg_writes_them() {
    let Some(folder) = shared_data("deb/upgrade-debs/bullseye-distroless") else {
        return;
    };
    if !tool("dpkg") {
        return;
    }
    let scratch = Scratch::new();
    let mut debs: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    debs.retain(|path| path.extension().is_some_and(|extension| extension == "deb"));
    debs.sort();
    assert_eq!(debs.len(), 8);
    let debs: Vec<_> = debs.iter().map(|deb| scratch.without_scripts(deb)).collect();
    follow(&scratch, &debs, |_, _| {});
}

#[test]
fn status_files_of_other_projects_keep_their_bytes() {
    let Some(folder) = shared_data("pkgdb/dpkg/claircore/dpkg/testdata") else {
        return;
    };
    for (name, packages) in [("debian-only.status", 1), ("postgresql.status", 3), ("texlive.status", 357)] {
        let bytes = fs::read(folder.join(name)).unwrap();
        let status = StatusFile::read(name, &bytes).unwrap();
        assert_eq!(status.packages().count(), packages, "{name}");
        let written = status.to_bytes();
        assert!(stanzas(&written) == stanzas(&bytes), "{name} changed");
        assert!(stanzas(&written).len() == packages);
    }
}

/// The stanzas in the order of their names: not every program that writes such a file sorts it.
fn stanzas(bytes: &[u8]) -> BTreeSet<String> {
    String::from_utf8_lossy(bytes).trim_end().split("\n\n").map(str::to_owned).collect()
}

#[test]
fn damaged_status_files_are_errors() {
    let sound = "Package: a\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n\n";
    assert!(StatusFile::read("status", sound.as_bytes()).is_ok());
    for (damaged, error) in [
        (sound.replace("Version: 1\n", ""), "status, line 1: field Version is missing"),
        (sound.replace("Status: install ok installed\n", ""), "status, line 1: field Status is missing"),
        (sound.replace("installed", "instaled"), "status, line 2: field Status may not be \"install ok instaled\""),
        (sound.repeat(2), "status, line 6: package a is there twice"),
        (
            sound.replace("\nVersion", "\n\u{1}Version"),
            "status, line 4: \"\\u{1}Version: 1\" is not a field name followed by a colon",
        ),
        (format!("{sound}Package: b"), "status, line 6: the file ends inside a line"),
        (sound.replace("all\n", "all\nConffiles:\n /etc/a\n /b 1\n"), "status, line 5: not a conffile with its hash"),
        (sound.replace("all\n", "all\nDepends: a (>> 1\n"), "status, line 4: field Depends: ')' is missing"),
    ] {
        assert_eq!(StatusFile::read("status", damaged.as_bytes()).unwrap_err().to_string(), error);
    }
}

#[test]
fn updates_that_dpkg_left_count() {
    let stanza = |name: &str, version: &str| {
        format!("Package: {name}\nStatus: install ok installed\nArchitecture: all\nVersion: {version}\n")
    };
    let mut status =
        StatusFile::read("status", format!("{}\n{}\n", stanza("a", "1"), stanza("b", "1")).as_bytes()).unwrap();
    status.apply_update("updates/0001", stanza("b", "2").as_bytes()).unwrap();
    status.apply_update("updates/0002", stanza("aa", "1").as_bytes()).unwrap();
    let packages: Vec<_> = status.packages().map(|p| format!("{} {}", p.name, p.version)).collect();
    assert_eq!(packages, ["a 1", "b 2", "aa 1"]);
    let written = String::from_utf8(status.to_bytes()).unwrap();
    assert_eq!(written, format!("{}\n{}\n{}\n", stanza("a", "1"), stanza("aa", "1"), stanza("b", "2")));
    status.remove("aa", "all");
    assert_eq!(status.packages().count(), 2);
    assert!(status.apply_update("updates/0003", b"Package: c\n").is_err());
}

#[test]
fn this_machine_reads_as_dpkg_query_lists_it() {
    let Ok(bytes) = fs::read("/var/lib/dpkg/status") else {
        return debian_support::skip("this machine has no /var/lib/dpkg/status");
    };
    if !tool("dpkg-query") {
        return;
    }
    let format = "${Package} ${Version} ${Architecture} ${source:Package} ${source:Version} ${Status} ${Essential}\n";
    let theirs = String::from_utf8(run(Command::new("dpkg-query").arg(format!("-f={format}")).arg("-W"))).unwrap();
    let status = StatusFile::read("status", &bytes).unwrap();
    let ours: BTreeSet<String> = status.packages().map(described).collect();
    assert_eq!(ours, theirs.lines().map(str::to_owned).collect());
    assert!(status.to_bytes() == bytes, "the status file changed");
    for package in status.packages().filter(|package| package.is_present()) {
        check_info(package);
    }
}

fn described(package: &InstalledPackage) -> String {
    let essential = if package.essential { "yes" } else { "no" };
    format!(
        "{} {} {} {} {} {} {essential}",
        package.name,
        package.version,
        package.architecture,
        package.source.name,
        package.source.version,
        package.status
    )
}

/// The package's files in the info folder are found by our name, read, and written back unchanged.
fn check_info(package: &InstalledPackage) {
    let path = |kind: &str| format!("/var/lib/dpkg/info/{}.{kind}", package.info_name());
    let list = fs::read(path("list")).unwrap();
    assert_eq!(info::write_list(&info::read_list("list", &list).unwrap()), list);
    if let Ok(sums) = fs::read(path("md5sums")) {
        assert_eq!(info::write_md5sums(&info::read_md5sums("md5sums", &sums).unwrap()), sums);
    }
    if let Ok(triggers) = fs::read(path("triggers")) {
        trigger::read_directives("triggers", &triggers).unwrap();
    }
    let same = package.multi_arch == MultiArch::Same;
    assert_eq!(package.info_name().contains(':'), same);
}

#[test]
fn this_machines_other_files_are_read_and_written_back() {
    let admin = Path::new("/var/lib/dpkg");
    if !admin.join("status").exists() {
        return debian_support::skip("this machine has no /var/lib/dpkg/status");
    }
    use patchkit_scan::debian::dpkg::{alternative::Alternative, diversion, stat_override};
    let read = |name: &str| fs::read(admin.join(name)).unwrap_or_default();
    let diversions = read("diversions");
    assert_eq!(diversion::write(&diversion::read("diversions", &diversions).unwrap()), diversions);
    stat_override::read("statoverride", &read("statoverride")).unwrap();
    let interests = read("triggers/File");
    assert_eq!(trigger::write_file_interests(&trigger::read_file_interests("File", &interests).unwrap()), interests);
    trigger::read_unincorporated("Unincorp", &read("triggers/Unincorp")).unwrap();
    for file in fs::read_dir(admin.join("alternatives")).into_iter().flatten() {
        let path = file.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let alternative = Alternative::read(name, &bytes).unwrap();
        assert_eq!(alternative.to_bytes(), bytes, "{name}");
        let link = fs::read_link(Path::new("/etc/alternatives").join(name)).unwrap();
        let chosen = alternative.chosen(link.to_str()).map(|choice| &*choice.path);
        assert_eq!(chosen, link.to_str(), "{name}");
    }
}

#[test]
fn distroless_packages() {
    let Some(folder) = shared_data("images/debian-11.11-distroless/blobs/sha256") else {
        return;
    };
    let mut names = Vec::new();
    for blob in fs::read_dir(folder).unwrap().map(|blob| blob.unwrap().path()) {
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(fs::File::open(blob).unwrap()));
        let Ok(entries) = archive.entries() else {
            continue;
        };
        for entry in entries {
            let Ok(mut entry) = entry else { break };
            let path = entry.path().unwrap().display().to_string();
            let Some(name) = path.strip_prefix("./var/lib/dpkg/status.d/").filter(|name| !name.is_empty()) else {
                continue;
            };
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            match status_d::kind_of(name) {
                status_d::StatusFileKind::Md5sums => drop(info::read_md5sums(name, &bytes).unwrap()),
                status_d::StatusFileKind::Control => {
                    let packages = status_d::read(name, &bytes).unwrap();
                    assert_eq!((packages.len(), &*packages[0].name), (1, name));
                    names.push(name.to_owned());
                }
            }
        }
    }
    names.sort();
    assert_eq!(names.len(), 11, "{names:?}");
}
