use std::sync::Arc;

use super::Approved;
use crate::{Descriptor, Identity};

/// An approved image that carries a signature in its registry. Only the engine makes one.
///
/// ```compile_fail
/// # fn forge(approved: std::sync::Arc<patchkit_core::Approved>, identity: patchkit_core::Identity) {
/// patchkit_core::Signed::new(approved, identity, vec![], vec![]);
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Signed {
    approved: Arc<Approved>,
    identity: Identity,
    signatures: Vec<Descriptor>,
    attestations: Vec<Descriptor>,
}

impl Signed {
    pub(crate) fn new(
        approved: Arc<Approved>,
        identity: Identity,
        signatures: Vec<Descriptor>,
        attestations: Vec<Descriptor>,
    ) -> Self {
        Self { approved, identity, signatures, attestations }
    }

    /// What was signed.
    #[must_use]
    pub fn approved(&self) -> &Arc<Approved> {
        &self.approved
    }

    /// Who signed.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The manifests of the signatures: of the index, where there is one, and of every image.
    #[must_use]
    pub fn signatures(&self) -> &[Descriptor] {
        &self.signatures
    }

    /// The manifests of what verifiers stated, signed: each is attached to the image that it is about.
    #[must_use]
    pub fn attestations(&self) -> &[Descriptor] {
        &self.attestations
    }
}
