//! Finds out what an input of advisories is, by its content, and reads it.
//!
//! The first half kB tells a compression and an archive, the first 64 kB the format: by a line at the start, by the name
//! of an XML document's root, or by the keys of a JSON document. Nothing depends on file names.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Cursor, Read},
    path::Path,
};

use super::{
    Advisory, AdvisoryError, AdvisoryErrorKind, Statement, arch, archive::Archive, csaf, debian, exploitation, json,
    openvex, osv, oval, photon, rustsec, secdb, updateinfo, xml,
};
use crate::compression::Compression;

/// The longest record that is read, in bytes: a line, or one document of a stream. Real ones have up to some ten MB: what
/// a vendor says of a vulnerability in Go's standard library, about all that is built with it.
pub(super) const MAX_RECORD: u64 = 64 << 20;

/// How much of an input is looked at to tell its compression, and whether it is an archive.
const HEAD: u64 = 512;

/// How much of an input is looked at to tell its format.
const PREFIX: u64 = 64 << 10;

/// How many compressions and archives may be within each other.
const MAX_NESTING: usize = 4;

/// A format of advisories.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Format {
    /// Arch Linux's security tracker: an array of groups.
    ArchTracker,
    /// The Common Security Advisory Framework: Red Hat's and SUSE's advisories and VEX documents.
    Csaf,
    /// Debian's announcements, one JSON object a line: `{"id": "DSA-…", "cves": […], "fixes": […]}`.
    DebianBulletins,
    /// Debian's fixes as a table: suite, source, CVE, version, announcement, date.
    DebianFixes,
    /// The security tracker's own lists: `CVE/list`, `DSA/list`, `DLA/list`.
    DebianList,
    /// The security tracker's JSON: package, CVE, releases.
    DebianTracker,
    /// The table of the Exploit Prediction Scoring System.
    Epss,
    /// CISA's catalogue of known exploited vulnerabilities, as JSON.
    Kev,
    /// OpenVEX documents of a distribution.
    OpenVex,
    /// The Open Source Vulnerability format, one document or many.
    Osv,
    /// The Open Vulnerability and Assessment Language.
    Oval,
    /// Photon OS's table of CVEs, an array.
    PhotonCves,
    /// An advisory of RustSec's, in Markdown.
    RustSec,
    /// The security database of Alpine, Wolfi, Chainguard and others with apk, as JSON.
    Secdb,
    /// The same, as YAML.
    SecdbYaml,
    /// The `updateinfo.xml` of a repository of rpm packages.
    UpdateInfo,
}

/// Reads advisories in whatever format they are and gives what they say out one by one. The input may be compressed
/// (gzip, bzip2, xz, zstd), and may be an archive of documents (zip, tar): then the format is that of the first one.
///
/// At most some records are held at a time, of OVAL the whole document in a short form. Advisories that were given out
/// before an error should not be used.
///
/// # Errors
/// [`AdvisoryError`] with the input's name and the line.
pub fn read(name: &str, mut input: impl Read, sink: &mut dyn FnMut(Statement)) -> Result<Format, AdvisoryError> {
    let mut reading = Reading { sink, format: None, nesting: 0, entry: None };
    let read = reading.stream(&mut input);
    let nothing = || AdvisoryError::new(None, AdvisoryErrorKind::UnknownFormat("nothing in the archive is advisories"));
    read.and_then(|()| reading.format.ok_or_else(nothing)).map_err(|error| error.within(name))
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

/// An input that is being read.
pub(super) struct Reading<'a> {
    sink: &'a mut dyn FnMut(Statement),
    /// The first format that was found.
    format: Option<Format>,
    /// How many compressions and archives are around what is read.
    nesting: usize,
    /// The name of what is read within its archive.
    entry: Option<String>,
}

impl Reading<'_> {
    /// Reads a file of an archive.
    pub(super) fn entry(&mut self, name: &str, input: &mut dyn Read) -> Result<(), AdvisoryError> {
        let outer = self.entry.replace(name.into());
        let read = self.stream(input).map_err(|error| error.within(name));
        self.entry = outer;
        read
    }

    fn stream(&mut self, input: &mut dyn Read) -> Result<(), AdvisoryError> {
        let mut head = Vec::new();
        input.take(HEAD).read_to_end(&mut head).map_err(broken)?;
        let (compression, archive) = (Compression::of_start(&head), Archive::of_start(&head));
        let mut input = Cursor::new(head).chain(input);
        if compression == Compression::None && archive.is_none() {
            return self.plain(input);
        }
        if self.nesting == MAX_NESTING {
            let message = format!("more than {MAX_NESTING} compressions and archives are within each other");
            return Err(AdvisoryError::new(None, AdvisoryErrorKind::Syntax(message)));
        }
        self.nesting += 1;
        let read = match archive {
            Some(archive) => archive.read(&mut input, self),
            None => {
                let plain = compression.decompress(BufReader::new(input)).map_err(broken);
                plain.and_then(|mut plain| self.stream(&mut plain))
            }
        };
        self.nesting -= 1;
        read
    }

    fn plain(&mut self, mut input: impl Read) -> Result<(), AdvisoryError> {
        let mut prefix = Vec::new();
        input.by_ref().take(PREFIX).read_to_end(&mut prefix).map_err(broken)?;
        let format = detect(&prefix);
        let input = Cursor::new(prefix).chain(input);
        match (format, &self.entry) {
            (Ok(format), _) => {
                self.format.get_or_insert(format);
                format.read(input, self.sink)
            }
            (Err(_), Some(name)) if name.to_ascii_lowercase().ends_with(".json") => json::check(input),
            (Err(_), Some(_)) => Ok(()),
            (Err(unknown), None) => Err(unknown),
        }
    }
}

