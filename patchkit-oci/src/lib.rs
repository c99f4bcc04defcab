//! Images wherever they live, and what is attached to them.

pub mod diff;
pub mod distribution;
#[cfg(target_os = "linux")]
pub mod runtime;
#[cfg(feature = "serve")]
pub mod serve;

mod archive;
mod file;
mod layout;
mod name;
mod scratch;
mod sign;

pub use archive::{
    Archive, ArchiveFormat, DockerImage, ParseDockerManifestError, ParseTarError, TarFault, index_archive,
    parse_docker_manifest, write_archive,
};
pub use distribution::RegistryClient;
pub use layout::{Collected, IndexFile, Layout, ParseLayoutError, Store, parse_marker};
pub use name::{ImageName, Local, ParseImageNameError};
pub use scratch::FolderScratch;
pub use sign::{LocalKey, SigstoreBundle, verify};
