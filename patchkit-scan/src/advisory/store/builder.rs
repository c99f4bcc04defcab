use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;
use patchkit_core::{Error, Result};

use super::{
    AdvisoryStore, Claim, Entry, Packages, Vulnerability,
    database::{self, Writer},
    join,
    record::{Head, Key, put_claim, put_vulnerability},
    source::Tally,
};
use crate::advisory::{
    Advisory, AdvisoryError, AdvisoryErrorKind, End, Scope, Statement, Status,
    input::{read, read_file},
};

/// An [`AdvisoryStore`] in the making.
#[derive(Debug, Default)]
pub struct Builder {
    scopes: BTreeMap<Scope, Packages>,
    vulnerabilities: BTreeMap<Arc<str>, Vulnerability>,
    tally: Tally,
    strings: HashSet<Arc<str>>,
    keeps_going: bool,
}

impl Builder {
    /// Says what source everything is of that is added from now on, and when it was retrieved. Before that, each
    /// statement is of the source that it names itself, retrieved nobody knows when.
    pub fn source(&mut self, name: &str, retrieved: Option<Timestamp>) -> &mut Self {
        self.tally.begin(name, retrieved);
        self
    }

    /// The same, which passes over files of a folder that are damaged or of no known format, with a warning
    /// (`tracing`) for each; by default they are errors.
    #[must_use]
    pub fn keeping_going(self) -> Self {
        Self { keeps_going: true, ..self }
    }

