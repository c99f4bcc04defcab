//! dpkg as the oracle: the same small packages, put into a folder by `dpkg --root` and into a tree as data.

#![allow(clippy::unwrap_used)]

mod install_support;

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use install_support::{Comparison, has, skip};

/// A folder of packages and root trees that is removed in the end.
struct Bench {
    work: tempfile::TempDir,
}

impl Bench {
    fn new() -> Option<Self> {
        let root = rustix_is_root();
        if !has("dpkg") || !has("dpkg-deb") || !root {
            skip("dpkg is missing, or this is not root");
            return None;
        }
        let bench = Self { work: tempfile::tempdir().unwrap() };
        for folder in ["var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/triggers", "etc", "usr/bin"] {
            fs::create_dir_all(bench.root().join(folder)).unwrap();
        }
        fs::write(bench.root().join("var/lib/dpkg/status"), "").unwrap();
        fs::write(bench.root().join("etc/passwd"), "root:x:0:0::/root:/bin/sh\ngames:x:5:60::/:/bin/sh\n").unwrap();
        fs::write(bench.root().join("etc/group"), "root:x:0:\n").unwrap();
        Some(bench)
    }

    fn root(&self) -> PathBuf {
        self.work.path().join("root")
    }

    /// Makes a package: control fields beyond the usual, and the files (a content that starts with `->` is a link, one
    /// that is `/` a folder, one that starts with `=` a hard link). Files in `/etc` are conffiles.
    fn package(&self, name: &str, version: &str, fields: &str, files: &[(&str, &str)]) -> PathBuf {
        let folder = self.work.path().join(format!("{name}_{version}"));
        fs::create_dir_all(folder.join("DEBIAN")).unwrap();
        let mut conffiles = String::new();
        for (path, content) in files {
            let at = folder.join(path);
            fs::create_dir_all(at.parent().unwrap()).unwrap();
            match content {
                &"/" => fs::create_dir_all(at).unwrap(),
                link if link.starts_with("->") => symlink(&link[2..], at).unwrap(),
                link if link.starts_with('=') => fs::hard_link(folder.join(&link[1..]), at).unwrap(),
                content => fs::write(at, content).unwrap(),
            }
            if path.starts_with("etc/") && !content.starts_with("->") && *content != "/" {
                conffiles += &format!("/{path}\n");
            }
        }
        if !conffiles.is_empty() {
            fs::write(folder.join("DEBIAN/conffiles"), conffiles).unwrap();
        }
        let architecture = if fields.contains("Architecture") { "" } else { "Architecture: all\n" };
        let control = format!(
            "Package: {name}\nVersion: {version}\n{architecture}Maintainer: A <a@example.org>\n{fields}Description: a test\n of dpkg\n"
        );
        fs::write(folder.join("DEBIAN/control"), control).unwrap();
        self.build(&folder)
    }

    fn build(&self, folder: &Path) -> PathBuf {
        let deb = folder.with_extension("deb");
        let mut deb = deb.into_os_string();
        deb.push(".deb");
        let deb = PathBuf::from(deb);
        let built = Command::new("dpkg-deb")
            .args(["--root-owner-group", "-Znone", "-b"])
            .args([folder, &deb])
            .output()
            .unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        deb
    }

    /// Runs dpkg on the root tree.
    fn dpkg(root: &Path, arguments: &[&str], debs: &[&PathBuf]) {
        let done = Command::new("dpkg")
            .arg(format!("--root={}", root.display()))
            .args(["--force-confdef", "--force-confold", "--force-architecture", "--force-depends"])
            .args(["--log=/dev/null"])
            .args(arguments)
            .args(debs)
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "dpkg: {said}{}", String::from_utf8_lossy(&done.stdout));
    }

    fn install(&self, debs: &[&PathBuf]) {
        Self::dpkg(&self.root(), &["-i"], debs);
    }

    /// Upgrades with both, and compares the trees.
    fn compare(&self, debs: &[&PathBuf]) {
        let theirs = self.work.path().join("theirs");
        install_support::copy(&self.root(), &theirs);
        Self::dpkg(&theirs, &["-i"], debs);
        let ours = install_support::install(&self.root(), debs);
        Comparison::of(&theirs, &ours).expect_same();
    }
}

