//! Running commands in images.

#[cfg(feature = "engine")]
mod engine;
mod observe;

#[cfg(feature = "engine")]
pub use engine::Engine;
pub use observe::Watch;
