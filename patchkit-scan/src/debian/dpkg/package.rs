//! One package of the database.

use crate::debian::control::dependency::{Dependencies, DependencyError, is_package_name};
use crate::debian::control::{Stanza, Stanzas};
use crate::debian::version::DebVersion;

use super::conffile::Conffile;
use super::state::{MultiArch, PackageState, Status};
use super::{DatabaseError, DatabaseErrorKind};

/// A package that dpkg knows: installed, or removed with its configuration left.
#[derive(Clone, Debug)]
pub struct InstalledPackage {
    /// Its name, in lower case as dpkg has it.
    pub name: Box<str>,
    /// Its version.
    pub version: DebVersion,
    /// Its architecture, `all` for one that fits all; empty where very old versions of dpkg left it out.
    pub architecture: Box<str>,
    /// The source package it was built from.
    pub source: SourcePackage,
    /// What is wanted and what is the case.
    pub status: Status,
    /// How it serves other architectures.
    pub multi_arch: MultiArch,
    /// Whether the system does not work without it (`Essential`).
    pub essential: bool,
    /// Whether it is needed to boot (`Protected`).
    pub protected: bool,
    /// Its relationships to other packages.
    pub relationships: Relationships,
    /// Its configuration files.
    pub conffiles: Vec<Conffile>,
    stanza: Box<[u8]>,
}

/// A source package by name and version.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct SourcePackage {
    /// Its name.
    pub name: Box<str>,
    /// Its version: that of the binary package where `Source` names no other.
    pub version: DebVersion,
}

/// The relationship fields of a package, each empty where it is absent (Debian Policy 7).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Relationships {
    /// `Breaks`
    pub breaks: Dependencies,
    /// `Conflicts`
    pub conflicts: Dependencies,
    /// `Depends`
    pub depends: Dependencies,
    /// `Enhances`
    pub enhances: Dependencies,
    /// `Pre-Depends`
    pub pre_depends: Dependencies,
    /// `Provides`
    pub provides: Dependencies,
    /// `Recommends`
    pub recommends: Dependencies,
    /// `Replaces`
    pub replaces: Dependencies,
    /// `Suggests`
    pub suggests: Dependencies,
}

impl InstalledPackage {
    /// Reads a stanza of `file`; without a `Status` field, as in distroless images, it counts as installed.
    ///
    /// # Errors
    /// A field that is missing or malformed, with its line.
    pub(super) fn read(file: &str, stanza: &Stanza<'_>) -> Result<Self, DatabaseError> {
        let reader = FieldReader { file, stanza };
        let name = reader.package_name()?;
        let version = reader.version("Version")?.ok_or_else(|| reader.missing("Version"))?;
        let conffiles = stanza.find("Conffiles").map(|field| Conffile::read_all(file, field)).transpose()?;
        Ok(Self {
            source: reader.source(&name, &version)?,
            name,
            version,
            architecture: reader.architecture()?,
            status: reader.status()?,
            multi_arch: reader.multi_arch()?,
            essential: reader.flag("Essential")?,
            protected: reader.flag("Protected")?,
            relationships: reader.relationships()?,
            conffiles: conffiles.unwrap_or_default(),
            stanza: stanza.bytes().into(),
        })
    }

    /// The stanza exactly as it was read.
    #[must_use]
    pub fn stanza(&self) -> &[u8] {
        &self.stanza
    }

    /// A field of the stanza, also one that this type has no place for.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<Vec<u8>> {
        let stanza = Stanzas::lenient(&self.stanza).next()?.ok()?;
        stanza.field(name).map(<[u8]>::to_vec)
    }

    /// Whether files of the package are there.
    #[must_use]
    pub fn is_present(&self) -> bool {
        self.status.is_present()
    }

    /// How dpkg names the package's files in `/var/lib/dpkg/info`: with the architecture where the package can be
    /// installed in several.
    #[must_use]
    pub fn info_name(&self) -> String {
        super::info::base_name(&self.name, &self.architecture, self.multi_arch)
    }
}

/// Reads fields of one stanza into their types.
pub(super) struct FieldReader<'a> {
    pub(super) file: &'a str,
    pub(super) stanza: &'a Stanza<'a>,
}

