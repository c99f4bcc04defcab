//! Why a pipeline ended before its end.

use std::fmt;

use crate::{Error, Reason, Ticket};

/// Why a pipeline stopped: an error is only one of four reasons.
#[derive(Debug)]
pub enum Stop {
    /// We could not tell, or could not do it.
    Failed(Error),
    /// There is nothing to patch; the reason says why.
    NothingToDo(Reason),
    /// A patcher, verifier, gate or deployer said no; the reasons say why.
    Refused {
        /// The stage that refused: `verify`.
        stage: &'static str,
        /// All its reasons.
        reasons: Vec<Reason>,
    },
    /// A gate waits for an answer; run the pipeline again once it is given.
    Waiting(Ticket),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => write!(f, "failed: {error}"),
            Self::NothingToDo(reason) => write!(f, "nothing to do: {}", reason.message),
            Self::Refused { stage, reasons } => {
                write!(f, "refused by {stage}")?;
                reasons.iter().filter(|reason| !reason.holds).try_for_each(|reason| write!(f, "\n{reason}"))
            }
            Self::Waiting(ticket) => {
                write!(f, "waiting for {}: {}", ticket.id, ticket.reason.message)
            }
        }
    }
}

impl std::error::Error for Stop {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Failed(error) => Some(error),
            Self::NothingToDo(_) | Self::Refused { .. } | Self::Waiting(_) => None,
        }
    }
}
