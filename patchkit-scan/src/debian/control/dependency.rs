//! Relationships between packages: `Depends`, `Conflicts`, `Provides` and their kin.
//!
//! Source: Debian Policy 7.1 and dpkg's reader of these fields; architecture restrictions and build profiles from
//! Policy 7.1 and the wiki page BuildProfileSpec.

use std::fmt;

use crate::debian::version::{DebVersion, Relation, VersionError};

/// A relationship field: every one of its elements must hold. [`fmt::Display`] writes it as dpkg does.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Dependencies(pub Vec<AnyOf>);

/// One element of a relationship field: alternatives, of which one is enough. Never empty.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AnyOf(pub Vec<PackageRelation>);

/// A package by name, with what is asked of its version and architecture.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PackageRelation {
    /// The package's name in lower case.
    pub name: Box<str>,
    /// What follows the colon: `any`, `native` or an architecture.
    pub qualifier: Option<Box<str>>,
    /// The version asked for.
    pub version: Option<(Relation, DebVersion)>,
    /// The words in brackets, each perhaps with a leading `!`; only in source packages.
    pub architectures: Vec<Box<str>>,
    /// The build profiles, one inner list for each pair of angle brackets; only in source packages.
    pub profiles: Vec<Vec<Box<str>>>,
}

/// A relationship field that cannot be read.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("in the dependency at byte {offset}: {kind}")]
pub struct DependencyError {
    /// The byte offset in the field's value.
    pub offset: usize,
    /// What is wrong there.
    pub kind: DependencyErrorKind,
}

/// What is wrong with a relationship field.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DependencyErrorKind {
    /// A name that no package can have, or none at all.
    #[error("{0:?} is not a package name")]
    Name(String),
    /// An operator such as `<>`.
    #[error("an unknown version operator")]
    Operator,
    /// Nothing, or a strange character, after the colon.
    #[error("{0:?} is not an architecture")]
    Qualifier(String),
    /// Something other than `,` or `|` after a package.
    #[error("expected a comma, a bar or the end")]
    Separator,
    /// A bracket that is not closed.
    #[error("{0:?} is missing")]
    Unclosed(char),
    /// The version is no version.
    #[error(transparent)]
    Version(VersionError),
}

impl Dependencies {
    /// Reads the value of a relationship field. An empty value is an empty list.
    ///
    /// # Errors
    /// What dpkg refuses, with the byte offset.
    pub fn parse(value: &str) -> Result<Self, DependencyError> {
        let mut reader = Reader { text: value, at: 0 };
        let mut all = Vec::new();
        reader.skip_space();
        while reader.at < value.len() {
            all.push(reader.any_of()?);
            if !reader.take(',') {
                break;
            }
            if reader.at == value.len() {
                return Err(reader.error(DependencyErrorKind::Name(String::new())));
            }
        }
        if reader.at < value.len() {
            return Err(reader.error(DependencyErrorKind::Separator));
        }
        Ok(Self(all))
    }

    /// All packages that are named, over all elements and alternatives.
    pub fn relations(&self) -> impl Iterator<Item = &PackageRelation> {
        self.0.iter().flat_map(|any| &any.0)
    }
}

impl PackageRelation {
    /// Whether a package of this name and `version` is what is asked for; the architecture is not looked at.
    #[must_use]
    pub fn admits(&self, version: &DebVersion) -> bool {
        self.version.as_ref().is_none_or(|(relation, bound)| relation.holds(version, bound))
    }

    /// Whether a `Provides` of this name is what is asked for. One without a version satisfies no versioned
    /// dependency (Policy 7.5).
    #[must_use]
    pub fn admits_provided(&self, version: Option<&DebVersion>) -> bool {
        match (&self.version, version) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(_), Some(version)) => self.admits(version),
        }
    }
}

