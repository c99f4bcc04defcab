//! Which distribution an image is, from its `os-release` file.
//!
//! Source: os-release(5). The file is `etc/os-release`, or `usr/lib/os-release` where that does not exist; its syntax
//! is a list of shell assignments without expansion. Where neither names a distribution, older files are asked
//! ([`FALLBACKS`]).

mod release_file;

use std::collections::BTreeMap;

use patchkit_core::Distribution;
use thiserror::Error;

pub use release_file::{FALLBACKS, parse_fallback};

/// The files that say which distribution an image is, the first that exists counts.
pub const PATHS: [&str; 2] = ["etc/os-release", "usr/lib/os-release"];

/// A quote that is opened in an `os-release` file and never closed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("line {line}: the quote that starts here is never closed")]
pub struct OsReleaseError {
    line: usize,
}

/// The distribution that an `os-release` file describes. Where it has no `ID`, the id is `linux`, as os-release(5) says.
///
/// ```
/// let text = b"ID=debian\nVERSION_ID=\"11\"\nVERSION_CODENAME=bullseye\n";
/// let distribution = patchkit_scan::os_release::parse(text).unwrap();
/// assert_eq!((distribution.id.as_str(), distribution.version_id.as_deref()), ("debian", Some("11")));
/// ```
///
/// # Errors
/// [`OsReleaseError`] with the line of a quote that is never closed. Lines that are no assignment are passed over, as
/// every reader of the file does.
pub fn parse(bytes: &[u8]) -> Result<Distribution, OsReleaseError> {
    let mut fields = assignments(bytes)?;
    let mut take = |name: &str| fields.remove(name).filter(|value| !value.is_empty());
    let id_like = take("ID_LIKE").unwrap_or_default();
    Ok(Distribution {
        id: take("ID").unwrap_or_else(|| "linux".into()),
        version_id: take("VERSION_ID"),
        codename: take("VERSION_CODENAME"),
        pretty_name: take("PRETTY_NAME"),
        id_like: id_like.split_ascii_whitespace().map(Into::into).collect(),
    })
}

/// All assignments of an `os-release` file; the last one of a name counts, as in a shell.
///
/// # Errors
/// As [`parse`].
pub fn assignments(bytes: &[u8]) -> Result<BTreeMap<String, String>, OsReleaseError> {
    let text = String::from_utf8_lossy(bytes);
    let mut reader = Reader { rest: text.strip_prefix('\u{feff}').unwrap_or(&text), line: 1 };
    let mut found = BTreeMap::new();
    while !reader.rest.is_empty() {
        if let Some(name) = reader.name() {
            found.insert(name, reader.value()?);
        }
        reader.skip_line();
    }
    Ok(found)
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let next = self.rest.chars().next()?;
        self.rest = &self.rest[next.len_utf8()..];
        self.line += usize::from(next == '\n');
        Some(next)
    }

    fn skip_line(&mut self) {
        while self.next().is_some_and(|c| c != '\n') {}
    }

    /// The name before the `=`, which is read too; nothing for a comment, an empty line, or what is no assignment.
    fn name(&mut self) -> Option<String> {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r']);
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let end = self.rest.find(|c| !is_part(c))?;
        let (name, rest) = self.rest.split_at(end);
        let value = rest.strip_prefix('=').filter(|_| !name.is_empty())?;
        let name = name.to_owned();
        self.rest = value;
        Some(name)
    }

    /// The value up to the end of its line; a line feed inside quotes belongs to it.
    fn value(&mut self) -> Result<String, OsReleaseError> {
        let mut value = String::new();
        // White space after this many bytes is the line's, not the value's.
        let mut kept = 0;
        while !self.rest.is_empty() && !self.rest.starts_with('\n') {
            match self.next() {
                Some(quote @ ('"' | '\'')) => {
                    self.quoted(quote, &mut value)?;
                    kept = value.len();
                }
                Some('\\') => {
                    value.extend(self.next().filter(|c| *c != '\n'));
                    kept = value.len();
                }
                other => value.extend(other),
            }
        }
        let end = value.trim_end_matches([' ', '\t', '\r']).len().max(kept);
        value.truncate(end);
        Ok(value)
    }

    /// What is between the quote that was just read and the next one. In double quotes, a backslash before `"`, `$`,
    /// `` ` `` or itself makes that plain, and before a line feed takes it away.
    fn quoted(&mut self, quote: char, value: &mut String) -> Result<(), OsReleaseError> {
        let start = self.line;
        loop {
            match self.next() {
                None => return Err(OsReleaseError { line: start }),
                Some(c) if c == quote => return Ok(()),
                Some('\\') if quote == '"' => match self.next() {
                    Some(c @ ('"' | '$' | '`' | '\\')) => value.push(c),
                    Some('\n') => {}
                    other => value.extend(['\\'].into_iter().chain(other)),
                },
                Some(c) => value.push(c),
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn value(text: &str) -> String {
        assignments(format!("A={text}\nB=2").as_bytes()).unwrap().remove("A").unwrap()
    }

    #[test]
    fn quotes_and_escapes_are_the_shells() {
        for (text, expected) in [
            ("bare", "bare"),
            ("bare  ", "bare"),
            (r#""double quoted ""#, "double quoted "),
            ("'single $x \\n'", "single $x \\n"),
            (r#""a \"b\" \$c \`d\` \\e \x""#, r#"a "b" $c `d` \e \x"#),
            (r"a\ b\'", "a b'"),
            (r#"'it'\''s'"#, "it's"),
            ("\"two\nlines\"", "two\nlines"),
            ("", ""),
            ("\"\"", ""),
            ("x # no comment", "x # no comment"),
        ] {
            assert_eq!(value(text), expected, "{text}");
        }
    }

    #[test]
    fn other_lines_are_passed_over() {
        let text = b"\xef\xbb\xbf# ID=comment\n\n  ID=debian\r\nnot an assignment\n=x\nID_LIKE=\"a b\"\nLAST";
        let distribution = parse(text).unwrap();
        assert_eq!(distribution.id, "debian");
        assert_eq!(distribution.id_like, ["a", "b"]);
    }

    #[test]
    fn what_is_empty_is_not_there_and_the_id_has_a_default() {
        let distribution = parse(b"VERSION_CODENAME=\nVERSION_ID=\"\"\n").unwrap();
        assert_eq!(distribution.id, "linux");
        assert_eq!((distribution.version_id, distribution.codename), (None, None));
    }

    #[test]
    fn an_open_quote_is_an_error_with_its_line() {
        let error = parse(b"ID=debian\nNAME=\"Debian\nX=1\n").unwrap_err();
        assert_eq!(error.to_string(), "line 2: the quote that starts here is never closed");
    }
}
