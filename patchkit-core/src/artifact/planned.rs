use std::sync::Arc;

use super::{Scanned, same_images};
use crate::{Plan, Result};

/// A scanned target with a plan of what to change.
#[derive(Clone, Debug)]
pub struct Planned {
    scanned: Arc<Scanned>,
    plans: Vec<Plan>,
}

impl Planned {
    /// The scanned target with one plan for each of its images, in their order.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) where a plan is for another image.
    pub fn new(scanned: Arc<Scanned>, plans: Vec<Plan>) -> Result<Self> {
        same_images("plan", plans.iter().map(|plan| &plan.subject), scanned.target().images())?;
        Ok(Self { scanned, plans })
    }

    /// What it is planned for.
    #[must_use]
    pub fn scanned(&self) -> &Arc<Scanned> {
        &self.scanned
    }

    /// The plans, one for each image.
    #[must_use]
    pub fn plans(&self) -> &[Plan] {
        &self.plans
    }
}
