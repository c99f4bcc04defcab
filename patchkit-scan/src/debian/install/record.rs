//! Writing the package database as dpkg leaves it after an upgrade.

use bytes::Bytes;
use patchkit_core::Result;

use super::{
    Installation, Pending,
    database::{Database, Layout, Package, damaged, info_path},
    path,
    tree::{Content, Entry, Kind, child},
};
use crate::debian::dpkg::{
    info::{self, InfoFile},
    stanza::InstalledStanza,
    state::{PackageState, Status},
    status_d,
    trigger::{self, DirectiveKind},
};

impl Installation {
    /// Enters a configured package.
    pub(super) fn record(&mut self, slot: usize, pending: &Pending) -> Result<()> {
        let Some(package) = self.database.package(slot).cloned() else {
            return Ok(());
        };
        match self.database.layout {
            Layout::Dpkg(_) => {
                self.record_stanza(pending)?;
                self.record_info(&package, pending);
                self.record_interests(&package, pending)
            }
            Layout::StatusD => {
                self.record_status_d(&package, pending);
                Ok(())
            }
        }
    }

    fn record_stanza(&mut self, pending: &Pending) -> Result<()> {
        let control = &pending.control["control"].bytes;
        let mut stanza = InstalledStanza::new("control", control).map_err(damaged)?;
        if let Some(old) = &pending.old {
            let status = Status { state: PackageState::Installed, ..Status::INSTALLED };
            let want = if old.installed.is_present() { old.installed.status.want } else { status.want };
            stanza = stanza.with_status(Status { want, ..status }).replacing(&old.installed);
        }
        let stanza = stanza.with_conffiles(pending.conffiles.clone());
        match &mut self.database.layout {
            Layout::Dpkg(status) => status.install(&stanza).map_err(damaged),
            Layout::StatusD => Ok(()),
        }
    }

    fn record_info(&mut self, package: &Package, pending: &Pending) {
        let list = info::write_list(&package.list);
        let sums = info::write_md5sums(&pending.md5sums);
        let files = info::files(&package.base, &pending.control, list, sums);
        let old_base = pending.old.as_ref().map_or(&package.base, |old| &old.base);
        let names = Database::names(&self.tree, "var/lib/dpkg/info");
        let names: Vec<&str> = names.iter().filter_map(|name| std::str::from_utf8(name).ok()).collect();
        for stale in info::stale(names.iter().copied(), old_base, &files).map(str::to_owned).collect::<Vec<_>>() {
            self.remove_info(&stale);
        }
        for InfoFile { name, bytes, mode, mtime } in files {
            let entry = Entry::new(Kind::File(Content::Memory(bytes.into())), mode, mtime.unwrap_or(self.timestamp));
            self.put_info(&name, entry);
        }
    }

    fn put_info(&mut self, name: &str, entry: Entry) {
        let path = info_path(name);
        let place = self.tree.place(&path).unwrap_or(path);
        self.tree.put(place, entry);
    }

    pub(super) fn remove_info(&mut self, name: &str) {
        if let Some(place) = self.tree.place(&info_path(name)).filter(|place| self.tree.entry(place).is_some()) {
            self.tree.remove(&place);
        }
    }

    /// Writes the lists of packages that others took something over from, and that are not written anew anyway.
    pub(super) fn record_lists(&mut self) {
        for slot in std::mem::take(&mut self.changed_lists) {
            let Some(package) = self.database.package(slot) else {
                continue;
            };
            let (name, list) = (format!("{}.list", package.base), info::write_list(&package.list));
            if matches!(self.database.layout, Layout::Dpkg(_)) {
                self.put_info(&name, Entry::new(Kind::File(Content::Memory(list.into())), 0o644, self.timestamp));
            }
        }
    }

