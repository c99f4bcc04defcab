//! Running commands in images.
#[cfg(feature = "engine")]
#[cfg(target_os = "linux")]
//!
//! [`OciRuntime`] runs them in any OCI runtime program: runc, crun, youki, and others with the same command line. Images
//! are unpacked once into a [`LayerStore`], and each container sees them through an overlay of its own.
mod bundle;
mod cgroup;
mod container;
mod doctor;
mod engine;
mod exec;
mod keeper;
mod network;
mod observe;
mod oci;
mod probe;
mod process;
mod root;
mod store;
mod view;
pub mod builtin;
pub use bundle::{User, resolve_user};
pub use doctor::{Checkup, Health, Way, doctor, try_out};
pub use engine::Engine;
pub use observe::Watch;
pub use oci::OciRuntime;
pub use store::LayerStore;
