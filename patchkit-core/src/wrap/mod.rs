//! What can be put around any port: try again, not too many at once, not too long, and note what was called.
//!
//! A wrapped port is the same port, and prints as the stack that it is:
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! use std::time::Duration;
//! use patchkit_core::{Context, Registry, memory::MemoryRegistry, wrap::{Limit, Retry, Timeout, Wrap}};
//!
//! let registry = MemoryRegistry::default().wrapped(Timeout(Duration::from_secs(30))).wrapped(Retry::default());
//! let registry = registry.wrapped(Limit::new(4));
//! assert!(format!("{registry:?}").starts_with("limit 4 ▷ retry 5 times ▷ timeout 30s ▷ "));
//! assert!(registry.resolve(&"example.org/app".parse()?, &Context::new()).await.is_err());
//! # Ok::<_, Box<dyn std::error::Error>>(()) }).unwrap();
//! ```

mod limit;
mod record;
mod retry;
mod timeout;

use std::{fmt, future::Future};

use async_trait::async_trait;

pub use limit::Limit;
pub use record::{Call, Record};
pub use retry::Retry;
pub use timeout::Timeout;

use crate::{
    Action, Application, Blob, ByteRange, ByteStream, Command, Container, Context, Decision, Deployer, Descriptor,
    Digest, Entry, Gate, Identity, Image, Ledger, ManifestBytes, Observation, Patched, Patcher, Plan, Plugin,
    PluginInfo, PutManifest, Reference, ReferrersFilter, Registry, Repository, Result, Runtime, Sample, ScanReport,
    Scanner, Signal, Signature, Signer, Telemetry, Verdict, Verified, Verifier, Window,
};

/// Something to do around every call of a port.
#[async_trait]
pub trait Around: fmt::Display + Send + Sync {
    /// Makes the call, as often as it sees fit. `operation` is the port's method.
    async fn around<T, F, Fut>(&self, operation: &'static str, cx: &Context, call: F) -> Result<T>
    where
        T: Send,
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<T>> + Send;
}

/// A port with something around it.
pub struct Wrapped<A, P> {
    around: A,
    inner: P,
}

/// Puts something around a port.
pub trait Wrap: Plugin + Sized {
    /// The same port with `around` around every call.
    fn wrapped<A: Around>(self, around: A) -> Wrapped<A, Self> {
        Wrapped { around, inner: self }
    }
}

impl<P: Plugin> Wrap for P {}

impl<A: Around, P: Plugin> fmt::Debug for Wrapped<A, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ▷ {:?}", self.around, self.inner)
    }
}

impl<A: Around, P: Plugin> Plugin for Wrapped<A, P> {
    /// The wrapped plugin's own: wrapping does not change the answers.
    fn info(&self) -> PluginInfo {
        self.inner.info()
    }
}

/// Implements a port for everything wrapped around it. Arguments are borrowed, so that each try gets the same.
macro_rules! wrap {
    ($($port:ident { $(fn $name:ident($($arg:ident: $ty:ty),*) -> $out:ty;)* })*) => { $(
        #[deny(clippy::missing_trait_methods)]
        #[async_trait]
        impl<A: Around, P: $port> $port for Wrapped<A, P> {
            $(async fn $name(&self, $($arg: $ty,)* cx: &Context) -> Result<$out> {
                self.around.around(stringify!($name), cx, || self.inner.$name($($arg,)* cx)).await
            })*
        }
    )* };
}

wrap! {
    Registry {
        fn resolve(reference: &Reference) -> Descriptor;
        fn manifest(repository: &Repository, digest: &Digest) -> ManifestBytes;
        fn blob(repository: &Repository, digest: &Digest, range: ByteRange) -> ByteStream;
        fn put_blob(repository: &Repository, blob: &Blob) -> ();
        fn put_manifest(reference: &Reference, manifest: &ManifestBytes, options: &PutManifest) -> Descriptor;
        fn referrers(repository: &Repository, digest: &Digest, filter: &ReferrersFilter) -> Vec<Descriptor>;
    }
    Scanner { fn scan(image: &Image) -> ScanReport; }
    Patcher {
        fn plan(image: &Image, report: &ScanReport) -> Plan;
        fn apply(image: &Image, plan: &Plan) -> Application;
    }
    Verifier { fn verify(patched: &Patched) -> Verdict; }
    Gate { fn decide(verified: &Verified) -> Decision; }
    Signer {
        fn sign(message: &[u8]) -> Signature;
        fn identity() -> Identity;
    }
    Deployer {
        fn observe() -> Observation;
        fn perform(action: &Action) -> ();
        fn rollback() -> ();
    }
    Telemetry { fn sample(signal: &Signal, window: Window) -> Sample; }
    Ledger {
        fn append(record: &crate::Record) -> Entry;
        fn read(from: u64, limit: usize) -> Vec<Entry>;
    }
    Runtime { fn start(image: &Image, command: &Command) -> Box<dyn Container>; }
}