    /// How many statements were added, those that say the same among them.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.tally.records()
    }

    /// Adds one statement.
    pub fn take(&mut self, statement: Statement) {
        self.tally.count(&statement);
        match statement {
            Statement::Advisory(advisory) => self.insert(advisory),
            Statement::Exploitation(id, exploitation) => {
                let id = self.intern(id.as_str());
                self.know(&id, Vulnerability { exploitation, ..Default::default() });
            }
        }
    }

    /// Adds one advisory.
    pub fn add(&mut self, advisory: Advisory) {
        self.take(advisory.into());
    }

    /// Adds what is known about a vulnerability wherever it is.
    fn know(&mut self, id: &Arc<str>, known: Vulnerability) {
        if known != Vulnerability::default() {
            self.vulnerabilities.entry(id.clone()).or_default().join(known);
        }
    }

    fn insert(&mut self, advisory: Advisory) {
        let Advisory { id, aliases, bulletins, scope, package, status, urgency, severity, title, .. } = advisory;
        let Advisory { cvss, architectures, module, symbols, source, .. } = advisory;
        let id = self.intern(id.as_str());
        let aliases = aliases.iter().map(|alias| self.intern(alias.as_str())).collect();
        self.know(
            &id,
            Vulnerability { aliases, severity, title, cvss: cvss.into_iter().collect(), ..Default::default() },
        );
        let bulletins = bulletins.iter().map(|id| self.intern(id.as_str())).collect();
        let status = self.intern_status(status);
        let architectures = self.intern_all(architectures);
        let symbols = self.intern_all(symbols);
        let (module, source) = (module.map(|module| self.intern(&module)), self.intern(&source));
        let claim = Claim { id, module, architectures, bulletins, status, urgency, symbols, source };
        let package = self.intern(package.as_str());
        self.scopes.entry(scope).or_default().entry(package).or_default().push(claim);
    }

    /// Adds all that a compiled database has.
    fn take_all(&mut self, store: &AdvisoryStore) -> Result<()> {
        store.sources().iter().for_each(|source| self.tally.join(source));
        store.walk(|entry| match entry {
            Entry::Claims(scope, package, mut claims) => {
                claims.iter_mut().for_each(|claim| self.intern_claim(claim));
                let package = self.intern(&package);
                self.scopes.entry(scope).or_default().entry(package).or_default().append(&mut claims);
            }
            Entry::Vulnerability(id, mut known) => {
                known.aliases = known.aliases.iter().map(|alias| self.intern(alias)).collect();
                let id = self.intern(&id);
                self.know(&id, known);
            }
        })
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

    /// Adds the advisories of a file, or of all files in a folder and its folders. A file may be a compiled database,
    /// which brings its [sources](AdvisoryStore::sources) along.
    ///
    /// In a folder, hidden files are not read; what is neither JSON nor a table is passed over
    /// where its format is not known.
    ///
    /// # Errors
    /// As [`read`](Self::read); [`NotFound`](patchkit_core::ErrorKind::NotFound) where the path does not exist, and
    /// [`Invalid`](patchkit_core::ErrorKind::Invalid) for a folder without any advisories.
    pub fn path(&mut self, path: &Path) -> Result<&mut Self> {
        if !path.is_dir() {
            self.file(path)?;
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
        if database::is_table(file) {
            return self.database(file).map(|()| true);
        }
        if self.keeps_going {
            return Ok(self.whole_file(file));
        }
        match read_file(file, &mut |statement| self.take(statement)) {
            Ok(_) => Ok(true),
            Err(error) if is_unknown(&error) && !must_be_known(file) => Ok(passed_over(file, &error)),
            Err(error) => Err(error.into()),
        }
    }

    /// Adds a file where the whole of it can be read, and nothing of it otherwise; says which.
    fn whole_file(&mut self, file: &Path) -> bool {
        let mut statements = Vec::new();
        match read_file(file, &mut |statement| statements.push(statement)) {
            Ok(_) => {
                statements.into_iter().for_each(|statement| self.take(statement));
                true
            }
            Err(error) => passed_over(file, &error),
        }
    }

    fn file(&mut self, file: &Path) -> Result<()> {
        if database::is_table(file) {
            return self.database(file);
        }
        read_file(file, &mut |statement| self.take(statement))?;
        Ok(())
    }

    fn database(&mut self, file: &Path) -> Result<()> {
        self.take_all(&AdvisoryStore::open([file])?)
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

    fn intern_claim(&mut self, claim: &mut Claim) {
        let Claim { id, module, architectures, bulletins, status, urgency: _, symbols, source } = claim;
        for text in [id, source].into_iter().chain(module).chain(architectures).chain(bulletins).chain(symbols) {
            *text = self.intern(text);
        }
        *status = self.intern_status(std::mem::replace(status, Status::NotAffected));
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

    /// Joins what speaks of the same, and compiles it.
    #[must_use]
    pub fn build(self) -> AdvisoryStore {
        let Self { mut scopes, vulnerabilities, tally, strings: _, keeps_going: _ } = self;
        let names = join::canonical_names(&vulnerabilities);
        let vulnerabilities = join::renamed(vulnerabilities, &names);
        let (mut count, mut origins) = (0, BTreeSet::new());
        for claims in scopes.values_mut().flat_map(BTreeMap::values_mut) {
            *claims = join::joined(std::mem::take(claims), &names);
            count += claims.len();
            for Claim { source, .. } in claims.iter() {
                if !origins.contains(source) {
                    origins.insert(source.clone());
                }
            }
        }
        drop(names);
        let head =
            Head { scopes: scopes.keys().cloned().collect(), origins: origins.into_iter().collect(), claims: count };
        let writer = write(scopes, vulnerabilities, &head.origins);
        let bytes = writer.finish(&head.encode(), &tally.encode());
        AdvisoryStore::of_bytes(bytes).expect("what was written just now can be read")
    }
}

/// Writes everything, and lets go of what is written.
fn write(
    scopes: BTreeMap<Scope, Packages>,
    vulnerabilities: BTreeMap<Arc<str>, Vulnerability>,
    origins: &[Arc<str>],
) -> Writer {
    let (mut writer, mut value) = (Writer::new(), Vec::new());
    for (number, (_, packages)) in (0..).zip(scopes) {
        for (package, claims) in packages {
            value.clear();
            claims.iter().for_each(|claim| put_claim(&mut value, claim, origins));
            writer.put(&Key::Claims(number, &package).encode(), &value);
        }
    }
    for (id, vulnerability) in vulnerabilities {
        value.clear();
        put_vulnerability(&mut value, &vulnerability);
        writer.put(&Key::Vulnerability(&id).encode(), &value);
    }
    writer
}

/// The files of a folder and its folders, but for hidden ones.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let (name, path) = (entry.file_name(), entry.path());
        if name.as_encoded_bytes().starts_with(b".") {
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

/// Says that a file is passed over: loudly where its name promises advisories.
fn passed_over(file: &Path, error: &AdvisoryError) -> bool {
    match must_be_known(file) {
        true => tracing::warn!(%error, "passed over"),
        false => tracing::debug!(%error, file = %file.display(), "passed over"),
    }
    false
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
