//! Running commands in images.

mod doctor;
#[cfg(feature = "engine")]
mod engine;
mod observe;

pub use doctor::{Checkup, Health, Way, doctor, try_out};
#[cfg(feature = "engine")]
pub use engine::Engine;
pub use observe::Watch;
