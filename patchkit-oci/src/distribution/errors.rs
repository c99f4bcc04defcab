//! What a registry says when it says no (distribution specification, "Error Codes").

use std::time::Duration;

use patchkit_core::{Error, ErrorKind, Retry};
use reqwest::StatusCode;
use serde::Deserialize;

/// How many bytes of an error's body are read.
pub(super) const LIMIT: u64 = 64 << 10;
/// How many characters of the other side's words are shown.
const SHOWN: usize = 300;

/// The error of an answer that is no success.
pub(super) fn refused(status: StatusCode, body: &[u8], retry_after: Option<Duration>) -> Error {
    let entries = parse(body);
    let kind = kind(status, entries.iter().map(|entry| entry.code.as_str()));
    let error = Error::new(kind, describe(status, &entries));
    match kind {
        ErrorKind::Unavailable => error.retry(Retry::After(retry_after)),
        _ => error,
    }
}

#[derive(Debug, Deserialize)]
struct Body {
    #[serde(default)]
    errors: Vec<Entry>,
}

/// One of the errors in a body.
#[derive(Debug, Deserialize)]
pub(super) struct Entry {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: Option<String>,
}

/// The errors that a body names; none where it is not the specification's JSON.
pub(super) fn parse(body: &[u8]) -> Vec<Entry> {
    serde_json::from_slice::<Body>(body).map(|body| body.errors).unwrap_or_default()
}

/// The status decides whether to try again, the code tells the rest more precisely than the status.
fn kind<'a>(status: StatusCode, codes: impl IntoIterator<Item = &'a str>) -> ErrorKind {
    let by_status = of_status(status);
    if by_status == ErrorKind::Unavailable {
        return by_status;
    }
    codes.into_iter().find_map(of_code).unwrap_or(by_status)
}

fn of_code(code: &str) -> Option<ErrorKind> {
    Some(match code {
        "BLOB_UNKNOWN" | "BLOB_UPLOAD_UNKNOWN" | "MANIFEST_UNKNOWN" | "NAME_UNKNOWN" => ErrorKind::NotFound,
        "DENIED" | "UNAUTHORIZED" => ErrorKind::Denied,
        "DIGEST_INVALID" | "SIZE_INVALID" => ErrorKind::Corrupt,
        "BLOB_UPLOAD_INVALID"
        | "MANIFEST_BLOB_UNKNOWN"
        | "MANIFEST_INVALID"
        | "MANIFEST_UNVERIFIED"
        | "NAME_INVALID"
        | "TAG_INVALID" => ErrorKind::Invalid,
        "TOOMANYREQUESTS" => ErrorKind::Unavailable,
        "UNSUPPORTED" => ErrorKind::Unsupported,
        _ => return None,
    })
}

fn of_status(status: StatusCode) -> ErrorKind {
    match status.as_u16() {
        401 | 403 | 407 => ErrorKind::Denied,
        404 | 410 => ErrorKind::NotFound,
        405 | 406 | 415 | 501 => ErrorKind::Unsupported,
        408 | 425 | 429 | 500 | 502..=599 => ErrorKind::Unavailable,
        409 | 412 => ErrorKind::Conflict,
        400..=499 => ErrorKind::Invalid,
        _ => ErrorKind::Unexpected,
    }
}

fn describe(status: StatusCode, entries: &[Entry]) -> String {
    let mut text = format!("the registry answered {status}");
    for Entry { code, message } in entries.iter().take(3) {
        text.push_str(": ");
        text.push_str(&printable(code));
        if let Some(message) = message.as_deref().filter(|message| !message.is_empty()) {
            text.push_str(&format!(" ({})", printable(message)));
        }
    }
    text
}

/// Words of the other side, made harmless for a terminal and not endless.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_statuses_become_kinds() {
        for (status, body, kind) in [
            (404, r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#, ErrorKind::NotFound),
            (404, "404 page not found", ErrorKind::NotFound),
            (400, r#"{"errors":[{"code":"DIGEST_INVALID"}]}"#, ErrorKind::Corrupt),
            (400, r#"{"errors":[{"code":"MADE_UP"}]}"#, ErrorKind::Invalid),
            (400, r#"{"errors":null}"#, ErrorKind::Invalid),
            (401, "", ErrorKind::Denied),
            (405, r#"{"errors":[{"code":"UNSUPPORTED","detail":{"a":1}}]}"#, ErrorKind::Unsupported),
            (412, "", ErrorKind::Conflict),
            (429, r#"{"errors":[{"code":"DENIED"}]}"#, ErrorKind::Unavailable),
            (503, "<html>", ErrorKind::Unavailable),
            (501, "", ErrorKind::Unsupported),
            (304, "", ErrorKind::Unexpected),
        ] {
            let error = refused(StatusCode::from_u16(status).unwrap(), body.as_bytes(), None);
            assert_eq!(error.kind(), kind, "{status} {body}");
        }
    }

    #[test]
    fn a_terminal_is_safe_from_what_is_said() {
        let body = r#"{"errors":[{"code":"DENIED","message":"\u001b[2J go away"}]}"#;
        let error = refused(StatusCode::FORBIDDEN, body.as_bytes(), None);
        assert_eq!(error.to_string(), "the registry answered 403 Forbidden: DENIED ( [2J go away)");
    }
}
