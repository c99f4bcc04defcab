//! Control data in the deb822 format: `status`, `Packages`, `Sources`, `control`, `.sources`.
//!
//! Source: deb822(5), Debian Policy 5.1, and what dpkg accepts. The crate deb822-fast was tried and left out: it reads
//! `&str` only (a status file may hold any bytes), drops the layout of values that has to be written back, and its
//! errors have no position. Here nothing is copied: a [`Stanza`] borrows the file.

pub mod dependency;

use std::borrow::Cow;

use memchr::memchr;

/// The longest stanza that is read, in bytes. The longest in Debian's archive have some 100 kB.
pub const MAX_STANZA_LENGTH: usize = 4 << 20;

/// The most fields a stanza may have. Real ones have up to 40.
pub const MAX_FIELDS: usize = 1024;

/// An iterator over the stanzas of a file, which borrow from it. It ends after the first error.
#[derive(Clone, Debug)]
pub struct Stanzas<'a> {
    input: &'a [u8],
    position: Position,
    dialect: Dialect,
    failed: bool,
}

/// How forgiving the reader is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Dialect {
    Lenient,
    Strict,
}

/// A place in a file: its byte offset from 0 and its line from 1.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Position {
    /// Bytes before it.
    pub offset: usize,
    /// The line it is on, the first being 1.
    pub line: usize,
}

/// A damaged control file: where, and what is wrong there.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("line {}: {kind}", position.line)]
pub struct ControlError {
    /// Where the damage was noticed.
    pub position: Position,
    /// What is wrong.
    pub kind: ControlErrorKind,
}

/// What is wrong with a control file.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ControlErrorKind {
    /// A line of white space where a value goes on, which readers of the format take in different ways.
    #[error("a blank line of spaces inside a value")]
    BlankContinuation,
    /// The second field of one name in a stanza.
    #[error("field {0} is given twice")]
    DuplicateField(String),
    /// A line that is neither a field nor the continuation of one.
    #[error("{0:?} is not a field name followed by a colon")]
    FieldName(String),
    /// The last line has no line feed: the file is cut short.
    #[error("the file ends inside a line")]
    MissingNewline,
    /// The first line of a stanza is indented.
    #[error("a continuation line with no field before it")]
    NoFieldToContinue,
    /// A NUL byte, which C programs would take as the end.
    #[error("a NUL byte")]
    Nul,
    /// A stanza of more than [`MAX_STANZA_LENGTH`] bytes.
    #[error("the stanza is longer than {MAX_STANZA_LENGTH} bytes")]
    StanzaTooLong,
    /// A stanza of more than [`MAX_FIELDS`] fields.
    #[error("the stanza has more than {MAX_FIELDS} fields")]
    TooManyFields,
    /// A value that must be text has other bytes.
    #[error("the value of {0} is not UTF-8")]
    Utf8(String),
}

/// One stanza (a package, say): its fields in their order.
#[derive(Clone, Debug)]
pub struct Stanza<'a> {
    bytes: &'a [u8],
    position: Position,
    fields: Vec<Field<'a>>,
}

/// One field of a stanza.
#[derive(Clone, Debug)]
pub struct Field<'a> {
    name: &'a str,
    value: Cow<'a, [u8]>,
    /// Where the value starts in the file.
    value_offset: usize,
    position: Position,
}

impl<'a> Stanzas<'a> {
    /// Reads a file as dpkg reads its own: no comments, every line ended, no blank line inside a value.
    #[must_use]
    pub fn strict(input: &'a [u8]) -> Self {
        Self::new(input, Dialect::Strict)
    }

    /// Reads a file that people write: comment lines (`#`), lines of white space between stanzas, no final line feed.
    #[must_use]
    pub fn lenient(input: &'a [u8]) -> Self {
        Self::new(input, Dialect::Lenient)
    }

    fn new(input: &'a [u8], dialect: Dialect) -> Self {
        Self { input, position: Position { offset: 0, line: 1 }, dialect, failed: false }
    }

