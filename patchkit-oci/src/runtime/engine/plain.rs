//! Requests to the engine that need no client: what must work while things are dropped, and what podman answers in
//! words of its own.

use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use patchkit_core::{Error, Result};
use serde::Deserialize;

/// How long the engine may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The most bytes of an answer.
const MAX_ANSWER: u64 = 4 << 20;

/// What an engine tells of a container, as far as it matters. podman has states that Docker does not know.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Inspected {
    state: State,
    graph_driver: GraphDriver,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct State {
    exit_code: i64,
    #[serde(rename = "OOMKilled")]
    oom_killed: bool,
    pid: u32,
    running: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct GraphDriver {
    data: Option<Folders>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Folders {
    merged_dir: Option<std::path::PathBuf>,
}

impl Inspected {
    /// The status that its first process ended with.
    pub(super) fn exit_code(&self) -> i64 {
        self.state.exit_code
    }

    /// Whether it was ended for using too much memory.
    pub(super) fn was_out_of_memory(&self) -> bool {
        self.state.oom_killed
    }

    /// The id of its first process on the host, while there is one.
    pub(super) fn pid(&self) -> Option<u32> {
        Some(self.state.pid).filter(|pid| *pid > 0)
    }

    /// Whether it runs.
    pub(super) fn is_running(&self) -> bool {
        self.state.running
    }

    /// Where its file system is mounted on the host, where that is told and can be seen.
    pub(super) fn root(&self) -> Option<&Path> {
        let folder = self.graph_driver.data.as_ref()?.merged_dir.as_deref()?;
        folder.is_dir().then_some(folder)
    }
}

/// What the engine tells of a container.
pub(super) async fn inspect(socket: &Path, id: &str) -> Result<Inspected> {
    let (socket, path) = (socket.to_owned(), format!("/containers/{id}/json"));
    let answer = crate::file::blocking(move || {
        request(&socket, "GET", &path).map_err(|error| Error::unavailable(error.to_string()).because(error))
    });
    match answer.await? {
        (200, body) => serde_json::from_slice(&body)
            .map_err(|error| Error::unexpected(format!("the engine's answer: {error}")).because(error)),
        (404, _) => Err(Error::not_found("no such container").on(id)),
        (status, body) => Err(Error::unexpected(format!("status {status}: {}", String::from_utf8_lossy(&body)))),
    }
}

/// Removes a container, whatever state it is in. Blocks.
pub(super) fn remove(socket: &Path, id: &str) -> io::Result<()> {
    match request(socket, "DELETE", &format!("/containers/{id}?force=true&v=true"))? {
        (200 | 204 | 404, _) => Ok(()),
        (status, body) => Err(io::Error::other(format!("status {status}: {}", String::from_utf8_lossy(&body)))),
    }
}

/// Sends a request of HTTP/1.0, to which the answer ends with the connection. Blocks.
fn request(socket: &Path, method: &str, path: &str) -> io::Result<(u16, Vec<u8>)> {
    let mut engine = UnixStream::connect(socket)?;
    engine.set_read_timeout(Some(PATIENCE))?;
    write!(engine, "{method} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")?;
    let mut answer = Vec::new();
    engine.take(MAX_ANSWER).read_to_end(&mut answer)?;
    parse(&answer).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no answer of HTTP"))
}

/// The status and the body of an answer.
fn parse(answer: &[u8]) -> Option<(u16, Vec<u8>)> {
    let status = std::str::from_utf8(answer.get(9..12)?).ok()?.parse().ok()?;
    let head = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    answer.starts_with(b"HTTP/1.").then(|| (status, answer[head + 4..].to_vec()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_answer_panics(start in "(HTTP/1.0 200)?", rest: Vec<u8>) {
            let _ = parse(&[start.as_bytes(), &rest].concat());
        }
    }

    #[test]
    fn answers_are_read() {
        assert_eq!(parse(b"HTTP/1.0 200 OK\r\nA: b\r\n\r\n{}"), Some((200, b"{}".to_vec())));
        assert_eq!(parse(b"HTTP/1.0 200 OK\r\n"), None);
        assert_eq!(parse(b"SSH-2.0-x 200 \r\n\r\n"), None);
    }

    #[test]
    fn states_that_only_podman_has_do_not_matter() {
        let answer =
            r#"{"State":{"Status":"stopped","Pid":7,"ExitCode":3,"OOMKilled":false},"GraphDriver":{"Data":null}}"#;
        let inspected: Inspected = serde_json::from_str(answer).unwrap();
        assert_eq!((inspected.pid(), inspected.exit_code(), inspected.root()), (Some(7), 3, None));
    }
}
