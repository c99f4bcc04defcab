use async_trait::async_trait;

use super::{Plugin, forward};
use crate::{Context, Patched, Result, Verdict};

/// Finds out whether a patched image is as good as it should be.
///
/// # Contract
/// - Fails closed: what could not be checked is a reason that does not hold, or an error, never silence.
/// - Keeps all reasons, not only the first, and attaches what they rest on.
/// - The verdict's subject is the patched digest.
#[async_trait]
pub trait Verifier: Plugin {
    /// Verifies the patched image, on all its platforms.
    async fn verify(&self, patched: &Patched, cx: &Context) -> Result<Verdict>;
}

forward!(Verifier {
    fn verify(patched: &Patched, cx: &Context) -> Result<Verdict>;
});
