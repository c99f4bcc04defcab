//! The stanza that dpkg writes into its status for a package it has installed.

use crate::debian::control::{Stanza, Stanzas};
use crate::debian::version::DebVersion;

use super::conffile::Conffile;
use super::package::{FieldReader, InstalledPackage};
use super::state::{MultiArch, PackageState, Status};
use super::{DatabaseError, DatabaseErrorKind};

/// A package's entry in the status file, made from the `control` file of its archive.
#[derive(Clone, Debug)]
pub struct InstalledStanza {
    name: Box<str>,
    status: Status,
    config_version: Option<DebVersion>,
    conffiles: Vec<Conffile>,
    /// The written values of the fields that dpkg knows, in its order; `None` where one is absent.
    known: Vec<(&'static str, Option<Vec<u8>>)>,
    /// The fields that dpkg does not know, in the order of the control file.
    arbitrary: Vec<(String, Vec<u8>)>,
}

/// The fields that dpkg knows, in the order in which it writes them, and how it writes each.
const KNOWN: [(&str, Form); 26] = [
    ("Package", Form::Name),
    ("Essential", Form::Flag),
    ("Protected", Form::Flag),
    ("Status", Form::Database),
    ("Priority", Form::Priority),
    ("Section", Form::Text),
    ("Installed-Size", Form::Text),
    ("Origin", Form::Text),
    ("Maintainer", Form::Text),
    ("Bugs", Form::Text),
    ("Architecture", Form::Architecture),
    ("Multi-Arch", Form::MultiArch),
    ("Source", Form::Text),
    ("Version", Form::Version),
    ("Config-Version", Form::Database),
    ("Replaces", Form::Relationship),
    ("Provides", Form::Relationship),
    ("Depends", Form::Relationship),
    ("Pre-Depends", Form::Relationship),
    ("Recommends", Form::Relationship),
    ("Suggests", Form::Relationship),
    ("Breaks", Form::Relationship),
    ("Conflicts", Form::Relationship),
    ("Enhances", Form::Relationship),
    ("Conffiles", Form::Dropped),
    ("Description", Form::Text),
];

/// Fields of a control file that dpkg reads but does not write into its status.
const DROPPED: [&str; 4] = ["Filename", "Size", "MD5sum", "MSDOS-Filename"];

/// Fields that a control file may not have: dpkg's own, and those it gave up twenty years ago.
const REFUSED: [&str; 8] = [
    "Triggers-Pending",
    "Triggers-Awaited",
    "Recommended",
    "Optional",
    "Class",
    "Revision",
    "Package-Revision",
    "Package_Revision",
];

/// How a field of a control file is written.
#[derive(Clone, Copy)]
enum Form {
    Architecture,
    /// dpkg writes it of its own; a control file may not have it.
    Database,
    /// Written from elsewhere; what a control file says is dropped.
    Dropped,
    Flag,
    MultiArch,
    Name,
    Priority,
    Relationship,
    Text,
    Version,
}

impl InstalledStanza {
    /// Reads the `control` file of an archive; the status is `install ok installed` until said otherwise. `file` is
    /// how errors name it.
    ///
    /// # Errors
    /// What dpkg refuses: not exactly one stanza, a bad name, version or relationship, a field of dpkg's own.
    pub fn new(file: &str, control: &[u8]) -> Result<Self, DatabaseError> {
        let mut stanzas = Stanzas::strict(control);
        let only = match (stanzas.next(), stanzas.next()) {
            (Some(only), None) => only,
            (None, _) => {
                return Err(DatabaseError::new(file, 1, DatabaseErrorKind::Line("there is no stanza")));
            }
            (Some(first), Some(second)) => {
                let line = first.and(second).map_or_else(|error| error.position.line, |s| s.position().line);
                return Err(DatabaseError::new(file, line, DatabaseErrorKind::Line("more than one stanza")));
            }
        };
        let stanza = only.map_err(|error| DatabaseError::control(file, error))?;
        Self::from_stanza(&FieldReader { file, stanza: &stanza })
    }

    fn from_stanza(reader: &FieldReader<'_>) -> Result<Self, DatabaseError> {
        for field in REFUSED {
            if reader.stanza.find(field).is_some() {
                return Err(reader.bad(field, "in a control file"));
            }
        }
        check_multi_arch(reader)?;
        let known = KNOWN.iter().map(|(field, form)| Ok((*field, form.write(field, reader)?)));
        Ok(Self {
            name: reader.package_name()?,
            status: Status::INSTALLED,
            config_version: None,
            conffiles: Vec::new(),
            known: known.collect::<Result<_, DatabaseError>>()?,
            arbitrary: arbitrary(reader.stanza),
        })
    }

