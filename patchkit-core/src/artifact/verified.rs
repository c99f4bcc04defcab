use std::sync::Arc;

use super::Patched;
use crate::Verdict;

/// A patched image that every verifier passed. Only the engine makes one.
///
/// ```compile_fail
/// # fn forge(patched: std::sync::Arc<patchkit_core::Patched>) {
/// patchkit_core::Verified::new(patched, vec![]);
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Verified {
    patched: Arc<Patched>,
    verdicts: Vec<Verdict>,
}

impl Verified {
    pub(crate) fn new(patched: Arc<Patched>, verdicts: Vec<Verdict>) -> Self {
        Self { patched, verdicts }
    }

    /// What was verified.
    #[must_use]
    pub fn patched(&self) -> &Arc<Patched> {
        &self.patched
    }

    /// The verdicts, all of which pass; at least one.
    #[must_use]
    pub fn verdicts(&self) -> &[Verdict] {
        &self.verdicts
    }
}
