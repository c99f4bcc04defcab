//! A small HTTP/1.1 client that speaks through a container's own network.

#[cfg(feature = "http")]
mod client;

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

#[cfg(feature = "http")]
pub use client::{Client, Redirects};

/// A request to a service in a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The method, in capitals: `GET`.
    #[serde(default = "get")]
    pub method: String,
    /// The TCP port on the container's loopback.
    pub port: u16,
    /// The path and the query, as they are sent: percent-encoded, from the slash on.
    #[serde(default = "root")]
    pub path: String,
    /// Header fields by their names, beside `Host` and `Content-Length`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The body.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub body: String,
}

fn get() -> String {
    "GET".into()
}

fn root() -> String {
    "/".into()
}

impl Request {
    /// A `GET` of a path.
    pub fn get(port: u16, path: impl Into<String>) -> Self {
        Self { method: get(), port, path: path.into(), headers: BTreeMap::new(), body: String::new() }
    }
}

/// What a service answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Header fields in the order they came, their names in small letters. Bytes beyond UTF-8 are replaced.
    pub headers: Vec<(String, String)>,
    /// The body, without its transfer coding.
    pub body: Bytes,
    /// The time from the first byte sent to the last byte received, without the time to connect.
    pub latency: Duration,
}

impl Response {
    /// The values of a header field, joined by commas as RFC 9110 section 5.3 has it. The name is in small letters.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        let values: Vec<_> = self.headers.iter().filter(|(key, _)| key == name).map(|(_, value)| &**value).collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    /// The media type of the body, in small letters and without parameters: `application/json`.
    #[must_use]
    pub fn media_type(&self) -> Option<String> {
        let value = self.header("content-type")?;
        Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
    }
}
