//! Running commands in images.
//!
//! [`OciRuntime`] runs them in any OCI runtime program: runc, crun, youki, and our own [`builtin`] one, which needs nothing
//! installed and no root. Images are unpacked once into a [`LayerStore`], and each container sees them through an overlay
//! of its own. `Engine` (feature `engine`) runs them in podman or Docker, through their API. [`doctor`] says which of all
//! these work on this machine, and why the others do not.

pub mod builtin;

mod bundle;
mod cgroup;
mod container;
mod doctor;
#[cfg(feature = "engine")]
mod engine;
mod exec;
mod keeper;
mod loopback;
mod network;
mod observe;
mod oci;
mod process;
mod program;
mod relay;
mod root;
mod store;
mod survivor;
mod view;

pub use bundle::{User, resolve_user};
pub use doctor::{Checkup, Health, Way, doctor, try_out};
#[cfg(feature = "engine")]
pub use engine::Engine;
pub use observe::Watch;
pub use oci::OciRuntime;
pub use store::LayerStore;
