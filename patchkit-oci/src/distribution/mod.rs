//! Images in a registry: a client for the OCI distribution specification 1.1, over HTTP.
//!
//! ```no_run
//! # async fn pull() -> patchkit_core::Result<()> {
//! use patchkit_core::{Context, Reference, Registry};
//! use patchkit_oci::distribution::{Options, RegistryClient};
//!
//! let registry = RegistryClient::new(Options::default().with_plain_http("registry.example.org:5000"))?;
//! let reference: Reference = "registry.example.org:5000/app:1".parse().expect("it is well-formed");
//! let found = registry.resolve(&reference, &Context::new()).await?;
//! println!("{reference} is {}", found.digest);
//! # Ok(())
//! # }
//! ```
//!
//! Downwards: [`client`](RegistryClient) has the ports; `manifest`, `blob`, `upload`, `referrers` and `tags` say what
//! is asked; `exchange` sends it to the right place, authorised and again where that may help; `auth` answers
//! challenges; `wire` is the only one that touches the network.

mod auth;
mod blob;
mod client;
mod delete;
mod endpoint;
mod errors;
mod exchange;
#[doc(hidden)]
pub mod foreign;
mod link;
mod manifest;
mod options;
mod progress;
mod referrers;
mod retry;
mod tags;
mod tls;
mod upload;
mod wire;

pub use auth::{AuthFiles, Credential};
pub use client::RegistryClient;
pub use options::{Mirror, MirrorUse, Options, ProxyChoice};
pub use retry::RetryPolicy;
pub use tls::install_tls_provider;
