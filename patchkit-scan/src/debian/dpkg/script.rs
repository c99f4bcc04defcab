//! Maintainer scripts (Debian Policy 6): what one would do, worked out from its text, since nothing of an image is run.
//!
//! The text is read as shell, and followed as far as is certain: what `$1` and `$2` are, which branches that rules
//! out, which helper is called with which words. Every command that may be reached is put into a class; what is not
//! understood is for a person to review. This is a reader of bounded effort, not an interpreter: it never says that a
//! script does less than it could do, unless a command it takes for harmless is replaced in the image.

mod branch;
mod builtin;
mod command;
mod condition;
mod environment;
mod follow;
mod helper;
mod parser;
mod scan;
mod sed;
mod syntax;
mod word;

use std::fmt;

pub use helper::{ConffileHelper, HelperKind};

use crate::debian::version::DebVersion;

/// The longest script that is read, in bytes. The longest in Debian's archive have some 50 kB.
pub const MAX_SCRIPT_LENGTH: usize = 1 << 18;

/// One run of a maintainer script by dpkg.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// Which script.
    pub script: ScriptKind,
    /// The package it belongs to.
    pub package: Box<str>,
    /// The version that is replaced, or `None` when the package is installed for the first time.
    pub old_version: Option<DebVersion>,
    /// The version that is installed.
    pub new_version: DebVersion,
}

/// The four scripts, and what they are for in an installation or upgrade.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ScriptKind {
    /// Of the new package, once it is unpacked.
    Postinst,
    /// Of the old package, once the new one is unpacked.
    Postrm,
    /// Of the new package, before it is unpacked.
    Preinst,
    /// Of the old package, before the new one is unpacked.
    Prerm,
}

/// What a script would do, command by command, in the order of its text.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ScriptReview {
    /// The commands that may be reached.
    pub steps: Vec<Step>,
}

/// A command of a script that may be reached.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Step {
    /// The lines it spans, from 1.
    pub lines: (usize, usize),
    /// These lines.
    pub text: String,
    /// What it comes to.
    pub effect: Effect,
}

/// What a command of a script comes to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Effect {
    /// It changes nothing in an image that is not running.
    Harmless {
        /// What it is.
        what: &'static str,
    },
    /// It does what can be done as data.
    DoneAsData {
        /// What is to be done.
        action: Action,
    },
    /// It may change something, in a way that a person has to judge.
    NeedsReview {
        /// Why it is not one of the others.
        why: String,
    },
    /// The script would stop the upgrade, or needs what an image has not.
    Refuse {
        /// Why.
        why: String,
    },
}

/// Something that helpers do, told as data. Doing it twice is the same as doing it once.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Action {
    /// `update-alternatives`, with its words.
    Alternatives(Vec<String>),
    /// Python byte code: `py3compile`, `py3clean` or Python's `py_compile.py`, with those of its words that are known.
    ByteCode(Vec<String>),
    /// `dpkg-maintscript-helper`, where its version check applies.
    Conffile(ConffileHelper),
    /// `update-rc.d`: links to a start script.
    InitScript(Vec<String>),
    /// The cache of the dynamic linker.
    Ldconfig,
    /// The list of login shells.
    Shells(Vec<String>),
    /// `deb-systemd-helper`: links to a unit.
    SystemdUnit(Vec<String>),
    /// `dpkg-trigger`: a trigger by name.
    Trigger(String),
}

/// The class of a script: that of its gravest step.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum ScriptClass {
    /// It can be left out.
    Harmless,
    /// It can be left out once its actions are done as data.
    DoneAsData,
    /// A person has to look at it.
    NeedsReview,
    /// The package cannot be installed without running it.
    Refuse,
}

/// What a path of the image is, for the tests that scripts make of files.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PathFacts {
    /// The path itself is a symbolic link.
    pub is_symlink: bool,
    /// What is there once links are followed; `None` where nothing is.
    pub target: Option<TargetFacts>,
}

/// What a path leads to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TargetFacts {
    /// What it is.
    pub kind: TargetKind,
    /// It is a file of no bytes.
    pub is_empty: bool,
    /// Someone may execute it, or it is a directory.
    pub is_executable: bool,
}

/// What a path leads to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TargetKind {
    /// A directory.
    Directory,
    /// A plain file.
    File,
    /// Something else.
    Other,
}

