//! Words: quoting, variables and commands inside them (POSIX.1-2017, sections 2.2 and 2.6).

use super::parser::{Parser, SyntaxError};
use super::syntax::{Fallback, Part, PartKind, Word};

/// Reads a word up to a byte that ends it, or `None` where one is next.
pub(super) fn read(parser: &mut Parser<'_>, ends: impl Fn(u8) -> bool) -> Result<Option<Word>, SyntaxError> {
    parser.deeper()?;
    let start = parser.at;
    let mut parts = Parts::default();
    while let Some(byte) = parser.peek().filter(|byte| !ends(*byte)) {
        match byte {
            b'\'' => single_quoted(parser, &mut parts)?,
            b'"' => double_quoted(parser, &mut parts)?,
            b'\\' => escaped(parser, &mut parts),
            b'$' => dollar(parser, &mut parts, false)?,
            b'`' => backquoted(parser, &mut parts, false)?,
            _ => {
                parts.text(&[byte], false);
                parser.advance();
            }
        }
    }
    parser.depth -= 1;
    if parser.at == start { Ok(None) } else { Ok(Some(parts.word())) }
}

/// Collects parts, joining neighbouring bytes of text.
#[derive(Default)]
struct Parts {
    done: Vec<Part>,
    text: Vec<u8>,
    quoted: bool,
}

impl Parts {
    fn text(&mut self, bytes: &[u8], quoted: bool) {
        if quoted != self.quoted {
            self.flush();
            self.quoted = quoted;
        }
        self.text.extend_from_slice(bytes);
    }

    fn push(&mut self, kind: PartKind, quoted: bool) {
        self.flush();
        self.done.push(Part { kind, quoted });
    }

    fn flush(&mut self) {
        if !self.text.is_empty() {
            let text = String::from_utf8_lossy(&std::mem::take(&mut self.text)).into_owned();
            self.done.push(Part { kind: PartKind::Text(text), quoted: self.quoted });
        }
    }

    fn word(mut self) -> Word {
        self.flush();
        Word(self.done)
    }
}

fn single_quoted(parser: &mut Parser<'_>, parts: &mut Parts) -> Result<(), SyntaxError> {
    parser.advance();
    // An empty quoted part makes `''` a word of its own.
    parts.push(PartKind::Text(String::new()), true);
    while let Some(byte) = parser.peek() {
        parser.advance();
        if byte == b'\'' {
            return Ok(());
        }
        parts.text(&[byte], true);
    }
    Err(parser.error("a quotation that does not end"))
}

fn double_quoted(parser: &mut Parser<'_>, parts: &mut Parts) -> Result<(), SyntaxError> {
    parser.advance();
    parts.push(PartKind::Text(String::new()), true);
    while let Some(byte) = parser.peek() {
        match byte {
            b'"' => {
                parser.advance();
                return Ok(());
            }
            b'\\' if parser.starts_with(b"\\\n") => {
                parser.advance();
                parser.advance();
            }
            b'\\' => {
                parser.advance();
                let next = parser.peek().unwrap_or(b'\\');
                let escapes = b"$`\"\\".contains(&next);
                parts.text(if escapes { std::slice::from_ref(&next) } else { b"\\" }, true);
                parser.at += usize::from(escapes);
            }
            b'$' => dollar(parser, parts, true)?,
            b'`' => backquoted(parser, parts, true)?,
            _ => {
                parts.text(&[byte], true);
                parser.advance();
            }
        }
    }
    Err(parser.error("a quotation that does not end"))
}

fn escaped(parser: &mut Parser<'_>, parts: &mut Parts) {
    parser.advance();
    if let Some(byte) = parser.peek() {
        if byte != b'\n' {
            parts.text(&[byte], true);
        }
        parser.advance();
    }
}

fn dollar(parser: &mut Parser<'_>, parts: &mut Parts, quoted: bool) -> Result<(), SyntaxError> {
    parser.advance();
    if parser.take(b"((") {
        parts.push(arithmetic(parser)?, quoted);
    } else if parser.take(b"(") {
        let list = parser.list(&[])?;
        parser.expect(b")", "a command without its closing parenthesis")?;
        parts.push(PartKind::Command(list), quoted);
    } else if parser.take(b"{") {
        parts.push(braced(parser)?, quoted);
    } else if let Some(name) = name(parser) {
        parts.push(PartKind::Variable { name, fallback: None }, quoted);
    } else if !quoted && matches!(parser.peek(), Some(b'\'' | b'"')) {
        return Err(parser.error("a quotation of bash"));
    } else {
        parts.text(b"$", quoted);
    }
    Ok(())
}

