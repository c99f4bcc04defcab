//! Asking the original and the patched one, and saying where they differ.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use patchkit_core::{Container, Context, Digest, Error, ErrorKind, Reason, Result};
use serde::{Deserialize, Serialize};

use super::{
    LatencyBound, Probe, ProbeSet, SeenBody,
    body::Compiled,
    compare::{differences, is_within, varies},
    latency,
};
use crate::verify::behaviour::http::{Client, Redirects};

/// What the original answered to a set of probes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recording {
    /// The digest of the set.
    pub set: Digest,
    /// What was answered to each probe, in the set's order.
    pub probes: Vec<Recorded>,
}

/// What the original answered to a probe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// The probe's name.
    pub name: String,
    /// What was seen first.
    pub seen: Seen,
    /// The parts that varied from one answer to another.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub varying: BTreeSet<String>,
    /// How long answers took, in the order they came.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub latencies: Vec<Duration>,
}

/// The parts of an answer that are compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// The status code.
    pub status: u16,
    /// The chosen header fields, and `None` for those that were not there.
    pub headers: BTreeMap<String, Option<String>>,
    /// What is compared of the body.
    pub body: SeenBody,
}

/// The pause between two looks at the original, so that what shows the time in seconds is seen to vary.
const PAUSE: Duration = Duration::from_millis(1100);

/// Asks the original each probe twice, with more than a second between, and then takes the samples of latency.
///
/// # Errors
/// Those of [`Client::send`], and [`Invalid`](ErrorKind::Invalid) where an answer has not what the probe compares: an
/// original that does not answer says nothing.
pub async fn record(set: &ProbeSet, container: &dyn Container, cx: &Context) -> Result<Recording> {
    let mut recording = first_looks(set, container, cx).await?;
    cx.sleep(PAUSE).await?;
    look_again(&mut recording, set, container, cx).await?;
    for (probe, recorded) in set.probes().iter().zip(&mut recording.probes) {
        for _ in 0..probe.latency.map_or(0, |bound| bound.samples) {
            recorded.latencies.push(sample(probe, container, cx).await?);
        }
    }
    Ok(recording)
}

/// Asks the patched one each probe and compares with what was recorded: a reason for each, in the set's order. Latencies
/// are compared with those of another time, so the machine's noise counts: [`side_by_side`] is better.
///
/// A probe that is not answered is a reason that does not hold.
///
/// # Errors
/// [`Invalid`](ErrorKind::Invalid) for a recording of another set; [`Cancel`](ErrorKind::Cancel).
pub async fn replay(
    set: &ProbeSet,
    container: &dyn Container,
    recording: &Recording,
    cx: &Context,
) -> Result<Vec<Reason>> {
    if recording.set != set.digest() {
        return Err(Error::invalid("the recording is of another set of probes").during("replay probes"));
    }
    let mut reasons = Vec::new();
    for (probe, recorded) in set.probes().iter().zip(&recording.probes) {
        let seen = try_look(probe, container, cx).await?;
        let mut parts = judge(probe, recorded, &seen);
        if let (Some(bound), Ok(_)) = (&probe.latency, &seen) {
            parts.push(later_latency(probe, bound, &recorded.latencies, container, cx).await?);
        }
        reasons.push(whole(probe, parts));
    }
    Ok(reasons)
}

/// Asks both: the original before and after the patched one, so that what varies with time is seen to vary, and for
/// latency in turns, so that the machine's noise is in both. Gives what was recorded of the original as well.
///
/// # Errors
/// Those of [`record`].
pub async fn side_by_side(
    set: &ProbeSet,
    before: &dyn Container,
    after: &dyn Container,
    cx: &Context,
) -> Result<(Recording, Vec<Reason>)> {
    let mut recording = first_looks(set, before, cx).await?;
    cx.sleep(PAUSE).await?;
    let mut seen = Vec::new();
    for probe in set.probes() {
        seen.push(try_look(probe, after, cx).await?);
    }
    look_again(&mut recording, set, before, cx).await?;
    let mut reasons = Vec::new();
    for ((probe, recorded), seen) in set.probes().iter().zip(&mut recording.probes).zip(&seen) {
        let latency = match (&probe.latency, seen) {
            (Some(bound), Ok(_)) => Some(in_turns(probe, bound, &mut recorded.latencies, [before, after], cx).await?),
            _ => None,
        };
        let mut parts = judge(probe, recorded, seen);
        parts.extend(latency);
        reasons.push(whole(probe, parts));
    }
    Ok((recording, reasons))
}

async fn first_looks(set: &ProbeSet, container: &dyn Container, cx: &Context) -> Result<Recording> {
    let mut probes = Vec::new();
    for probe in set.probes() {
        let seen = look(probe, container, cx).await?;
        probes.push(Recorded { name: probe.name.clone(), seen, varying: BTreeSet::new(), latencies: Vec::new() });
    }
    Ok(Recording { set: set.digest(), probes })
}

async fn look_again(recording: &mut Recording, set: &ProbeSet, container: &dyn Container, cx: &Context) -> Result<()> {
    for (probe, recorded) in set.probes().iter().zip(&mut recording.probes) {
        let again = look(probe, container, cx).await?;
        recorded.varying.extend(differences(&recorded.seen, &again).into_iter().map(|difference| difference.part));
    }
    Ok(())
}