impl Format {
    fn read(self, input: impl Read, sink: &mut dyn FnMut(Statement)) -> Result<(), AdvisoryError> {
        let mut given = |advisory: Advisory| sink(advisory.into());
        let buffered = |input| BufReader::with_capacity(1 << 16, input);
        match self {
            Self::ArchTracker => arch::read(input, &mut given),
            Self::Csaf => csaf::read(input, &mut given),
            Self::DebianBulletins => debian::bulletins::read(buffered(input), &mut given),
            Self::DebianFixes => debian::fixes::read(buffered(input), &mut given),
            Self::DebianList => debian::list::read(buffered(input), &mut given),
            Self::DebianTracker => debian::tracker::read(input, &mut given),
            Self::Epss => exploitation::read_epss(buffered(input), sink),
            Self::Kev => exploitation::read_kev(input, sink),
            Self::OpenVex => openvex::read(input, &mut given),
            Self::Osv => osv::read(input, &mut given),
            Self::Oval => oval::read(buffered(input), &mut given),
            Self::PhotonCves => photon::read(input, &mut given),
            Self::RustSec => rustsec::read(input, &mut given),
            Self::Secdb => secdb::read(input, &mut given),
            Self::SecdbYaml => secdb::read_yaml(input, &mut given),
            Self::UpdateInfo => updateinfo::read(buffered(input), &mut given),
        }
    }
}

/// The format of a plain input that starts with these bytes.
///
/// # Errors
/// [`AdvisoryErrorKind::UnknownFormat`].
pub fn detect(prefix: &[u8]) -> Result<Format, AdvisoryError> {
    let unknown = |why| Err(AdvisoryError::new(None, AdvisoryErrorKind::UnknownFormat(why)));
    let start = prefix.strip_prefix(b"\xef\xbb\xbf").unwrap_or(prefix).trim_ascii_start();
    let known = match start {
        [] => return unknown("there is nothing in it"),
        [b'{', ..] => json::format(start),
        [b'[', rest @ ..] if matches!(rest.trim_ascii_start(), [b'{', ..]) => json::format(start),
        [b'<', ..] => xml::root(start).and_then(xml_format),
        _ if start.starts_with(debian::fixes::HEADER.as_bytes()) => Some(Format::DebianFixes),
        _ if rustsec::is_rustsec(start) => Some(Format::RustSec),
        _ if exploitation::is_epss(start) => Some(Format::Epss),
        _ if secdb::is_yaml(start) => Some(Format::SecdbYaml),
        _ if debian::list::is_header(start) => Some(Format::DebianList),
        _ => None,
    };
    match (known, start) {
        (Some(format), _) => Ok(format),
        (None, [b'{' | b'[', ..]) => unknown(json::other(start)),
        (None, [b'<', ..]) => unknown(match xml::root(start) {
            Some(b"cvrfdoc") => "it is CVRF, whose vendors publish CSAF",
            Some(b"vuxml") => "it is FreeBSD's VuXML, which is not read",
            _ => "the XML is neither OVAL nor updateinfo",
        }),
        (None, _) => unknown("it starts as none of those that are read"),
    }
}

