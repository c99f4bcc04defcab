//! Forgetting tags and manifests (distribution specification, "Content Management").

use patchkit_core::{Context, Digest, Error, ErrorKind, Reference, Repository, Result};
use reqwest::Method;

use super::{
    client::Inner,
    exchange::{Access, Ask},
    manifest::{From, Words, name_of},
    retry::Attempts,
};

impl Inner {
    pub(super) async fn delete(&self, reference: &Reference, cx: &Context) -> Result<()> {
        let repository = reference.repository();
        match (reference.tag(), reference.digest()) {
            (Some(tag), Some(digest)) => {
                let found = self.describe(repository, tag, From::Origin, cx).await?.digest;
                if found != *digest {
                    return Err(Error::conflict(format!("the tag points to {found} now")));
                }
                self.forget(reference, cx).await
            }
            (Some(_), None) => self.forget(reference, cx).await,
            (None, digest) => {
                let digest = digest.expect("a reference has a tag or a digest");
                let subject = self.subject(repository, digest, cx).await?;
                self.forget(reference, cx).await?;
                match subject {
                    Some(subject) => self.detach(repository, &subject, digest, cx).await,
                    None => Ok(()),
                }
            }
        }
    }

    /// What a manifest refers to. One that cannot be read refers to nothing, and can be deleted all the same.
    async fn subject(&self, repository: &Repository, digest: &Digest, cx: &Context) -> Result<Option<Digest>> {
        let manifest = match self.get_manifest(repository, &digest.to_string(), From::Origin, cx).await {
            Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported) => return Ok(None),
            manifest => manifest?,
        };
        let words = Words::of(&manifest.bytes).unwrap_or_default();
        Ok(words.subject.map(|subject| subject.digest))
    }

    async fn forget(&self, reference: &Reference, cx: &Context) -> Result<()> {
        let what = format!("manifests/{}", name_of(reference));
        let ask = Ask::new(Method::DELETE, reference.repository(), what, Access::Delete);
        let place = self.endpoints.origin(reference.repository())?;
        let mut attempts = Attempts::new(self.options.retry);
        loop {
            match self.ask_once(&ask, &place, cx).await {
                Ok(_) => return Ok(()),
                // It is gone: by the attempt that was not answered.
                Err(error) if error.kind() == ErrorKind::NotFound && attempts.again() => return Ok(()),
                // Registries that delete manifests only take the tag for a digest that is none.
                Err(error) if reference.tag().is_some() && is_misread(error.kind()) => {
                    return Err(Error::unsupported("the registry does not delete a tag by itself").because(error));
                }
                Err(error) => attempts.pause(error, cx).await?,
            }
        }
    }
}

fn is_misread(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Corrupt | ErrorKind::Invalid)
}
