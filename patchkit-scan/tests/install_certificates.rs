//! `openssl rehash` and `update-ca-certificates` as the oracle of bundle and links.

#![allow(clippy::unwrap_used)]

mod install_support;

use std::{fs, os::unix::fs::symlink, path::Path, process::Command, sync::Arc};

use install_support::{Comparison, Folder, Installed, copy, has, skip};
use patchkit_scan::debian::install::{ca_certificates, tree::Tree};

/// Certificates of this machine: copied in, with odd names and endings.
fn fill(root: &Path, names: &[fs::DirEntry]) {
    for folder in ["etc/ssl/certs", "usr/share/ca-certificates/mozilla", "usr/local/share/ca-certificates/own"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    let packaged = root.join("usr/share/ca-certificates/mozilla");
    let mut configuration = String::from("# a comment\n\n");
    for (index, certificate) in names.iter().enumerate() {
        let name = certificate.file_name().into_string().unwrap();
        fs::copy(certificate.path(), packaged.join(&name)).unwrap();
        configuration += &format!("{}mozilla/{name}\n", if index % 7 == 0 { "!" } else { "" });
    }
    configuration += "mozilla/not-there.crt\n";
    fs::write(root.join("etc/ca-certificates.conf"), configuration).unwrap();
    let own = root.join("usr/local/share/ca-certificates");
    let text = fs::read_to_string(names[0].path()).unwrap();
    fs::write(own.join("own/My (own), CA.crt"), text.trim_end()).unwrap();
    // The same certificate again, and a file with two of them.
    fs::write(own.join("again.crt"), fs::read(names[1].path()).unwrap()).unwrap();
    let two = [fs::read(names[2].path()).unwrap(), fs::read(names[3].path()).unwrap()].concat();
    fs::write(own.join("two.crt"), two).unwrap();
    symlink("/nowhere", root.join("etc/ssl/certs/stale.pem")).unwrap();
    symlink("stale.pem", root.join("etc/ssl/certs/0a0b0c0d.0")).unwrap();
}

/// Runs the machine's own script on a folder: its paths are absolute links, so it runs with the folder as the root.
fn real(root: &Path) {
    let script = fs::read_to_string("/usr/sbin/update-ca-certificates").unwrap();
    fs::create_dir_all(root.join("tmp")).unwrap();
    fs::write(root.join("tmp/update"), script).unwrap();
    let bind = ["/usr/bin", "/usr/lib", "/usr/sbin", "/usr/lib64", "/etc/ssl/openssl.cnf"];
    let mut command = Command::new("bwrap");
    command.arg("--bind").arg(root).arg("/");
    for path in bind.iter().filter(|path| Path::new(path).exists()) {
        command.args(["--ro-bind", path, path]);
    }
    command.args(["--symlink", "usr/bin", "/bin", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64"]);
    command.args(["--dev", "/dev", "--setenv", "LC_ALL", "C"]);
    let done = command.args(["sh", "/tmp/update", "--hooksdir", ""]).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    for name in
        ["bin", "lib", "lib64", "dev", "tmp", "usr/bin", "usr/lib", "usr/sbin", "usr/lib64", "etc/ssl/openssl.cnf"]
    {
        let at = root.join(name);
        let _ = fs::remove_file(&at).or_else(|_| fs::remove_dir_all(&at));
    }
}

#[test]
fn as_update_ca_certificates_does() {
    let folder = Path::new("/usr/share/ca-certificates/mozilla");
    if !has("bwrap") || !has("openssl") && Command::new("openssl").arg("version").output().is_err() || !folder.is_dir()
    {
        return skip("no bubblewrap, openssl or ca-certificates");
    }
    let mut names: Vec<fs::DirEntry> = fs::read_dir(folder).unwrap().map(Result::unwrap).collect();
    names.sort_by_key(fs::DirEntry::file_name);
    let work = tempfile::tempdir().unwrap();
    let (root, theirs) = (work.path().join("root"), work.path().join("theirs"));
    fill(&root, &names);
    for round in 0..2 {
        copy(&root, &theirs);
        real(&theirs);
        let mut tree = Tree::new(Arc::new(Folder(root.clone())));
        ca_certificates::update(&mut tree, 0).unwrap();
        Comparison::of(&theirs, &Installed { tree, stored: bytes::Bytes::new() }).expect_same();
        // The second round starts from what the tool has made: some go, some come.
        fs::remove_dir_all(&root).unwrap();
        fs::rename(&theirs, &root).unwrap();
        if round == 0 {
            let configuration = root.join("etc/ca-certificates.conf");
            let text = fs::read_to_string(&configuration).unwrap();
            let lines = text.lines().enumerate().map(|(index, line)| match line.strip_prefix('!') {
                Some(name) => name.to_owned(),
                None if index % 5 == 0 && line.starts_with("moz") => format!("!{line}"),
                None => line.to_owned(),
            });
            fs::write(&configuration, lines.collect::<Vec<_>>().join("\n") + "\n").unwrap();
        }
    }
}
