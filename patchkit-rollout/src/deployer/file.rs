//! A deployment that is a file saying which image should run: what a GitOps agent reads.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use patchkit_core::{Action, Context, Deployer, Error, Observation, Plugin, PluginInfo, Reference, Result};
use serde::{Deserialize, Serialize};

/// A deployer that writes the desired image into a JSON file, atomically.
///
/// The file holds the `image` to run, a `canary` with its share while one is tried, and the `previous` image that a
/// rollback leads to. It is always whole: a killed process leaves the old file.
#[derive(Clone, Debug)]
pub struct FileDeployer {
    path: PathBuf,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Desired {
    image: Option<Reference>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    canary: Option<Canary>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous: Option<Reference>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Canary {
    image: Reference,
    percent: u8,
}

impl FileDeployer {
    /// The deployment in the given file, which is made by the first release.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn read(&self) -> Result<Desired> {
        let text = match fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Desired::default()),
            Err(error) => return Err(self.failed("read", error)),
        };
        serde_json::from_slice(&text)
            .map_err(|error| Error::corrupt("the deployment does not read").on(self.path.display()).because(error))
    }

    fn write(&self, desired: &Desired) -> Result<()> {
        let json = serde_json::to_vec_pretty(desired).expect("a deployment has only string keys");
        let mut part = self.path.as_os_str().to_owned();
        part.push(".part");
        let write = || {
            let mut file = File::create(&part)?;
            file.write_all(&json)?;
            file.sync_all()?;
            fs::rename(&part, &self.path)
        };
        write().map_err(|error| self.failed("write", error))
    }

    fn failed(&self, what: &str, error: std::io::Error) -> Error {
        Error::unexpected(format!("cannot {what} the deployment: {error}")).on(self.path.display()).because(error)
    }
}

impl Desired {
    fn release(&mut self, image: &Reference, percent: u8) {
        if self.image.as_ref() == Some(image) {
            self.canary = None;
        } else if percent < 100 {
            self.canary = Some(Canary { image: image.clone(), percent });
        } else {
            self.previous = self.image.replace(image.clone());
            self.canary = None;
        }
    }

    fn roll_back(&mut self) {
        if self.canary.take().is_none() && self.previous.is_some() {
            self.image = self.previous.take();
        }
    }

    fn shares(&self) -> BTreeMap<patchkit_core::Digest, u8> {
        let canary = self.canary.as_ref().map_or(0, |canary| canary.percent);
        let stable = self.image.as_ref().map(|image| (image, 100 - canary));
        let canary = self.canary.as_ref().map(|canary| (&canary.image, canary.percent));
        let shares = stable.into_iter().chain(canary).filter(|(_, percent)| *percent > 0);
        shares.filter_map(|(image, percent)| Some((*image.digest()?, percent))).collect()
    }
}

impl Plugin for FileDeployer {
    fn info(&self) -> PluginInfo {
        PluginInfo::new("file-deployer", env!("CARGO_PKG_VERSION")).configured(&self.path)
    }
}

#[async_trait]
impl Deployer for FileDeployer {
    async fn observe(&self, _cx: &Context) -> Result<Observation> {
        Ok(Observation { shares: self.read()?.shares(), settled: true, message: None })
    }

    async fn perform(&self, action: &Action, _cx: &Context) -> Result<()> {
        let (image, percent) = released(action)?;
        let mut desired = self.read()?;
        desired.release(image, percent);
        self.write(&desired)
    }

    async fn rollback(&self, _cx: &Context) -> Result<()> {
        let mut desired = self.read()?;
        desired.roll_back();
        self.write(&desired)
    }
}

/// The image by digest and its share of a release.
pub(super) fn released(action: &Action) -> Result<(&Reference, u8)> {
    match action {
        Action::Release { image, .. } if image.digest().is_none() => {
            Err(Error::invalid("an image is released by digest").on(image))
        }
        Action::Release { image, percent } if *percent > 100 => {
            Err(Error::invalid(format!("a share of {percent} %")).on(image))
        }
        Action::Release { image, percent } => Ok((image, *percent)),
        other => Err(Error::unsupported(format!("{other:?}"))),
    }
}
