//! The targets of patchkit-rollout.
#![no_main]

#[macro_use]
mod program;

targets! {
    rollout_coverage,
    rollout_elf,
    rollout_hardening,
    rollout_openapi,
    rollout_test_report,
}
