//! `sources.list`: `deb [option=value …] uri suite [component …]`.

use super::{Entry, Place, Source, SourceOptions, SourcesError, SourcesErrorKind, kind};

pub(super) fn parse(file: &str, bytes: &[u8]) -> Result<Vec<Source>, SourcesError> {
    let mut sources = Vec::new();
    for (index, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        let line = String::from_utf8_lossy(line);
        let place = Place { file: file.to_owned(), line: index + 1 };
        let fail = |kind| SourcesError { place: place.clone(), kind };
        let words = words(&line).map_err(fail)?;
        if !words.is_empty() {
            sources.push(source(place, &words)?);
        }
    }
    Ok(sources)
}

fn source(place: Place, words: &[Word]) -> Result<Source, SourcesError> {
    let fail = |kind| SourcesError { place: place.clone(), kind };
    let mut plain = words.iter().filter_map(Word::plain);
    let kind = kind(plain.next().unwrap_or_default()).map_err(fail)?;
    let mut options = SourceOptions::default();
    for (name, value) in words.iter().filter_map(Word::option) {
        options.set(name, value).map_err(fail)?;
    }
    let uri = plain.next().ok_or_else(|| fail(SourcesErrorKind::Missing("the address")))?;
    let suite = plain.next().ok_or_else(|| fail(SourcesErrorKind::Missing("the suite")))?;
    let components: Vec<_> = plain.map(str::to_owned).collect();
    Entry { place, kind, uri, suite, components: &components, options: &options }.source()
}

#[derive(Debug)]
enum Word {
    Option(String, String),
    Plain(String),
}

impl Word {
    fn plain(&self) -> Option<&str> {
        if let Self::Plain(word) = self { Some(word) } else { None }
    }

    fn option(&self) -> Option<(&str, &str)> {
        if let Self::Option(name, value) = self { Some((name, value)) } else { None }
    }
}

/// The words of a line. Brackets around options may only follow the type; a `#` outside of brackets and quotes ends it.
fn words(line: &str) -> Result<Vec<Word>, SourcesErrorKind> {
    let mut words = Vec::new();
    let mut rest = line.trim_ascii_start();
    while !rest.is_empty() && !rest.starts_with('#') {
        if words.len() == 1 && rest.starts_with('[') {
            rest = options(&rest[1..], &mut words)?;
        } else {
            let (word, behind) = word(rest)?;
            words.push(Word::Plain(word));
            rest = behind;
        }
        rest = rest.trim_ascii_start();
    }
    Ok(words)
}

/// Reads `name=value …]` and returns what is behind the bracket. `name+=` and `name-=` keep their sign.
fn options<'a>(inside: &'a str, words: &mut Vec<Word>) -> Result<&'a str, SourcesErrorKind> {
    let mut rest = inside.trim_ascii_start();
    while !rest.starts_with(']') {
        let end = rest.find(['=', ']']).filter(|&end| rest.as_bytes()[end] == b'=');
        let Some(end) = end else {
            return Err(unfinished(rest));
        };
        let name = rest[..end].trim_ascii().to_ascii_lowercase();
        let (value, behind) = value(&rest[end + 1..])?;
        words.push(Word::Option(name, value));
        rest = behind.trim_ascii_start();
    }
    Ok(&rest[1..])
}

fn unfinished(rest: &str) -> SourcesErrorKind {
    match rest.find(']') {
        None => SourcesErrorKind::Unclosed("the bracket of the options"),
        Some(end) => {
            let value = rest[..end].trim_ascii().to_owned();
            SourcesErrorKind::Option { name: value, value: String::new(), expected: "name=value" }
        }
    }
}

/// An option's value: up to white space or the closing bracket, or whole within double quotes.
fn value(text: &str) -> Result<(String, &str), SourcesErrorKind> {
    if let Some(quoted) = text.strip_prefix('"') {
        let (inside, behind) = quoted.split_once('"').ok_or(SourcesErrorKind::Unclosed("a quote"))?;
        return Ok((inside.to_owned(), behind));
    }
    let end = text.find([' ', '\t', '\r', ']']).ok_or(SourcesErrorKind::Unclosed("the bracket of the options"))?;
    Ok((text[..end].to_owned(), &text[end..]))
}

/// One word; quotes and brackets within it keep white space together, as in `cdrom:[Debian 12]/`.
fn word(text: &str) -> Result<(String, &str), SourcesErrorKind> {
    let (mut word, mut close) = (String::new(), None);
    for (at, character) in text.char_indices() {
        match (close, character) {
            (Some(expected), found) if expected == found => close = None,
            (None, '"') => close = Some('"'),
            (None, '[') => close = Some(']'),
            (None, ' ' | '\t' | '\r') => return Ok((word, &text[at..])),
            (None, '#') => return Ok((word, "")),
            _ => {}
        }
        if character != '"' {
            word.push(character);
        }
    }
    match close {
        Some('"') => Err(SourcesErrorKind::Unclosed("a quote")),
        Some(_) => Err(SourcesErrorKind::Unclosed("a bracket")),
        None => Ok((word, "")),
    }
}
