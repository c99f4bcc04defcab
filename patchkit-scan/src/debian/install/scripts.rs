//! Maintainer scripts: none is run. What they would do is done as data where it is known, and noted where it is not.

use std::collections::BTreeMap;

use patchkit_core::{Note, NoteClass, Result, image::FilePath};

use super::{
    Installation,
    archive::Archive,
    database::{Package, info_path},
    path,
    tree::{Content, Entry, Kind, Tree},
    unpack::beside,
};
use crate::debian::{
    deb::ControlFile,
    dpkg::{
        package::InstalledPackage,
        script::{
            self, Action, ConffileHelper, Effect, HelperKind, Invocation, PathFacts, ScriptKind, ScriptReview, Step,
            TargetFacts, TargetKind,
        },
        trigger::{self, DirectiveKind},
    },
};

/// The scripts of the old package run before those of the new one.
const BEFORE: [(ScriptKind, bool); 2] = [(ScriptKind::Prerm, true), (ScriptKind::Preinst, false)];
/// Those that run once the new files are there.
const AFTER: [(ScriptKind, bool); 2] = [(ScriptKind::Postrm, true), (ScriptKind::Postinst, false)];

/// What a package's scripts are reviewed with.
pub(super) struct Scripts<'a> {
    pub(super) new: &'a InstalledPackage,
    pub(super) old: Option<&'a Package>,
    pub(super) control: &'a BTreeMap<String, ControlFile>,
}

impl Installation {
    /// What the scripts would do before the package is unpacked.
    pub(super) fn before_unpack(&mut self, scripts: &Scripts<'_>) -> Result<()> {
        BEFORE.iter().try_for_each(|(kind, of_old)| self.stand_in(scripts, *kind, *of_old))
    }

    /// What the old postrm would do after that, and the new postinst, which runs last.
    pub(super) fn after_unpack(&mut self, scripts: &Scripts<'_>) -> Result<()> {
        AFTER.iter().try_for_each(|(kind, of_old)| self.stand_in(scripts, *kind, *of_old))
    }

    /// Notes which triggers a package activates by being installed.
    pub(super) fn note_triggers(&mut self, archive: &Archive) -> Result<()> {
        let Some(file) = archive.control.get("triggers") else { return Ok(()) };
        let directives = trigger::read_directives("triggers", &file.bytes).map_err(super::database::damaged)?;
        for directive in directives.iter().filter(|directive| directive.kind == DirectiveKind::Activate) {
            self.trigger(&directive.trigger);
        }
        Ok(())
    }

    fn trigger(&mut self, name: &str) {
        self.needs_ldconfig |= name == "ldconfig";
        self.needs_certificates |= name == "update-ca-certificates" || name == "update-ca-certificates-fresh";
    }

    fn stand_in(&mut self, scripts: &Scripts<'_>, kind: ScriptKind, of_old: bool) -> Result<()> {
        let installed = scripts.old.map(|old| info_path(&format!("{}.{kind}", old.base)));
        let installed = match installed {
            Some(path) => self.tree.read(&path)?,
            None => None,
        };
        let new = scripts.control.get(&kind.to_string()).map(|file| &file.bytes[..]);
        let Some(text) = (if of_old { installed.as_deref() } else { new }) else { return Ok(()) };
        let ran_before = installed.as_deref() == Some(text);
        let invocation = Invocation {
            script: kind,
            package: scripts.new.name.clone(),
            old_version: scripts.old.map(|old| old.installed.version.clone()),
            new_version: scripts.new.version.clone(),
        };
        if &*scripts.new.name == "ca-certificates" && kind == ScriptKind::Postinst {
            return self.certificates(scripts);
        }
        let review = script::review_in(text, &invocation, |path| facts(&self.tree, path));
        self.note_script(&format!("{} {kind}", scripts.new.name), &review, ran_before);
        for action in review.actions().cloned().collect::<Vec<_>>() {
            self.act(scripts, kind, &action)?;
        }
        Ok(())
    }

    /// The postinst of ca-certificates is known by heart: it asks debconf, writes its configuration and the bundle.
    fn certificates(&mut self, scripts: &Scripts<'_>) -> Result<()> {
        self.needs_certificates = true;
        self.configure_certificates = true;
        let message = "not run: the list of trusted certificates, the bundle and its links are written as data";
        let subject = format!("{} {}", scripts.new.name, ScriptKind::Postinst);
        self.notes.push(Note { class: NoteClass::Harmless, subject, message: message.into() });
        Ok(())
    }

