//! Reads shell text into a tree (POSIX.1-2017, Shell Command Language, sections 2.2 to 2.10). What it does not know it
//! refuses, so that nothing is overlooked.

use std::rc::Rc;

use super::syntax::{AndOr, Command, CommandKind, Join, List, Part, PartKind, Pipeline, Redirect, Word};

/// How deep commands and words may be nested.
pub(super) const MAX_DEPTH: usize = 40;

/// Shell text that is not understood.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct SyntaxError {
    pub(super) line: usize,
    pub(super) what: &'static str,
}

pub(super) struct Parser<'a> {
    pub(super) text: &'a [u8],
    pub(super) at: usize,
    pub(super) line: usize,
    pub(super) depth: usize,
    pub(super) heredocs: Vec<Heredoc>,
}

/// A here-document whose text starts on the next line.
pub(super) struct Heredoc {
    pub(super) delimiter: String,
    pub(super) strips_tabs: bool,
    pub(super) quoted: bool,
}

pub(super) fn parse(text: &str) -> Result<List, SyntaxError> {
    let mut parser = Parser { text: text.as_bytes(), at: 0, line: 1, depth: 0, heredocs: Vec::new() };
    let list = parser.list(&[])?;
    if parser.at < parser.text.len() {
        return Err(parser.error("an unexpected word or operator"));
    }
    Ok(list)
}

