use std::{
    collections::{BTreeMap, HashSet},
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::civil::Date;
use patchkit_core::{Error, Result};

use super::{AdvisoryStore, Claim, Packages, Vulnerability, digest::digest, join};
use crate::advisory::{
    Advisory, AdvisoryError, AdvisoryErrorKind, End, Scope, Statement, Status,
    input::{read, read_file},
};

/// An [`AdvisoryStore`] in the making.
#[derive(Debug, Default)]
pub struct Builder {
    scopes: BTreeMap<Scope, Packages>,
    vulnerabilities: BTreeMap<Arc<str>, Vulnerability>,
    newest: Option<Date>,
    strings: HashSet<Arc<str>>,
}

impl Builder {
    /// Adds one statement.
    pub fn take(&mut self, statement: Statement) {
        match statement {
            Statement::Advisory(advisory) => self.add(advisory),
            Statement::Exploitation(id, exploitation) => {
                let id = self.intern(id.as_str());
                self.know(&id, Vulnerability { exploitation, ..Default::default() });
            }
        }
    }

    /// Adds what is known about a vulnerability wherever it is.
    fn know(&mut self, id: &Arc<str>, known: Vulnerability) {
        if known != Vulnerability::default() {
            self.vulnerabilities.entry(id.clone()).or_default().join(known);
        }
    }

    /// Adds one advisory.
    pub fn add(&mut self, advisory: Advisory) {
        let Advisory { id, aliases, bulletins, scope, package, status, urgency, severity, title, date, .. } = advisory;
        let Advisory { cvss, architectures, module, symbols, source, .. } = advisory;
        let id = self.intern(id.as_str());
        let aliases = aliases.iter().map(|alias| self.intern(alias.as_str())).collect();
        self.know(
            &id,
            Vulnerability { aliases, severity, title, cvss: cvss.into_iter().collect(), ..Default::default() },
        );
        self.newest = self.newest.max(date);
        let bulletins = bulletins.iter().map(|id| self.intern(id.as_str())).collect();
        let status = self.intern_status(status);
        let architectures = self.intern_all(architectures);
        let symbols = self.intern_all(symbols);
        let (module, source) = (module.map(|module| self.intern(&module)), self.intern(&source));
        let claim = Claim { id, module, architectures, bulletins, status, urgency, symbols, source };
        let package = self.intern(package.as_str());
        self.scopes.entry(scope).or_default().entry(package).or_default().push(claim);
    }

    /// Adds the advisories of an input; the name is for errors.
    ///
    /// # Errors
    /// [`Corrupt`](patchkit_core::ErrorKind::Corrupt) naming input and line;
    /// [`Unsupported`](patchkit_core::ErrorKind::Unsupported) where the format is not known.
    pub fn read(&mut self, name: &str, input: impl Read) -> Result<&mut Self> {
        read(name, input, &mut |statement| self.take(statement))?;
        Ok(self)
    }

    /// Adds the advisories of a file, or of all files in a folder and its folders.
    ///
    /// In a folder, hidden files and documents (`.md`) are not read; what is neither JSON nor a table is passed over
    /// where its format is not known.
    ///
    /// # Errors
    /// As [`read`](Self::read); [`NotFound`](patchkit_core::ErrorKind::NotFound) where the path does not exist, and
    /// [`Invalid`](patchkit_core::ErrorKind::Invalid) for a folder without any advisories.
    pub fn path(&mut self, path: &Path) -> Result<&mut Self> {
        if !path.is_dir() {
            read_file(path, &mut |statement| self.take(statement))?;
            return Ok(self);
        }
        let mut files = Vec::new();
        collect(path, &mut files).map_err(|error| {
            Error::unexpected(error.to_string()).during("read advisories").on(path.display()).because(error)
        })?;
        files.sort();
        let mut read = 0;
        for file in files {
            read += usize::from(self.file_of_folder(&file)?);
        }
        match read {
            0 => Err(Error::invalid("the folder has no advisories").during("read advisories").on(path.display())),
            _ => Ok(self),
        }
    }

    fn file_of_folder(&mut self, file: &Path) -> Result<bool> {
        match read_file(file, &mut |statement| self.take(statement)) {
            Ok(_) => Ok(true),
            Err(error) if is_unknown(&error) && !must_be_known(file) => {
                tracing::warn!(file = %file.display(), "passed over: no known format of advisories");
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn intern(&mut self, text: &str) -> Arc<str> {
        match self.strings.get(text) {
            Some(known) => known.clone(),
            None => {
                let text: Arc<str> = text.into();
                self.strings.insert(text.clone());
                text
            }
        }
    }

    fn intern_all(&mut self, texts: Vec<Arc<str>>) -> Vec<Arc<str>> {
        texts.iter().map(|text| self.intern(text)).collect()
    }

    fn intern_status(&mut self, status: Status) -> Status {
        let Status::Affected(mut ranges) = status else { return status };
        for range in &mut ranges {
            range.from = range.from.take().map(|version| self.intern(&version));
            if let End::Fixed(version) | End::FixedElsewhere(version) | End::Last(version) = &mut range.end {
                *version = self.intern(version);
            }
        }
        Status::Affected(ranges)
    }

    /// Joins what speaks of the same, and ends building.
    #[must_use]
    pub fn build(self) -> AdvisoryStore {
        let Self { mut scopes, vulnerabilities, newest, strings: _ } = self;
        let names = join::canonical_names(&vulnerabilities);
        let vulnerabilities = join::renamed(vulnerabilities, &names);
        let mut count = 0;
        for claims in scopes.values_mut().flat_map(BTreeMap::values_mut) {
            *claims = join::joined(std::mem::take(claims), &names);
            count += claims.len();
        }
        let digest = digest(&scopes, &vulnerabilities);
        AdvisoryStore { scopes, vulnerabilities, newest, claims: count, digest }
    }
}

/// The files of a folder and its folders, but for hidden ones and documents.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let (name, path) = (entry.file_name(), entry.path());
        if name.as_encoded_bytes().starts_with(b".") || path.extension().is_some_and(|extension| extension == "md") {
            continue;
        }
        if entry.file_type()?.is_dir() {
            collect(&path, files)?;
        } else if path.is_file() {
            files.push(path);
        }
    }
    Ok(())
}

fn is_unknown(error: &AdvisoryError) -> bool {
    matches!(error.kind(), AdvisoryErrorKind::UnknownFormat(_))
}

/// Whether a file's name promises advisories, so that one of no known format is damaged.
fn must_be_known(file: &Path) -> bool {
    let name = file.to_string_lossy().to_ascii_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    [".json", ".jsonl", ".ndjson", ".tsv"].iter().any(|extension| name.ends_with(extension))
}
