//! What a reference names: one image, or an index of images.

use std::sync::Arc;

use super::{Image, Index, companion::Origin};
use crate::{Context, Descriptor, Digest, Error, ManifestBytes, PutManifest, Reference, Registry, Repository, Result};

/// One image, or a multi-platform index with its images.
///
/// What an index holds beside images (attestation manifests with the platform `unknown/unknown`) is left alone, as long
/// as the image that it is about stays, and travels along when the set is pushed elsewhere.
#[derive(Clone, Debug)]
pub struct ImageSet {
    root: Descriptor,
    index: Option<Index>,
    images: Vec<Image>,
    origin: Option<Origin>,
}

impl ImageSet {
    /// Opens what a digest names in a repository: the images' manifests and configurations, no layer.
    ///
    /// # Errors
    /// As [`Image::open`]; [`Unsupported`](crate::ErrorKind::Unsupported) for an index without images.
    pub async fn open(
        registry: Arc<dyn Registry>,
        repository: &Repository,
        digest: &Digest,
        cx: &Context,
    ) -> Result<Self> {
        let root = registry.manifest(repository, digest, cx).await?;
        if !root.media_type.is_index() {
            return Ok(Self::single(
                Image::from_manifest(registry, repository, root, cx).await.map_err(|e| e.on(digest))?,
            ));
        }
        let index = Index::parse(&root).map_err(|error| error.on(digest))?;
        let mut images = Vec::new();
        for descriptor in index.manifests().iter().filter(|entry| is_image(entry)) {
            images.push(Image::open(registry.clone(), repository, &descriptor.digest, cx).await?);
        }
        if images.is_empty() {
            return Err(Error::unsupported("the index has no image").on(digest));
        }
        let origin = Some(Origin { registry, repository: repository.clone() });
        Ok(Self { root: root.descriptor(), index: Some(index), images, origin })
    }

    /// A single image.
    #[must_use]
    pub fn single(image: Image) -> Self {
        Self { root: image.manifest().descriptor(), index: None, images: vec![image], origin: None }
    }

    /// Images of several platforms with a new index of them, in this order.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) where there is none, or two of one platform.
    pub fn of_platforms(images: Vec<Image>) -> Result<Self> {
        for (place, image) in images.iter().enumerate() {
            if images[..place].iter().any(|other| other.platform() == image.platform()) {
                return Err(Error::invalid(format!("two images of the platform {}", image.platform())));
            }
        }
        if images.is_empty() {
            return Err(Error::invalid("an index of no images"));
        }
        let index = Index::of(images.iter().map(Image::descriptor))?;
        Ok(Self { root: index.bytes().descriptor(), index: Some(index), images, origin: None })
    }

    /// The descriptor of the index, or of the one image.
    #[must_use]
    pub fn root(&self) -> &Descriptor {
        &self.root
    }

    /// The digest of the index, or of the one image.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.root.digest
    }

    /// The index, where there is one.
    #[must_use]
    pub fn index(&self) -> Option<&Index> {
        self.index.as_ref()
    }

    /// The images, in the index's order; at least one.
    #[must_use]
    pub fn images(&self) -> &[Image] {
        &self.images
    }

    /// The manifest of the root, as it travels.
    #[must_use]
    pub fn manifest(&self) -> &ManifestBytes {
        match &self.index {
            Some(index) => index.bytes(),
            None => self.images[0].manifest().bytes(),
        }
    }

    /// The same set with other images in the places of these, the index rebuilt around them. Attestations of images that
    /// were replaced go, since they say nothing about the new ones.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) where there is not one new image for each old one.
    pub fn with_images(&self, images: Vec<Image>) -> Result<Self> {
        if images.len() != self.images.len() {
            return Err(Error::invalid(format!("{} images in the place of {}", images.len(), self.images.len())));
        }
        let Some(index) = &self.index else {
            return Ok(Self::single(images.into_iter().next().expect("a set has an image")));
        };
        let replace = |old: &Digest| {
            let place = self.images.iter().position(|image| image.digest() == old)?;
            Some(images[place].descriptor().clone())
        };
        let index = index.replaced(replace)?;
        Ok(Self { root: index.bytes().descriptor(), index: Some(index), images, origin: self.origin.clone() })
    }

    /// Stores all images, what else the index names, and the index in a repository and, where the reference has a tag,
    /// points the tag to it.
    ///
    /// # Errors
    /// Those of reading the layers and of the registry.
    pub async fn push(
        &self,
        registry: &dyn Registry,
        reference: &Reference,
        options: &PutManifest,
        cx: &Context,
    ) -> Result<Descriptor> {
        for image in &self.images {
            image.push(registry, reference.repository(), cx).await?;
        }
        if let (Some(origin), Some(index)) = (&self.origin, &self.index) {
            for companion in index.manifests().iter().filter(|entry| !self.is_here(entry)) {
                origin.copy(companion, registry, reference.repository(), cx).await?;
            }
        }
        registry.put_manifest(reference, self.manifest(), options, cx).await
    }

    fn is_here(&self, entry: &Descriptor) -> bool {
        self.images.iter().any(|image| *image.digest() == entry.digest)
    }
}

/// Whether an index's entry is an image, and not an attestation or another artifact.
pub(super) fn is_image(entry: &Descriptor) -> bool {
    let unknown = entry.platform.as_ref().is_some_and(|platform| platform.os() == "unknown");
    entry.media_type.is_manifest() && !unknown && entry.artifact_type.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ErrorKind,
        image::{Compression, LayerWriter},
    };

    fn image(architecture: &str) -> Image {
        let layer = LayerWriter::new(Compression::None, &Context::new()).unwrap().finish().unwrap();
        Image::of_layers(&format!("linux/{architecture}").parse().unwrap(), vec![layer]).unwrap()
    }

    #[test]
    fn an_index_names_each_platform_once() {
        let set = ImageSet::of_platforms(vec![image("arm64"), image("amd64")]).unwrap();
        let named = set.index().unwrap().manifests().iter().map(|entry| entry.platform.clone().unwrap().to_string());
        assert_eq!(named.collect::<Vec<_>>(), ["linux/arm64", "linux/amd64"]);
        assert_eq!(*set.digest(), Digest::of(&set.manifest().bytes));
        let twice = ImageSet::of_platforms(vec![image("arm64"), image("arm64")]);
        assert_eq!(twice.unwrap_err().to_string(), "two images of the platform linux/arm64");
        assert_eq!(ImageSet::of_platforms(vec![]).unwrap_err().kind(), ErrorKind::Invalid);
    }
}
