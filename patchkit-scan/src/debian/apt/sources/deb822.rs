//! `.sources`: stanzas of fields, each for every combination of its types, addresses and suites.

use super::{Entry, Place, Source, SourceOptions, SourcesError, SourcesErrorKind, kind};
use crate::debian::control::{ControlError, Stanza, Stanzas};

/// Fields that are options, under their one-line names (sources.list(5), "options").
const OPTIONS: [(&str, &str); 8] = [
    ("Architectures", "arch"),
    ("Architectures-Add", "arch+"),
    ("Architectures-Remove", "arch-"),
    ("By-Hash", "by-hash"),
    ("Check-Date", "check-date"),
    ("Check-Valid-Until", "check-valid-until"),
    ("Signed-By", "signed-by"),
    ("Trusted", "trusted"),
];

pub(super) fn parse(file: &str, bytes: &[u8]) -> Result<Vec<Source>, SourcesError> {
    let mut sources = Vec::new();
    for stanza in Stanzas::lenient(bytes) {
        let stanza = stanza.map_err(|error| damaged(file, error))?;
        sources.extend(StanzaOf { file, stanza: &stanza }.sources()?);
    }
    Ok(sources)
}

fn damaged(file: &str, error: ControlError) -> SourcesError {
    let place = Place { file: file.to_owned(), line: error.position.line };
    SourcesError { place, kind: SourcesErrorKind::Control(error.kind.to_string()) }
}

struct StanzaOf<'a> {
    file: &'a str,
    stanza: &'a Stanza<'a>,
}

impl StanzaOf<'_> {
    fn sources(&self) -> Result<Vec<Source>, SourcesError> {
        if self.disabled()? {
            return Ok(Vec::new());
        }
        let options = self.options()?;
        let components = self.words("Components")?;
        let (uris, suites) = (self.required("URIs")?, self.required("Suites")?);
        let mut sources = Vec::new();
        for word in self.required("Types")? {
            let kind = kind(&word).map_err(|kind| self.fault("Types", kind))?;
            for (uri, suite) in uris.iter().flat_map(|uri| suites.iter().map(move |suite| (uri, suite))) {
                let place = self.place("URIs");
                sources.push(Entry { place, kind, uri, suite, components: &components, options: &options }.source()?);
            }
        }
        Ok(sources)
    }

    fn disabled(&self) -> Result<bool, SourcesError> {
        let value = self.text("Enabled")?.unwrap_or("yes").to_ascii_lowercase();
        Ok(["no", "false", "without", "off", "disable", "0"].contains(&value.as_str()))
    }

    fn options(&self) -> Result<SourceOptions, SourcesError> {
        let mut options = SourceOptions::default();
        for (field, name) in OPTIONS {
            if let Some(value) = self.text(field)? {
                options.set(name, value).map_err(|kind| self.fault(field, kind))?;
            }
        }
        Ok(options)
    }

    fn required(&self, field: &'static str) -> Result<Vec<String>, SourcesError> {
        let words = self.words(field)?;
        if words.is_empty() { Err(self.fault(field, SourcesErrorKind::Missing(field))) } else { Ok(words) }
    }

    fn words(&self, field: &str) -> Result<Vec<String>, SourcesError> {
        let text = self.text(field)?.unwrap_or_default();
        Ok(text.split_ascii_whitespace().map(str::to_owned).collect())
    }

    fn text(&self, field: &str) -> Result<Option<&str>, SourcesError> {
        self.stanza.text(field).map_err(|error| damaged(self.file, error))
    }

    fn fault(&self, field: &str, kind: SourcesErrorKind) -> SourcesError {
        SourcesError { place: self.place(field), kind }
    }

    /// The field's line, or the stanza's where it has no such field.
    fn place(&self, field: &str) -> Place {
        let found = self.stanza.find(field).map_or(self.stanza.position(), |found| found.position());
        Place { file: self.file.to_owned(), line: found.line }
    }
}