    fn note_script(&mut self, subject: &str, review: &ScriptReview, ran_before: bool) {
        for Step { lines, effect, .. } in &review.steps {
            let place = if lines.0 == lines.1 {
                format!("line {}", lines.0)
            } else {
                format!("lines {} to {}", lines.0, lines.1)
            };
            let (class, message) = match effect {
                Effect::Harmless { what } => (NoteClass::Harmless, format!("{place} not run: {what}")),
                Effect::DoneAsData { action } => (NoteClass::Harmless, format!("{place} not run: {}", spoken(action))),
                Effect::NeedsReview { why } if ran_before => (
                    NoteClass::Harmless,
                    format!("{place} not run: {why}; the script is the one that has run in the image already"),
                ),
                Effect::NeedsReview { why } => (NoteClass::Review, format!("{place} not run: {why}")),
                Effect::Refuse { why } => (NoteClass::Refuse, format!("{place}: {why}")),
            };
            self.notes.push(Note { class, subject: subject.into(), message });
        }
    }

    /// Does an action as data.
    fn act(&mut self, scripts: &Scripts<'_>, kind: ScriptKind, action: &Action) -> Result<()> {
        match action {
            Action::Ldconfig => self.needs_ldconfig = true,
            Action::Trigger(name) => self.trigger(name),
            Action::Conffile(helper) => self.maintscript_helper(scripts, kind, helper)?,
            Action::Alternatives(words) => self.alternatives(&scripts.new.name, words)?,
            // Byte code of replaced sources is removed once everything is unpacked.
            Action::ByteCode(_) => {}
            Action::Shells(shells) if kind == ScriptKind::Postinst => self.add_shells(shells)?,
            Action::Shells(_) => {}
            Action::InitScript(words) | Action::SystemdUnit(words) => {
                if scripts.old.is_none() {
                    self.notes.push(Note {
                        class: NoteClass::Review,
                        subject: format!("{} {kind}", scripts.new.name),
                        message: format!("a service of a new package was not set up: {}", words.join(" ")),
                    });
                }
            }
        }
        Ok(())
    }

    /// `add-shell`: lines of `/etc/shells`. Nothing else calls these tools in an upgrade.
    fn add_shells(&mut self, shells: &[String]) -> Result<()> {
        let file = path("etc/shells");
        let Some(old) = self.tree.read(&file)? else { return Ok(()) };
        let mut new = old.to_vec();
        let has = |text: &[u8], shell: &str| text.split(|byte| *byte == b'\n').any(|line| line == shell.as_bytes());
        for shell in shells.iter().filter(|shell| shell.starts_with('/')) {
            if !has(&new, shell) {
                new.extend_from_slice(format!("{shell}\n").as_bytes());
            }
        }
        if new != old {
            self.tree.write(&file, new, (0o644, self.timestamp))?;
        }
        Ok(())
    }

    /// `dpkg-maintscript-helper`, in the script that is the last to act on it.
    fn maintscript_helper(&mut self, scripts: &Scripts<'_>, kind: ScriptKind, helper: &ConffileHelper) -> Result<()> {
        match (&helper.kind, kind) {
            (HelperKind::RemoveConffile { path }, ScriptKind::Preinst) => self.remove_conffile(scripts, path)?,
            (HelperKind::MoveConffile { from, .. }, ScriptKind::Preinst) => self.remove_unedited(scripts, from)?,
            (HelperKind::MoveConffile { from, to }, ScriptKind::Postinst) => self.move_conffile(from, to),
            (HelperKind::SymlinkToDirectory { path, target }, ScriptKind::Preinst) => self.link_to_folder(path, target),
            (HelperKind::DirectoryToSymlink { path, target }, ScriptKind::Postinst) => {
                self.folder_to_link(path, target)
            }
            _ => {}
        }
        Ok(())
    }

    /// Removes a conffile that was not edited; an edited one is kept as a backup.
    fn remove_conffile(&mut self, scripts: &Scripts<'_>, file: &str) -> Result<()> {
        self.remove_unedited(scripts, file)?;
        if let Some(place) = self.place_of(file).filter(|place| self.tree.entry(place).is_some()) {
            self.tree.rename(&place, &beside(&place, ".dpkg-bak"));
        }
        Ok(())
    }

