//! What a patcher intends to change, as data that a person can read, store and review.

use std::{collections::BTreeSet, fmt};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Digest, FindingKey, PackageName, Version, image::Image};

/// The changes to one image, and the findings that will stay.
///
/// Applying the same plan twice gives the same digest, on any machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The digest of the manifest that the plan is for.
    pub subject: Digest,
    /// The manifest that the patch starts from: the subject itself, or the original that the subject is a patch of.
    pub base: Digest,
    /// The time that everything written will bear, so that it does not depend on when the plan is applied.
    pub timestamp: Timestamp,
    /// What changes, sorted by package name and architecture.
    pub changes: Vec<Change>,
    /// What cannot be fixed or was not asked for, sorted.
    pub unfixable: Vec<Unfixable>,
}

impl Plan {
    /// Whether applying the plan would change nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The identity of the plan: the digest of its JSON.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(serde_json::to_vec(self).expect("a plan has only string keys"))
    }

    /// Every finding that the plan promises to fix.
    #[must_use]
    pub fn fixes(&self) -> BTreeSet<&FindingKey> {
        self.changes.iter().flat_map(|change| &change.fixes).collect()
    }
}

/// The change of one package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The package.
    pub package: PackageName,
    /// Its architecture in the ecosystem's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
    /// The installed version; none where the package is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Version>,
    /// The version to install; none where the package goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Version>,
    /// What to install it from; none where the package goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Download>,
    /// The findings that go away with it; empty where it only comes along.
    pub fixes: Vec<FindingKey>,
    /// Why it changes, in words: `fixes 3 findings`, `libssl1.1 (>= 1.1.1w) is needed by openssl`.
    pub reason: String,
}

/// Something to fetch, and how to know that it is the right thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Download {
    /// Where it lies: `http:`, `https:` or `file:`.
    pub url: String,
    /// Its digest, as the signed index of the repository has it.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
}

/// A finding that the plan leaves.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Unfixable {
    /// The finding.
    pub finding: FindingKey,
    /// Why it stays.
    pub reason: UnfixableReason,
}

/// Why a finding stays.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "why", content = "detail")]
#[non_exhaustive]
pub enum UnfixableReason {
    /// The fix cannot be installed beside what else is there; the detail is the solver's explanation.
    Conflict(String),
    /// The user keeps the package at its version, with a hold or a pin.
    Held(String),
    /// The vendor has no fix yet.
    NoFixYet,
    /// The fixed version is in no repository that the image uses.
    NotAvailable(String),
    /// The user asked for other findings only.
    NotChosen,
    /// The patcher cannot handle this kind of package.
    Unsupported(String),
    /// The vendor will not fix it.
    WillNotFix,
}

impl fmt::Display for UnfixableReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict(detail) => write!(f, "cannot be installed: {detail}"),
            Self::Held(detail) => write!(f, "held back: {detail}"),
            Self::NoFixYet => f.write_str("no fix yet"),
            Self::NotAvailable(detail) => write!(f, "not available: {detail}"),
            Self::NotChosen => f.write_str("not chosen"),
            Self::Unsupported(detail) => write!(f, "unsupported: {detail}"),
            Self::WillNotFix => f.write_str("will not be fixed"),
        }
    }
}

/// What applying a plan came to.
#[derive(Clone, Debug)]
pub enum Application {
    /// The patched image, and what a person should know about how it was made.
    Patched {
        /// The new image.
        image: Image,
        /// What was left out or replaced, sorted.
        notes: Vec<Note>,
    },
    /// The plan cannot be applied without breaking something; nothing was made.
    Refused(Vec<Note>),
}

/// Something that a patcher did not do, or did in its own way: a maintainer script that was not run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Note {
    /// What it means for the result.
    pub class: NoteClass,
    /// What it is about: `libc6 postinst`.
    pub subject: String,
    /// What was found and what was done, in words.
    pub message: String,
}

/// What a [`Note`] means for the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoteClass {
    /// The image would not work: the plan is refused.
    Refuse,
    /// A person should look.
    Review,
    /// Known to make no difference in an image, or done as data.
    Harmless,
}
