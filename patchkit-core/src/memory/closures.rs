//! The ports that decide something, as closures: for tests, and for glue of one's own that is not worth a type.

use std::{fmt, sync::Arc};

use async_trait::async_trait;

use crate::{
    Context, Decision, Gate, Image, Patched, Plugin, PluginInfo, Result, ScanReport, Scanner, Verdict, Verified,
    Verifier,
};

macro_rules! closures {
    ($($(#[$doc:meta])* $name:ident: $port:ident { $method:ident($($arg:ident: $ty:ty),*) -> $out:ty })*) => { $(
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name {
            info: PluginInfo,
            #[allow(clippy::type_complexity)]
            answer: Arc<dyn Fn($($ty),*) -> Result<$out> + Send + Sync>,
        }

        impl $name {
            /// The plugin that is called this and answers like that.
            ///
            /// Its name is all that tells its answers from another's in a ledger: change it with the closure.
            pub fn new(name: &str, answer: impl Fn($($ty),*) -> Result<$out> + Send + Sync + 'static) -> Self {
                Self { info: PluginInfo::new(name, env!("CARGO_PKG_VERSION")), answer: Arc::new(answer) }
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.info.name).finish()
            }
        }

        impl Plugin for $name {
            fn info(&self) -> PluginInfo {
                self.info.clone()
            }
        }

        #[async_trait]
        impl $port for $name {
            async fn $method(&self, $($arg: $ty,)* cx: &Context) -> Result<$out> {
                cx.check()?;
                (self.answer)($($arg),*)
            }
        }
    )* };
}

closures! {
    /// A scanner that is a closure.
    MemoryScanner: Scanner { scan(image: &Image) -> ScanReport }
    /// A verifier that is a closure.
    MemoryVerifier: Verifier { verify(patched: &Patched) -> Verdict }
    /// A gate that is a closure.
    MemoryGate: Gate { decide(verified: &Verified) -> Decision }
}
