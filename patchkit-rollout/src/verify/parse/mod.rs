//! What the readers of reports share: faults with their position, lines, and XML.

mod normal;
mod xml;

use patchkit_core::Error;

pub(super) use normal::{normal_name, normal_path, plain};
pub(super) use xml::{Element, Item, Xml};

/// How large a report may be, in bytes.
const MAX_BYTES: usize = 256 << 20;

/// How many bytes of a message are kept.
const MAX_MESSAGE: usize = 4096;

/// Why a report cannot be read, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub(super) struct Fault {
    /// The line, from 1.
    pub(super) line: usize,
    /// What is wrong there.
    pub(super) message: String,
}

impl Fault {
    pub(super) fn at(line: usize, message: impl Into<String>) -> Self {
        Self { line, message: message.into() }
    }

    /// The public error, for the kind of report that is read.
    pub(super) fn of(self, report: &str) -> Error {
        Error::corrupt(self.to_string()).during(format!("read {report} report")).because(self)
    }
}

/// The report as text. Output of tests may hold bytes that are no characters: they are replaced.
pub(super) fn text(bytes: &[u8]) -> Result<std::borrow::Cow<'_, str>, Fault> {
    if bytes.len() > MAX_BYTES {
        return Err(Fault::at(1, format!("the report has {} bytes, more than {MAX_BYTES}", bytes.len())));
    }
    Ok(String::from_utf8_lossy(bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes)))
}

/// The lines with their numbers, from 1.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(index, line)| (index + 1, line))
}

/// The number of the last line.
pub(super) fn last_line(text: &str) -> usize {
    text.lines().count().max(1)
}

/// A fault where the last line has no end, since then it may have lost a part.
pub(super) fn whole_lines(text: &str) -> Result<(), Fault> {
    if text.is_empty() || text.ends_with('\n') {
        return Ok(());
    }
    Err(Fault::at(last_line(text), "the last line is cut off"))
}

/// A message without blanks around it, cut to a bounded length; `None` where nothing is left.
pub(super) fn message(text: &str) -> Option<String> {
    let text = text.trim();
    if text.len() <= MAX_MESSAGE {
        return (!text.is_empty()).then(|| text.to_owned());
    }
    let end = (0..=MAX_MESSAGE).rev().find(|at| text.is_char_boundary(*at)).expect("0 is a boundary");
    Some(format!("{}…", &text[..end]))
}

/// Seconds as reports write them: `0.5`, `1,234.5`. `None` where it is no duration.
pub(super) fn seconds(text: &str) -> Option<std::time::Duration> {
    let seconds: f64 = text.trim().replace(',', "").parse().ok()?;
    std::time::Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_have_thousands() {
        assert_eq!(seconds("1,234.5"), Some(std::time::Duration::from_millis(1_234_500)));
        assert_eq!([seconds("-1"), seconds("NaN"), seconds("")], [None; 3]);
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let cut = message(&"é".repeat(MAX_MESSAGE)).unwrap();
        assert!(cut.len() <= MAX_MESSAGE + '…'.len_utf8() && cut.ends_with('…'));
        assert_eq!(message(" \n"), None);
    }
}
