//! What the engine's refusals mean.

use bollard::errors::Error as EngineError;
use patchkit_core::{Error, ErrorKind};

/// An error of the API.
pub(super) fn of_engine(error: EngineError) -> Error {
    let kind = match &error {
        EngineError::DockerResponseServerError { status_code, message } => of_status(*status_code, message),
        EngineError::RequestTimeoutError | EngineError::HyperResponseError { .. } => ErrorKind::Unavailable,
        EngineError::IOError { .. } | EngineError::HyperLegacyError { .. } => ErrorKind::Unavailable,
        _ => ErrorKind::Unexpected,
    };
    Error::new(kind, error.to_string()).because(error)
}

fn of_status(status: u16, message: &str) -> ErrorKind {
    match status {
        _ if is_no_program(message) => ErrorKind::NotFound,
        400 => ErrorKind::Invalid,
        401 | 403 => ErrorKind::Denied,
        404 => ErrorKind::NotFound,
        409 => ErrorKind::Conflict,
        503 => ErrorKind::Unavailable,
        _ => ErrorKind::Unexpected,
    }
}

/// Whether it is the runtime program's way of saying that the command is not there; engines have no status for it.
fn is_no_program(message: &str) -> bool {
    let of_command = ["exec:", "OCI runtime", "executable file"].iter().any(|part| message.contains(part));
    of_command && ["no such file or directory", "not found"].iter().any(|part| message.contains(part))
}

/// Whether the API says that there is no such thing.
pub(super) fn is_absent(error: &EngineError) -> bool {
    matches!(error, EngineError::DockerResponseServerError { status_code: 404, .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_not_there_is_told_from_other_failures() {
        let docker = "OCI runtime create failed: runc create failed: unable to start container process: exec: \
            \"/no\": stat /no: no such file or directory: unknown";
        let podman =
            "crun: executable file `/no` not found: OCI runtime attempted to invoke a command that was not found";
        assert_eq!(of_status(400, docker), ErrorKind::NotFound);
        assert_eq!(of_status(500, podman), ErrorKind::NotFound);
        assert_eq!(of_status(500, "OCI runtime error: cannot set limits"), ErrorKind::Unexpected);
        assert_eq!(of_status(409, "name in use"), ErrorKind::Conflict);
    }
}
