//! The trusted certificates: `/etc/ca-certificates.conf`, the bundle and the links in `/etc/ssl/certs`, as the package
//! ca-certificates and its `update-ca-certificates` keep them.
//!
//! Source: the scripts of ca-certificates 20210119 to 20250419, and `openssl rehash`; the tests compare with the real
//! tool.

mod rehash;
mod x509;

use std::collections::BTreeSet;

use bytes::Bytes;
use patchkit_core::{Result, image::FilePath};

use super::{
    path,
    tree::{Entry, Kind, Tree, child},
};

const CONFIGURATION: &str = "etc/ca-certificates.conf";
const PACKAGED: &str = "usr/share/ca-certificates";
const LOCAL: &str = "usr/local/share/ca-certificates";
const CERTIFICATES: &str = "etc/ssl/certs";
const BUNDLE: &str = "etc/ssl/certs/ca-certificates.crt";

/// Does what configuring a new version of ca-certificates does to the list of trusted certificates: new ones are
/// trusted, unless the administrator asked not to (debconf's `trust_new_crts`), ones that are gone are marked so.
///
/// # Errors
/// Those of reading the tree.
pub fn configure(tree: &mut Tree, mtime: i64) -> Result<()> {
    let file = path(CONFIGURATION);
    let available = packaged(tree);
    let Some(old) = tree.read(&file)? else { return Ok(()) };
    let old_text = String::from_utf8_lossy(&old).into_owned();
    let new = configured(&old_text, &available, trusts_new(tree)?);
    if new != old_text {
        if let Some(place) = tree.resolve(&file) {
            tree.rename(&place, &child(&path("etc"), b"ca-certificates.conf.dpkg-old"));
        }
        tree.write(&file, new, (0o644, mtime))?;
    }
    Ok(())
}

/// The configuration after certificates have come and gone.
fn configured(old: &str, available: &BTreeSet<String>, trusts_new: bool) -> String {
    let disabled: BTreeSet<&str> = old.lines().filter_map(|line| line.strip_prefix('!')).collect();
    let trusted: BTreeSet<&str> = old.lines().filter(|line| !line.starts_with(['#', '!'])).collect();
    let enabled =
        |name: &str| available.contains(name) && !disabled.contains(name) && (trusted.contains(name) || trusts_new);
    let mut new = String::new();
    for line in old.lines() {
        let name = line.strip_prefix('!').unwrap_or(line);
        let mark = if line.is_empty() || line.starts_with('#') || enabled(name) { "" } else { "!" };
        new += &format!("{mark}{}\n", if mark.is_empty() { line } else { name });
    }
    let listed = |new: &str, start: &str| new.lines().any(|line| line.starts_with(start));
    for name in available.iter().filter(|name| enabled(name)) {
        if !listed(&new, name) {
            new += &format!("{name}\n");
        }
    }
    for name in available.iter().filter(|name| !enabled(name)) {
        if !listed(&new, &format!("!{name}")) {
            new += &format!("!{name}\n");
        }
    }
    new
}

/// The certificates that packages have put into the tree, relative to their folder.
fn packaged(tree: &Tree) -> BTreeSet<String> {
    let Some(folder) = tree.resolve(&path(PACKAGED)) else { return BTreeSet::new() };
    let below = tree.descendants(&folder).into_iter().filter(|path| path.as_bytes().ends_with(b".crt"));
    let names = below.map(|path| String::from_utf8_lossy(&path.as_bytes()[folder.as_bytes().len() + 1..]).into_owned());
    names.collect()
}

/// What the administrator answered debconf; without an answer new certificates are trusted.
fn trusts_new(tree: &Tree) -> Result<bool> {
    let answers = tree.read(&path("var/cache/debconf/config.dat"))?.unwrap_or_default();
    let answers = String::from_utf8_lossy(&answers);
    let stanza =
        answers.split("\n\n").find(|stanza| stanza.lines().any(|line| line == "Name: ca-certificates/trust_new_crts"));
    let value = stanza.and_then(|stanza| stanza.lines().find_map(|line| line.strip_prefix("Value: ")));
    Ok(value.is_none_or(|value| value == "yes"))
}