/// Tells what an absolute path is when the script starts; `None` where that is not known.
type Tree<'a> = dyn Fn(&str) -> Option<PathFacts> + 'a;

/// Works out what a script would do when it is run so, without knowing the image.
///
/// A script that is not a shell's, is too long, or has anything that is not understood needs a review; there is no
/// error.
#[must_use]
pub fn review(script: &[u8], invocation: &Invocation) -> ScriptReview {
    review_in(script, invocation, |_| None)
}

/// As [`review`], with the tests of files answered by `tree`, as it is when dpkg would start the script. Once the
/// script may have changed a file, nothing is asked of the tree any more.
pub fn review_in(script: &[u8], invocation: &Invocation, tree: impl Fn(&str) -> Option<PathFacts>) -> ScriptReview {
    let text = match readable(script) {
        Ok(text) => text,
        Err(why) => return whole(script, why),
    };
    match parser::parse(text) {
        Ok(list) => follow::follow(&list, text, invocation, &tree),
        Err(error) => {
            let why = format!("line {} is not understood: {}", error.line, error.what);
            let text = text.lines().nth(error.line.saturating_sub(1)).unwrap_or_default().to_owned();
            let effect = Effect::NeedsReview { why };
            ScriptReview { steps: vec![Step { lines: (error.line, error.line), text, effect }] }
        }
    }
}

/// The text of a shell script.
fn readable(script: &[u8]) -> Result<&str, &'static str> {
    const SHELLS: [&str; 6] = ["/bin/sh", "/bin/dash", "/bin/bash", "/usr/bin/sh", "/usr/bin/dash", "/usr/bin/bash"];
    if script.len() > MAX_SCRIPT_LENGTH {
        return Err("the script is too long to be read");
    }
    let text = std::str::from_utf8(script).map_err(|_| "the script is not UTF-8 text")?;
    let interpreter = text.strip_prefix("#!").and_then(|rest| rest.lines().next()).unwrap_or_default();
    let program = interpreter.split_ascii_whitespace().next().unwrap_or_default();
    if SHELLS.contains(&program) { Ok(text) } else { Err("the script is not a shell's") }
}

fn whole(script: &[u8], why: &str) -> ScriptReview {
    let first = script.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let text = String::from_utf8_lossy(&first[..first.len().min(100)]).into_owned();
    ScriptReview { steps: vec![Step { lines: (1, 1), text, effect: Effect::NeedsReview { why: why.to_owned() } }] }
}

impl ScriptReview {
    /// The class of the whole script.
    #[must_use]
    pub fn class(&self) -> ScriptClass {
        self.steps.iter().map(|step| step.effect.class()).max().unwrap_or(ScriptClass::Harmless)
    }

    /// What has to be done as data, in the order of the script.
    pub fn actions(&self) -> impl Iterator<Item = &Action> {
        self.steps.iter().filter_map(|step| match &step.effect {
            Effect::DoneAsData { action } => Some(action),
            _ => None,
        })
    }
}

impl Effect {
    /// The class of the command.
    #[must_use]
    pub fn class(&self) -> ScriptClass {
        match self {
            Self::DoneAsData { .. } => ScriptClass::DoneAsData,
            Self::Harmless { .. } => ScriptClass::Harmless,
            Self::NeedsReview { .. } => ScriptClass::NeedsReview,
            Self::Refuse { .. } => ScriptClass::Refuse,
        }
    }
}

impl Invocation {
    /// The words that dpkg gives the script (Debian Policy 6.5, the case where nothing fails).
    #[must_use]
    pub fn arguments(&self) -> Vec<String> {
        let old = self.old_version.as_ref().map(DebVersion::canonical);
        let new = self.new_version.canonical();
        let word = str::to_owned;
        match (self.script, old) {
            (ScriptKind::Postinst, old) => vec![word("configure"), old.unwrap_or_default()],
            (ScriptKind::Preinst, Some(old)) => vec![word("upgrade"), old, new],
            (ScriptKind::Preinst, None) => vec![word("install")],
            (ScriptKind::Postrm | ScriptKind::Prerm, _) => vec![word("upgrade"), new],
        }
    }
}

impl fmt::Display for ScriptKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Postinst => "postinst",
            Self::Postrm => "postrm",
            Self::Preinst => "preinst",
            Self::Prerm => "prerm",
        })
    }
}

#[cfg(test)]
mod tests;