    fn read(&mut self) -> Result<Option<Stanza<'a>>, ControlError> {
        self.skip_separators();
        let start = self.position;
        let mut fields: Vec<Field<'a>> = Vec::with_capacity(32);
        while let Some(line) = self.line() {
            match line.first() {
                None => break,
                Some(b'#') if self.dialect == Dialect::Lenient => {}
                Some(b' ' | b'\t' | b'\r') if line.trim_ascii().is_empty() => {
                    if self.dialect == Dialect::Lenient {
                        break;
                    }
                    return Err(self.error(ControlErrorKind::BlankContinuation));
                }
                Some(b' ' | b'\t') => self.continue_field(&mut fields)?,
                Some(_) => self.start_field(line, &mut fields)?,
            }
            self.advance(line);
            self.check_length(start)?;
        }
        self.finish(start, fields)
    }

    /// The next line without its line feed, or `None` at the end of the file.
    fn line(&self) -> Option<&'a [u8]> {
        let rest = &self.input[self.position.offset..];
        if rest.is_empty() { None } else { Some(&rest[..memchr(b'\n', rest).unwrap_or(rest.len())]) }
    }

    fn advance(&mut self, line: &[u8]) {
        self.position.offset = (self.position.offset + line.len() + 1).min(self.input.len());
        self.position.line += 1;
    }

    fn skip_separators(&mut self) {
        while let Some(line) = self.line() {
            let lenient = self.dialect == Dialect::Lenient;
            let separates = line.is_empty() || lenient && (line[0] == b'#' || line.trim_ascii().is_empty());
            if !separates {
                break;
            }
            self.advance(line);
        }
    }

    fn start_field(&self, line: &'a [u8], fields: &mut Vec<Field<'a>>) -> Result<(), ControlError> {
        let colon = memchr(b':', line).ok_or_else(|| self.bad_name(line))?;
        let name = field_name(&line[..colon]).ok_or_else(|| self.bad_name(line))?;
        if fields.iter().any(|field| field.is_named(name)) {
            return Err(self.error(ControlErrorKind::DuplicateField(name.to_owned())));
        }
        if fields.len() == MAX_FIELDS {
            return Err(self.error(ControlErrorKind::TooManyFields));
        }
        let value = line[colon + 1..].trim_ascii_start();
        let value_offset = self.position.offset + line.len() - value.len();
        let value = Cow::Borrowed(value.trim_ascii_end());
        fields.push(Field { name, value, value_offset, position: self.position });
        Ok(())
    }

    /// Lengthens the last field by the line at the current position.
    fn continue_field(&self, fields: &mut [Field<'a>]) -> Result<(), ControlError> {
        let line = self.line().expect("the caller has read it").trim_ascii_end();
        let Some(field) = fields.last_mut() else {
            return Err(self.error(ControlErrorKind::NoFieldToContinue));
        };
        field.lengthen(self.input, self.position.offset, line);
        Ok(())
    }

    fn check_length(&self, start: Position) -> Result<(), ControlError> {
        if self.position.offset - start.offset > MAX_STANZA_LENGTH {
            return Err(ControlError { position: start, kind: ControlErrorKind::StanzaTooLong });
        }
        Ok(())
    }

    fn finish(&mut self, start: Position, fields: Vec<Field<'a>>) -> Result<Option<Stanza<'a>>, ControlError> {
        if fields.is_empty() {
            return Ok(None);
        }
        let bytes = &self.input[start.offset..self.position.offset];
        if let Some(nul) = memchr(0, bytes) {
            let line = start.line + memchr::memchr_iter(b'\n', &bytes[..nul]).count();
            let position = Position { offset: start.offset + nul, line };
            return Err(ControlError { position, kind: ControlErrorKind::Nul });
        }
        if self.dialect == Dialect::Strict && !bytes.ends_with(b"\n") {
            self.position.line -= 1;
            return Err(self.error(ControlErrorKind::MissingNewline));
        }
        Ok(Some(Stanza { bytes, position: start, fields }))
    }

    fn bad_name(&self, line: &[u8]) -> ControlError {
        let shown = String::from_utf8_lossy(&line[..line.len().min(60)]).into_owned();
        self.error(ControlErrorKind::FieldName(shown))
    }

    fn error(&self, kind: ControlErrorKind) -> ControlError {
        ControlError { position: self.position, kind }
    }
}

/// The name before the colon: printable ASCII, not starting with a hyphen or `#`, spaces after it dropped.
fn field_name(bytes: &[u8]) -> Option<&str> {
    let name = bytes.trim_ascii_end();
    let starts_well = name.first().is_some_and(|first| !matches!(first, b'-' | b'#'));
    if !starts_well || !name.iter().all(u8::is_ascii_graphic) {
        return None;
    }
    std::str::from_utf8(name).ok()
}

impl<'a> Iterator for Stanzas<'a> {
    type Item = Result<Stanza<'a>, ControlError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let stanza = self.read();
        self.failed = stanza.is_err();
        stanza.transpose()
    }
}

