//! Whether a patched image is started as before.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use patchkit_core::{
    Config, Context, Image, Patched, Plugin, PluginInfo, Reason, Result, Verdict, Verifier,
    image::{FilePath, FileTree},
};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    Exception, accounts,
    pair::{Pair, evidence, judged, pairs},
    programs::Programs,
};

/// What the labels begin with that a patch may change or take away: they say how the image was patched.
const PATCH_LABELS: &str = "dev.patchkit.";

/// Passes an image that is started as before.
///
/// A plan changes packages, so every field of the configuration must say what it said (OCI image specification, "Image
/// Configuration"; Docker's health check, shell and triggers are not in it, and count too). Labels may be added, and those
/// under `dev.patchkit.` changed. Values are compared by their meaning: a field that is empty and one that is not there are
/// the same, and so are environments in another order. Of the environment only names are printed.
///
/// The files must fit, too: the programs that entrypoint and command name are still there and can be run, the user still
/// has its number, and the working directory is one. What did not fit before the patch is listed, but holds.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Configuration {
    exceptions: Vec<Exception>,
}

impl Configuration {
    /// A verifier without exceptions.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, accepting that the fields change that the pattern names, as the configuration spells them:
    /// `Entrypoint`, `Env`.
    #[must_use]
    pub fn excepting(mut self, exception: Exception) -> Self {
        self.exceptions.push(exception);
        self
    }

    async fn pair(&self, pair: Pair<'_>, cx: &Context) -> Result<Reason> {
        let (before, after) = (Started::of(pair.before, cx).await?, Started::of(pair.after, cx).await?);
        let mut because = self.fields(pair.before.config(), pair.after.config(), cx);
        because.extend(
            [program(&before, &after, Words::Entrypoint), program(&before, &after, Words::Command)]
                .into_iter()
                .flatten(),
        );
        because.push(user(&before, &after)?);
        because.push(workdir(&before, &after));
        Ok(judged(pair.after.platform(), ["is started as before", "is not started as before"], because))
    }

    /// A reason for each field that differs, and one for all that do not.
    fn fields(&self, before: &Config, after: &Config, cx: &Context) -> Vec<Reason> {
        let (old, new) = (execution(before), execution(after));
        let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        let (mut reasons, mut same) = (Vec::new(), 0);
        for name in names {
            let (old, new) = (old.get(name).unwrap_or(&Value::Null), new.get(name).unwrap_or(&Value::Null));
            match differs(name, old, new) {
                None => same += 1,
                Some(reason) if reason.holds => reasons.push(reason),
                Some(reason) => {
                    let excepted = Exception::judge(self.exceptions.iter(), name, &reason.message, cx.now());
                    reasons.push(excepted.unwrap_or(reason));
                }
            }
        }
        reasons.insert(0, Reason::yes(format!("{same} fields of the configuration are as before")));
        reasons
    }
}

impl Plugin for Configuration {
    fn info(&self) -> PluginInfo {
        PluginInfo::new("configuration", env!("CARGO_PKG_VERSION")).configured(self)
    }
}

#[async_trait]
impl Verifier for Configuration {
    async fn verify(&self, patched: &Patched, cx: &Context) -> Result<Verdict> {
        let mut verdict = Verdict { subject: *patched.images().digest(), reasons: vec![], evidence: vec![] };
        for pair in pairs(patched) {
            verdict.reasons.push(self.pair(pair, cx).await?);
            let sides = [execution(pair.before.config()), execution(pair.after.config())].map(without_values);
            verdict.evidence.push(evidence("configuration", pair.after, &sides));
        }
        Ok(verdict)
    }
}

/// The fields that say how an image is started, without those that say nothing.
fn execution(config: &Config) -> Map<String, Value> {
    match config.json().remove("config") {
        Some(Value::Object(fields)) => fields.into_iter().filter(|(_, value)| !is_empty(value)).collect(),
        _ => Map::new(),
    }
}

/// As evidence: what an environment says may be a secret.
fn without_values(mut fields: Map<String, Value>) -> Map<String, Value> {
    if let Some(Value::Array(env)) = fields.get_mut("Env") {
        let name = |variable: &Value| Some(variable.as_str()?.split('=').next()?.to_owned());
        *env = env.iter().filter_map(name).map(Value::String).collect();
    }
    fields
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.is_empty(),
        Value::Bool(value) => !value,
        Value::Null => true,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::Object(fields) => fields.is_empty(),
        Value::String(text) => text.is_empty(),
    }
}

/// How a field differs, and whether it may.
fn differs(field: &str, old: &Value, new: &Value) -> Option<Reason> {
    match field {
        _ if old == new => None,
        "Env" => named(field, &variables(old), &variables(new), |_, _| false),
        "Labels" => {
            let may = |name: &str, change: Change| change == Change::Added || name.starts_with(PATCH_LABELS);
            named(field, &labels(old), &labels(new), may)
        }
        _ => Some(Reason::no(format!("{field} was {old} and is {new}"))),
    }
}

/// What became of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Added,
    Changed,
    Removed,
}

type Named = BTreeMap<String, String>;

