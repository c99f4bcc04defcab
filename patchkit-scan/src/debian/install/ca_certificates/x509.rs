//! The subject of a certificate, and OpenSSL's hash of it. No other part of X.509 is understood here.
//!
//! Source: RFC 5280 for the place of the subject, RFC 7468 for PEM, and OpenSSL's `x509_name_canon` for the canonical
//! form of a name.

use base64::{Engine, engine::general_purpose::STANDARD};
use sha1::{Digest as _, Sha1};

/// The one certificate or revocation list of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// OpenSSL's hash of the subject, or of a list's issuer.
    pub(super) hash: u32,
    /// Whether it is a revocation list.
    pub(super) revocations: bool,
    /// Its bytes.
    pub(super) der: Vec<u8>,
}

/// The certificate or revocation list of a PEM file that has exactly one.
pub(super) fn only_subject(pem: &[u8]) -> Option<Found> {
    let text = String::from_utf8_lossy(pem);
    let mut blocks = text.split("-----BEGIN ").skip(1).filter_map(|block| block.split_once("-----"));
    let known = |label: &str| matches!(label, "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE" | "X509 CRL");
    let (label, rest) = blocks.by_ref().find(|(label, _)| known(label))?;
    if blocks.any(|(label, _)| known(label)) {
        return None;
    }
    let body: String = rest.split("-----END").next()?.split_whitespace().collect();
    let der = STANDARD.decode(body).ok()?;
    let revocations = label == "X509 CRL";
    let name = if revocations { list_issuer(&der)? } else { subject(&der)? };
    let digest = Sha1::digest(canonical(name)?);
    let hash = u32::from_le_bytes(digest[..4].try_into().ok()?);
    Some(Found { hash, revocations, der })
}

/// A DER element: its tag and content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Element<'a> {
    tag: u8,
    content: &'a [u8],
}

/// Takes an element off the front.
fn take<'a>(bytes: &mut &'a [u8]) -> Option<Element<'a>> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    *bytes = rest;
    Some(Element { tag, content })
}

const SEQUENCE: u8 = 0x30;

fn expect<'a>(bytes: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    take(bytes).filter(|element| element.tag == tag).map(|element| element.content)
}

/// The content of the subject's `Name`.
fn subject(mut der: &[u8]) -> Option<&[u8]> {
    let mut certificate = expect(&mut der, SEQUENCE)?;
    let mut fields = expect(&mut certificate, SEQUENCE)?;
    if fields.first() == Some(&0xa0) {
        take(&mut fields)?;
    }
    // Serial number, signature algorithm, issuer, validity.
    for _ in 0..4 {
        take(&mut fields)?;
    }
    expect(&mut fields, SEQUENCE)
}

/// The content of the issuer's `Name` of a revocation list.
fn list_issuer(mut der: &[u8]) -> Option<&[u8]> {
    let mut list = expect(&mut der, SEQUENCE)?;
    let mut fields = expect(&mut list, SEQUENCE)?;
    if fields.first() == Some(&0x02) {
        take(&mut fields)?;
    }
    take(&mut fields)?;
    expect(&mut fields, SEQUENCE)
}

/// The canonical form of a name: its sets one after the other, each string as trimmed lower-case UTF-8.
fn canonical(mut name: &[u8]) -> Option<Vec<u8>> {
    let mut canonical = Vec::new();
    while !name.is_empty() {
        let mut set = expect(&mut name, 0x31)?;
        let mut pairs = Vec::new();
        while !set.is_empty() {
            let mut pair = expect(&mut set, SEQUENCE)?;
            let kind = take(&mut pair)?;
            let value = take(&mut pair)?;
            let inner = [encode(kind.tag, kind.content), canonical_value(value)?].concat();
            pairs.push(encode(SEQUENCE, &inner));
        }
        pairs.sort();
        canonical.extend(encode(0x31, &pairs.concat()));
    }
    Some(canonical)
}

fn canonical_value(value: Element<'_>) -> Option<Vec<u8>> {
    const UTF8: u8 = 0x0c;
    let wide = |size: usize| {
        let chars =
            value.content.chunks_exact(size).map(|unit| unit.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte)));
        chars.map(char::from_u32).collect::<Option<String>>()
    };
    let text = match value.tag {
        UTF8 => return Some(encode(UTF8, &simplified(value.content))),
        // PrintableString, TeletexString, IA5String, VisibleString: a character a byte.
        0x13 | 0x14 | 0x16 | 0x1a => wide(1)?,
        0x1c => wide(4)?,
        0x1e => wide(2)?,
        other => return Some(encode(other, value.content)),
    };
    Some(encode(UTF8, &simplified(text.as_bytes())))
}

/// Without space around, with one blank for any space inside, ASCII letters in lower case.
fn simplified(text: &[u8]) -> Vec<u8> {
    let space = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    let words = text.split(space).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(&b' ').to_ascii_lowercase()
}

fn encode(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let digits = &length[length.iter().position(|digit| *digit != 0).unwrap_or(length.len() - 1)..];
    let mut bytes = vec![tag];
    if content.len() > 0x7f {
        bytes.push(0x80 | u8::try_from(digits.len()).unwrap_or_default());
    }
    bytes.extend_from_slice(digits);
    bytes.extend_from_slice(content);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_simplified() {
        assert_eq!(simplified(b"  A\t b\n\nC "), b"a b c");
        assert_eq!(encode(4, &[0; 200])[..3], [4, 0x81, 200]);
    }

    #[test]
    fn garbage_has_no_subject() {
        let block = |body: &str| format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n");
        for bad in ["", "MA==", "MIQ=", "MIT/////", "!"] {
            assert_eq!(only_subject(block(bad).as_bytes()), None, "{bad}");
        }
    }
}
