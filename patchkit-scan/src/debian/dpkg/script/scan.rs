//! The parser's smaller steps: blanks, operators, redirections and here-documents.

use super::parser::{Heredoc, MAX_DEPTH, Parser, SyntaxError};
use super::syntax::{Redirect, Word};
use super::word;

impl Parser<'_> {
    /// A redirection, if one is next.
    pub(super) fn redirect(&mut self) -> Result<Option<Redirect>, SyntaxError> {
        self.skip_blanks();
        let digits = self.text[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if !matches!(self.text.get(self.at + digits), Some(b'<' | b'>')) {
            return Ok(None);
        }
        self.at += digits;
        if self.take(b"<<") {
            let strips_tabs = self.take(b"-");
            return self.heredoc(strips_tabs).map(Some);
        }
        const OPERATORS: [&[u8]; 7] = [b">>", b">&", b">|", b">", b"<>", b"<&", b"<"];
        let operator = OPERATORS.iter().find(|operator| self.take(operator)).copied().unwrap_or_default();
        self.skip_blanks();
        let target = self.word()?.ok_or_else(|| self.error("a redirection without a file"))?;
        let duplicates = operator.ends_with(b"&");
        Ok(Some(Redirect { writes: operator.contains(&b'>'), duplicates, target }))
    }

    fn heredoc(&mut self, strips_tabs: bool) -> Result<Redirect, SyntaxError> {
        self.skip_blanks();
        let word = self.word()?;
        let named = word.as_ref().and_then(|word| Some((word.literal()?, word.bare().is_none())));
        let (delimiter, quoted) = named.ok_or_else(|| self.error("a here-document with a strange end"))?;
        self.heredocs.push(Heredoc { delimiter, strips_tabs, quoted });
        Ok(Redirect { writes: false, duplicates: false, target: Word::default() })
    }

    pub(super) fn word(&mut self) -> Result<Option<Word>, SyntaxError> {
        word::read(self, |byte| byte.is_ascii_whitespace() || b";&|<>()".contains(&byte))
    }

    /// Passes over blanks, comments and line ends, and over the here-documents that a line end starts.
    pub(super) fn skip_lines(&mut self) -> Result<(), SyntaxError> {
        loop {
            self.skip_blanks();
            if self.peek() != Some(b'\n') {
                return Ok(());
            }
            self.advance();
            for heredoc in std::mem::take(&mut self.heredocs) {
                self.skip_heredoc(&heredoc)?;
            }
        }
    }

    fn skip_heredoc(&mut self, heredoc: &Heredoc) -> Result<(), SyntaxError> {
        while self.at < self.text.len() {
            let rest = &self.text[self.at..];
            let line = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
            let trimmed = line.iter().position(|byte| *byte != b'\t').map_or(&line[line.len()..], |at| &line[at..]);
            let next = self.line + usize::from(line.len() < rest.len());
            self.at = (self.at + line.len() + 1).min(self.text.len());
            if if heredoc.strips_tabs { trimmed } else { line } == heredoc.delimiter.as_bytes() {
                self.line = next;
                return Ok(());
            }
            if !heredoc.quoted && runs_commands(line) {
                return Err(self.error("a command inside a here-document"));
            }
            self.line = next;
        }
        Err(self.error("a here-document that does not end"))
    }

    pub(super) fn skip_blanks(&mut self) {
        loop {
            match self.peek() {
                Some(b' ' | b'\t') => self.at += 1,
                Some(b'\\') if self.starts_with(b"\\\n") => {
                    self.at += 2;
                    self.line += 1;
                }
                Some(b'#') => {
                    while self.peek().is_some_and(|byte| byte != b'\n') {
                        self.at += 1;
                    }
                }
                _ => return,
            }
        }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// Passes over one byte, and counts lines.
    pub(super) fn advance(&mut self) {
        self.line += usize::from(self.peek() == Some(b'\n'));
        self.at += 1;
    }

    pub(super) fn starts_with(&self, text: &[u8]) -> bool {
        self.text[self.at.min(self.text.len())..].starts_with(text)
    }

    pub(super) fn take(&mut self, operator: &[u8]) -> bool {
        let found = self.starts_with(operator);
        self.at += if found { operator.len() } else { 0 };
        found
    }

    /// Whether the unquoted word `word` is next.
    pub(super) fn at_word(&self, word: &str) -> bool {
        let end = self.text.get(self.at + word.len());
        let ends = end.is_none_or(|byte| byte.is_ascii_whitespace() || b";&|<>()".contains(byte));
        self.starts_with(word.as_bytes()) && ends
    }

    pub(super) fn take_word(&mut self, word: &str) -> bool {
        self.skip_blanks();
        let found = self.at_word(word);
        self.at += if found { word.len() } else { 0 };
        found
    }

    pub(super) fn expect_word(&mut self, word: &str, what: &'static str) -> Result<(), SyntaxError> {
        self.skip_lines()?;
        if self.take_word(word) { Ok(()) } else { Err(self.error(what)) }
    }

    pub(super) fn expect(&mut self, operator: &[u8], what: &'static str) -> Result<(), SyntaxError> {
        if self.take(operator) { Ok(()) } else { Err(self.error(what)) }
    }

    pub(super) fn error(&self, what: &'static str) -> SyntaxError {
        SyntaxError { line: self.line, what }
    }

    pub(super) fn deeper(&mut self) -> Result<(), SyntaxError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH { Err(self.error("commands nested too deep")) } else { Ok(()) }
    }
}

/// Whether a line of a here-document has a command in it. Two backquotes, which some writers take for a quotation
/// mark, are a command that is empty.
fn runs_commands(line: &[u8]) -> bool {
    let quotes = line.iter().filter(|byte| **byte == b'`').count();
    let empty = line.windows(2).filter(|pair| *pair == b"``").count();
    quotes != 2 * empty || line.windows(2).any(|pair| pair == b"$(")
}
