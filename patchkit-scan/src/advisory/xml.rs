//! Reading long XML in bounded memory: records, which are all elements at one depth, one after the other.
//!
//! Names are taken without their namespace's prefix: each of these formats has its elements in namespaces of its own.
//! Entities other than XML's five are an error, so that none is ever expanded.

use std::io::BufRead;

use quick_xml::{
    Reader, XmlVersion,
    escape::resolve_xml_entity,
    events::{BytesRef, BytesStart, Event},
};

use super::{
    AdvisoryError, AdvisoryErrorKind,
    budget::{Budget, Numbered},
    input::MAX_RECORD,
};

/// How deep elements may be nested.
const MAX_DEPTH: usize = 64;

/// An element with all that is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) name: String,
    attributes: Vec<(String, String)>,
    /// The text directly in it.
    pub(super) text: String,
    pub(super) children: Vec<Element>,
}

impl Element {
    /// The value of an attribute.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The first child of a name.
    pub(super) fn child(&self, name: &str) -> Option<&Element> {
        self.children_of(name).next()
    }

    /// The children of a name.
    pub(super) fn children_of(&self, name: &str) -> impl Iterator<Item = &Element> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The text of the first child of a name, without blanks around it; empty where there is none.
    pub(super) fn child_text(&self, name: &str) -> &str {
        self.child(name).map_or("", |child| child.text.trim())
    }
}

/// The name of a document's root, where the document's start gets as far.
pub(super) fn root(start: &[u8]) -> Option<&[u8]> {
    let mut rest = start;
    loop {
        rest = rest.trim_ascii_start();
        let end: &[u8] = match rest {
            [b'<', b'?', ..] => b"?>",
            _ if rest.starts_with(b"<!--") => b"-->",
            [b'<', b'!', ..] => b">",
            _ => break,
        };
        rest = &rest[memchr::memmem::find(rest, end)? + end.len()..];
    }
    let name = rest.strip_prefix(b"<")?;
    let name = &name[..name.iter().position(|byte| byte.is_ascii_whitespace() || matches!(byte, b'>' | b'/'))?];
    name.rsplit(|byte| *byte == b':').next()
}

/// Reads the elements at a depth (the root's is 1) and gives each out with its parent's name.
pub(super) fn records(
    input: impl BufRead,
    depth: usize,
    mut each: impl FnMut(&str, Element) -> Result<(), String>,
) -> Result<(), AdvisoryError> {
    let budget = Budget::new();
    let input = Numbered::new(input, budget.clone());
    let line = input.line();
    let mut reader = Reader::from_reader(input);
    let mut tree = Tree { depth, parents: Vec::new(), open: Vec::new() };
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        let event = reader.read_event_into(&mut buffer).map_err(|error| explain(&error, line.get(), &budget))?;
        if event == Event::Eof {
            break;
        }
        let fail = |message: String| AdvisoryError::syntax(line.get(), message);
        if let Some((parent, element)) = tree.take(&event).map_err(fail)? {
            each(parent, element).map_err(fail)?;
            budget.renew();
        }
    }
    match tree.parents.last() {
        Some(open) => Err(AdvisoryError::syntax(line.get(), format!("the input ends within <{open}>"))),
        None => Ok(()),
    }
}

fn explain(error: &quick_xml::Error, line: usize, budget: &Budget) -> AdvisoryError {
    let kind = match error {
        _ if budget.left() == 0 => AdvisoryErrorKind::TooLong(MAX_RECORD),
        quick_xml::Error::Io(io) => AdvisoryErrorKind::Io(std::io::Error::new(io.kind(), io.to_string())),
        other => AdvisoryErrorKind::Syntax(other.to_string()),
    };
    AdvisoryError::new(Some(line), kind)
}

/// What has been read so far of the current record, and of what it is in.
struct Tree {
    depth: usize,
    /// The names of all open elements.
    parents: Vec<String>,
    /// The open elements of the current record.
    open: Vec<Element>,
}