impl<'a> Parser<'a> {
    /// A parser for text inside other text, a command in backquotes say.
    pub(super) fn inside(&self, text: &'a [u8]) -> Parser<'a> {
        Parser { text, at: 0, line: self.line, depth: self.depth, heredocs: Vec::new() }
    }

    /// Commands up to one of the words `ends` in the place of a command, or what closes the list.
    pub(super) fn list(&mut self, ends: &[&str]) -> Result<List, SyntaxError> {
        self.deeper()?;
        let mut commands = Vec::new();
        loop {
            self.skip_lines()?;
            let closed = matches!(self.peek(), None | Some(b')')) || self.starts_with(b";;");
            if closed || ends.iter().any(|end| self.at_word(end)) {
                self.depth -= 1;
                return Ok(List(commands));
            }
            commands.push(self.and_or()?);
        }
    }

    fn and_or(&mut self) -> Result<AndOr, SyntaxError> {
        let first = self.pipeline()?;
        let mut rest = Vec::new();
        loop {
            self.skip_blanks();
            let join = if self.take(b"&&") {
                Join::And
            } else if self.take(b"||") {
                Join::Or
            } else {
                break;
            };
            self.skip_lines()?;
            rest.push((join, self.pipeline()?));
        }
        let background = self.take(b"&");
        if !background && !self.starts_with(b";;") {
            self.take(b";");
        }
        Ok(AndOr { first, rest, background })
    }

    fn pipeline(&mut self) -> Result<Pipeline, SyntaxError> {
        self.skip_blanks();
        let negated = self.take_word("!");
        let mut commands = vec![self.command()?];
        loop {
            self.skip_blanks();
            if self.starts_with(b"||") || !self.take(b"|") {
                return Ok(Pipeline { negated, commands });
            }
            self.skip_lines()?;
            commands.push(self.command()?);
        }
    }

    fn command(&mut self) -> Result<Command, SyntaxError> {
        self.deeper()?;
        self.skip_blanks();
        let start = self.line;
        let compound = self.compound()?;
        let mut redirects = Vec::new();
        let kind = match compound {
            Some(kind) => {
                while let Some(redirect) = self.redirect()? {
                    redirects.push(redirect);
                }
                kind
            }
            None => self.simple(&mut redirects)?,
        };
        self.depth -= 1;
        Ok(Command { kind, redirects, lines: (start, self.line) })
    }

    /// A command that starts with a word of the language or a parenthesis.
    fn compound(&mut self) -> Result<Option<CommandKind>, SyntaxError> {
        Ok(Some(if self.take_word("if") {
            self.if_clauses()?
        } else if self.take_word("case") {
            self.case()?
        } else if self.take_word("for") {
            self.for_loop()?
        } else if self.take_word("while") || self.take_word("until") {
            let condition = self.list(&["do"])?;
            CommandKind::While { condition, body: self.do_group()? }
        } else if self.take_word("{") {
            let list = self.list(&["}"])?;
            self.expect_word("}", "a group without its closing brace")?;
            CommandKind::Group(list)
        } else if self.take(b"(") {
            let list = self.list(&[])?;
            self.expect(b")", "a subshell without its closing parenthesis")?;
            CommandKind::Subshell(list)
        } else if ["[[", "((", "function", "select", "time", "coproc"].iter().any(|word| self.at_word(word)) {
            return Err(self.error("a command of bash"));
        } else {
            return Ok(None);
        }))
    }

    fn if_clauses(&mut self) -> Result<CommandKind, SyntaxError> {
        let mut clauses = Vec::new();
        loop {
            let condition = self.list(&["then"])?;
            self.expect_word("then", "an if without then")?;
            clauses.push((condition, self.list(&["elif", "else", "fi"])?));
            if !self.take_word("elif") {
                break;
            }
        }
        let otherwise = if self.take_word("else") { self.list(&["fi"])? } else { List::default() };
        self.expect_word("fi", "an if without fi")?;
        Ok(CommandKind::If { clauses, otherwise })
    }

    fn case(&mut self) -> Result<CommandKind, SyntaxError> {
        self.skip_blanks();
        let subject = self.word()?.ok_or_else(|| self.error("a case without a word"))?;
        self.skip_lines()?;
        self.expect_word("in", "a case without in")?;
        let mut arms = Vec::new();
        loop {
            self.skip_lines()?;
            if self.take_word("esac") {
                return Ok(CommandKind::Case { subject, arms });
            }
            let patterns = self.patterns()?;
            arms.push((patterns, self.list(&["esac"])?));
            self.skip_blanks();
            if !self.take(b";;") && !self.at_word("esac") {
                return Err(self.error("a case without esac"));
            }
        }
    }

    fn patterns(&mut self) -> Result<Vec<Word>, SyntaxError> {
        self.take(b"(");
        let mut patterns = Vec::new();
        loop {
            self.skip_blanks();
            patterns.push(self.word()?.ok_or_else(|| self.error("a case without a pattern"))?);
            self.skip_blanks();
            if self.take(b")") {
                return Ok(patterns);
            }
            self.expect(b"|", "a pattern of a case that does not end")?;
        }
    }

    fn for_loop(&mut self) -> Result<CommandKind, SyntaxError> {
        self.skip_blanks();
        let name = self.word()?.and_then(|word| word.bare()).ok_or_else(|| self.error("a for without a name"))?;
        self.skip_lines()?;
        if !self.take_word("in") {
            return Err(self.error("a for without in"));
        }
        let mut words = Vec::new();
        self.skip_blanks();
        while let Some(word) = self.word()? {
            words.push(word);
            self.skip_blanks();
        }
        self.take(b";");
        Ok(CommandKind::For { name, words, body: self.do_group()? })
    }

    fn do_group(&mut self) -> Result<List, SyntaxError> {
        self.skip_lines()?;
        self.expect_word("do", "a loop without do")?;
        let body = self.list(&["done"])?;
        self.expect_word("done", "a loop without done")?;
        Ok(body)
    }

    /// Assignments, words and redirections, or the definition of a function.
    fn simple(&mut self, redirects: &mut Vec<Redirect>) -> Result<CommandKind, SyntaxError> {
        let (mut assignments, mut words) = (Vec::new(), Vec::new());
        loop {
            self.skip_blanks();
            if let Some(redirect) = self.redirect()? {
                redirects.push(redirect);
                continue;
            }
            let Some(word) = self.word()? else { break };
            match split_assignment(&word).filter(|_| words.is_empty()) {
                Some(assignment) => assignments.push(assignment),
                None => words.push(word),
            }
            self.skip_blanks();
            if self.peek() == Some(b'(') {
                return self.function(&words);
            }
        }
        if assignments.is_empty() && words.is_empty() && redirects.is_empty() {
            return Err(self.error("a command is missing"));
        }
        Ok(CommandKind::Simple { assignments, words })
    }

    fn function(&mut self, words: &[Word]) -> Result<CommandKind, SyntaxError> {
        let [name] = words else {
            return Err(self.error("an unexpected parenthesis"));
        };
        let name = name.bare().ok_or_else(|| self.error("a function with a strange name"))?;
        self.expect(b"(", "a function")?;
        self.skip_blanks();
        self.expect(b")", "an unexpected parenthesis")?;
        self.skip_lines()?;
        Ok(CommandKind::Function { name, body: Rc::new(self.command()?) })
    }
}

/// `NAME=VALUE` as its name and value.
fn split_assignment(word: &Word) -> Option<(String, Word)> {
    let first = word.0.first().filter(|part| !part.quoted)?;
    let PartKind::Text(text) = &first.kind else {
        return None;
    };
    let (name, start) = text.split_once('=').filter(|(name, _)| is_name(name))?;
    let start = Part { kind: PartKind::Text(start.to_owned()), quoted: false };
    let rest = word.0[1..].iter().cloned();
    let value = std::iter::once(start).filter(|part| !matches!(&part.kind, PartKind::Text(text) if text.is_empty()));
    Some((name.to_owned(), Word(value.chain(rest).collect())))
}

/// Whether `name` can be a variable's.
pub(super) fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