fn client(probe: &Probe) -> Client {
    let redirects = if probe.redirects == 0 { Redirects::Stay } else { Redirects::Follow(probe.redirects) };
    Client { redirects, ..Client::default() }
}

async fn look(probe: &Probe, container: &dyn Container, cx: &Context) -> Result<Seen> {
    let compiled = Compiled::new(probe)?;
    let response = client(probe).send(&probe.request, container, cx).await?;
    let header = |name: &String| {
        let name = name.to_ascii_lowercase();
        let value = response.header(&name);
        (name, value)
    };
    let body = compiled.see(&response).map_err(|message| {
        Error::invalid(format!("{message} (status {})", response.status)).during("probe").on(&probe.name)
    })?;
    Ok(Seen { status: response.status, headers: probe.headers.iter().map(header).collect(), body })
}

/// Like [`look`], but only the run's end is an error.
async fn try_look(probe: &Probe, container: &dyn Container, cx: &Context) -> Result<Result<Seen, String>> {
    match look(probe, container, cx).await {
        Err(error) if error.kind() == ErrorKind::Cancel => Err(error),
        Err(error) => Ok(Err(error.to_string())),
        Ok(seen) => Ok(Ok(seen)),
    }
}

fn judge(probe: &Probe, recorded: &Recorded, seen: &Result<Seen, String>) -> Vec<Reason> {
    let seen = match seen {
        Ok(seen) => seen,
        Err(message) => return vec![Reason::no(message.clone())],
    };
    let mut reasons = Vec::new();
    for part in &recorded.varying {
        reasons.push(match is_required(part, probe, &recorded.seen.body) {
            true => Reason::no(format!("{part} is required, but varies in the original itself")),
            false => Reason::yes(format!("{part} varies in the original itself and is not compared")),
        });
    }
    let all = differences(&recorded.seen, seen);
    let counted: Vec<_> = all.iter().filter(|difference| !varies(&difference.part, &recorded.varying)).collect();
    if counted.is_empty() {
        reasons.push(Reason::yes(format!("status {}{} as before", seen.status, what(probe))));
    }
    reasons.extend(counted.iter().map(|difference| Reason::no(difference.message.clone())));
    reasons
}

fn what(probe: &Probe) -> String {
    let headers = probe.headers.iter().map(|name| format!(", header {}", name.to_ascii_lowercase()));
    let body = if probe.body == super::BodyCheck::Ignored { "" } else { ", body" };
    headers.chain([body.to_owned()]).collect()
}

/// Whether a part that varies was named as required, or lies in one that was, or holds one.
fn is_required(part: &str, probe: &Probe, body: &SeenBody) -> bool {
    let of_body = !matches!(part, "status") && !part.starts_with("header ");
    let named = probe.required.iter().any(|name| match name.strip_prefix("header ") {
        Some(header) => part == format!("header {}", header.to_ascii_lowercase()),
        None => name == part || name == "body" && of_body,
    });
    let within = match body {
        SeenBody::Json { required, .. } => {
            required.iter().any(|required| is_within(part, required) || is_within(required, part))
        }
        _ => false,
    };
    named || within
}

fn whole(probe: &Probe, because: Vec<Reason>) -> Reason {
    let holds = because.iter().all(|reason| reason.holds);
    let word = if holds { "answers" } else { "does not answer" };
    Reason::of(holds, format!("probe {} {word} as before", probe.name), because)
}

async fn sample(probe: &Probe, container: &dyn Container, cx: &Context) -> Result<Duration> {
    Ok(client(probe).send(&probe.request, container, cx).await?.latency)
}

/// Samples of both in turns; again as many where the first are over the bound.
async fn in_turns(
    probe: &Probe,
    bound: &LatencyBound,
    before: &mut Vec<Duration>,
    containers: [&dyn Container; 2],
    cx: &Context,
) -> Result<Reason> {
    let mut after = Vec::new();
    for _ in 0..2 {
        for turn in 0..bound.samples {
            // Who is first changes, since the second may find the machine as the first has left it.
            let order = if turn % 2 == 0 { [0, 1] } else { [1, 0] };
            for one in order {
                match (one, sample(probe, containers[one], cx).await) {
                    (0, latency) => before.push(latency?),
                    (_, Ok(latency)) => after.push(latency),
                    (_, Err(error)) => return unanswered(error),
                }
            }
        }
        if !latency::is_over(bound, before, &after) {
            break;
        }
    }
    Ok(latency::judge(bound, before, &after))
}

async fn later_latency(
    probe: &Probe,
    bound: &LatencyBound,
    before: &[Duration],
    container: &dyn Container,
    cx: &Context,
) -> Result<Reason> {
    let mut after = Vec::new();
    for _ in 0..2 {
        for _ in 0..bound.samples {
            match sample(probe, container, cx).await {
                Ok(latency) => after.push(latency),
                Err(error) => return unanswered(error),
            }
        }
        if !latency::is_over(bound, before, &after) {
            break;
        }
    }
    Ok(latency::judge(bound, before, &after))
}

fn unanswered(error: Error) -> Result<Reason> {
    match error.kind() {
        ErrorKind::Cancel => Err(error),
        _ => Ok(Reason::no(format!("latency could not be told: {error}"))),
    }
}
