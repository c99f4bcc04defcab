//! Reference implementations of every port, in memory: product code, to embed and to test with.

mod clock;
mod closures;
mod deployer;
mod ledger;
mod patcher;
mod registry;
mod runtime;
mod scratch;
mod signer;
mod telemetry;

pub use clock::ManualClock;
pub use closures::{MemoryGate, MemoryScanner, MemoryVerifier};
pub use deployer::MemoryDeployer;
pub use ledger::MemoryLedger;
pub use patcher::LabelPatcher;
pub use registry::MemoryRegistry;
pub use runtime::MemoryRuntime;
pub use scratch::MemoryScratch;
pub use signer::MemorySigner;
pub use telemetry::MemoryTelemetry;
