//! Prove, decide, release, remember.