/// Reads one relationship field from left to right.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn any_of(&mut self) -> Result<AnyOf, DependencyError> {
        let mut alternatives = vec![self.relation()?];
        while self.take('|') {
            alternatives.push(self.relation()?);
        }
        Ok(AnyOf(alternatives))
    }

    fn relation(&mut self) -> Result<PackageRelation, DependencyError> {
        let name = self.name()?;
        let qualifier = self.qualifier()?;
        self.skip_space();
        let version = if self.take('(') { Some(self.version()?) } else { None };
        let architectures = if self.take('[') { self.words(']')? } else { Vec::new() };
        let mut profiles = Vec::new();
        while self.take('<') {
            profiles.push(self.words('>')?);
        }
        Ok(PackageRelation { name, qualifier, version, architectures, profiles })
    }

    fn name(&mut self) -> Result<Box<str>, DependencyError> {
        let start = self.at;
        let name = self.until(|c| c.is_ascii_whitespace() || ":(,|[<".contains(c));
        if !is_package_name(name) {
            let kind = DependencyErrorKind::Name(name.to_owned());
            return Err(DependencyError { offset: start, kind });
        }
        Ok(name.to_ascii_lowercase().into())
    }

    fn qualifier(&mut self) -> Result<Option<Box<str>>, DependencyError> {
        if !self.rest().starts_with(':') {
            return Ok(None);
        }
        self.at += 1;
        let start = self.at;
        let qualifier = self.until(|c| c.is_ascii_whitespace() || "(,|[<".contains(c));
        if !is_architecture(qualifier) {
            let kind = DependencyErrorKind::Qualifier(qualifier.to_owned());
            return Err(DependencyError { offset: start, kind });
        }
        Ok(Some(qualifier.into()))
    }

    /// What is inside the parentheses, and the closing one.
    fn version(&mut self) -> Result<(Relation, DebVersion), DependencyError> {
        let relation = self.operator()?;
        self.skip_space();
        let start = self.at;
        let text = self.until(|c| c.is_ascii_whitespace() || "()".contains(c));
        let version = DebVersion::parse_lenient(text);
        let version =
            version.map_err(|error| DependencyError { offset: start, kind: DependencyErrorKind::Version(error) })?;
        self.skip_space();
        if self.take(')') { Ok((relation, version)) } else { Err(self.error(DependencyErrorKind::Unclosed(')'))) }
    }

    /// The operator; `<` and `>` mean `<=` and `>=` (Policy 7.1, long obsolete), and none means `=`.
    fn operator(&mut self) -> Result<Relation, DependencyError> {
        let operator = self.until(|c| !"<>=".contains(c));
        match operator {
            "" | "=" => Ok(Relation::Equal),
            "<<" => Ok(Relation::Earlier),
            "<" | "<=" => Ok(Relation::EarlierOrEqual),
            ">" | ">=" => Ok(Relation::LaterOrEqual),
            ">>" => Ok(Relation::Later),
            _ => Err(self.error(DependencyErrorKind::Operator)),
        }
    }

    fn words(&mut self, close: char) -> Result<Vec<Box<str>>, DependencyError> {
        let inside = self.until(|c| c == close);
        if self.take(close) {
            Ok(inside.split_ascii_whitespace().map(Into::into).collect())
        } else {
            Err(self.error(DependencyErrorKind::Unclosed(close)))
        }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn until(&mut self, stop: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let taken = &rest[..rest.find(stop).unwrap_or(rest.len())];
        self.at += taken.len();
        taken
    }

    fn skip_space(&mut self) {
        self.until(|c| !c.is_ascii_whitespace());
    }

    /// Passes over `c` and the space after it, if it is next.
    fn take(&mut self, c: char) -> bool {
        let next = self.rest().starts_with(c);
        if next {
            self.at += c.len_utf8();
            self.skip_space();
        }
        next
    }

    fn error(&self, kind: DependencyErrorKind) -> DependencyError {
        DependencyError { offset: self.at, kind }
    }
}

