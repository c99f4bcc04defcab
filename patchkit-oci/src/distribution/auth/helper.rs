//! Programs that keep credentials for others (`docker-credential-helpers`' protocol).

use std::{process::Stdio, time::Duration};

use patchkit_core::{Context, Error, Result};
use serde::Deserialize;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{Child, Command},
};

use super::{super::errors::printable, Credential};

/// How long a helper may take; some ask a person.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The most bytes that are read of what a helper says.
const LIMIT: u64 = 1 << 20;
/// How Docker calls its own registry.
const DOCKER_HUB_SERVER: &str = "https://index.docker.io/v1/";
const NOT_FOUND: &str = "credentials not found";

/// Asks `docker-credential-<name>` for the credentials of a host.
pub(super) async fn ask(name: &str, host: &str, cx: &Context) -> Result<Option<Credential>> {
    let program = program(name)?;
    let server = if host == "docker.io" { DOCKER_HUB_SERVER } else { host };
    let asking = async {
        tokio::select! {
            biased;
            answer = run(&program, server) => answer,
            () = cx.clock().sleep(TIMEOUT) => Err(Error::unavailable(format!("no answer within {TIMEOUT:?}"))),
        }
    };
    // Dropping what runs, as a cancelled guard does, kills the program.
    cx.guard(asking).await.map_err(|error| error.during("ask credential helper").on(program))
}

/// The program's name; a file's content must not choose a path.
fn program(name: &str) -> Result<String> {
    let is_word = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    match is_word && !name.is_empty() {
        true => Ok(format!("docker-credential-{name}")),
        false => Err(Error::invalid(format!("{name:?} is no name of a credential helper"))),
    }
}

async fn run(program: &str, server: &str) -> Result<Option<Credential>> {
    let failed = |error| Error::invalid("the credential helper cannot be run").because(error);
    let mut child = Command::new(program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let output = talk(&mut child, server).await.map_err(failed)?;
    let status = child.wait().await.map_err(failed)?;
    match status.success() {
        true => answer(&output).map(Some),
        false if String::from_utf8_lossy(&output).contains(NOT_FOUND) => Ok(None),
        false => Err(Error::denied(format!("{status}: {}", printable(String::from_utf8_lossy(&output).trim())))),
    }
}

async fn talk(child: &mut Child, server: &str) -> std::io::Result<Vec<u8>> {
    if let Some(mut stdin) = child.stdin.take() {
        // A helper may answer without reading; then the pipe is broken, and its answer counts.
        let _ = stdin.write_all(server.as_bytes()).await;
    }
    let mut output = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        stdout.take(LIMIT).read_to_end(&mut output).await?;
    }
    Ok(output)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

/// What a helper answered: a user name of `<token>` says that the secret is a refresh token.
fn answer(output: &[u8]) -> Result<Credential> {
    let answer: Answer =
        serde_json::from_slice(output).map_err(|_| Error::invalid("the answer is no JSON with Username and Secret"))?;
    Ok(match answer.username.as_str() {
        "<token>" => Credential::IdentityToken(answer.secret),
        _ => Credential::basic(answer.username, answer.secret),
    })
}

#[cfg(test)]
mod tests {
    use patchkit_core::ErrorKind;

    use super::*;

    #[test]
    fn only_plain_names_are_run() {
        assert_eq!(program("ecr-login").unwrap(), "docker-credential-ecr-login");
        for name in ["", "/bin/sh", "../x", "a b", "a;b"] {
            assert_eq!(program(name).unwrap_err().kind(), ErrorKind::Invalid, "{name}");
        }
    }

    #[test]
    fn answers() {
        let basic = answer(br#"{"ServerURL":"x","Username":"u","Secret":"s"}"#).unwrap();
        assert_eq!(basic, Credential::basic("u", "s"));
        let token = answer(br#"{"Username":"<token>","Secret":"s"}"#).unwrap();
        assert_eq!(token, Credential::IdentityToken("s".into()));
        assert!(answer(b"s3cret").is_err_and(|error| !format!("{error:?}").contains("s3cret")));
    }
}
