//! Files of one record a line.

use super::{DatabaseError, DatabaseErrorKind};

/// The lines of `bytes` with their numbers from 1, without line feeds. A last line without one is refused: such a file
/// was cut short.
pub(super) fn lines<'a>(file: &str, bytes: &'a [u8]) -> Result<impl Iterator<Item = (usize, &'a [u8])>, DatabaseError> {
    let body = match bytes.strip_suffix(b"\n") {
        Some(body) => Some(body),
        None if bytes.is_empty() => None,
        None => {
            let line = bytes.split(|byte| *byte == b'\n').count();
            return Err(DatabaseError::new(file, line, DatabaseErrorKind::Line("the file ends inside a line")));
        }
    };
    let lines = body.map(|body| body.split(|byte| *byte == b'\n'));
    Ok(lines.into_iter().flatten().enumerate().map(|(at, line)| (at + 1, line)))
}
