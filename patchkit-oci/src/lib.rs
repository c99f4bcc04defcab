//! Images wherever they live, and what is attached to them.

mod sign;

pub use sign::{LocalKey, SigstoreBundle, verify};
