//! # Errors and refusals
//!
//! An [`Error`](crate::Error) means that we could not tell, or could not do it. Its [`ErrorKind`](crate::ErrorKind) is
//! what a caller decides on, and [`retryable`](crate::Error::retryable) says whether trying again may help. It names
//! the operation, the subject and the plugin; the innermost caller that knows wins.
//!
//! "No" is no error. A pipeline ends in a [`Stop`](crate::Stop), of which a failure is only one kind:
//!
//! ```
//! use patchkit_core::{Reason, Stop};
//!
//! /// What a command-line tool makes of it.
//! fn exit_status(stop: &Stop) -> u8 {
//!     match stop {
//!         Stop::Failed(_) => 1,
//!         Stop::NothingToDo(_) => 0,
//!         Stop::Refused { reasons, .. } => {
//!             reasons.iter().for_each(|reason| eprintln!("{reason}"));
//!             3
//!         }
//!         Stop::Waiting(ticket) => {
//!             eprintln!("approve {} and run it again", ticket.id);
//!             4
//!         }
//!     }
//! }
//! assert_eq!(exit_status(&Stop::NothingToDo(Reason::yes("nothing is vulnerable"))), 0);
//! ```
//!
//! [`Corrupt`](crate::ErrorKind::Corrupt) is special: bytes are not what their digest, length or format promises. It is
//! never retried, and nothing turns it into an empty answer.
//!
//! An implementation keeps a rich error of its own, with positions, and turns it into this one at its border:
//!
//! ```
//! #[derive(Debug, thiserror::Error)]
//! #[error("line {line}: no version")]
//! struct ParseError {
//!     line: usize,
//! }
//!
//! impl From<ParseError> for patchkit_core::Error {
//!     fn from(error: ParseError) -> Self {
//!         Self::corrupt(error.to_string()).during("read the package database").because(error)
//!     }
//! }
//!
//! let error = patchkit_core::Error::from(ParseError { line: 7 }).on("var/lib/dpkg/status");
//! assert_eq!(error.to_string(), "read the package database: var/lib/dpkg/status: line 7: no version");
//! ```