/// Brings the bundle and the links up to date, as `update-ca-certificates` does. Without a configuration, and so
/// without the package ca-certificates, nothing is done.
///
/// # Errors
/// Those of reading certificates.
pub fn update(tree: &mut Tree, mtime: i64) -> Result<()> {
    let Some(configuration) = tree.read(&path(CONFIGURATION))? else { return Ok(()) };
    let Some(folder) = tree.resolve(&path(CERTIFICATES)) else { return Ok(()) };
    let configuration = String::from_utf8_lossy(&configuration).into_owned();
    let mut update = Update { tree, folder, mtime, bundle: Vec::new(), changed: false };
    for line in configuration.lines().filter_map(|line| line.strip_prefix('!')) {
        update.remove(line);
    }
    for line in configuration.lines().filter(|line| !line.is_empty() && !line.starts_with(['#', '!'])) {
        update.add(&format!("/{PACKAGED}/{line}"))?;
    }
    for path in local(update.tree) {
        update.add(&format!("/{}", String::from_utf8_lossy(path.as_bytes())))?;
    }
    update.finish()
}

/// The administrator's own certificates, by their absolute paths in order.
fn local(tree: &Tree) -> Vec<FilePath> {
    let Some(folder) = tree.resolve(&path(LOCAL)) else { return Vec::new() };
    let below = tree.descendants(&folder).into_iter().filter(|path| path.as_bytes().ends_with(b".crt"));
    let mut found: Vec<FilePath> = below.filter(|path| tree.stat(path).is_some_and(|entry| entry.is_file())).collect();
    found.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
    found
}

struct Update<'t> {
    tree: &'t mut Tree,
    folder: FilePath,
    mtime: i64,
    bundle: Vec<u8>,
    changed: bool,
}

impl Update<'_> {
    /// Links a certificate and puts it into the bundle.
    fn add(&mut self, certificate: &str) -> Result<()> {
        let Ok(file) = FilePath::new(certificate) else { return Ok(()) };
        let Some(bytes) = self.tree.stat(&file).filter(Entry::is_file).map(|_| self.tree.read(&file)) else {
            return Ok(());
        };
        let name: String = pem_name(certificate).chars().map(substitute).collect();
        let place = child(&self.folder, name.as_bytes());
        let target = Bytes::copy_from_slice(certificate.as_bytes());
        let linked = self.tree.entry(&place).is_some_and(|entry| entry.kind == Kind::Symlink(target.clone()));
        if !linked {
            self.tree.put(place, Entry::new(Kind::Symlink(target), 0o777, self.mtime));
            self.changed = true;
        }
        let bytes = bytes?.unwrap_or_default();
        self.bundle.extend_from_slice(&bytes);
        if !bytes.is_empty() && !bytes.ends_with(b"\n") {
            self.bundle.push(b'\n');
        }
        Ok(())
    }

    /// Removes the link to a certificate that is not wanted.
    fn remove(&mut self, name: &str) {
        let place = child(&self.folder, pem_name(name).as_bytes());
        if matches!(self.tree.entry(&place), Some(Entry { kind: Kind::Symlink(_), .. })) {
            self.tree.remove(&place);
            self.changed = true;
        }
    }

    fn finish(mut self) -> Result<()> {
        if self.changed {
            self.remove_orphans();
            rehash::rehash(self.tree, &self.folder, self.mtime)?;
        }
        let bundle = path(BUNDLE);
        if !self.bundle.is_empty() && self.tree.read(&bundle)?.as_deref() != Some(&self.bundle[..]) {
            let kind = Kind::File(super::tree::Content::Memory(std::mem::take(&mut self.bundle).into()));
            self.tree.put(child(&self.folder, b"ca-certificates.crt"), Entry::new(kind, 0o644, self.mtime));
        }
        Ok(())
    }

    fn remove_orphans(&mut self) {
        for name in self.tree.names(&self.folder) {
            let place = child(&self.folder, &name);
            let link = matches!(self.tree.entry(&place), Some(Entry { kind: Kind::Symlink(_), .. }));
            if link && self.tree.stat(&place).is_none() {
                self.tree.remove(&place);
            }
        }
    }
}

/// The name of a certificate's link.
fn pem_name(certificate: &str) -> String {
    let name = certificate.rsplit('/').next().unwrap_or_default();
    format!("{}.pem", name.strip_suffix(".crt").unwrap_or(name))
}

fn substitute(char: char) -> char {
    match char {
        ' ' | ',' => '_',
        '(' | ')' => '=',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_certificates_are_trusted_and_gone_ones_marked() {
        let available = ["m/a.crt", "m/b.crt", "m/new.crt"].map(str::to_owned).into();
        let old = "# comment\nm/a.crt\n!m/b.crt\nm/gone.crt\n";
        assert_eq!(configured(old, &available, true), "# comment\nm/a.crt\n!m/b.crt\n!m/gone.crt\nm/new.crt\n");
        assert_eq!(configured(old, &available, false), "# comment\nm/a.crt\n!m/b.crt\n!m/gone.crt\n!m/new.crt\n");
        let again = configured(old, &available, true);
        assert_eq!(configured(&again, &available, true), again);
    }
}