    /// Sets the `Status` field.
    #[must_use]
    pub fn with_status(self, status: Status) -> Self {
        Self { status, ..self }
    }

    /// Sets the version that was configured last, which is written while the package is not configured itself.
    #[must_use]
    pub fn with_config_version(self, version: DebVersion) -> Self {
        Self { config_version: Some(version), ..self }
    }

    /// Sets the `Conffiles` field: see [`Conffile::after_upgrade`].
    #[must_use]
    pub fn with_conffiles(self, conffiles: Vec<Conffile>) -> Self {
        Self { conffiles, ..self }
    }

    /// Takes over what dpkg keeps of the package's old stanza where the new control file is silent: section and
    /// priority.
    #[must_use]
    pub fn replacing(mut self, old: &InstalledPackage) -> Self {
        for (field, value) in &mut self.known {
            if value.is_none() && matches!(*field, "Section" | "Priority") {
                *value = old.field(field).filter(|value| !value.is_empty());
            }
        }
        self
    }

    /// The package's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The stanza as dpkg writes it, without the blank line after it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (field, value) in &self.known {
            match *field {
                "Status" => put(&mut bytes, field, self.status.to_string().as_bytes()),
                "Config-Version" => self.put_config_version(&mut bytes),
                "Conffiles" => self.put_conffiles(&mut bytes),
                _ => value.iter().for_each(|value| put(&mut bytes, field, value)),
            }
        }
        self.arbitrary.iter().for_each(|(field, value)| put(&mut bytes, field, value));
        bytes
    }

    fn put_config_version(&self, bytes: &mut Vec<u8>) {
        use PackageState::{Installed, NotInstalled, TriggersPending};
        let implied = matches!(self.status.state, Installed | NotInstalled | TriggersPending);
        if let Some(version) = self.config_version.as_ref().filter(|_| !implied) {
            put(bytes, "Config-Version", version.canonical().as_bytes());
        }
    }

    fn put_conffiles(&self, bytes: &mut Vec<u8>) {
        if self.conffiles.is_empty() {
            return;
        }
        bytes.extend_from_slice(b"Conffiles:\n");
        for conffile in &self.conffiles {
            bytes.extend_from_slice(&conffile.to_line());
            bytes.push(b'\n');
        }
    }
}

fn put(bytes: &mut Vec<u8>, field: &str, value: &[u8]) {
    bytes.extend_from_slice(field.as_bytes());
    bytes.extend_from_slice(b": ");
    bytes.extend_from_slice(value);
    bytes.push(b'\n');
}

fn arbitrary(stanza: &Stanza<'_>) -> Vec<(String, Vec<u8>)> {
    let is = |name: &str, known: &str| known.eq_ignore_ascii_case(name);
    let unknown = stanza.fields().iter().filter(|field| {
        let name = field.name();
        !KNOWN.iter().any(|(known, _)| is(name, known)) && !DROPPED.iter().any(|known| is(name, known))
    });
    unknown.map(|field| (field.name().to_owned(), field.value().to_vec())).collect()
}

/// A package that can be installed in several architectures must have one.
fn check_multi_arch(reader: &FieldReader<'_>) -> Result<(), DatabaseError> {
    let architecture = reader.architecture()?;
    if reader.multi_arch()? == MultiArch::Same && matches!(&*architecture, "" | "all") {
        return Err(reader.bad("Multi-Arch", "same"));
    }
    Ok(())
}

impl Form {
    /// The value of `field` as dpkg writes it, or `None` where it writes none.
    fn write(self, field: &'static str, reader: &FieldReader<'_>) -> Result<Option<Vec<u8>>, DatabaseError> {
        let owned = |text: &str| Some(text.as_bytes().to_vec());
        Ok(match self {
            Self::Architecture => owned(&reader.architecture()?).filter(|text| !text.is_empty()),
            Self::Database if reader.stanza.find(field).is_some() => {
                return Err(reader.bad(field, "in a control file"));
            }
            Self::Database | Self::Dropped => None,
            Self::Flag => reader.flag(field)?.then(|| b"yes".to_vec()),
            Self::MultiArch => owned(reader.multi_arch()?.as_str()).filter(|word| word != b"no"),
            Self::Name => owned(&reader.package_name()?),
            Self::Priority => reader.text(field)?.and_then(|text| owned(priority(text)?)),
            Self::Relationship => owned(&reader.dependencies(field)?.to_string()).filter(|text| !text.is_empty()),
            Self::Text => reader.stanza.field(field).filter(|value| !value.is_empty()).map(<[u8]>::to_vec),
            Self::Version => owned(&strict_version(reader)?.canonical()),
        })
    }
}

