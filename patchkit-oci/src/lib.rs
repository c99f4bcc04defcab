//! Images wherever they live, and what is attached to them.

pub mod distribution;

pub use distribution::RegistryClient;
