//! The words and the grammar of patching container images: values that parse, ports to implement, and a pipeline
//! whose types say what has been proven.
//!
//! A plugin author needs this crate only. It does no network, no file and no process, and names no vendor.
//!
//! ```
//! use patchkit_core::{Digest, Reference, memory::MemoryRegistry};
//!
//! let reference: Reference = "debian:12".parse()?;
//! assert_eq!(reference.to_string(), "docker.io/library/debian:12");
//!
//! let pinned = reference.pinned(Digest::of(b"its manifest"));
//! assert_eq!(pinned.tag(), Some("12"));
//! # Ok::<_, patchkit_core::ParseReferenceError>(())
//! ```
//!
//! - [`Image`], [`ImageSet`]: immutable, lazy, identified at once; [`image`] reads, edits and writes them.
//! - [`Target`] to [`Released`]: the chain, whose types say what has been proven.
//! - [`port`]: what a plugin implements; [`memory`]: each port in memory; [`wrap`]: what can be put around one.
//! - [`Pipeline`]: composes them; [`Stop`]: why it ended early; [`Error`]: what went wrong.
//! - [`guide`]: the book.

pub mod attestation;
pub mod blob;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod guide;
pub mod memory;
pub mod port;
pub mod wrap;

mod artifact;
mod context;
mod descriptor;
mod digest;
mod error;
mod finding;
pub mod image;
mod last_day;
mod package;
mod pipeline;
mod plan;
mod platform;
mod purl;
mod reference;
mod scratch;
mod stage;
mod stop;
mod verdict;

pub use artifact::{Approved, Patched, Planned, Released, Scanned, Signed, Target, Verified};
pub use blob::{Blob, BlobSource, ByteRange, ByteStream};
pub use context::{Clock, Context, SystemClock};
pub use descriptor::{Descriptor, MediaType};
pub use digest::{Algorithm, Digest, Hasher, ParseDigestError};
pub use error::{Error, ErrorKind, Result, Retry};
pub use finding::{
    AdvisoryId, BaseLayers, CvssScore, Epss, Exploitation, Finding, FindingKey, FixState, ParseAdvisoryIdError,
    ParseSeverityError, ScanReport, Severity, Suppressed,
};
pub use image::{Config, Edit, Image, ImageSet, Index, Layer, Manifest};
pub use last_day::LastDay;
pub use package::{
    Distribution, Package, PackageName, ParseWordError, Presence, SourcePackage, Version, VersionScheme,
};
pub use pipeline::Pipeline;
pub use plan::{Application, Change, Download, Note, NoteClass, Plan, Unfixable, UnfixableReason};
pub use platform::{ParsePlatformError, Platform};
pub use port::{
    Action, Capabilities, Command, Connection, Container, Current, DeleteManifest, Deployer, Entry, Exit, Gate,
    Identity, Ledger, LimitKind, Limits, ListTags, ManifestBytes, Mount, Network, Observation, Outcome, Output,
    Patcher, Plugin, PluginInfo, PutManifest, Record, ReferrersFilter, Registry, Runtime, RuntimeExt, Sample, Scanner,
    Seen, Signal, Signature, Signer, Telemetry, Used, Verifier, Window,
};
pub use purl::{ParsePurlError, Purl, PurlParts};
pub use reference::{ParseReferenceError, Reference, Repository};
pub use scratch::{Scratch, ScratchWriter};
pub use stage::{Stage, stage_fn};
pub use stop::Stop;
pub use verdict::{Decision, Evidence, Reason, Ticket, Verdict};
