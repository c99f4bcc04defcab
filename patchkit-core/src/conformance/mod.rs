//! The suites that every implementation of a port must pass: the contracts, as tests.
//!
//! A suite is a list of named cases. An implementation runs one of them in a test of its own:
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! use patchkit_core::{conformance, memory::MemoryLedger};
//!
//! conformance::ledger::suite(&MemoryLedger::default()).await.assert();
//! # });
//! ```
//!
//! All cases run, and all that failed are named. Deliberately broken implementations prove in this crate's tests that
//! every case can fail.

pub mod deployer;
pub mod gate;
pub mod ledger;
pub mod patcher;
pub mod registry;
pub mod runtime;
pub mod scanner;
pub mod signer;
pub mod telemetry;
pub mod verifier;

use std::{collections::BTreeMap, fmt, future::Future, sync::Arc};

use bytes::Bytes;

use crate::{Blob, Error, ErrorKind, Image, Layer};

/// What a suite found out: each case with what was wrong, if anything was.
#[derive(Debug, Default)]
#[must_use]
pub struct Outcomes(BTreeMap<&'static str, Option<String>>);

impl Outcomes {
    /// Panics with the name of every failed case and what was wrong.
    ///
    /// # Panics
    /// Where a case failed, or none was run.
    #[track_caller]
    pub fn assert(&self) {
        assert!(!self.0.is_empty(), "no case was run");
        assert!(self.failed().next().is_none(), "{self}");
    }

    /// The names of the cases that failed.
    pub fn failed(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().filter(|(_, wrong)| wrong.is_some()).map(|(name, _)| *name)
    }

    /// The names of all cases.
    pub fn cases(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }

    async fn case(&mut self, name: &'static str, case: impl Future<Output = Check>) {
        let wrong = case.await.err().map(|Wrong(wrong)| wrong);
        assert!(self.0.insert(name, wrong).is_none(), "two cases are called {name}");
    }
}

impl fmt::Display for Outcomes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failed = self.failed().count();
        write!(f, "{failed} of {} cases failed", self.0.len())?;
        for (name, wrong) in &self.0 {
            if let Some(wrong) = wrong {
                write!(f, "\n  {name}: {wrong}")?;
            }
        }
        Ok(())
    }
}

/// How a case ends.
type Check = Result<(), Wrong>;

/// What is wrong, in words.
struct Wrong(String);

impl From<Error> for Wrong {
    fn from(error: Error) -> Self {
        Self(format!("unexpected error: {error} ({})", error.kind()))
    }
}

fn equal<T: PartialEq + fmt::Debug>(found: T, expected: T) -> Check {
    if found == expected { Ok(()) } else { Err(Wrong(format!("{found:?} in the place of {expected:?}"))) }
}

fn holds(condition: bool, otherwise: &str) -> Check {
    if condition { Ok(()) } else { Err(Wrong(otherwise.into())) }
}

fn fails<T: fmt::Debug>(result: crate::Result<T>, kind: ErrorKind) -> Check {
    match result {
        Err(error) if error.kind() == kind => Ok(()),
        Err(error) => Err(Wrong(format!("an error that is {} in the place of {kind}: {error}", error.kind()))),
        Ok(value) => Err(Wrong(format!("{value:?} in the place of an error that is {kind}"))),
    }
}

/// The same image, by its digests, whose layers' bytes are not what they should be.
fn damaged(image: &Image) -> Result<Image, Wrong> {
    let damage = |layer: &Layer| Blob::new(layer.blob().descriptor().clone(), Arc::new(Bytes::from("damaged")));
    let layers = image.layers().iter().map(damage).collect();
    Ok(Image::assemble(image.manifest().clone(), image.config().clone(), layers)?)
}
