//! When a service is ready to be asked.

use std::time::Duration;

use patchkit_core::{Container, Context, Error, ErrorKind, Output, Result};
use regex::bytes::Regex;
use serde::{Deserialize, Serialize};

use super::isolation;

/// What must be there before a service is asked: all that is given, within the time. At least one must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Readiness {
    /// A TCP port that accepts a connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// A path that is answered with a status (feature `http`).
    #[cfg(feature = "http")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpReadiness>,
    /// A regular expression that matches in what the first command has written to either stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// The absolute path of a file that exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The longest time to wait: `30s`.
    #[serde(default = "half_a_minute", with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub within: Duration,
}

fn half_a_minute() -> Duration {
    Duration::from_secs(30)
}

/// A path that must be answered with a status.
#[cfg(feature = "http")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpReadiness {
    /// The TCP port.
    pub port: u16,
    /// The path, percent-encoded, from the slash on.
    #[serde(default = "root")]
    pub path: String,
    /// The status code.
    #[serde(default = "ok")]
    pub status: u16,
}

#[cfg(feature = "http")]
fn root() -> String {
    "/".into()
}

#[cfg(feature = "http")]
fn ok() -> u16 {
    200
}

impl Default for Readiness {
    /// Nothing yet, within half a minute.
    fn default() -> Self {
        Self {
            port: None,
            #[cfg(feature = "http")]
            http: None,
            log: None,
            file: None,
            within: half_a_minute(),
        }
    }
}

impl Readiness {
    /// The ports that are asked.
    pub fn ports(&self) -> impl Iterator<Item = u16> {
        #[cfg(feature = "http")]
        let http = self.http.as_ref().map(|http| http.port);
        #[cfg(not(feature = "http"))]
        let http = None;
        self.port.into_iter().chain(http)
    }
}

/// The longest pause between two looks.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Waits until a service is ready, and says how long that took.
///
/// # Errors
/// [`Unavailable`](ErrorKind::Unavailable) when the time is over or the container has ended: it names what was not ready
/// with its last answer, and has the last lines of the output. [`Invalid`](ErrorKind::Invalid) where nothing is waited
/// for, or for a wrong expression; [`Cancel`](ErrorKind::Cancel).
pub async fn wait_until_ready(container: &dyn Container, readiness: &Readiness, cx: &Context) -> Result<Duration> {
    let mut waiting = checks(readiness)?;
    let begun = cx.now();
    let mut pause = Duration::from_millis(20);
    let mut was_seen = false;
    loop {
        let mut unready = Vec::new();
        for check in &waiting {
            if let Some(answer) = check.look(container, cx).await? {
                unready.push((check.clone(), answer));
            }
        }
        let passed = cx.now().duration_since(begun).unsigned_abs();
        if unready.is_empty() {
            return Ok(passed);
        }
        if has_ended(container, &mut was_seen, cx).await? {
            return Err(failure("the container has ended before", &unready, container, cx).await);
        }
        if passed >= readiness.within {
            let late = format!("not within {:?}", readiness.within);
            return Err(failure(&late, &unready, container, cx).await);
        }
        // What was ready once need not be looked at again.
        waiting = unready.into_iter().map(|(check, _)| check).collect();
        cx.sleep(pause.min(readiness.within.saturating_sub(passed))).await?;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

#[derive(Clone, Debug)]
enum Check {
    File(String),
    #[cfg(feature = "http")]
    Http(HttpReadiness),
    Log(Regex),
    Port(u16),
}

fn checks(readiness: &Readiness) -> Result<Vec<Check>> {
    let mut checks = Vec::new();
    checks.extend(readiness.port.map(Check::Port));
    #[cfg(feature = "http")]
    checks.extend(readiness.http.clone().map(Check::Http));
    if let Some(pattern) = &readiness.log {
        let wrong = |error: regex::Error| Error::invalid(error.to_string()).on(pattern).because(error);
        checks.push(Check::Log(Regex::new(pattern).map_err(wrong)?));
    }
    checks.extend(readiness.file.clone().map(Check::File));
    match checks.is_empty() {
        true => Err(Error::invalid("nothing is waited for").during("wait until ready")),
        false => Ok(checks),
    }
}

impl Check {
    fn name(&self) -> String {
        match self {
            Self::File(path) => format!("file {path}"),
            #[cfg(feature = "http")]
            Self::Http(http) => format!("http {} on port {}", http.path, http.port),
            Self::Log(pattern) => format!("log line /{pattern}/"),
            Self::Port(port) => format!("port {port}"),
        }
    }

    /// What was seen instead of what is waited for; nothing when it is there.
    async fn look(&self, container: &dyn Container, cx: &Context) -> Result<Option<String>> {
        let seen = match self {
            Self::File(path) => {
                container.read(path, cx).await.map(|content| content.is_none().then(|| "not there".to_owned()))
            }
            #[cfg(feature = "http")]
            Self::Http(http) => answered(http, container, cx).await,
            Self::Log(pattern) => container.output(cx).await.map(|output| {
                let found = pattern.is_match(&output.stdout) || pattern.is_match(&output.stderr);
                (!found).then(|| "not written".to_owned())
            }),
            Self::Port(port) => container.connect(*port, cx).await.map(|_| None),
        };
        match seen {
            Err(error) if matches!(error.kind(), ErrorKind::Cancel | ErrorKind::Invalid) => Err(error),
            Err(error) => Ok(Some(error.to_string())),
            Ok(seen) => Ok(seen),
        }
    }
}

#[cfg(feature = "http")]
async fn answered(http: &HttpReadiness, container: &dyn Container, cx: &Context) -> Result<Option<String>> {
    let client = super::http::Client { timeout: Duration::from_secs(5), ..Default::default() };
    let response = client.send(&super::http::Request::get(http.port, &*http.path), container, cx).await?;
    Ok((response.status != http.status).then(|| format!("status {}, not {}", response.status, http.status)))
}

/// Whether it can be seen that the first process has ended. Where its `/proc` never could be read, it cannot.
async fn has_ended(container: &dyn Container, was_seen: &mut bool, cx: &Context) -> Result<bool> {
    match container.read("/proc/1/stat", cx).await {
        Err(error) if error.kind() == ErrorKind::Cancel => Err(error),
        Err(error) => Ok(*was_seen || matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Unavailable)),
        Ok(None) => Ok(*was_seen),
        Ok(Some(stat)) => {
            *was_seen = true;
            Ok(isolation::is_ended(&stat))
        }
    }
}

async fn failure(what: &str, unready: &[(Check, String)], container: &dyn Container, cx: &Context) -> Error {
    let seen: Vec<_> = unready.iter().map(|(check, answer)| format!("{}: {answer}", check.name())).collect();
    let output = container.output(cx).await.unwrap_or_default();
    let message = format!("{what}: {}{}", seen.join("; "), tail(&output));
    Error::unavailable(message).during("wait until ready")
}

/// The last lines of both streams, at most 2 KiB of each.
fn tail(output: &Output) -> String {
    let mut text = String::new();
    for (name, stream) in [("standard output", &output.stdout), ("standard error", &output.stderr)] {
        let kept = String::from_utf8_lossy(&stream[stream.len().saturating_sub(2048)..]);
        let lines: Vec<_> = kept.lines().rev().take(20).collect();
        if !lines.is_empty() {
            text += &format!("\n{name} ends with:");
        }
        lines.iter().rev().for_each(|line| text += &format!("\n  {line}"));
    }
    text
}
