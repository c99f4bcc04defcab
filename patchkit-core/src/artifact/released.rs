use std::sync::Arc;

use super::Signed;
use crate::Observation;

/// A signed image that runs. Only the engine makes one.
///
/// ```compile_fail
/// # fn forge(signed: std::sync::Arc<patchkit_core::Signed>, seen: patchkit_core::Observation) {
/// patchkit_core::Released::new(signed, seen);
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Released {
    signed: Arc<Signed>,
    observation: Observation,
}

impl Released {
    pub(crate) fn new(signed: Arc<Signed>, observation: Observation) -> Self {
        Self { signed, observation }
    }

    /// What was released.
    #[must_use]
    pub fn signed(&self) -> &Arc<Signed> {
        &self.signed
    }

    /// What the deployer saw when it was done.
    #[must_use]
    pub fn observation(&self) -> &Observation {
        &self.observation
    }
}
