use std::sync::Arc;

use super::Verified;
use crate::Reason;

/// A verified image that the gates let pass. Only the engine makes one.
///
/// ```compile_fail
/// # fn forge(verified: std::sync::Arc<patchkit_core::Verified>) {
/// patchkit_core::Approved::new(verified, vec![]);
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Approved {
    verified: Arc<Verified>,
    reason: Reason,
}

impl Approved {
    pub(crate) fn new(verified: Arc<Verified>, reason: Reason) -> Self {
        Self { verified, reason }
    }

    /// What was approved.
    #[must_use]
    pub fn verified(&self) -> &Arc<Verified> {
        &self.verified
    }

    /// Why.
    #[must_use]
    pub fn reason(&self) -> &Reason {
        &self.reason
    }
}
