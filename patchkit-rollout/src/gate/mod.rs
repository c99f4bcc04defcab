//! Decisions on verified images.

mod severity;

pub use severity::SeverityGate;
