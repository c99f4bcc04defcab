//! OpenPGP as archives use it: keyrings, clear-signed and detached signatures, and which of them to believe.
//!
//! Only verification lives here. The packets are parsed and checked by the crate `pgp`; what a good packet is worth
//! (which key may sign, until when, with which hash) is decided in `certificate` and `verify`.
//! Sources: RFC 9580 and RFC 4880 sections 5.2, 7, 10.1, 11.1; apt-secure(8); gpgv(1).

mod certificate;
mod clearsign;
mod keyring;
mod verify;

pub use certificate::{Certificate, KeyFault};
pub use clearsign::{ClearSignError, ClearSigned, split_clear_signed};
pub use keyring::{Keyring, KeyringError};
pub use verify::{Policy, SignatureFault, Signer, VerifyError, verify_clear_signed, verify_detached};

#[cfg(test)]
mod tests;
