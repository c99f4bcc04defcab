//! `dpkg-maintscript-helper`: moves of conffiles and directories, and whether one applies (its manual page).

use super::condition::compare_versions;
use super::environment::Field;
use super::{Invocation, ScriptKind};

/// A move that `dpkg-maintscript-helper` makes in an upgrade from a version that needs it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConffileHelper {
    /// What is moved.
    pub kind: HelperKind,
    /// The last version that needs the move; `None` where every one does.
    pub last_version: Option<String>,
    /// The package that owns the paths; `None` for that of the script.
    pub package: Option<String>,
}

/// What `dpkg-maintscript-helper` moves. A change that was made locally is kept as its manual page says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum HelperKind {
    /// A directory becomes a symbolic link.
    DirectoryToSymlink {
        /// The directory.
        path: String,
        /// Where the link leads.
        target: String,
    },
    /// A conffile gets another name.
    MoveConffile {
        /// The old path.
        from: String,
        /// The new path.
        to: String,
    },
    /// A conffile is removed, unless it was edited.
    RemoveConffile {
        /// The path.
        path: String,
    },
    /// A symbolic link becomes a directory.
    SymlinkToDirectory {
        /// The link.
        path: String,
        /// Where it led.
        target: String,
    },
}

/// What a call of the helper comes to.
pub(super) enum Call {
    Applies(ConffileHelper),
    DoesNotApply,
    Unclear,
}

/// Works out a call by its words, the first being the command of the helper.
pub(super) fn call(fields: &[Field], invocation: &Invocation) -> Call {
    let Some(words) = fields.iter().map(Field::known).collect::<Option<Vec<&str>>>() else {
        return Call::Unclear;
    };
    if words.first() == Some(&"supports") {
        return Call::DoesNotApply;
    }
    let Some(end) = words.iter().position(|word| *word == "--") else {
        return Call::Unclear;
    };
    if words[end + 1..] != invocation.arguments() {
        return Call::Unclear;
    }
    match read(&words[..end]) {
        None => Call::Unclear,
        Some(helper) => match applies(&helper, invocation) {
            None => Call::Unclear,
            Some(false) => Call::DoesNotApply,
            Some(true) => Call::Applies(helper),
        },
    }
}

fn read(words: &[&str]) -> Option<ConffileHelper> {
    let word = |at: usize| words.get(at).map(|word| (*word).to_owned());
    let path = |at: usize| word(at).filter(|path| path.starts_with('/'));
    let (kind, rest) = match *words.first()? {
        "dir_to_symlink" => (HelperKind::DirectoryToSymlink { path: path(1)?, target: word(2)? }, 3),
        "mv_conffile" => (HelperKind::MoveConffile { from: path(1)?, to: path(2)? }, 3),
        "rm_conffile" => (HelperKind::RemoveConffile { path: path(1)? }, 2),
        "symlink_to_dir" => (HelperKind::SymlinkToDirectory { path: path(1)?, target: word(2)? }, 3),
        _ => return None,
    };
    let given = |at: usize| word(at).filter(|word| !word.is_empty());
    (words.len() <= rest + 2).then(|| ConffileHelper { kind, last_version: given(rest), package: given(rest + 1) })
}

/// Whether the version that is replaced is one that needs the move. Only the scripts of the new package act.
fn applies(helper: &ConffileHelper, invocation: &Invocation) -> Option<bool> {
    let Some(old) = &invocation.old_version else {
        return Some(false);
    };
    if matches!(invocation.script, ScriptKind::Postrm | ScriptKind::Prerm) {
        return Some(false);
    }
    let last = helper.last_version.clone().unwrap_or_default();
    let words = [old.as_str().to_owned(), "le-nl".to_owned(), last].map(Field::Known);
    compare_versions(&words)
}