fn named(field: &str, old: &Named, new: &Named, may: impl Fn(&str, Change) -> bool) -> Option<Reason> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let changes = names.into_iter().filter_map(|name| {
        let (change, word) = match (old.get(name), new.get(name)) {
            (None, _) => (Change::Added, "was added"),
            (Some(_), None) => (Change::Removed, "is gone"),
            (Some(old), Some(new)) if old != new => (Change::Changed, "has another value"),
            _ => return None,
        };
        Some((format!("{name} {word}"), may(name, change)))
    });
    let (allowed, refused): (Vec<_>, Vec<_>) = changes.partition(|(_, may)| *may);
    let said = |changes: Vec<(String, bool)>| changes.into_iter().map(|(text, _)| text).collect::<Vec<_>>().join(", ");
    match (allowed.is_empty(), refused.is_empty()) {
        (_, false) => Some(Reason::no(format!("{field}: {}", said(refused)))),
        (false, true) => Some(Reason::yes(format!("{field}: {}", said(allowed)))),
        (true, true) => None,
    }
}

/// The variables of an environment; the last of a name counts.
fn variables(env: &Value) -> Named {
    let texts = env.as_array().into_iter().flatten().filter_map(Value::as_str);
    texts.filter_map(|text| text.split_once('=')).map(|(name, value)| (name.into(), value.into())).collect()
}

fn labels(labels: &Value) -> Named {
    let labels = labels.as_object().into_iter().flatten();
    labels.map(|(name, value)| (name.clone(), value.as_str().map_or_else(|| value.to_string(), Into::into))).collect()
}

/// An image as it is started: its configuration and files.
struct Started<'a> {
    config: &'a Config,
    tree: FileTree,
}

impl<'a> Started<'a> {
    async fn of(image: &'a Image, cx: &Context) -> Result<Self> {
        const MAX_PASSWD: u64 = 1 << 20;
        let is_passwd = |path: &FilePath, size| size <= MAX_PASSWD && path.file_name() == Some(b"passwd");
        Ok(Self { config: image.config(), tree: image.files(is_passwd, cx).await? })
    }

    fn words(&self, words: Words) -> Option<&str> {
        let list = match words {
            Words::Command => self.config.cmd(),
            Words::Entrypoint => self.config.entrypoint(),
        };
        list.first().map(String::as_str).filter(|word| !word.is_empty())
    }

    fn find(&self, program: &str) -> Result<FilePath, String> {
        Programs::of(self.config, &self.tree).find(program)
    }

    /// The number of the user; `None` where it has none.
    fn uid(&self) -> Result<Option<u64>> {
        let passwd = FilePath::new("etc/passwd").expect("a good path");
        let is_file = self.tree.resolve(&passwd).and_then(|end| self.tree.get(&end)?.size());
        let passwd = if is_file.is_some() { self.tree.read(&passwd)? } else { None };
        Ok(accounts::uid_of(self.config.user(), &passwd.unwrap_or_default()))
    }

    fn has_workdir(&self) -> bool {
        let end = FilePath::new(self.config.workdir()).ok().and_then(|path| self.tree.resolve(&path));
        end.is_some_and(|end| self.tree.get(&end).is_some_and(|node| node.is_directory()))
    }
}

/// Which words of the configuration begin with a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Words {
    /// Arguments of the entrypoint where there is one, but often a program's name all the same.
    Command,
    Entrypoint,
}

/// Whether the program that the patched image names can be run; nothing where it names none.
fn program(before: &Started<'_>, after: &Started<'_>, words: Words) -> Option<Reason> {
    let what = match words {
        Words::Command => "the command",
        Words::Entrypoint => "the entrypoint",
    };
    let name = after.words(words)?;
    let worked = before.words(words).map(|name| before.find(name));
    let is_argument = words == Words::Command && after.words(Words::Entrypoint).is_some();
    Some(match (after.find(name), worked) {
        (Ok(file), _) => Reason::yes(format!("{what} {name:?} runs {file:?}")),
        (Err(_), Some(Err(_)) | None) if is_argument => return None,
        (Err(why), Some(Err(_))) => Reason::yes(format!("{what} {name:?} {why}, as before")),
        (Err(why), _) => Reason::no(format!("{what} {name:?} {why}")),
    })
}

fn user(before: &Started<'_>, after: &Started<'_>) -> Result<Reason> {
    let name = after.config.user();
    let shown = |uid: Option<u64>| uid.map_or_else(|| "none".into(), |uid| uid.to_string());
    let (old, new) = (before.uid()?, after.uid()?);
    Ok(match (old, new) {
        (None, None) => Reason::yes(format!("the user {name:?} has no account, as before")),
        (old, new) if old == new => Reason::yes(format!("the user {name:?} has the number {}", shown(new))),
        _ => Reason::no(format!("the number of the user {name:?} was {} and is {}", shown(old), shown(new))),
    })
}

fn workdir(before: &Started<'_>, after: &Started<'_>) -> Reason {
    let name = after.config.workdir();
    match (before.has_workdir(), after.has_workdir()) {
        (_, true) => Reason::yes(format!("the working directory {name:?} is there")),
        (false, false) => Reason::yes(format!("the working directory {name:?} is not there, as before")),
        (true, false) => Reason::no(format!("the working directory {name:?} is not there")),
    }
}