    fn remove_unedited(&mut self, scripts: &Scripts<'_>, file: &str) -> Result<()> {
        let Some(place) = self.place_of(file) else { return Ok(()) };
        let mut known = scripts.old.into_iter().flat_map(|old| &old.installed.conffiles);
        let known = known.find(|conffile| conffile.path.to_absolute() == file.as_bytes());
        let on_disk = self.hash_on_disk(self.tree.entry(&place).as_ref())?;
        if on_disk.is_some() && on_disk.as_deref() == known.map(|conffile| &*conffile.hash) {
            self.tree.remove(&place);
        }
        Ok(())
    }

    /// An edited conffile gets its new name; the package's own is laid beside it.
    fn move_conffile(&mut self, from: &str, to: &str) {
        let places = self.place_of(from).zip(self.place_of(to));
        let Some((from, to)) = places.filter(|(from, _)| self.tree.entry(from).is_some()) else { return };
        if self.tree.entry(&to).is_some() {
            self.tree.rename(&to, &beside(&to, ".dpkg-new"));
        }
        self.make_parents(&to);
        self.tree.rename(&from, &to);
    }

    /// A link to a folder goes; the package brings the folder.
    fn link_to_folder(&mut self, link: &str, target: &str) {
        let Some(place) = self.place_of(link) else { return };
        let Some(Entry { kind: Kind::Symlink(found), .. }) = self.tree.entry(&place) else { return };
        let same = found == target.as_bytes()
            || self.tree.resolve_link(&place, &found) == self.tree.resolve_link(&place, target.as_bytes());
        if same {
            self.tree.remove(&place);
        }
    }

    /// Where a path that a script names is.
    fn place_of(&self, path: &str) -> Option<FilePath> {
        self.tree.place(&FilePath::new(path).ok()?)
    }

    /// A folder becomes a link: what is left in it moves to where the link leads.
    fn folder_to_link(&mut self, folder: &str, target: &str) {
        let Some(place) = self.place_of(folder) else { return };
        let Some(old) = self.tree.entry(&place).filter(Entry::is_directory) else { return };
        let left: Vec<_> =
            self.tree.names(&place).into_iter().map(|name| (super::tree::child(&place, &name), name)).collect();
        if let Some(destination) = self.tree.resolve_link(&place, target.as_bytes()) {
            for (file, name) in left {
                let to = super::tree::child(&destination, &name);
                if self.tree.entry(&to).is_none() {
                    self.tree.rename(&file, &to);
                }
            }
        }
        self.tree.remove_all(&place);
        let kind = Kind::Symlink(target.as_bytes().to_vec().into());
        self.tree.put(place, Entry::new(kind, 0o777, old.mtime));
    }
}

/// What an action is, and that it is done.
fn spoken(action: &Action) -> String {
    match action {
        Action::Alternatives(words) => format!("alternatives are kept as data: {}", words.join(" ")),
        Action::ByteCode(_) => "byte code of replaced sources is removed, and made again when it is needed".into(),
        Action::Conffile(_) => "dpkg-maintscript-helper's move is made as data".into(),
        Action::InitScript(words) | Action::SystemdUnit(words) => format!("links of a service: {}", words.join(" ")),
        Action::Ldconfig => "the dynamic linker's cache is written as data".into(),
        Action::Shells(words) => format!("/etc/shells is written as data: {}", words.join(" ")),
        Action::Trigger(name) => format!("trigger {name}"),
    }
}

/// What a script would find at an absolute path.
fn facts(tree: &Tree, text: &str) -> Option<PathFacts> {
    let path = FilePath::new(text).ok()?;
    let is_symlink = tree.lstat(&path).is_some_and(|entry| matches!(entry.kind, Kind::Symlink(_)));
    let target = tree.stat(&path).map(|entry| TargetFacts {
        kind: match entry.kind {
            Kind::Directory => TargetKind::Directory,
            Kind::File(_) => TargetKind::File,
            _ => TargetKind::Other,
        },
        is_empty: entry.content().map(Content::size) == Some(0),
        is_executable: entry.is_directory() || entry.mode & 0o111 != 0,
    });
    Some(PathFacts { is_symlink, target })
}