/// The priority as dpkg writes it: its own words in lower case, `unknown` not at all, others as they are.
fn priority(text: &str) -> Option<&str> {
    const WORDS: [&str; 5] = ["required", "important", "standard", "optional", "extra"];
    match WORDS.iter().find(|word| word.eq_ignore_ascii_case(text)) {
        Some(word) => Some(word),
        None if text.eq_ignore_ascii_case("unknown") => None,
        None => Some(text),
    }
}

fn strict_version(reader: &FieldReader<'_>) -> Result<DebVersion, DatabaseError> {
    let lenient = reader.version("Version")?.ok_or_else(|| reader.missing("Version"))?;
    DebVersion::parse(lenient.as_str()).map_err(|error| {
        let line = reader.stanza.find("Version").map_or(1, |field| field.position().line);
        DatabaseError::new(reader.file, line, DatabaseErrorKind::Version { field: "Version", error })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(control: &str) -> String {
        let stanza = InstalledStanza::new("control", control.as_bytes()).expect(control);
        String::from_utf8(stanza.to_bytes()).expect("text")
    }

    #[test]
    fn fields_in_the_order_and_form_of_dpkg() {
        let control = "X-Odd:\nDescription: short\n long\nDepends: b(>=0:1)|c ,\n d:any\nVersion: 0:1.0-1\nPackage: A\n\
            Homepage: https://example.org\nMulti-Arch: no\nEssential: No\nPriority: Optional\nArchitecture: all\n\
            Maintainer: M\nFilename: x\nConffiles:\n /etc/x 0\nSuggests:\n";
        let expected = "Package: a\nStatus: install ok installed\nPriority: optional\nMaintainer: M\nArchitecture: all\n\
            Version: 1.0-1\nDepends: b (>= 1) | c, d:any\nDescription: short\n long\nX-Odd: \n\
            Homepage: https://example.org\n";
        assert_eq!(written(control), expected);
    }

    #[test]
    fn what_is_added() {
        let control = b"Package: a\nArchitecture: all\nVersion: 1\nDescription: d\n";
        let conffile = Conffile {
            path: crate::debian::path::PackagePath::from_absolute(b"/etc/a").expect("absolute"),
            hash: "0123".into(),
            obsolete: true,
            remove_on_upgrade: false,
        };
        let stanza = InstalledStanza::new("control", control).expect("sound").with_conffiles(vec![conffile]);
        let stanza = stanza.with_config_version(DebVersion::parse("0:1~").expect("version"));
        let text = |stanza: &InstalledStanza| String::from_utf8(stanza.to_bytes()).expect("text");
        assert!(text(&stanza).contains("Version: 1\nConffiles:\n /etc/a 0123 obsolete\nDescription: d\n"));
        let unpacked = stanza.with_status("hold ok unpacked".parse().expect("status"));
        let expected = "Status: hold ok unpacked\nArchitecture: all\nVersion: 1\nConfig-Version: 1~\n";
        assert!(text(&unpacked).contains(expected));
    }

    #[test]
    fn control_files_that_are_refused() {
        for (control, error) in [
            ("", "control, line 1: there is no stanza"),
            ("Package: a\nVersion: 1\n\nPackage: b\nVersion: 1\n", "control, line 4: more than one stanza"),
            ("Version: 1\n", "control, line 1: field Package is missing"),
            ("Package: a\n", "control, line 1: field Version is missing"),
            ("Package: a/b\nVersion: 1\n", "control, line 1: field Package may not be \"a/b\""),
            (
                "Package: a\nVersion: 1_2\n",
                "control, line 2: field Version: character '_' is not allowed in an upstream version",
            ),
            ("Package: a\nVersion: 1\nDepends: b,\n", "control, line 3: field Depends: \"\" is not a package name"),
            (
                "Package: a\nVersion: 1\nStatus: install ok installed\n",
                "control, line 3: field Status may not be \"in a control file\"",
            ),
            (
                "Package: a\nVersion: 1\nArchitecture: all\nMulti-Arch: same\n",
                "control, line 4: field Multi-Arch may not be \"same\"",
            ),
            ("Package: a\nVersion: 1\nArchitecture: ../x\n", "control, line 3: field Architecture may not be \"../x\""),
        ] {
            let found = InstalledStanza::new("control", control.as_bytes()).expect_err("refused").to_string();
            assert_eq!(found, error);
        }
    }
}