impl<'a> Stanza<'a> {
    /// The value of the field `name`, whose case does not matter; empty where the field is there without a value.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&[u8]> {
        self.find(name).map(Field::value)
    }

    /// The value of the field `name` as text, `None` where it is absent or empty.
    ///
    /// # Errors
    /// [`ControlErrorKind::Utf8`] with the field's position.
    pub fn text(&self, name: &str) -> Result<Option<&str>, ControlError> {
        let text = self.find(name).map(Field::text).transpose()?;
        Ok(text.filter(|text| !text.is_empty()))
    }

    /// The field `name`, whose case does not matter.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Field<'a>> {
        self.fields.iter().find(|field| field.is_named(name))
    }

    /// All fields, in the order of the file.
    #[must_use]
    pub fn fields(&self) -> &[Field<'a>] {
        &self.fields
    }

    /// The stanza exactly as it is in the file, without the blank line after it.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Where the stanza starts.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }
}

impl<'a> Field<'a> {
    /// The name as it is written.
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// The value as dpkg keeps it: without the white space around it, line feeds and indents of further lines as they
    /// are. A value that starts on the second line starts with a line feed.
    #[must_use]
    pub fn value(&self) -> &[u8] {
        &self.value
    }

    /// The value as text.
    ///
    /// # Errors
    /// [`ControlErrorKind::Utf8`].
    pub fn text(&self) -> Result<&str, ControlError> {
        std::str::from_utf8(&self.value).map_err(|_| {
            let kind = ControlErrorKind::Utf8(self.name.to_owned());
            ControlError { position: self.position, kind }
        })
    }