    /// Enters the package's interest in triggers: of paths in `triggers/File`, of names in a file each.
    fn record_interests(&mut self, package: &Package, pending: &Pending) -> Result<()> {
        let text = |control: Option<&crate::debian::deb::ControlFile>| {
            control.map(|file| file.bytes.clone()).unwrap_or_default()
        };
        let new = trigger::read_directives("triggers", &text(pending.control.get("triggers"))).map_err(damaged)?;
        let file = path("var/lib/dpkg/triggers/File");
        let old_text = self.tree.read(&file)?.unwrap_or_default();
        let interests = trigger::read_file_interests("triggers/File", &old_text).map_err(damaged)?;
        let written = trigger::write_file_interests(&trigger::replace_file_interests(&interests, &package.base, &new));
        let unchanged = |line: &[u8]| written.split(|byte| *byte == b'\n').filter(|other| *other == line).count();
        let same =
            old_text.len() == written.len() && old_text.split(|byte| *byte == b'\n').all(|line| unchanged(line) > 0);
        if !same {
            self.tree.write(&file, written, (0o644, self.timestamp))?;
        }
        let named = new.iter().filter(|d| d.kind == DirectiveKind::Interest && !d.trigger.starts_with('/'));
        for directive in named {
            let line = if directive.awaits { package.base.clone() } else { format!("{}/noawait", package.base) };
            self.record_named_interest(&directive.trigger, &line)?;
        }
        Ok(())
    }

    fn record_named_interest(&mut self, trigger: &str, line: &str) -> Result<()> {
        let file = child(&path("var/lib/dpkg/triggers"), trigger.as_bytes());
        let old = self.tree.read(&file)?.unwrap_or_default();
        let base = line.strip_suffix("/noawait").unwrap_or(line);
        let is_own = |known: &[u8]| known.strip_suffix(b"/noawait").unwrap_or(known) == base.as_bytes();
        let mut lines: Vec<&[u8]> = old.split(|byte| *byte == b'\n').filter(|known| !known.is_empty()).collect();
        match lines.iter_mut().find(|known| is_own(known)) {
            Some(own) if **own == *line.as_bytes() => return Ok(()),
            Some(own) => *own = line.as_bytes(),
            None => lines.push(line.as_bytes()),
        }
        let text: Vec<u8> = lines.iter().flat_map(|line| [line, b"\n".as_slice()].concat()).collect();
        self.tree.write(&file, text, (0o644, self.timestamp))
    }

    fn record_status_d(&mut self, package: &Package, pending: &Pending) {
        let folder = path("var/lib/dpkg/status.d");
        let had_sums = tree_has(self, &format!("{}.md5sums", package.base));
        let written = info::write_md5sums(&pending.md5sums);
        let sums = pending.control.get("md5sums").map_or(&written, |file| &file.bytes);
        let wanted = had_sums || pending.old.is_none();
        let files = status_d::write(&package.base, &pending.control["control"].bytes, wanted.then_some(&sums[..]));
        for (name, bytes) in files {
            let path = child(&folder, name.as_bytes());
            let place = self.tree.resolve(&path).or_else(|| self.tree.place(&path)).unwrap_or(path);
            let old = self.tree.entry(&place);
            let kind = Kind::File(Content::Memory(Bytes::from(bytes)));
            let entry = match old {
                Some(old) => Entry { kind, mtime: self.timestamp, ..old },
                None => Entry::new(kind, 0o644, self.timestamp),
            };
            self.tree.put(place, entry);
        }
    }

    /// Writes the status file, where there is one.
    pub(super) fn write_status(&mut self) -> Result<()> {
        let Layout::Dpkg(status) = &self.database.layout else {
            return Ok(());
        };
        let bytes = status.to_bytes();
        self.tree.write(&path("var/lib/dpkg/status"), bytes, (0o644, self.timestamp))?;
        for name in Database::names(&self.tree, "var/lib/dpkg/updates") {
            let update = child(&path("var/lib/dpkg/updates"), &name);
            if let Some(place) = self.tree.resolve(&update).filter(|_| name.iter().all(u8::is_ascii_digit)) {
                self.tree.remove(&place);
            }
        }
        Ok(())
    }
}

fn tree_has(installation: &Installation, name: &str) -> bool {
    installation.tree.stat(&child(&path("var/lib/dpkg/status.d"), name.as_bytes())).is_some()
}