/// A variable's name, or the one character of a special parameter.
fn name(parser: &mut Parser<'_>) -> Option<String> {
    let rest = &parser.text[parser.at..];
    let first = *rest.first()?;
    let length = match first {
        b'0'..=b'9' | b'@' | b'*' | b'#' | b'?' | b'-' | b'$' | b'!' => 1,
        _ if first.is_ascii_alphabetic() || first == b'_' => {
            rest.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count()
        }
        _ => return None,
    };
    parser.at += length;
    Some(String::from_utf8_lossy(&rest[..length]).into_owned())
}

/// What is in `${…}`.
fn braced(parser: &mut Parser<'_>) -> Result<PartKind, SyntaxError> {
    let length = parser.starts_with(b"#") && !parser.starts_with(b"#}");
    parser.at += usize::from(length);
    let name = name(parser).ok_or_else(|| parser.error("a strange expansion"))?;
    if length {
        parser.expect(b"}", "a strange expansion")?;
        return Ok(PartKind::Opaque(Vec::new()));
    }
    if parser.take(b"}") {
        return Ok(PartKind::Variable { name, fallback: None });
    }
    let empty_is_unset = parser.take(b":");
    let operator = parser.peek();
    parser.at += 1;
    match operator {
        Some(sign @ (b'-' | b'+')) => {
            let word = up_to_brace(parser)?;
            let fallback = Fallback { when_set: sign == b'+', empty_is_unset, word };
            Ok(PartKind::Variable { name, fallback: Some(fallback) })
        }
        Some(b'%' | b'#') if !empty_is_unset => Ok(PartKind::Opaque(vec![up_to_brace(parser)?])),
        _ => Err(parser.error("an expansion that is not understood")),
    }
}

fn up_to_brace(parser: &mut Parser<'_>) -> Result<Word, SyntaxError> {
    let word = read(parser, |byte| byte == b'}')?.unwrap_or_default();
    parser.expect(b"}", "an expansion without its closing brace")?;
    Ok(word)
}

fn arithmetic(parser: &mut Parser<'_>) -> Result<PartKind, SyntaxError> {
    let rest = &parser.text[parser.at..];
    let end = rest.windows(2).position(|pair| pair == b"))").ok_or_else(|| parser.error("an unclosed sum"))?;
    let sum = &rest[..end];
    if sum.contains(&b'`') || sum.contains(&b'=') || sum.windows(2).any(|pair| pair == b"$(") {
        return Err(parser.error("a sum that is not understood"));
    }
    (0..end + 2).for_each(|_| parser.advance());
    Ok(PartKind::Opaque(Vec::new()))
}

fn backquoted(parser: &mut Parser<'_>, parts: &mut Parts, quoted: bool) -> Result<(), SyntaxError> {
    parser.advance();
    let rest = &parser.text[parser.at..];
    let end = rest.iter().position(|byte| *byte == b'`').ok_or_else(|| parser.error("an unclosed backquote"))?;
    let inner = &rest[..end];
    if inner.contains(&b'\\') {
        return Err(parser.error("an escape inside backquotes"));
    }
    let mut nested = parser.inside(inner);
    let list = nested.list(&[])?;
    if nested.at < inner.len() {
        return Err(nested.error("an unexpected word or operator"));
    }
    (0..=end).for_each(|_| parser.advance());
    parts.push(PartKind::Command(list), quoted);
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::debian::dpkg::script::parser::parse;

    fn words(text: &str) -> String {
        format!("{:?}", parse(text).expect(text))
    }

    #[test]
    fn quoting() {
        let tree = words("a'b c'\"d $e\"\\ f");
        for part in
            ["Text(\"a\"), quoted: false", "Text(\"b c\"), quoted: true", "Text(\"d \"), quoted: true", "name: \"e\""]
        {
            assert!(tree.contains(part), "{part} in {tree}");
        }
    }

    #[test]
    fn what_is_refused() {
        for (text, line) in [
            ("a 'b", 1),
            ("a\n\"b", 2),
            ("a $(b", 1),
            ("a `b", 1),
            ("a ${b:=c}", 1),
            ("a ${b/c/d}", 1),
            ("a $'b'", 1),
            ("a `b \\`c\\``", 1),
            ("a <<E\n$(b)\nE\n", 2),
            ("a <<E\nb\n", 3),
            ("if a; then b", 1),
            ("[[ a ]]", 1),
            ("a b() { c; }", 1),
            ("a; ;", 1),
            ("a )", 1),
        ] {
            assert_eq!(parse(text).expect_err(text).line, line, "{text}");
        }
        assert!(parse(&"(".repeat(10_000)).is_err());
        assert!(parse(&"$(".repeat(10_000)).is_err());
        assert!(parse(&"\"${a-".repeat(10_000)).is_err());
    }
}
