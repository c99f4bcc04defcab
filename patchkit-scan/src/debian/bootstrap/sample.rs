//! A small archive that is made and signed on the spot: a distribution of four packages, two of which have fixes.
//!
//! It is for demonstrations and tests where no real archive can be reached. Distribution, packages and CVE ids are made
//! up, and say so; formats, signatures and programs are real.

mod program;

use std::io::Write;

use flate2::{GzBuilder, write::GzEncoder};
use jiff::Timestamp;
use patchkit_core::{Error, Result};
use url::Url;

use super::{Bootstrap, suites::Suites};
use crate::debian::apt::{
    fetch::MemoryFetch,
    publish::{ArchiveBuilder, ArchiveFiles, ArchiveKey, DebBuilder, DebFile, PublishError},
    trust::TrustStore,
};

/// The architectures that the archive has packages for.
pub const ARCHITECTURES: [&str; 2] = ["amd64", "arm64"];
/// The release.
pub const RELEASE: &str = "first";

/// Where the archive is in [`Sample::fetch`]. Nobody is asked over the network.
const ROOT: &str = "http://archive.example.org/sample/";
/// When everything in it was made. It is fixed, so that the same images come out every time.
const MADE: &str = "2020-01-01T00:00:00Z";
const OS_RELEASE: &str = "PRETTY_NAME=\"Sample Distribution 1 (first)\"\nNAME=\"Sample Distribution\"\nID=sample\n\
    ID_LIKE=debian\nVERSION_ID=\"1\"\nVERSION_CODENAME=first\n";
/// The versions of what has a fix: in the main suite, and in the security suite.
const VERSIONS: [&str; 2] = ["1.0-1", "1.0-1+sec1"];

/// What the library's and the tool's newer versions fix. The year 0000 says that these are no real vulnerabilities.
const FIXES: [(&str, &[(&str, &str)]); 2] = [
    (
        "libdemo",
        &[("CVE-0000-0001", "words were read past their end"), ("CVE-0000-0002", "a long word was not refused")],
    ),
    ("demo-tool", &[("CVE-0000-0003", "the greeting named the wrong version")]),
];

/// An archive with a main and a security suite, signed with a key of its own.
#[derive(Clone, Debug)]
pub struct Sample {
    files: ArchiveFiles,
    keyring: Vec<u8>,
}

impl Sample {
    /// Makes the archive, and a new key for it.
    ///
    /// # Errors
    /// `Unexpected` where it cannot be compressed or signed.
    pub fn make() -> Result<Self> {
        let failed = |error: PublishError| Error::unexpected(error.to_string()).during("make archive").because(error);
        make().map_err(failed)
    }

    /// All files of the archive, by their path below its root.
    #[must_use]
    pub fn files(&self) -> &ArchiveFiles {
        &self.files
    }

    /// The key that the archive is signed with, trusted.
    #[must_use]
    pub fn trust(&self) -> TrustStore {
        TrustStore::new().trusting("sample archive", self.keyring.clone())
    }

    /// The archive in memory, at the address that [`Sample::suites`] names.
    #[must_use]
    pub fn fetch(&self) -> MemoryFetch {
        let fetch = MemoryFetch::new();
        for (path, bytes) in &self.files {
            fetch.insert(format!("{ROOT}{path}"), bytes.clone());
        }
        fetch
    }

    /// The archive's one release, where [`Sample::fetch`] has it.
    #[must_use]
    pub fn suites() -> Suites {
        Self::suites_at(&ROOT.parse().expect("a constant"))
    }

    /// The archive's one release, where its files have been written elsewhere.
    #[must_use]
    pub fn suites_at(root: &Url) -> Suites {
        let mut suites = Suites::of_archive(root, RELEASE);
        suites.security.uri = suites.main.uri.clone();
        suites
    }