    /// The lines of the value, each without the white space around it; a first line that is empty is left out.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let lines = self.value.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        lines.enumerate().filter(|(at, line)| *at > 0 || !line.is_empty()).map(|(_, line)| line)
    }

    /// Where the field starts.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    fn is_named(&self, name: &str) -> bool {
        self.name.len() == name.len() && self.name.eq_ignore_ascii_case(name)
    }

    /// Appends a continuation line that starts at `offset` of `input`: for nothing where it follows the value there,
    /// by a copy where a comment lies between.
    fn lengthen(&mut self, input: &'a [u8], offset: usize, line: &[u8]) {
        match &mut self.value {
            Cow::Borrowed(value) => {
                let end = self.value_offset + value.len();
                if input[end..offset].trim_ascii().is_empty() {
                    *value = &input[self.value_offset..offset + line.len()];
                } else {
                    self.value = Cow::Owned([*value, b"\n", line].concat());
                }
            }
            Cow::Owned(value) => {
                value.push(b'\n');
                value.extend_from_slice(line);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(text: &str) -> Stanza<'_> {
        let mut stanzas = Stanzas::strict(text.as_bytes());
        let stanza = stanzas.next().expect("a stanza").expect("a sound one");
        assert!(stanzas.next().is_none());
        stanza
    }

    fn kinds(stanzas: Stanzas<'_>) -> Vec<Result<usize, (usize, ControlErrorKind)>> {
        stanzas.map(|s| s.map(|s| s.fields().len()).map_err(|e| (e.position.line, e.kind))).collect()
    }

    #[test]
    fn fields_in_order_with_their_values() {
        let stanza = one("Package: a\nConffiles:\n /etc/a 1\n /etc/b 2\nEmpty:\nDescription : short \n long  \n .\n");
        let names: Vec<_> = stanza.fields().iter().map(Field::name).collect();
        assert_eq!(names, ["Package", "Conffiles", "Empty", "Description"]);
        assert_eq!(stanza.field("pACKAGE"), Some(&b"a"[..]));
        assert_eq!(stanza.field("conffiles"), Some(&b"\n /etc/a 1\n /etc/b 2"[..]));
        assert_eq!(stanza.field("Description"), Some(&b"short \n long  \n ."[..]));
        assert_eq!((stanza.field("Empty"), stanza.text("Empty")), (Some(&b""[..]), Ok(None)));
        assert_eq!((stanza.field("None"), stanza.text("None")), (None, Ok(None)));
        let lines: Vec<_> = stanza.find("Conffiles").expect("there").lines().collect();
        assert_eq!(lines, [b"/etc/a 1", b"/etc/b 2"]);
    }

    #[test]
    fn stanzas_know_their_bytes_and_places() {
        let text = "\n\nA: 1\nB: 2\n\n\nA: 3\n";
        let stanzas: Vec<_> = Stanzas::strict(text.as_bytes()).map(Result::unwrap).collect();
        assert_eq!(stanzas[0].bytes(), b"A: 1\nB: 2\n");
        assert_eq!(stanzas[0].position(), Position { offset: 2, line: 3 });
        assert_eq!(stanzas[1].position(), Position { offset: 14, line: 7 });
        assert_eq!(stanzas[0].fields()[1].position(), Position { offset: 7, line: 4 });
    }

    #[test]
    fn damage_is_named_with_its_line() {
        use ControlErrorKind::*;
        for (text, line, kind) in [
            ("A: 1\n\n B: 2\n", 3, NoFieldToContinue),
            ("A: 1\nno colon\n", 2, FieldName("no colon".into())),
            ("A: 1\n: 2\n", 2, FieldName(": 2".into())),
            ("-A: 1\n", 1, FieldName("-A: 1".into())),
            ("A b: 1\n", 1, FieldName("A b: 1".into())),
            ("# A: 1\n", 1, FieldName("# A: 1".into())),
            ("A: 1\na: 2\n", 2, DuplicateField("a".into())),
            ("A: 1\n  \nB: 2\n", 2, BlankContinuation),
            ("A: 1\nB: 2", 2, MissingNewline),
            ("A: 1\nB: \0\n", 2, Nul),
        ] {
            let last = kinds(Stanzas::strict(text.as_bytes())).pop();
            assert_eq!(last, Some(Err((line, kind))), "{text:?}");
        }
    }

    #[test]
    fn an_error_ends_the_iteration() {
        assert_eq!(kinds(Stanzas::strict(b"bad\n\nA: 1\n")).len(), 1);
    }

    #[test]
    fn lengths_are_bounded() {
        let long = format!("A: 1\n{}", " x\n".repeat(MAX_STANZA_LENGTH / 3 + 1));
        assert_eq!(kinds(Stanzas::strict(long.as_bytes())), [Err((1, ControlErrorKind::StanzaTooLong))]);
        let many: String = (0..=MAX_FIELDS).map(|i| format!("F{i}: x\n")).collect();
        let error = Err((MAX_FIELDS + 1, ControlErrorKind::TooManyFields));
        assert_eq!(kinds(Stanzas::strict(many.as_bytes())), [error]);
    }

    #[test]
    fn other_bytes_than_text_are_kept() {
        let stanza = Stanzas::strict(b"A: caf\xe9\n").next().expect("one").expect("sound");
        assert_eq!(stanza.field("A"), Some(&b"caf\xe9"[..]));
        let error = stanza.text("A").expect_err("refused");
        assert_eq!(error.to_string(), "line 1: the value of A is not UTF-8");
    }

    #[test]
    fn files_that_people_write() {
        let text = "# head\nTypes: deb\nURIs: a\n# between\n  b\n# more\n  c\n \n#\nTypes: deb-src\r\n\r\nA: 1";
        let stanzas: Vec<_> = Stanzas::lenient(text.as_bytes()).map(Result::unwrap).collect();
        assert_eq!(stanzas.len(), 3);
        assert_eq!(stanzas[0].field("URIs"), Some(&b"a\n  b\n  c"[..]));
        assert_eq!(stanzas[1].field("Types"), Some(&b"deb-src"[..]));
        assert_eq!(stanzas[2].field("A"), Some(&b"1"[..]));
    }

    proptest! {
        #[test]
        fn never_panics_and_loses_no_byte(text in "([A-C]{0,2}:? ?[ab#]{0,2}\r?\n?| \n|\n\n){0,12}") {
            for stanzas in [Stanzas::strict(text.as_bytes()), Stanzas::lenient(text.as_bytes())] {
                for stanza in stanzas.flatten() {
                    let start = stanza.position().offset;
                    prop_assert_eq!(stanza.bytes(), &text.as_bytes()[start..start + stanza.bytes().len()]);
                }
            }
        }
    }
}