/// The format of an XML document by the name of its root.
fn xml_format(root: &[u8]) -> Option<Format> {
    match root {
        b"oval_definitions" => Some(Format::Oval),
        b"updates" => Some(Format::UpdateInfo),
        _ => None,
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
            ("{\"curl\": {\"CVE-2024-1234\": {\"releases\": {}}}}", Format::DebianTracker),
            ("{\"document\": {\"tracking\": {\"id\": \"x\"}}}", Format::Csaf),
            ("{\"metadata\": {\"@context\": \"https://openvex.dev/ns\"}}", Format::OpenVex),
            ("{\"@context\": \"https://openvex.dev/ns/v0.2.0\"}", Format::OpenVex),
            ("{\"catalogVersion\": \"x\", \"vulnerabilities\": []}", Format::Kev),
            ("{\"apkurl\": \"x\", \"packages\": []}", Format::Secdb),
            ("---\ndistroversion: v3.10\n", Format::SecdbYaml),
            ("[{\"cve_id\": \"x\", \"res_ver\": \"y\"}]", Format::PhotonCves),
            ("[\n{\"packages\": [], \"affected\": \"1\", \"issues\": []}]", Format::ArchTracker),
            ("#model_version:x\ncve,epss,percentile\n", Format::Epss),
            ("```toml\n[advisory]\n", Format::RustSec),
            ("\u{feff}<?xml version='1.0'?>\n<!-- > --><o:oval_definitions a='b'>", Format::Oval),
            ("<updates>", Format::UpdateInfo),
            ("[02 Nov 2023] DSA-5546-1 chromium - security update\n", Format::DebianList),
            ("\nCVE-2023-5088 (A bug)\n", Format::DebianList),
        ] {
            assert_eq!(detect(text.as_bytes()).unwrap(), format, "{text}");
        }
        for text in
            ["", " \n", "{}", "[]", "[{}]", "{\"a\": 1}", "hello", "\u{0}\u{1}", "<", "<x>", "<!-- ", "{\"id\": \"x\"}"]
        {
            assert!(
                matches!(detect(text.as_bytes()).unwrap_err().kind(), AdvisoryErrorKind::UnknownFormat(_)),
                "{text}"
            );
        }
    }

    #[test]
    fn known_formats_that_are_not_read_are_named() {
        for (text, name) in [
            ("<?xml version='1.0'?><cvrfdoc>", "CVRF"),
            ("<vuxml >", "VuXML"),
            ("{\"dataType\": \"CVE_RECORD\", \"cveMetadata\": {}}", "a CVE record"),
            ("{\"resultsPerPage\": 1, \"format\": \"NVD_CVE\"}", "NVD"),
        ] {
            let error = detect(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
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

    const OSV: &str = r#"{"id": "GO-1", "modified": "x", "affected": [{"package": {"ecosystem": "Go", "name": "x"}, "versions": ["1"]}]}"#;

    fn zip(entries: &[(&str, &str)]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, text) in entries {
            writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            writer.write_all(text.as_bytes()).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    fn tar(entries: &[(&str, &str)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, text) in entries {
            let mut header = tar::Header::new_ustar();
            header.set_size(text.len() as u64);
            builder.append_data(&mut header, name, text.as_bytes()).unwrap();
        }
        builder.into_inner().unwrap()
    }

    #[test]
    fn archives_are_read_file_by_file() {
        let count = |bytes: &[u8]| {
            let mut found = 0;
            read("all", bytes, &mut |_| found += 1).map(|format| (format, found))
        };
        let entries = [("list.txt", "a.json"), ("a/a.json", OSV), ("index.json", "[{\"id\": \"a\"}]"), ("b.json", OSV)];
        let (zipped, tarred) = (zip(&entries), tar(&entries));
        assert_eq!(count(&zipped).unwrap(), (Format::Osv, 2));
        assert_eq!(count(&tarred).unwrap(), (Format::Osv, 2));
        assert_eq!(count(&zstd::bulk::compress(&tarred, 3).unwrap()).unwrap(), (Format::Osv, 2));
        let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 6);
        xz.write_all(&tarred).unwrap();
        assert_eq!(count(&xz.finish().unwrap()).unwrap(), (Format::Osv, 2));
    }

    #[test]
    fn damage_in_an_archive_is_named() {
        let fail = |bytes: &[u8]| read("all", bytes, &mut |_| ()).unwrap_err().to_string();
        let cut = &OSV[..OSV.len() - 3];
        assert!(fail(&zip(&[("a.json", OSV), ("b.json", cut)])).starts_with("all: b.json: line 1: "));
        assert!(fail(&zip(&[("a.json", OSV), ("b.json", "{\"x\": ")])).starts_with("all: b.json: line 1: "));
        assert!(fail(&zip(&[("a.txt", "x")])).contains("nothing in the archive is advisories"));
        let zipped = zip(&[("a.json", OSV)]);
        assert!(fail(&zipped[..zipped.len() - 9]).starts_with("all: cannot be read"));
        let tarred = tar(&[("a.json", OSV)]);
        assert!(fail(&tarred[..520]).starts_with("all: "));
    }

    #[test]
    fn nesting_is_bounded() {
        let mut bytes = OSV.as_bytes().to_vec();
        for _ in 0..MAX_NESTING {
            bytes = zstd::bulk::compress(&bytes, 3).unwrap();
        }
        read("x", bytes.as_slice(), &mut |_| ()).unwrap();
        let error = read("x", zstd::bulk::compress(&bytes, 3).unwrap().as_slice(), &mut |_| ()).unwrap_err();
        assert!(error.to_string().contains("are within each other"), "{error}");
    }
}
