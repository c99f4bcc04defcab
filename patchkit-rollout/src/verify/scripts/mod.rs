//! Whether scripts still find their interpreters, and Python and Perl their modules, with nothing executed.

mod perl;
mod python;
mod shebang;

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use patchkit_core::{
    Context, Image, Patched, Plugin, PluginInfo, Reason, Result, Verdict, Verifier,
    image::{FilePath, FileTree, Node},
};
use serde::Serialize;

use super::{
    Exception,
    pair::{Pair, evidence, judged, pairs, together},
};

pub use shebang::{Shebang, parse};

/// The most bytes of a file that says where Python looks (`.pth`, `.egg-link`, `pyvenv.cfg`): 64 KiB.
const MAX_PATH_FILE: u64 = 64 << 10;

/// Passes an image whose scripts and modules are found as before.
///
/// - The interpreter of every executable script (`#!`, through `env` and the image's `PATH`) is a program of the image.
/// - Every package of Python and module of Perl that an interpreter found is found by the interpreter of that name, also
///   where that now is another version: folders of versions, `.pth`, `.egg-link`, virtual environments, and extensions
///   that are built for one version only.
///
/// Links are followed inside the image. What was not found before the patch is listed, but holds. Modules that a later
/// version dropped on purpose can be [excepted](Self::excepting).
#[derive(Clone, Debug, Default, Serialize)]
pub struct Scripts {
    exceptions: Vec<Exception>,
}

/// What can be run and found in an image: names, each with why it cannot where it cannot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Findable {
    /// The scripts, by path, with what is wrong with their interpreter.
    pub scripts: BTreeMap<String, Option<String>>,
    /// What each interpreter finds: `/usr/bin/python3` and its modules.
    pub modules: BTreeMap<String, BTreeSet<String>>,
}

impl Findable {
    /// Looks into an image.
    ///
    /// # Errors
    /// Those of reading the layers.
    pub async fn of(image: &Image, cx: &Context) -> Result<Self> {
        let tree = image.files(says_where, cx).await?;
        let mut modules = python::modules(&tree)?;
        modules.extend(perl::modules(&tree));
        Ok(Self { scripts: shebang::scripts(image, &tree, cx).await?, modules })
    }
}

/// Whether a file says where modules are.
fn says_where(path: &FilePath, size: u64) -> bool {
    let name = path.file_name().unwrap_or_default();
    size <= MAX_PATH_FILE && (name.ends_with(b".pth") || name.ends_with(b".egg-link") || name == b"pyvenv.cfg")
}

impl Scripts {
    /// A verifier without exceptions.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, accepting what the pattern names: the path of a script, or an interpreter and a module,
    /// `/usr/bin/python3 lib2to3*`.
    #[must_use]
    pub fn excepting(mut self, exception: Exception) -> Self {
        self.exceptions.push(exception);
        self
    }

    /// Compares what was found before and after.
    fn compare(&self, before: &Findable, after: &Findable, cx: &Context) -> Vec<Reason> {
        vec![self.scripts(before, after, cx), self.modules(before, after, cx)]
    }

    fn scripts(&self, before: &Findable, after: &Findable, cx: &Context) -> Reason {
        let broken = || after.scripts.iter().filter_map(|(path, why)| Some((path, why.as_ref()?)));
        let worked = |path: &String| matches!(before.scripts.get(path), Some(None));
        // A new script whose interpreter others lost would have run before.
        let lost: BTreeSet<&String> = broken().filter(|(path, _)| worked(path)).map(|(_, why)| why).collect();
        let because = broken().map(|(path, why)| match before.scripts.get(path) {
            Some(Some(_)) => Reason::yes(format!("{path}: {why}, as before")),
            None if !lost.contains(why) => Reason::yes(format!("{path}: {why}, and is new")),
            _ => self.unless(path, format!("{path}: {why}"), cx),
        });
        let because = because.collect();
        together(format!("the interpreters of {} scripts", after.scripts.len()), because)
    }

