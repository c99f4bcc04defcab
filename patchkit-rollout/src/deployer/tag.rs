//! A deployment that is a tag: who pulls it gets the released image.

use std::sync::Arc;

use async_trait::async_trait;
use patchkit_core::{
    Action, Context, Current, Deployer, Digest, Error, ErrorKind, Observation, Plugin, PluginInfo, PutManifest,
    Reference, Registry, Result,
};

use super::file::released;

/// A deployer that moves a tag, with an optimistic lock, and keeps the image before under `TAG-previous`.
///
/// A tag is all or nothing: a share between 0 and 100 percent is [`Unsupported`](ErrorKind::Unsupported).
#[derive(Clone, Debug)]
pub struct TagDeployer {
    registry: Arc<dyn Registry>,
    tag: Reference,
    previous: Reference,
}

impl TagDeployer {
    /// The deployment that is the given tag of a registry.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) for a reference without a tag, or whose tag leaves no room for `-previous`.
    pub fn new(registry: Arc<dyn Registry>, tag: Reference) -> Result<Self> {
        let name = tag.tag().ok_or_else(|| Error::invalid("a tag is needed").on(&tag))?;
        let repository = tag.repository();
        let previous = repository
            .tag(&format!("{name}-previous"))
            .map_err(|error| Error::invalid("the tag is too long").on(&tag).because(error))?;
        let tag = repository.tag(name).map_err(|error| Error::invalid(error.to_string()))?;
        Ok(Self { registry, tag, previous })
    }

    async fn current(&self, tag: &Reference, cx: &Context) -> Result<Option<Digest>> {
        match self.registry.resolve(tag, cx).await {
            Ok(found) => Ok(Some(found.digest)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn point(&self, tag: &Reference, from: Option<Digest>, to: &Digest, cx: &Context) -> Result<()> {
        let manifest = self.registry.manifest(tag.repository(), to, cx).await?;
        let options = PutManifest { if_current: Some(from.map_or(Current::Absent, Current::Is)) };
        self.registry.put_manifest(tag, &manifest, &options, cx).await.map(drop)
    }
}

impl Plugin for TagDeployer {
    fn info(&self) -> PluginInfo {
        PluginInfo::new("tag-deployer", env!("CARGO_PKG_VERSION")).configured(&self.tag)
    }
}

#[async_trait]
impl Deployer for TagDeployer {
    async fn observe(&self, cx: &Context) -> Result<Observation> {
        let current = self.current(&self.tag, cx).await?;
        Ok(Observation {
            shares: current.into_iter().map(|digest| (digest, 100)).collect(),
            settled: true,
            message: None,
        })
    }

    async fn perform(&self, action: &Action, cx: &Context) -> Result<()> {
        let (image, percent) = released(action)?;
        let digest = image.digest().expect("an image is released by digest");
        let current = self.current(&self.tag, cx).await?;
        match percent {
            0 => Ok(()),
            100 if current.as_ref() == Some(digest) => Ok(()),
            100 => {
                if let Some(current) = current {
                    let before = self.current(&self.previous, cx).await?;
                    self.point(&self.previous, before, &current, cx).await?;
                }
                self.point(&self.tag, current, digest, cx).await
            }
            _ => Err(Error::unsupported(format!("a tag cannot have a share of {percent} %")).on(&self.tag)),
        }
    }

    async fn rollback(&self, cx: &Context) -> Result<()> {
        let Some(previous) = self.current(&self.previous, cx).await? else {
            return Ok(());
        };
        let current = self.current(&self.tag, cx).await?;
        match current == Some(previous) {
            true => Ok(()),
            false => self.point(&self.tag, current, &previous, cx).await,
        }
    }
}
