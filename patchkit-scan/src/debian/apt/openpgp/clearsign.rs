//! The cleartext signature framework: what was signed, and nothing beside it.

use thiserror::Error;

const MESSAGE: &[u8] = b"-----BEGIN PGP SIGNED MESSAGE-----";
const SIGNATURE: &[u8] = b"-----BEGIN PGP SIGNATURE-----";
const END: &[u8] = b"-----END PGP SIGNATURE-----";

/// A clear-signed document taken apart.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClearSigned<'a> {
    /// The signed text as people read it: dash-escapes undone, white space at line ends gone, lines ending in `\n`.
    pub text: Vec<u8>,
    /// The ASCII-armoured signature block, header and footer lines included.
    pub signature: &'a [u8],
}

impl ClearSigned<'_> {
    /// The bytes that were hashed: lines joined by CR LF, without the line ending before the signature.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        let text = self.text.strip_suffix(b"\n").unwrap_or(&self.text);
        let mut bytes = Vec::with_capacity(text.len() + text.len() / 32);
        for (index, line) in text.split(|&byte| byte == b'\n').enumerate() {
            if index > 0 {
                bytes.extend_from_slice(b"\r\n");
            }
            bytes.extend_from_slice(line);
        }
        bytes
    }
}

/// Why a document is not clear-signed the way an archive must sign, with the line (from 1) where it shows.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("line {line}: {reason}")]
pub struct ClearSignError {
    /// Line number, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// Splits a clear-signed document into its text and its signature block.
///
/// Stricter than the framework, as apt is: the document is one signed message and nothing else, so that no reader can
/// be led to take unsigned bytes for signed ones. Data before the first or after the last armour line, a second
/// message, an armour header other than `Hash`, and a text line that begins with an unescaped dash are refused.
///
/// # Errors
/// [`ClearSignError`] with the line at fault.
pub fn split_clear_signed(document: &[u8]) -> Result<ClearSigned<'_>, ClearSignError> {
    let mut lines = Lines { rest: document, offset: 0, number: 0 };
    read_header(&mut lines)?;
    let text = read_text(&mut lines)?;
    let start = lines.offset - lines.last_length(document);
    let end = read_signature(&mut lines)?;
    expect_end(lines)?;
    Ok(ClearSigned { text, signature: &document[start..end] })
}

fn read_header(lines: &mut Lines<'_>) -> Result<(), ClearSignError> {
    if lines.next().is_none_or(|line| trim_end(line) != MESSAGE) {
        return lines.fault("does not begin with -----BEGIN PGP SIGNED MESSAGE-----");
    }
    while let Some(line) = lines.next() {
        let line = trim_end(line);
        if line.is_empty() {
            return Ok(());
        }
        if !line.starts_with(b"Hash: ") {
            return lines.fault("only the armour header Hash may stand above the signed text");
        }
    }
    lines.fault("ends before the signed text begins")
}

fn read_text(lines: &mut Lines<'_>) -> Result<Vec<u8>, ClearSignError> {
    let mut text = Vec::with_capacity(lines.rest.len());
    while let Some(line) = lines.next() {
        let line = trim_end(line);
        if line == SIGNATURE {
            return Ok(text);
        }
        let line = match line.strip_prefix(b"- ") {
            Some(escaped) => escaped,
            None if line.first() == Some(&b'-') => {
                return lines.fault("a dash at the start of a signed line is not escaped");
            }
            None => line,
        };
        if line.contains(&b'\r') {
            return lines.fault("a carriage return within a signed line");
        }
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    lines.fault("ends before -----BEGIN PGP SIGNATURE-----")
}

/// Reads up to the footer and returns the offset behind it.
fn read_signature(lines: &mut Lines<'_>) -> Result<usize, ClearSignError> {
    while let Some(line) = lines.next() {
        let line = trim_end(line);
        if line == END {
            return Ok(lines.offset);
        }
        if line.first() == Some(&b'-') {
            return lines.fault("another armour line within the signature block");
        }
    }
    lines.fault("ends before -----END PGP SIGNATURE-----")
}

fn expect_end(mut lines: Lines<'_>) -> Result<(), ClearSignError> {
    while let Some(line) = lines.next() {
        if !trim_end(line).is_empty() {
            return lines.fault("data behind the signature");
        }
    }
    Ok(())
}

/// White space that the framework does not sign (RFC 9580 section 7.2).
fn trim_end(line: &[u8]) -> &[u8] {
    let kept = line.iter().rposition(|byte| !matches!(byte, b' ' | b'\t' | b'\r'));
    &line[..kept.map_or(0, |last| last + 1)]
}

struct Lines<'a> {
    rest: &'a [u8],
    offset: usize,
    number: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let (line, taken) = match memchr::memchr(b'\n', self.rest) {
            Some(end) => (&self.rest[..end], end + 1),
            None => (self.rest, self.rest.len()),
        };
        self.rest = &self.rest[taken..];
        self.offset += taken;
        self.number += 1;
        Some(line)
    }

    /// The length of the line read last, its line feed included.
    fn last_length(&self, document: &[u8]) -> usize {
        let read = &document[..self.offset];
        let body = read.strip_suffix(b"\n").unwrap_or(read);
        self.offset - memchr::memrchr(b'\n', body).map_or(0, |end| end + 1)
    }

    fn fault<T>(&self, reason: &'static str) -> Result<T, ClearSignError> {
        Err(ClearSignError { line: self.number.max(1), reason })
    }
}
