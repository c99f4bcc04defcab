use std::sync::Arc;

use super::Planned;
use crate::{Error, ImageSet, Note, Reference, Registry, Repository, Result};

/// A patched image, stored in a repository, not yet proven.
#[derive(Clone, Debug)]
pub struct Patched {
    planned: Arc<Planned>,
    registry: Arc<dyn Registry>,
    repository: Repository,
    images: ImageSet,
    notes: Vec<Vec<Note>>,
}

impl Patched {
    /// The patched images, which are in the repository already, and what was noted about each.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) where there is not one image and one list of notes for each plan.
    pub fn new(
        planned: Arc<Planned>,
        (registry, repository): (Arc<dyn Registry>, Repository),
        images: ImageSet,
        notes: Vec<Vec<Note>>,
    ) -> Result<Self> {
        let plans = planned.plans().len();
        if images.images().len() != plans || notes.len() != plans {
            return Err(Error::invalid(format!("{} patched images for {plans} plans", images.images().len())));
        }
        Ok(Self { planned, registry, repository, images, notes })
    }

    /// What was applied.
    #[must_use]
    pub fn planned(&self) -> &Arc<Planned> {
        &self.planned
    }

    /// The registry that has the patched images.
    #[must_use]
    pub fn registry(&self) -> &Arc<dyn Registry> {
        &self.registry
    }

    /// The name of the patched image: its repository and digest.
    #[must_use]
    pub fn reference(&self) -> Reference {
        self.repository.digest(*self.images.digest())
    }

    /// The patched images, in the order of the plans.
    #[must_use]
    pub fn images(&self) -> &ImageSet {
        &self.images
    }

    /// What a person should know about how each image was made.
    #[must_use]
    pub fn notes(&self) -> &[Vec<Note>] {
        &self.notes
    }
}
