//! XML as a stream of elements and text, each with its line.
//!
//! Names are taken without their namespace's prefix. Entities other than XML's five are a fault, so that none is ever
//! expanded; a document's type is passed over, and nothing is loaded.

use quick_xml::{
    Reader, XmlVersion,
    escape::resolve_xml_entity,
    events::{BytesRef, BytesStart, Event},
};

use super::Fault;

/// How deep elements may be nested.
const MAX_DEPTH: usize = 64;

/// The start of an element.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::verify) struct Element {
    pub(in crate::verify) name: String,
    attributes: Vec<(String, String)>,
    /// Where it starts, from 1.
    pub(in crate::verify) line: usize,
}

impl Element {
    /// The value of an attribute.
    pub(in crate::verify) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The value of an attribute that must be there.
    pub(in crate::verify) fn required(&self, name: &str) -> Result<&str, Fault> {
        self.attribute(name).ok_or_else(|| Fault::at(self.line, format!("<{}> has no {name}", self.name)))
    }

    /// The number that an attribute holds, which must be there.
    pub(in crate::verify) fn number<T: std::str::FromStr>(&self, name: &str) -> Result<T, Fault> {
        let value = self.required(name)?;
        let parsed = value.trim().replace(',', "").parse();
        parsed.map_err(|_| Fault::at(self.line, format!("{name} of <{}> is {value:?}, not a number", self.name)))
    }

    /// The number that an attribute holds, where it is there.
    pub(in crate::verify) fn optional<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, Fault> {
        self.attribute(name).map(|_| self.number(name)).transpose()
    }
}

/// What a document is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::verify) enum Item {
    /// An element ends.
    End,
    /// An element starts.
    Start(Element),
    /// Text in an element. The text of one element may come in several parts.
    Text(String),
}

/// A document that is read item by item.
pub(in crate::verify) struct Xml<'a> {
    text: &'a str,
    reader: Reader<&'a [u8]>,
    depth: usize,
    rooted: bool,
    /// An element that was written as empty still has to end.
    empty: bool,
    /// Up to where lines are counted, and the line there.
    counted: (usize, usize),
}

impl<'a> Xml<'a> {
    pub(in crate::verify) fn new(text: &'a str) -> Self {
        Self { text, reader: Reader::from_str(text), depth: 0, rooted: false, empty: false, counted: (0, 1) }
    }

    /// The next item; `None` once the root has ended and nothing but blanks follows.
    pub(in crate::verify) fn next(&mut self) -> Result<Option<Item>, Fault> {
        if std::mem::take(&mut self.empty) {
            self.depth -= 1;
            return Ok(Some(Item::End));
        }
        loop {
            let line = self.line();
            let event = self.reader.read_event().map_err(|error| Fault::at(line, error.to_string()))?;
            if event == Event::Eof {
                return self.end_of_document();
            }
            if let Some(item) = self.item(&event, line)? {
                return Ok(Some(item));
            }
        }
    }

    /// The line that is read now.
    pub(in crate::verify) fn line(&mut self) -> usize {
        let position = usize::try_from(self.reader.buffer_position()).unwrap_or(usize::MAX).min(self.text.len());
        let (from, line) = self.counted;
        let breaks = self.text.as_bytes()[from..position].iter().filter(|byte| **byte == b'\n').count();
        self.counted = (position, line + breaks);
        line + breaks
    }

    fn item(&mut self, event: &Event<'_>, line: usize) -> Result<Option<Item>, Fault> {
        Ok(match event {
            Event::Start(start) => Some(Item::Start(self.start(start, line)?)),
            Event::Empty(start) => {
                let element = self.start(start, line)?;
                self.empty = true;
                Some(Item::Start(element))
            }
            Event::End(_) => {
                self.depth = self.depth.checked_sub(1).ok_or_else(|| Fault::at(line, "an element ends too often"))?;
                Some(Item::End)
            }
            Event::Text(text) => self.text(&text.xml10_content(), line)?,
            Event::CData(text) => self.text(&text.xml10_content(), line)?,
            Event::GeneralRef(reference) => self.text(&entity(reference, line)?, line)?,
            Event::Comment(_) | Event::Decl(_) | Event::DocType(_) | Event::Eof | Event::PI(_) => None,
        })
    }

    fn start(&mut self, start: &BytesStart<'_>, line: usize) -> Result<Element, Fault> {
        if self.depth == 0 && self.rooted {
            return Err(Fault::at(line, "the document has a second root"));
        }
        if self.depth >= MAX_DEPTH {
            return Err(Fault::at(line, format!("elements are nested more than {MAX_DEPTH} deep")));
        }
        self.depth += 1;
        self.rooted = true;
        let name = start.local_name().into_inner().into();
        Ok(Element { name, attributes: attributes(start).map_err(|message| Fault::at(line, message))?, line })
    }

    fn text(&self, text: &str, line: usize) -> Result<Option<Item>, Fault> {
        match self.depth {
            0 if text.trim().is_empty() => Ok(None),
            0 => {
                let blank = text.len() - text.trim_start().len();
                let line = line + text[..blank].matches('\n').count();
                Err(Fault::at(line, "there is text outside of the root element"))
            }
            _ => Ok(Some(Item::Text(text.to_owned()))),
        }
    }

    fn end_of_document(&mut self) -> Result<Option<Item>, Fault> {
        match (self.depth, self.rooted) {
            (0, true) => Ok(None),
            (0, false) => Err(Fault::at(self.line(), "the document has no element")),
            (depth, _) => Err(Fault::at(self.line(), format!("the document ends within {depth} elements"))),
        }
    }
}

fn entity(reference: &BytesRef<'_>, line: usize) -> Result<String, Fault> {
    match reference.resolve_char_ref().map_err(|error| Fault::at(line, error.to_string()))? {
        Some(character) => Ok(character.into()),
        None => {
            let name = reference.xml10_content();
            let known = resolve_xml_entity(&name).map(str::to_owned);
            known.ok_or_else(|| Fault::at(line, format!("entity {name:?} is not known")))
        }
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
mod tests {
    use super::*;

    fn all(text: &str) -> Result<Vec<Item>, Fault> {
        let (mut xml, mut items) = (Xml::new(text), Vec::new());
        while let Some(item) = xml.next()? {
            items.push(item);
        }
        Ok(items)
    }

    #[test]
    fn elements_know_their_lines() {
        let items = all("<?xml version='1.0'?>\n<o:r xmlns:o='u'>\n<a k='1 &amp; 2'/>x&#x79;</o:r>\n").unwrap();
        let Item::Start(a) = &items[2] else { panic!("{items:?}") };
        assert_eq!((a.name.as_str(), a.attribute("k"), a.line), ("a", Some("1 & 2"), 3));
        assert_eq!(items[3], Item::End);
        assert_eq!(items[4..6], [Item::Text("x".into()), Item::Text("y".into())]);
    }

    #[test]
    fn damage_is_named_with_its_line() {
        for text in ["<a>\n<b>", "<a>\n</b>", "<a>\n&other;</a>", "<a>\n<b k=></a>", "<a/>\n<b/>", "<a/>\nx"] {
            assert_eq!(all(text).unwrap_err().line, 2, "{text}");
        }
        assert!(all("").is_err() && all(" \n").is_err());
        assert!(all(&"<b>".repeat(MAX_DEPTH + 1)).unwrap_err().message.contains("nested more than"));
        let bomb = "<!DOCTYPE a [<!ENTITY x 'xx'><!ENTITY y '&x;&x;'>]><a>&y;</a>";
        assert!(all(bomb).unwrap_err().message.contains("not known"));
    }
}
