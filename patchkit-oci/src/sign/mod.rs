//! Signatures that other tools verify.

mod bundle;
mod key;

pub use bundle::SigstoreBundle;
pub use key::{LocalKey, verify};