fn rustix_is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n")
}

#[test]
fn files_folders_and_links() {
    let Some(bench) = Bench::new() else { return };
    let old = bench.package(
        "a",
        "1",
        "",
        &[
            ("usr/bin/same", "same"),
            ("usr/bin/changed", "1"),
            ("usr/bin/hard1", "hard 1"),
            ("usr/bin/hard2", "=usr/bin/hard1"),
            ("usr/bin/gone", "gone"),
            ("usr/lib/gone/deep/file", "gone"),
            ("usr/lib/kept/file", "gone"),
            ("usr/lib/file-to-link", "file"),
            ("usr/lib/link-to-file", "->file-to-link"),
            ("usr/lib/folder-to-link/file", "file"),
            ("usr/lib/link-to-folder", "->kept"),
            ("usr/lib/same-folder", "->kept"),
        ],
    );
    bench.install(&[&old]);
    fs::write(bench.root().join("usr/lib/kept/mine"), "not dpkg's").unwrap();
    let mut mode = fs::metadata(bench.root().join("usr/lib/kept")).unwrap().permissions();
    mode.set_mode(0o700);
    fs::set_permissions(bench.root().join("usr/lib/kept"), mode).unwrap();
    let new = bench.package(
        "a",
        "2",
        "Multi-Arch: foreign\nX-Odd: yes\n",
        &[
            ("usr/bin/same", "same"),
            ("usr/bin/changed", "2"),
            ("usr/bin/hard1", "hard 2"),
            ("usr/bin/hard2", "=usr/bin/hard1"),
            ("usr/bin/new", "new"),
            ("usr/lib/file-to-link", "->kept"),
            ("usr/lib/link-to-file", "a file"),
            ("usr/lib/folder-to-link", "->kept"),
            ("usr/lib/link-to-folder/inside", "through the link"),
            ("usr/lib/same-folder", "->../lib/kept"),
            ("usr/lib/new/empty", "/"),
        ],
    );
    bench.compare(&[&new]);
}

#[test]
fn conffiles() {
    let Some(bench) = Bench::new() else { return };
    let names = ["same", "edited", "edited-same", "deleted", "deleted-same", "equal", "obsolete", "mode"];
    let files = |version: &str, gone: &str| -> Vec<(String, String)> {
        let fixed = |name: &str| name.ends_with("same");
        let names = names.iter().filter(|name| **name != gone);
        names.map(|name| (format!("etc/a/{name}"), if fixed(name) { "1".into() } else { version.into() })).collect()
    };
    let package = |version: &str, gone: &str, more: &[(&str, &str)]| {
        let files = files(version, gone);
        let files: Vec<(&str, &str)> = files.iter().map(|(a, b)| (&**a, &**b)).chain(more.iter().copied()).collect();
        bench.package("a", version, "", &files)
    };
    bench.install(&[&package("1", "", &[])]);
    let etc = bench.root().join("etc/a");
    for (name, content) in
        [("edited", "mine"), ("edited-same", "mine"), ("equal", "2"), ("there", "mine"), ("there-same", "n")]
    {
        fs::write(etc.join(name), content).unwrap();
    }
    ["deleted", "deleted-same"].iter().for_each(|name| fs::remove_file(etc.join(name)).unwrap());
    fs::set_permissions(etc.join("mode"), fs::Permissions::from_mode(0o600)).unwrap();
    let more = [("etc/a/there", "new"), ("etc/a/there-same", "n"), ("etc/a/brand-new", "new")];
    bench.compare(&[&package("2", "obsolete", &more)]);
}

#[test]
fn files_move_between_packages() {
    let Some(bench) = Bench::new() else { return };
    let a = bench.package(
        "a",
        "1",
        "",
        &[("usr/bin/moves", "a"), ("usr/bin/stays", "a"), ("usr/share/both/a", "a"), ("etc/moves", "1")],
    );
    let b = bench.package("b", "1", "", &[("usr/bin/b", "b"), ("usr/share/both/b", "b")]);
    let c = bench.package("c", "1", "", &[("usr/bin/c", "c"), ("usr/bin/c2", "c")]);
    bench.install(&[&a, &b, &c]);
    let a = bench.package("a", "2", "", &[("usr/bin/stays", "a2")]);
    let b = bench.package(
        "b",
        "2",
        "Replaces: a (<< 2), c\nBreaks: a (<< 2)\n",
        &[("usr/bin/b", "b2"), ("usr/bin/moves", "b"), ("usr/bin/c2", "b"), ("etc/moves", "2")],
    );
    bench.compare(&[&a, &b]);
}

