//! The checks of a patched image that need no tests.

use std::sync::Arc;

use patchkit_core::Verifier;
use patchkit_rollout::verify::CheckProfile;

use crate::cli::Check;

/// The checks that were asked for, by a profile, in a fixed order.
pub(crate) fn checks(asked: &[Check], profile: &CheckProfile) -> Vec<Arc<dyn Verifier>> {
    let all: [(Check, Arc<dyn Verifier>); 4] = [
        (Check::Configuration, Arc::new(profile.configuration())),
        (Check::Loading, Arc::new(profile.loading())),
        (Check::Scripts, Arc::new(profile.scripts())),
        (Check::Hardening, Arc::new(profile.hardening())),
    ];
    let wanted = |check: &Check| asked.contains(check) || asked.contains(&Check::All);
    all.into_iter().filter(|(check, _)| wanted(check)).map(|(_, verifier)| verifier).collect()
}