    fn modules(&self, before: &Findable, after: &Findable, cx: &Context) -> Reason {
        let (mut because, mut found) = (Vec::new(), 0);
        for (interpreter, modules) in &before.modules {
            let Some(now) = after.modules.get(interpreter) else {
                because.push(self.unless(interpreter, format!("{interpreter} is gone"), cx));
                continue;
            };
            found += now.len();
            let lost = modules.difference(now).map(|module| format!("{interpreter} {module}"));
            because.extend(lost.map(|name| self.unless(&name, format!("{name} is not found any more"), cx)));
        }
        together(format!("{found} modules that {} interpreters find", after.modules.len()), because)
    }

    /// A fault, unless somebody answers for it.
    fn unless(&self, subject: &str, fault: String, cx: &Context) -> Reason {
        let excepted = Exception::judge(self.exceptions.iter(), subject, &fault, cx.now());
        excepted.unwrap_or_else(|| Reason::no(fault))
    }

    async fn pair(&self, pair: Pair<'_>, cx: &Context) -> Result<(Reason, Findable)> {
        let before = Findable::of(pair.before, cx).await?;
        let after = Findable::of(pair.after, cx).await?;
        let reasons = self.compare(&before, &after, cx);
        let words = ["has its interpreters and modules as before", "lacks interpreters or modules"];
        Ok((judged(pair.after.platform(), words, reasons), after))
    }
}

impl Plugin for Scripts {
    fn info(&self) -> PluginInfo {
        PluginInfo::new("scripts", env!("CARGO_PKG_VERSION")).configured(self)
    }
}

#[async_trait]
impl Verifier for Scripts {
    async fn verify(&self, patched: &Patched, cx: &Context) -> Result<Verdict> {
        let mut verdict = Verdict { subject: *patched.images().digest(), reasons: vec![], evidence: vec![] };
        for pair in pairs(patched) {
            let (reason, found) = self.pair(pair, cx).await?;
            verdict.reasons.push(reason);
            verdict.evidence.push(evidence("scripts", pair.after, &found));
        }
        Ok(verdict)
    }
}

/// The programs in folders called `bin` whose name passes, by path, with the file that they are in the end.
fn interpreters(tree: &FileTree, is_one: impl Fn(&str) -> bool) -> Vec<(FilePath, FilePath)> {
    let named = tree.iter().filter(|(path, node)| {
        let folder = path.parent().unwrap_or_default();
        !node.is_directory()
            && folder.file_name() == Some(b"bin")
            && path.file_name().is_some_and(|name| std::str::from_utf8(name).is_ok_and(&is_one))
    });
    let programs = named.filter_map(|(path, _)| {
        let end = tree.resolve(path)?;
        let node = tree.get(&end)?;
        (node.size().is_some() && node.metadata.mode & 0o111 != 0).then(|| (path.clone(), end))
    });
    programs.collect()
}

/// The folder of that name, where it is one, links followed.
fn folder(tree: &FileTree, base: &FilePath, name: &str) -> Option<FilePath> {
    let end = tree.resolve(&base.join(name).ok()?)?;
    tree.get(&end)?.is_directory().then_some(end)
}

/// The rest of a path below a folder.
fn below<'a>(path: &'a FilePath, folder: &FilePath) -> Option<&'a str> {
    let rest = path.to_str()?.strip_prefix(folder.to_str()?)?;
    Some(rest.trim_start_matches('/'))
}

/// Everything below a folder; symbolic links are not followed.
fn descendants<'a>(tree: &'a FileTree, folder: &FilePath) -> Vec<(&'a FilePath, &'a Node)> {
    let (mut found, mut waiting) = (Vec::new(), vec![folder.clone()]);
    while let Some(folder) = waiting.pop() {
        let children = tree.children(&folder);
        found.extend(children.inspect(|(path, node)| {
            if node.is_directory() {
                waiting.push((*path).clone());
            }
        }));
    }
    found
}