/// Whether dpkg takes `name` for a package's name: ASCII letters, digits and `-+._`, the first no punctuation.
#[must_use]
pub fn is_package_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|c| c.is_ascii_alphanumeric() || b"-+._".contains(&c))
}

/// Whether dpkg takes `name` for an architecture: ASCII letters, digits and hyphens, the first no hyphen.
#[must_use]
pub fn is_architecture(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
}

impl fmt::Display for Dependencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_joined(f, &self.0, ", ")
    }
}

impl fmt::Display for AnyOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_joined(f, &self.0, " | ")
    }
}

impl fmt::Display for PackageRelation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(qualifier) = &self.qualifier {
            write!(f, ":{qualifier}")?;
        }
        if let Some((relation, version)) = &self.version {
            write!(f, " ({relation} {})", version.canonical())?;
        }
        if !self.architectures.is_empty() {
            write!(f, " [{}]", self.architectures.join(" "))?;
        }
        self.profiles.iter().try_for_each(|profile| write!(f, " <{}>", profile.join(" ")))
    }
}

fn write_joined<T: fmt::Display>(f: &mut fmt::Formatter<'_>, parts: &[T], separator: &str) -> fmt::Result {
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            f.write_str(separator)?;
        }
        part.fmt(f)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(value: &str) -> Dependencies {
        Dependencies::parse(value).expect(value)
    }

    #[test]
    fn reads_everything_and_writes_it_as_dpkg_does() {
        for (read, written) in [
            ("", ""),
            ("a", "a"),
            ("Foo (>=1),b|c", "foo (>= 1), b | c"),
            ("a:any ( << 0:1.0-1 ) | b:amd64(=2)", "a:any (<< 1.0-1) | b:amd64 (= 2)"),
            ("a (> 1), b (< 2), c (3)", "a (>= 1), b (<= 2), c (= 3)"),
            ("a\\n (>> 1),\\n b", "a (>> 1), b"),
            (
                "a (>= 1) [linux-any !i386] <!nocheck !cross> <stage1>",
                "a (>= 1) [linux-any !i386] <!nocheck !cross> <stage1>",
            ),
        ] {
            assert_eq!(parse(&read.replace("\\n", "\n")).to_string(), written);
        }
    }

    #[test]
    fn refuses_what_dpkg_refuses() {
        use DependencyErrorKind::*;
        for (value, offset, kind) in [
            ("a,", 2, Name(String::new())),
            ("a, , b", 3, Name(String::new())),
            ("a |", 3, Name(String::new())),
            ("-a", 0, Name("-a".into())),
            ("a b", 2, Separator),
            ("a (<> 1)", 5, Operator),
            ("a (>= 1", 7, Unclosed(')')),
            ("a (>= 1 2)", 8, Unclosed(')')),
            ("a (>= )", 6, Version(VersionError::Empty)),
            ("a:", 2, Qualifier(String::new())),
            ("a [amd64", 8, Unclosed(']')),
        ] {
            assert_eq!(Dependencies::parse(value), Err(DependencyError { offset, kind }), "{value}");
        }
    }

    #[test]
    fn versions_admitted() {
        let version = |text| DebVersion::parse(text).expect(text);
        let relation = &parse("a (>= 2)").0[0].0[0];
        assert!(relation.admits(&version("2")) && !relation.admits(&version("2~rc1")));
        assert!(relation.admits_provided(Some(&version("3"))) && !relation.admits_provided(None));
        assert!(parse("a").0[0].0[0].admits_provided(None));
    }

    proptest! {
        #[test]
        fn never_panics_and_writing_is_stable(value in "([ab1]{1,2}(:any)?( \\\\([<>=]{0,2} ?[0-9:.-]{0,3}\\\\))?[,| é]{0,2}){0,4}") {
            if let Ok(read) = Dependencies::parse(&value) {
                prop_assert_eq!(parse(&read.to_string()), read);
            }
        }
    }
}
