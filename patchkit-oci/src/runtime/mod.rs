//! Running commands in images.

mod observe;

pub use observe::Watch;
