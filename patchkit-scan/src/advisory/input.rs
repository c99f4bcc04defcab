//! Finds out what an input of advisories is, by its content, and reads it.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Cursor, Read},
    path::Path,
};

use flate2::read::MultiGzDecoder;

use super::{Advisory, AdvisoryError, AdvisoryErrorKind, Statement, debian, json, osv};

/// The longest record that is read, in bytes: a line, or one document of a stream. Real ones have up to some MB.
pub(super) const MAX_RECORD: u64 = 16 << 20;

/// How much of an input is looked at to tell its format.
const PREFIX: u64 = 64 << 10;

/// A format of advisories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// Debian's announcements, one JSON object a line: `{"id": "DSA-…", "cves": […], "fixes": […]}`.
    DebianBulletins,
    /// Debian's fixes as a table: suite, source, CVE, version, announcement, date.
    DebianFixes,
    /// The security tracker's own lists: `CVE/list`, `DSA/list`, `DLA/list`.
    DebianList,
    /// The security tracker's JSON: package, CVE, releases.
    DebianTracker,
    /// The Open Source Vulnerability format, one document or many.
    Osv,
}

/// Reads advisories in whatever format they are, compressed with gzip or not, and gives what they say out one by one.
///
/// At most some records are held at a time. Advisories that were given out before an error should not be used.
///
/// # Errors
/// [`AdvisoryError`] with the input's name and the line.
pub fn read(name: &str, input: impl Read, sink: &mut dyn FnMut(Statement)) -> Result<Format, AdvisoryError> {
    read_any(input, sink).map_err(|error| error.of(name))
}

/// Reads the advisories of a file, as [`read`].
///
/// # Errors
/// As [`read`]; [`AdvisoryErrorKind::Io`] where the file cannot be opened.
pub fn read_file(path: &Path, sink: &mut dyn FnMut(Statement)) -> Result<Format, AdvisoryError> {
    let name = path.display().to_string();
    let file = File::open(path).map_err(|error| broken(error).of(&name))?;
    read(&name, file, sink)
}

fn read_any(input: impl Read, sink: &mut dyn FnMut(Statement)) -> Result<Format, AdvisoryError> {
    let mut input = BufReader::new(input);
    let gzip = input.fill_buf().map_err(broken)?.starts_with(&[0x1f, 0x8b]);
    if gzip { read_plain(MultiGzDecoder::new(input), sink) } else { read_plain(input, sink) }
}

fn read_plain(mut input: impl Read, sink: &mut dyn FnMut(Statement)) -> Result<Format, AdvisoryError> {
    let mut prefix = Vec::new();
    input.by_ref().take(PREFIX).read_to_end(&mut prefix).map_err(broken)?;
    let format = detect(&prefix)?;
    let input = Cursor::new(prefix).chain(input);
    let sink = &mut |advisory: Advisory| sink(advisory.into());
    match format {
        Format::DebianBulletins => debian::bulletins::read(BufReader::new(input), sink),
        Format::DebianFixes => debian::fixes::read(BufReader::new(input), sink),
        Format::DebianList => debian::list::read(BufReader::new(input), sink),
        Format::DebianTracker => debian::tracker::read(input, sink),
        Format::Osv => osv::read(input, sink),
    }?;
    Ok(format)
}

/// The format of an input that starts with these bytes.
///
/// # Errors
/// [`AdvisoryErrorKind::UnknownFormat`].
pub fn detect(prefix: &[u8]) -> Result<Format, AdvisoryError> {
    let unknown = |why| Err(AdvisoryError::new(None, AdvisoryErrorKind::UnknownFormat(why)));
    let start = prefix.trim_ascii_start();
    match start {
        [] => unknown("there is nothing in it"),
        [b'{', ..] => match json::format(start) {
            Some(format) => Ok(format),
            None => unknown("the JSON object has none of the fields that would tell"),
        },
        _ if start.starts_with(debian::fixes::HEADER.as_bytes()) => Ok(Format::DebianFixes),
        _ if debian::list::is_header(start) => Ok(Format::DebianList),
        _ => unknown("it is none of OSV, Debian's tracker JSON, its lists and announcements"),
    }
}

pub(super) fn broken(error: io::Error) -> AdvisoryError {
    AdvisoryError::new(None, AdvisoryErrorKind::Io(error))
}

/// The lines of an input, numbered from 1, each as text and of bounded length.
pub(super) struct Lines<R> {
    input: R,
    line: Vec<u8>,
    number: usize,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, line: Vec::new(), number: 0 }
    }

    /// The next line, without its end.
    pub(super) fn next(&mut self) -> Result<Option<(usize, &str)>, AdvisoryError> {
        self.line.clear();
        self.number += 1;
        let number = self.number;
        let mut bounded = self.input.by_ref().take(MAX_RECORD + 1);
        let read = bounded.read_until(b'\n', &mut self.line).map_err(broken)?;
        if read as u64 > MAX_RECORD {
            return Err(AdvisoryError::new(Some(number), AdvisoryErrorKind::TooLong(MAX_RECORD)));
        }
        if read == 0 {
            return Ok(None);
        }
        let text = std::str::from_utf8(&self.line);
        let text = text.map_err(|_| AdvisoryError::syntax(number, "the line is not UTF-8"))?;
        Ok(Some((number, text.trim_end_matches(['\n', '\r']))))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_format_is_known_by_its_content() {
        for (text, format) in [
            ("suite\tsource\tcve\tfixed_version\tadvisory\tdate\n", Format::DebianFixes),
            ("{\"id\": \"DSA-1-1\", \"cves\": [], \"fixes\": []}", Format::DebianBulletins),
            (" {\"affected\": [], \"id\": \"X\"}", Format::Osv),
            ("{\"curl\": {\"CVE-2024-1234\": {}}}", Format::DebianTracker),
            ("[02 Nov 2023] DSA-5546-1 chromium - security update\n", Format::DebianList),
            ("\nCVE-2023-5088 (A bug)\n", Format::DebianList),
        ] {
            assert_eq!(detect(text.as_bytes()).unwrap(), format, "{text}");
        }
        for text in ["", " \n", "{}", "[]", "{\"a\": 1}", "hello", "\u{0}\u{1}"] {
            assert!(
                matches!(detect(text.as_bytes()).unwrap_err().kind(), AdvisoryErrorKind::UnknownFormat(_)),
                "{text}"
            );
        }
    }

    #[test]
    fn gzip_is_seen_through_and_a_cut_is_an_error() {
        let text = "suite\tsource\tcve\tfixed_version\tadvisory\tdate\nbullseye\tcurl\tCVE-2024-1234\t1-2\tDSA-1-1\t2024-01-02\n";
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        let packed = encoder.finish().unwrap();
        let mut found = 0;
        read("x.gz", packed.as_slice(), &mut |_| found += 1).unwrap();
        assert_eq!(found, 1);
        let error = read("x.gz", &packed[..packed.len() - 12], &mut |_| ()).unwrap_err();
        assert!(error.to_string().starts_with("x.gz: cannot be read"), "{error}");
    }
}
