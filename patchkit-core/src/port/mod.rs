//! The ports: one trait a role, object-safe, with the fewest methods. A plugin is a value that has one of them.
//!
//! Every method takes intent as arguments and the circumstances as a [`Context`](crate::Context). `Arc<P>` and
//! `Box<P>` are `P`, and so is a reference.
//!
//! # Conformance
//!
//! With the feature `conformance`, the module of that name has a suite for each port: its contract, as tests that every
//! implementation must pass.

mod container;
mod deployer;
mod gate;
mod ledger;
mod patcher;
mod registry;
mod runtime;
mod scanner;
mod signer;
mod telemetry;
mod verifier;

use serde::{Deserialize, Serialize};

use crate::Digest;

pub use container::{Connection, Container, Output};
pub use deployer::{Action, Deployer, Observation};
pub use gate::Gate;
pub use ledger::{Entry, Ledger, Record};
pub use patcher::Patcher;
pub use registry::{Current, DeleteManifest, ListTags, ManifestBytes, PutManifest, ReferrersFilter, Registry};
pub use runtime::{
    Capabilities, Command, Exit, LimitKind, Limits, Mount, Network, Outcome, Runtime, RuntimeExt, Seen, Used,
};
pub use scanner::Scanner;
pub use signer::{Identity, Signature, Signer};
pub use telemetry::{Sample, Signal, Telemetry, Window};
pub use verifier::Verifier;

/// What every port extends: a plugin can say what it is.
pub trait Plugin: std::fmt::Debug + Send + Sync {
    /// Who it is, and under which configuration it works.
    fn info(&self) -> PluginInfo;
}

/// Who a plugin is. A recorded result is used again only where all of it is the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginInfo {
    /// Its name: `debian`.
    pub name: String,
    /// Its version: the crate's.
    pub version: String,
    /// The digest of everything that can change its answers: options, databases, keys.
    pub configuration: Digest,
    /// What it needs of its surroundings, in words: `network`, `a container runtime`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
}

impl PluginInfo {
    /// A plugin without configuration and needs.
    pub fn new(name: impl Into<String>, version: impl Into<String>) -> Self {
        Self { name: name.into(), version: version.into(), configuration: Digest::of(b""), needs: Vec::new() }
    }

    /// The same, with the configuration: anything that prints as JSON.
    #[must_use]
    pub fn configured(self, configuration: &impl Serialize) -> Self {
        let json = serde_json::to_vec(configuration).expect("a configuration has only string keys");
        Self { configuration: Digest::of(json), ..self }
    }

    /// The same, needing one more thing.
    #[must_use]
    pub fn needing(mut self, need: impl Into<String>) -> Self {
        self.needs.push(need.into());
        self
    }
}

/// Makes `&P`, `Box<P>` and `Arc<P>` a `P`. The lint catches a method that was forgotten here.
macro_rules! forward {
    ($port:ident $body:tt) => {
        $crate::port::forward!(@impl [&P] $port $body);
        $crate::port::forward!(@impl [Box<P>] $port $body);
        $crate::port::forward!(@impl [std::sync::Arc<P>] $port $body);
    };
    (@impl [$holder:ty] $port:ident { $(fn $name:ident($($arg:ident: $ty:ty),*) -> $out:ty;)* }) => {
        #[deny(clippy::missing_trait_methods)]
        #[async_trait::async_trait]
        impl<P: $port + ?Sized> $port for $holder {
            $(async fn $name(&self, $($arg: $ty),*) -> $out {
                (**self).$name($($arg),*).await
            })*
        }
    };
}
pub(crate) use forward;

macro_rules! forward_plugin {
    ($($holder:ty),*) => { $(
        #[deny(clippy::missing_trait_methods)]
        impl<P: Plugin + ?Sized> Plugin for $holder {
            fn info(&self) -> PluginInfo {
                (**self).info()
            }
        }
    )* };
}
forward_plugin!(&P, Box<P>, std::sync::Arc<P>);

/// Compiles only while every port is object-safe.
#[cfg(test)]
#[allow(dead_code, clippy::too_many_arguments)]
fn ports_are_object_safe(
    _: &dyn Registry,
    _: &dyn Scanner,
    _: &dyn Patcher,
    _: &dyn Verifier,
    _: &dyn Gate,
    _: &dyn Signer,
    _: &dyn Deployer,
    _: &dyn Telemetry,
    _: &dyn Ledger,
    _: &dyn Runtime,
    _: &dyn Container,
) {
}
