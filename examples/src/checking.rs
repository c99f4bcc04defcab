//! The checks of a patched image that need no tests.

use std::sync::Arc;

use patchkit_core::Verifier;
use patchkit_rollout::verify::{Configuration, Hardening, Scripts, hardening::Profile, loading::Loading};

use crate::cli::Check;

/// The checks that were asked for, in a fixed order.
pub(crate) fn checks(asked: &[Check]) -> Vec<Arc<dyn Verifier>> {
    let all: [(Check, Arc<dyn Verifier>); 4] = [
        (Check::Configuration, Arc::new(Configuration::new())),
        (Check::Loading, Arc::new(Loading::new())),
        (Check::Scripts, Arc::new(Scripts::new())),
        (Check::Hardening, Arc::new(Hardening::new(Profile::default()))),
    ];
    let wanted = |check: &Check| asked.contains(check) || asked.contains(&Check::All);
    all.into_iter().filter(|(check, _)| wanted(check)).map(|(_, verifier)| verifier).collect()
}
