//! Prove, decide, release, remember: gates, deployers, the ledger and the reports that are read off a run.

pub mod deployer;
pub mod gate;
pub mod ledger;
pub mod report;
pub mod verify;

pub use deployer::{FileDeployer, TagDeployer};
pub use gate::SeverityGate;
pub use ledger::FileLedger;
