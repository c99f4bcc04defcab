//! Reference implementations of every port, in memory: product code, to embed and to test with.

mod clock;
mod scratch;

pub use clock::ManualClock;
pub use scratch::MemoryScratch;
