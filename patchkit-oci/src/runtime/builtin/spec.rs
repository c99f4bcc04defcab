//! What is read of a bundle's `config.json` (OCI runtime-spec 1.x).

use std::{
    collections::BTreeMap,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{Fault, fault::Blame};

/// The most bytes of a document.
const MAX_DOCUMENT: u64 = 16 << 20;

/// Asks for an overlay on the root: an [`Overlay`] as JSON.
const OVERLAY: &str = "org.patchkit.overlay";

/// Asks for the loopback of a new network namespace to be `up`.
const LOOPBACK: &str = "org.patchkit.loopback";

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Config {
    pub(super) process: Process,
    pub(super) root: Root,
    pub(super) hostname: Option<String>,
    #[serde(default)]
    pub(super) mounts: Vec<Mount>,
    #[serde(default)]
    pub(super) linux: Linux,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    hooks: Option<BTreeMap<String, Vec<Value>>>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Process {
    pub(super) args: Vec<String>,
    #[serde(default)]
    pub(super) env: Vec<String>,
    pub(super) cwd: PathBuf,
    #[serde(default)]
    pub(super) user: User,
    #[serde(default)]
    pub(super) capabilities: Capabilities,
    #[serde(default)]
    pub(super) rlimits: Vec<Rlimit>,
    pub(super) oom_score_adj: Option<i32>,
    #[serde(default)]
    terminal: bool,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct User {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) umask: Option<u32>,
    pub(super) additional_gids: Vec<u32>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Capabilities {
    pub(super) bounding: Vec<String>,
    pub(super) effective: Vec<String>,
    pub(super) inheritable: Vec<String>,
    pub(super) permitted: Vec<String>,
    pub(super) ambient: Vec<String>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Rlimit {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) soft: u64,
    pub(super) hard: u64,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Root {
    pub(super) path: PathBuf,
    #[serde(default)]
    pub(super) readonly: bool,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Mount {
    pub(super) destination: PathBuf,
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) source: Option<PathBuf>,
    #[serde(default)]
    pub(super) options: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Linux {
    pub(super) namespaces: Vec<Namespace>,
    pub(super) uid_mappings: Vec<IdMapping>,
    pub(super) gid_mappings: Vec<IdMapping>,
    pub(super) masked_paths: Vec<PathBuf>,
    pub(super) readonly_paths: Vec<PathBuf>,
    pub(super) resources: Resources,
    pub(super) cgroups_path: Option<PathBuf>,
    pub(super) sysctl: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Namespace {
    #[serde(rename = "type")]
    pub(super) kind: NamespaceKind,
    pub(super) path: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum NamespaceKind {
    Cgroup,
    Ipc,
    Mount,
    Network,
    Pid,
    User,
    Uts,
}

/// A range of ids inside that are another range outside.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub(super) struct IdMapping {
    #[serde(rename = "containerID")]
    pub(super) container: u32,
    #[serde(rename = "hostID")]
    pub(super) host: u32,
    pub(super) size: u32,
}

impl IdMapping {
    pub(super) fn holds(&self, id: u32) -> bool {
        id.checked_sub(self.container).is_some_and(|place| place < self.size)
    }
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Resources {
    pub(super) memory: Limit,
    pub(super) pids: Limit,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Limit {
    limit: Option<i64>,
}

impl Limit {
    /// The limit; zero and less are none.
    pub(super) fn get(&self) -> Option<u64> {
        self.limit.and_then(|limit| u64::try_from(limit).ok()).filter(|limit| *limit > 0)
    }
}

/// Folders that lie over each other, the topmost first; without `upper` nothing can be written.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Overlay {
    pub(super) lower: Vec<PathBuf>,
    pub(super) upper: Option<PathBuf>,
    pub(super) work: Option<PathBuf>,
}

impl Config {
    /// The configuration of a bundle.
    pub(super) fn read(bundle: &Path) -> Result<Self, Fault> {
        let path = bundle.join("config.json");
        let config: Self = document(&path)?;
        config.check()
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Fault> {
        serde_json::from_slice::<Self>(bytes).blame("config.json")?.check()
    }

    pub(super) fn namespace(&self, kind: NamespaceKind) -> Option<&Namespace> {
        self.linux.namespaces.iter().find(|namespace| namespace.kind == kind)
    }

    pub(super) fn overlay(&self) -> Result<Option<Overlay>, Fault> {
        self.annotations.get(OVERLAY).map(|json| serde_json::from_str(json).blame(OVERLAY)).transpose()
    }

    pub(super) fn wants_loopback(&self) -> bool {
        self.annotations.get(LOOPBACK).is_some_and(|value| value == "up")
    }

    fn check(self) -> Result<Self, Fault> {
        self.process.check()?;
        if self.hooks.iter().flatten().any(|(_, hooks)| !hooks.is_empty()) {
            return Err(Fault::new("hooks", "this runtime runs none"));
        }
        for kind in [NamespaceKind::Pid, NamespaceKind::Mount] {
            if self.namespace(kind).is_none_or(|namespace| namespace.path.is_some()) {
                return Err(Fault::new("linux.namespaces", format!("a new {kind:?} namespace must be asked for")));
            }
        }
        if self.namespace(NamespaceKind::User).is_some_and(|namespace| namespace.path.is_some()) {
            return Err(Fault::new("linux.namespaces", "an existing user namespace cannot be joined"));
        }
        self.overlay()?;
        Ok(self)
    }
}

impl Process {
    /// The process that a file describes.
    pub(super) fn read(path: &Path) -> Result<Self, Fault> {
        let process: Self = document(path)?;
        process.check()?;
        Ok(process)
    }

    fn check(&self) -> Result<(), Fault> {
        if self.args.is_empty() {
            return Err(Fault::new("process.args", "there is no program"));
        }
        if self.args.iter().chain(&self.env).any(|text| text.contains('\0')) {
            return Err(Fault::new("process", "an argument or variable has a zero byte"));
        }
        if self.terminal {
            return Err(Fault::new("process.terminal", "this runtime makes no terminal"));
        }
        if !self.cwd.is_absolute() {
            return Err(Fault::new("process.cwd", "must be absolute"));
        }
        Ok(())
    }
}

fn document<T: DeserializeOwned>(path: &Path) -> Result<T, Fault> {
    let mut bytes = Vec::new();
    let file = File::open(path).blame(path.display().to_string())?;
    file.take(MAX_DOCUMENT).read_to_end(&mut bytes).blame(path.display().to_string())?;
    serde_json::from_slice(&bytes).blame(path.display().to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config() -> Value {
        json!({
            "ociVersion": "1.0.2", "process": { "args": ["true"], "cwd": "/" }, "root": { "path": "rootfs" },
            "linux": { "namespaces": [{ "type": "pid" }, { "type": "mount" }] },
        })
    }

    fn why(change: impl FnOnce(&mut Value)) -> String {
        let mut config = config();
        change(&mut config);
        Config::parse(config.to_string().as_bytes()).expect_err("refused").to_string()
    }

    #[test]
    fn the_least_configuration_is_read() {
        Config::parse(config().to_string().as_bytes()).unwrap();
    }

    #[test]
    fn what_cannot_be_kept_is_refused_by_name() {
        assert!(why(|config| config["process"]["terminal"] = true.into()).starts_with("process.terminal: "));
        assert!(why(|config| config["process"]["args"] = json!([])).starts_with("process.args: "));
        assert!(why(|config| config["process"]["cwd"] = "tmp".into()).starts_with("process.cwd: "));
        assert!(why(|config| config["hooks"] = json!({ "prestart": [{ "path": "/x" }] })).starts_with("hooks: "));
        assert!(why(|config| config["linux"]["namespaces"] = json!([])).starts_with("linux.namespaces: "));
        assert!(why(|config| config["annotations"] = json!({ OVERLAY: "{" })).starts_with(OVERLAY));
    }

    #[test]
    fn a_mapping_holds_its_range() {
        let mapping = IdMapping { container: 10, host: 0, size: 2 };
        assert_eq!([9, 10, 11, 12].map(|id| mapping.holds(id)), [false, true, true, false]);
    }
}
