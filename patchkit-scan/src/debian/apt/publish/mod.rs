//! Makes and signs a small archive: for demonstrations without a network, for tests, for a mirror of a few packages.

mod compress;
mod deb;
mod key;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::Path,
};

use jiff::Timestamp;
use patchkit_core::Digest;
use thiserror::Error;

use crate::debian::deb::Compression;
use compress::compressed;

pub use deb::{DebBuilder, DebFile};
pub use key::{ArchiveKey, KeyError};

/// An archive in the making: one suite with the component `main`.
#[derive(Clone, Debug)]
pub struct ArchiveBuilder {
    suite: String,
    date: Timestamp,
    valid_until: Option<Timestamp>,
    by_hash: bool,
    fields: Vec<(String, String)>,
    compressions: Vec<Compression>,
    packages: Vec<DebFile>,
}

/// Why an archive could not be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PublishError {
    /// A file could not be compressed or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The signature could not be made.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// The files of an archive, by their path below its root: `dists/…` and `pool/…`.
pub type ArchiveFiles = BTreeMap<String, Vec<u8>>;

impl ArchiveBuilder {
    /// An empty archive of a suite, dated `date`. Indexes come plain and in xz, and can be fetched by their hash.
    #[must_use]
    pub fn new(suite: &str, date: Timestamp) -> Self {
        Self {
            suite: suite.to_owned(),
            date,
            valid_until: None,
            by_hash: true,
            fields: Vec::new(),
            compressions: vec![Compression::None, Compression::Xz],
            packages: Vec::new(),
        }
    }

    /// Says until when the archive may be used.
    #[must_use]
    pub fn with_valid_until(self, until: Timestamp) -> Self {
        Self { valid_until: Some(until), ..self }
    }

    /// Whether indexes can be fetched by their hash.
    #[must_use]
    pub fn with_by_hash(self, by_hash: bool) -> Self {
        Self { by_hash, ..self }
    }

    /// Adds a field to the `Release` file: `NotAutomatic`, `yes`.
    #[must_use]
    pub fn with_release_field(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The compressions that indexes come in.
    #[must_use]
    pub fn with_compressions(self, compressions: impl Into<Vec<Compression>>) -> Self {
        Self { compressions: compressions.into(), ..self }
    }

    /// Adds a package.
    #[must_use]
    pub fn with_package(mut self, package: DebFile) -> Self {
        self.packages.push(package);
        self
    }

    /// Makes the archive: packages, indexes, and `Release` signed both ways.
    ///
    /// # Errors
    /// [`PublishError`].
    pub fn build(&self, key: &ArchiveKey) -> Result<ArchiveFiles, PublishError> {
        let mut files = ArchiveFiles::new();
        for package in &self.packages {
            files.insert(pool_path(package), package.bytes.clone());
        }
        let dists = format!("dists/{}", self.suite);
        let indexes = self.indexes()?;
        let release = self.release(&indexes);
        for (path, bytes) in indexes {
            if self.by_hash {
                let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
                files.insert(format!("{dists}/{folder}/by-hash/SHA256/{}", Digest::of(&bytes).hex()), bytes.clone());
            }
            files.insert(format!("{dists}/{path}"), bytes);
        }
        files.insert(format!("{dists}/InRelease"), key.clear_sign(&release, self.date)?.into_bytes());
        files.insert(format!("{dists}/Release.gpg"), key.sign_detached(release.as_bytes(), self.date)?);
        files.insert(format!("{dists}/Release"), release.into_bytes());
        Ok(files)
    }

    /// The indexes of every architecture, each with the packages for all architectures.
    fn indexes(&self) -> io::Result<ArchiveFiles> {
        let mut indexes = ArchiveFiles::new();
        for architecture in self.architectures() {
            let own = |package: &&DebFile| package.architecture == architecture || package.architecture == "all";
            let text: String = self.packages.iter().filter(own).map(index_stanza).collect();
            for compression in &self.compressions {
                let path = format!("main/binary-{architecture}/Packages{}", compression.extension());
                indexes.insert(path, compressed(*compression, text.as_bytes())?);
            }
            // The plain index is listed even where it is not served, as Debian does.
            indexes.entry(format!("main/binary-{architecture}/Packages")).or_insert_with(|| text.into_bytes());
        }
        Ok(indexes)
    }

    fn architectures(&self) -> BTreeSet<&str> {
        let named: BTreeSet<_> =
            self.packages.iter().map(|package| package.architecture.as_str()).filter(|name| *name != "all").collect();
        if named.is_empty() { BTreeSet::from(["amd64"]) } else { named }
    }

    fn release(&self, indexes: &ArchiveFiles) -> String {
        let architectures: Vec<_> = self.architectures().into_iter().collect();
        let mut text = format!(
            "Origin: Example\nLabel: Example\nSuite: {0}\nCodename: {0}\nDate: {1}\n",
            self.suite,
            date(self.date)
        );
        if let Some(until) = self.valid_until {
            text += &format!("Valid-Until: {}\n", date(until));
        }
        if self.by_hash {
            text += "Acquire-By-Hash: yes\n";
        }
        for (name, value) in &self.fields {
            text += &format!("{name}: {value}\n");
        }
        text += &format!("Architectures: {}\nComponents: main\nSHA256:\n", architectures.join(" "));
        for (path, bytes) in indexes {
            text += &format!(" {} {} {path}\n", Digest::of(bytes).hex(), bytes.len());
        }
        text
    }
}

/// Writes an archive's files below a folder.
///
/// # Errors
/// What the file system says.
pub fn write_archive(files: &ArchiveFiles, folder: &Path) -> io::Result<()> {
    for (path, bytes) in files {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap_or(folder))?;
        fs::write(path, bytes)?;
    }
    Ok(())
}

fn index_stanza(package: &DebFile) -> String {
    let digest = Digest::of(&package.bytes).hex();
    format!("{}Filename: {}\nSize: {}\nSHA256: {digest}\n\n", package.control, pool_path(package), package.bytes.len())
}

fn pool_path(package: &DebFile) -> String {
    let initial = &package.name[..package.name.len().min(1)];
    format!("pool/main/{initial}/{}/{}", package.name, package.file_name())
}

/// `Sat, 11 Jul 2026 10:16:37 UTC`
fn date(time: Timestamp) -> String {
    time.strftime("%a, %d %b %Y %H:%M:%S UTC").to_string()
}

#[cfg(test)]
mod tests;
