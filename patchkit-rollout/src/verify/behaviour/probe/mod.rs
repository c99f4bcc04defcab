//! Probes: requests whose answers must be the same before and after, and as quick.
//!
//! ```
//! use patchkit_rollout::verify::behaviour::probe::ProbeSet;
//!
//! let set = ProbeSet::read("
//! probes:
//!   - name: index
//!     request: { port: 8080, path: / }
//!     headers: [content-type]
//!   - name: users
//!     request: { port: 8080, path: /users, headers: { accept: application/json } }
//!     body: { json: { except: ['$..requested_at'] } }
//!     required: ['$.users']
//!     latency: { samples: 20, ratio: 1.5, floor: 20ms }
//! ")?;
//! assert_eq!(set.probes().len(), 2);
//! # Ok::<(), patchkit_core::Error>(())
//! ```
//!
//! What differs between two answers of the original itself (dates, ids) cannot be held against the patched one: it is
//! found by asking the original more than once, over more than a second, and then is not compared, with a note. Where it
//! was named as `required`, that is a reason that does not hold.

mod body;
mod compare;
mod latency;
mod record;

use std::{collections::BTreeSet, time::Duration};

use patchkit_core::{Digest, Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use body::SeenBody;
pub use record::{Recorded, Recording, Seen, record, replay, side_by_side};

use super::http::Request;
use body::Compiled;

/// A set of probes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeSet {
    probes: Vec<Probe>,
}

impl ProbeSet {
    /// Reads a set from YAML (or JSON), and checks each expression in it.
    ///
    /// # Errors
    /// [`Invalid`](patchkit_core::ErrorKind::Invalid): the message has the place, or names the probe.
    pub fn read(text: &str) -> Result<Self> {
        let set: Self = serde_saphyr::from_str(text)
            .map_err(|error| Error::invalid(error.to_string()).during("read probes").because(error))?;
        Self::new(set.probes)
    }

    /// A set of these probes.
    ///
    /// # Errors
    /// [`Invalid`](patchkit_core::ErrorKind::Invalid) for none, two of one name, and a wrong expression or bound.
    pub fn new(probes: Vec<Probe>) -> Result<Self> {
        let wrong = |message: String| Err(Error::invalid(message).during("read probes"));
        let mut names = BTreeSet::new();
        for probe in &probes {
            if !names.insert(&probe.name) {
                return wrong(format!("two probes are called {}", probe.name));
            }
            Compiled::new(probe)?;
            if let Some(bound) = &probe.latency {
                bound.check().map_err(|error| error.on(&probe.name))?;
            }
        }
        if names.is_empty() { wrong("there are no probes".into()) } else { Ok(Self { probes }) }
    }

    /// The probes, in their order.
    #[must_use]
    pub fn probes(&self) -> &[Probe] {
        &self.probes
    }

    /// The digest of all that they ask and compare.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(serde_json::to_vec(self).expect("a set has only string keys"))
    }
}

/// A request, and what of its answer must be the same. The status always must.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// What it is called.
    pub name: String,
    /// What is asked.
    pub request: Request,
    /// How many redirects are followed.
    #[serde(default)]
    pub redirects: u8,
    /// Names of header fields that must be the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<String>,
    /// What of the body must be the same.
    #[serde(default)]
    pub body: BodyCheck,
    /// Parts that must be compared, so that it is a fault when they differ in the original itself: `status`, `body`,
    /// `header NAME`, or a JSON path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub required: Vec<String>,
    /// How much slower it may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<LatencyBound>,
}

/// What of a body must be the same.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BodyCheck {
    /// Its digest. What varies cannot be told apart.
    Digest,
    /// All of it. Of a text, lines that vary in the original are left out.
    #[default]
    Exact,
    /// Nothing.
    Ignored,
    /// Parts of a JSON document.
    Json(JsonCheck),
    /// That it keeps this JSON Schema (see [`schema`](super::schema) for what is known of it), as the original does.
    Schema(Value),
    /// A text, without what some expressions match.
    Text(TextCheck),
}

/// What of a JSON document must be the same, by JSON paths (RFC 9535).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JsonCheck {
    /// What is compared; the whole where nothing is given.
    #[serde(default = "whole")]
    pub same: Vec<String>,
    /// What is left out of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<String>,
}

fn whole() -> Vec<String> {
    vec!["$".into()]
}

/// What of a text must be the same, by regular expressions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextCheck {
    /// What must match somewhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub matches: Vec<String>,
    /// What is left out before texts are compared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<String>,
    /// What is compared.
    #[serde(default)]
    pub compare: TextCompare,
}

/// How texts are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TextCompare {
    /// Only the expressions that must match count.
    Matches,
    /// The whole, without what is left out.
    #[default]
    Whole,
}

/// How much slower an answer may be: the median of the samples may be the greater of `ratio` times the original's, and
/// the original's plus the `floor`. Where it is over that, as many samples are taken again and all are judged.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LatencyBound {
    /// How many samples of each: 5 to 1000.
    #[serde(default = "ten")]
    pub samples: u16,
    /// The ratio of medians: at least 1.
    #[serde(default = "half_more")]
    pub ratio: f64,
    /// The difference of medians that never counts.
    #[serde(default = "fifty_ms", with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub floor: Duration,
}

fn ten() -> u16 {
    10
}

fn half_more() -> f64 {
    1.5
}

fn fifty_ms() -> Duration {
    Duration::from_millis(50)
}

impl LatencyBound {
    fn check(&self) -> Result<()> {
        if !(5..=1000).contains(&self.samples) {
            return Err(Error::invalid(format!("{} samples: there must be 5 to 1000", self.samples)));
        }
        match self.ratio.is_finite() && self.ratio >= 1.0 {
            true => Ok(()),
            false => Err(Error::invalid(format!("a ratio of {}: it must be at least 1", self.ratio))),
        }
    }
}