impl FieldReader<'_> {
    pub(super) fn package_name(&self) -> Result<Box<str>, DatabaseError> {
        let name = self.text("Package")?.ok_or_else(|| self.missing("Package"))?;
        if !is_package_name(name) {
            return Err(self.bad("Package", name));
        }
        Ok(name.to_ascii_lowercase().into())
    }

    pub(super) fn version(&self, field: &'static str) -> Result<Option<DebVersion>, DatabaseError> {
        let text = self.text(field)?;
        let version = text.map(DebVersion::parse_lenient).transpose();
        version.map_err(|error| self.error(field, DatabaseErrorKind::Version { field, error }))
    }

    /// `Source: name` or `Source: name (version)`.
    fn source(&self, name: &str, version: &DebVersion) -> Result<SourcePackage, DatabaseError> {
        let Some(text) = self.text("Source")? else {
            return Ok(SourcePackage { name: name.into(), version: version.clone() });
        };
        let (source, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        if !is_package_name(source) {
            return Err(self.bad("Source", text));
        }
        let version = match rest.trim() {
            "" => version.clone(),
            rest => self.source_version(rest).ok_or_else(|| self.bad("Source", text))?,
        };
        Ok(SourcePackage { name: source.into(), version })
    }

    fn source_version(&self, parenthesised: &str) -> Option<DebVersion> {
        DebVersion::parse_lenient(parenthesised.strip_prefix('(')?.strip_suffix(')')?).ok()
    }

    pub(super) fn architecture(&self) -> Result<Box<str>, DatabaseError> {
        let text = self.text("Architecture")?.unwrap_or_default();
        // Not is_architecture: dpkg only warns of an odd one. But it becomes part of a file name.
        if text.contains(['/', ' ', '\n', '\t']) {
            return Err(self.bad("Architecture", text));
        }
        Ok(text.into())
    }

    pub(super) fn status(&self) -> Result<Status, DatabaseError> {
        let Some(text) = self.text("Status")? else {
            return Ok(Status::INSTALLED);
        };
        text.parse().map_err(|_| self.bad("Status", text))
    }

    pub(super) fn multi_arch(&self) -> Result<MultiArch, DatabaseError> {
        let Some(text) = self.text("Multi-Arch")? else {
            return Ok(MultiArch::No);
        };
        MultiArch::from_word(&text.to_ascii_lowercase()).ok_or_else(|| self.bad("Multi-Arch", text))
    }

    pub(super) fn flag(&self, field: &'static str) -> Result<bool, DatabaseError> {
        match self.text(field)?.map(str::to_ascii_lowercase).as_deref() {
            None | Some("no") => Ok(false),
            Some("yes") => Ok(true),
            Some(other) => Err(self.bad(field, other)),
        }
    }

    fn relationships(&self) -> Result<Relationships, DatabaseError> {
        Ok(Relationships {
            breaks: self.dependencies("Breaks")?,
            conflicts: self.dependencies("Conflicts")?,
            depends: self.dependencies("Depends")?,
            enhances: self.dependencies("Enhances")?,
            pre_depends: self.dependencies("Pre-Depends")?,
            provides: self.dependencies("Provides")?,
            recommends: self.dependencies("Recommends")?,
            replaces: self.dependencies("Replaces")?,
            suggests: self.dependencies("Suggests")?,
        })
    }

    pub(super) fn dependencies(&self, field: &'static str) -> Result<Dependencies, DatabaseError> {
        let parsed = Dependencies::parse(self.text(field)?.unwrap_or_default());
        parsed.map_err(|DependencyError { offset: _, kind }| {
            self.error(field, DatabaseErrorKind::Dependency { field, kind })
        })
    }

    pub(super) fn text(&self, field: &str) -> Result<Option<&str>, DatabaseError> {
        self.stanza.text(field).map_err(|error| DatabaseError::control(self.file, error))
    }

    pub(super) fn missing(&self, field: &'static str) -> DatabaseError {
        DatabaseError::new(self.file, self.stanza.position().line, DatabaseErrorKind::MissingField(field))
    }

    pub(super) fn bad(&self, field: &'static str, value: &str) -> DatabaseError {
        self.error(field, DatabaseErrorKind::Field { field, value: value.to_owned() })
    }

    fn error(&self, field: &str, kind: DatabaseErrorKind) -> DatabaseError {
        let position = self.stanza.find(field).map_or(self.stanza.position(), crate::debian::control::Field::position);
        DatabaseError::new(self.file, position.line, kind)
    }
}

/// Whether dpkg asks a stanza in this state for a version.
pub(super) fn needs_version(state: PackageState) -> bool {
    !matches!(state, PackageState::NotInstalled | PackageState::HalfInstalled)
}
