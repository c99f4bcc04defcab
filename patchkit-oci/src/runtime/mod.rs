//! Running commands in images.
#[cfg(target_os = "linux")]
//!
//! [`OciRuntime`] runs them in any OCI runtime program: runc, crun, youki, and others with the same command line. Images
//! are unpacked once into a [`LayerStore`], and each container sees them through an overlay of its own.
mod bundle;
mod cgroup;
mod container;
mod exec;
mod keeper;
mod network;
mod oci;
mod probe;
mod process;
mod root;
mod store;
mod view;
pub mod builtin;
pub use bundle::{User, resolve_user};
pub use oci::OciRuntime;
pub use store::LayerStore;
