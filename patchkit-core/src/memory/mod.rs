//! Reference implementations of every port, in memory: product code, to embed and to test with.

mod clock;
mod deployer;
mod ledger;
mod registry;
mod scratch;

pub use clock::ManualClock;
pub use deployer::MemoryDeployer;
pub use ledger::MemoryLedger;
pub use registry::MemoryRegistry;
pub use scratch::MemoryScratch;