    /// An image of the archive's program, which greets and ends.
    pub fn image() -> Bootstrap {
        Bootstrap::of(["demo-tool"]).with_entrypoint(["/usr/bin/demo-tool"])
    }
}

fn make() -> Result<Sample, PublishError> {
    let made: Timestamp = MADE.parse().expect("a constant");
    let key = ArchiveKey::generate("Sample Archive <archive@example.org>", made)?;
    let mut main = ArchiveBuilder::new(RELEASE, made).with_package(base_files(made)?);
    let mut security = ArchiveBuilder::new(&format!("{RELEASE}-security"), made);
    for architecture in ARCHITECTURES {
        for package in [library, tool] {
            main = main.with_package(package(VERSIONS[0], architecture, made)?);
            security = security.with_package(package(VERSIONS[1], architecture, made)?);
        }
    }
    let mut files = main.build(&key)?;
    files.extend(security.build(&key)?);
    Ok(Sample { files, keyring: key.public_keyring()? })
}

fn base_files(made: Timestamp) -> Result<DebFile, PublishError> {
    let deb = DebBuilder::new("base-files", "1", "all")
        .with_field("Description", "files that every system of the sample distribution has")
        .with_time(made)
        .with_file("usr/lib/os-release", 0o644, OS_RELEASE)
        .with_symlink("etc/os-release", "../usr/lib/os-release")
        .with_file("etc/debian_version", 0o644, *b"sample/1\n")
        .with_folder("tmp");
    Ok(deb.build()?)
}

fn library(version: &str, architecture: &str, made: Timestamp) -> Result<DebFile, PublishError> {
    let deb = package("libdemo1", "libdemo", version, architecture, made)?
        .with_field("Source", "libdemo")
        .with_field("Multi-Arch", "same")
        .with_field("Description", "words for demonstrations")
        .with_file("usr/share/libdemo1/words", 0o644, format!("demo {version}\n"));
    Ok(deb.build()?)
}

fn tool(version: &str, architecture: &str, made: Timestamp) -> Result<DebFile, PublishError> {
    let greeting = format!("demo-tool {version} for {architecture}\n");
    let deb = package("demo-tool", "demo-tool", version, architecture, made)?
        .with_field("Depends", "libdemo1 (>= 1.0)")
        .with_field("Description", "a program that greets and ends")
        .with_file("usr/bin/demo-tool", 0o755, program::printing(&greeting, architecture));
    Ok(deb.build()?)
}

/// A package with its changelog.
fn package(
    name: &str,
    source: &str,
    version: &str,
    architecture: &str,
    made: Timestamp,
) -> Result<DebBuilder, PublishError> {
    let mut encoder: GzEncoder<Vec<u8>> = GzBuilder::new().write(Vec::new(), flate2::Compression::best());
    encoder.write_all(changelog(source, version, made).as_bytes())?;
    let place = format!("usr/share/doc/{name}/changelog.Debian.gz");
    Ok(DebBuilder::new(name, version, architecture).with_time(made).with_file(&place, 0o644, encoder.finish()?))
}

/// The changelog of a source package up to a version.
fn changelog(source: &str, version: &str, made: Timestamp) -> String {
    let date = made.strftime("%a, %d %b %Y %H:%M:%S +0000");
    let entry = |version: &str, suite: &str, changes: String| {
        let trailer = format!(" -- Nobody <nobody@example.org>  {date}\n");
        format!("{source} ({version}) {suite}; urgency=medium\n\n{changes}\n{trailer}")
    };
    let first = entry(VERSIONS[0], RELEASE, "  * First version.\n".to_owned());
    if version == VERSIONS[0] {
        return first;
    }
    let fixes = FIXES.iter().filter(|(fixed, _)| *fixed == source).flat_map(|(_, fixes)| *fixes);
    let fixes = fixes.map(|(id, what)| format!("  * {id}: {what}.\n")).collect();
    entry(version, &format!("{RELEASE}-security"), fixes) + "\n" + &first
}