impl Tree {
    /// Takes an event in; gives the record that ends with it, and its parent's name.
    fn take(&mut self, event: &Event<'_>) -> Result<Option<(&str, Element)>, String> {
        match event {
            Event::Start(start) => self.start(start)?,
            Event::Empty(start) => {
                self.start(start)?;
                return Ok(self.end());
            }
            Event::End(_) => return Ok(self.end()),
            Event::Text(text) => self.text(&text.xml10_content()),
            Event::CData(text) => self.text(&text.xml10_content()),
            Event::GeneralRef(reference) => self.entity(reference)?,
            Event::Comment(_) | Event::Decl(_) | Event::DocType(_) | Event::Eof | Event::PI(_) => {}
        }
        Ok(None)
    }

    fn start(&mut self, start: &BytesStart<'_>) -> Result<(), String> {
        if self.parents.len() >= MAX_DEPTH {
            return Err(format!("elements are nested more than {MAX_DEPTH} deep"));
        }
        let name = String::from(start.local_name().into_inner());
        self.parents.push(name.clone());
        if self.parents.len() >= self.depth {
            self.open.push(Element { name, attributes: attributes(start)?, ..Element::default() });
        }
        Ok(())
    }

    fn end(&mut self) -> Option<(&str, Element)> {
        self.parents.pop();
        let element = self.open.pop()?;
        match self.open.last_mut() {
            Some(parent) => parent.children.push(element),
            None => return Some((self.parents.last().map_or("", String::as_str), element)),
        }
        None
    }

    fn text(&mut self, text: &str) {
        if let Some(element) = self.open.last_mut() {
            element.text.push_str(text);
        }
    }

    fn entity(&mut self, reference: &BytesRef<'_>) -> Result<(), String> {
        match reference.resolve_char_ref().map_err(|error| error.to_string())? {
            Some(character) => self.text(character.encode_utf8(&mut [0; 4])),
            None => {
                let name = reference.xml10_content();
                self.text(resolve_xml_entity(&name).ok_or_else(|| format!("entity {name:?} is not known"))?);
            }
        }
        Ok(())
    }
}

/// The attributes of an element. Of several with one name, which XML forbids, the first counts.
fn attributes(start: &BytesStart<'_>) -> Result<Vec<(String, String)>, String> {
    let mut attributes = start.attributes();
    let attributes = attributes.with_checks(false).map(|attribute| {
        let attribute = attribute.map_err(|error| error.to_string())?;
        let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|error| error.to_string())?;
        Ok((attribute.key.local_name().into_inner().into(), value.into()))
    });
    attributes.collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn all(text: &str, depth: usize) -> Result<Vec<(String, Element)>, AdvisoryError> {
        let mut found = Vec::new();
        records(text.as_bytes(), depth, |parent, element| {
            found.push((parent.into(), element));
            Ok(())
        })?;
        Ok(found)
    }

    #[test]
    fn records_are_given_out_one_by_one() {
        let text = "<?xml version='1.0'?>\n<!-- x --><o:r xmlns:o='u'>text<list><o:a k='1 &amp; 2'>x &lt;&#x79;<b/><![CDATA[<z>]]></o:a><a/></list></o:r>";
        let found = all(text, 3).unwrap();
        assert_eq!(found.len(), 2);
        let (parent, element) = &found[0];
        assert_eq!((parent.as_str(), element.name.as_str(), element.text.as_str()), ("list", "a", "x <y<z>"));
        assert_eq!((element.attribute("k"), element.children.len()), (Some("1 & 2"), 1));
        assert_eq!(all(text, 1).unwrap().len(), 1);
    }

    #[test]
    fn damage_is_named_with_its_line() {
        for text in ["<a>\n<b>", "<a>\n</b>", "<a>\n&other;</a>", "<a>\n<b k=></a>", "<a>\n<b k='&x;'/></a>"] {
            assert_eq!(all(text, 1).unwrap_err().line(), Some(2), "{text}");
        }
        let deep = format!("<a>{}", "<b>".repeat(MAX_DEPTH));
        assert!(all(&deep, 1).unwrap_err().to_string().contains("nested more than"));
    }

    #[test]
    fn a_record_without_end_is_not_held() {
        use std::io::{BufReader, Read};
        let endless = "<a><b>".as_bytes().chain(std::io::repeat(b'x'));
        let error = records(BufReader::new(endless), 2, |_, _| Ok(())).unwrap_err();
        assert!(matches!(error.kind(), AdvisoryErrorKind::TooLong(_)), "{error}");
    }
}