#[test]
fn diversions_overrides_and_exclusions() {
    let Some(bench) = Bench::new() else { return };
    let files = |v: &'static str| {
        [
            ("usr/bin/diverted", v),
            ("usr/bin/own", v),
            ("usr/share/doc/a/copyright", v),
            ("usr/share/doc/a/changelog", v),
            ("usr/share/doc/a/sub/x", v),
            ("usr/bin/b", v),
        ]
    };
    bench.install(&[&bench.package("a", "1", "", &files("1"))]);
    let root = bench.root();
    fs::write(
        root.join("var/lib/dpkg/diversions"),
        "/usr/bin/diverted\n/usr/bin/diverted.real\nother\n/usr/bin/own\n/usr/bin/own.real\na\n",
    )
    .unwrap();
    fs::rename(root.join("usr/bin/diverted"), root.join("usr/bin/diverted.real")).unwrap();
    fs::write(root.join("usr/bin/diverted"), "another's").unwrap();
    fs::write(root.join("var/lib/dpkg/statoverride"), "games #5 4750 /usr/bin/b\n").unwrap();
    fs::create_dir_all(root.join("etc/dpkg/dpkg.cfg.d")).unwrap();
    fs::write(
        root.join("etc/dpkg/dpkg.cfg.d/slim"),
        "path-exclude=/usr/share/doc/*\npath-include=/usr/share/doc/*/copyright\n",
    )
    .unwrap();
    let new = bench.package("a", "2", "", &files("2"));
    let theirs = bench.work.path().join("theirs");
    install_support::copy(&root, &theirs);
    // dpkg reads the configuration of the machine, not that of the root it works on.
    Bench::dpkg(
        &theirs,
        &["--path-exclude=/usr/share/doc/*", "--path-include=/usr/share/doc/*/copyright", "-i"],
        &[&new],
    );
    Comparison::of(&theirs, &install_support::install(&root, &[&new])).expect_same();
}

#[test]
fn merged_usr() {
    let Some(bench) = Bench::new() else { return };
    fs::create_dir_all(bench.root().join("usr/lib")).unwrap();
    symlink("usr/lib", bench.root().join("lib")).unwrap();
    bench.install(&[&bench.package("a", "1", "", &[("lib/moved", "1"), ("lib/stays", "1"), ("lib/sub/gone", "1")])]);
    bench.compare(&[&bench.package("a", "2", "", &[("usr/lib/moved", "2"), ("lib/stays", "2")])]);
}

#[test]
fn new_packages_and_siblings() {
    let Some(bench) = Bench::new() else { return };
    let sibling = |version: &str, arch: &str| {
        let fields = format!("Architecture: {arch}\nMulti-Arch: same\n");
        let own = format!("usr/lib/{arch}/x");
        let deb = bench.package("s", version, &fields, &[(&own, version), ("usr/share/doc/s/copyright", version)]);
        let kept = deb.with_file_name(format!("s_{version}_{arch}.deb"));
        fs::rename(&deb, &kept).unwrap();
        fs::remove_dir_all(bench.work.path().join(format!("s_{version}"))).unwrap();
        kept
    };
    Bench::dpkg(&bench.root(), &["--add-architecture", "i386"], &[]);
    bench.install(&[&sibling("1", "amd64"), &sibling("1", "i386")]);
    let fresh = bench.package(
        "fresh",
        "1",
        "Priority: optional\nSection: misc\nDepends: s,a|b( >=1 )\n",
        &[("usr/bin/fresh", "1"), ("etc/fresh", "1")],
    );
    bench.compare(&[&sibling("2", "amd64"), &sibling("2", "i386"), &fresh]);
}
