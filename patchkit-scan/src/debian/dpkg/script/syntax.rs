//! The part of the shell language that maintainer scripts use, as a tree.

use std::rc::Rc;

/// Commands one after the other.
#[derive(Clone, Debug, Default)]
pub(super) struct List(pub(super) Vec<AndOr>);

/// Pipelines joined by `&&` and `||`.
#[derive(Clone, Debug)]
pub(super) struct AndOr {
    pub(super) first: Pipeline,
    pub(super) rest: Vec<(Join, Pipeline)>,
    pub(super) background: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Join {
    And,
    Or,
}

#[derive(Clone, Debug)]
pub(super) struct Pipeline {
    pub(super) negated: bool,
    pub(super) commands: Vec<Command>,
}

/// A command with the lines it spans, and its redirections.
#[derive(Clone, Debug)]
pub(super) struct Command {
    pub(super) kind: CommandKind,
    pub(super) redirects: Vec<Redirect>,
    pub(super) lines: (usize, usize),
}

#[derive(Clone, Debug)]
pub(super) enum CommandKind {
    Case { subject: Word, arms: Vec<(Vec<Word>, List)> },
    For { name: String, words: Vec<Word>, body: List },
    Function { name: String, body: Rc<Command> },
    Group(List),
    If { clauses: Vec<(List, List)>, otherwise: List },
    Simple { assignments: Vec<(String, Word)>, words: Vec<Word> },
    Subshell(List),
    While { condition: List, body: List },
}

/// Where input comes from, or output goes to.
#[derive(Clone, Debug)]
pub(super) struct Redirect {
    /// Whether a file is written, rather than read.
    pub(super) writes: bool,
    /// Whether the target is another stream by its number.
    pub(super) duplicates: bool,
    pub(super) target: Word,
}

/// A word: its parts side by side.
#[derive(Clone, Debug, Default)]
pub(super) struct Word(pub(super) Vec<Part>);

#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) kind: PartKind,
    pub(super) quoted: bool,
}

#[derive(Clone, Debug)]
pub(super) enum PartKind {
    /// `$(…)`
    Command(List),
    /// Something whose value is not worked out, with the commands inside it.
    Opaque(Vec<Word>),
    Text(String),
    /// `$NAME`, or `${NAME-…}` and its like.
    Variable {
        name: String,
        fallback: Option<Fallback>,
    },
}

/// What stands for a variable: `${NAME-WORD}` where it is not set, `${NAME+WORD}` where it is.
#[derive(Clone, Debug)]
pub(super) struct Fallback {
    /// `+` rather than `-`.
    pub(super) when_set: bool,
    /// With a colon, an empty variable counts as not set.
    pub(super) empty_is_unset: bool,
    pub(super) word: Word,
}

impl Word {
    /// The text of a word that has no expansions, whether quoted or not.
    pub(super) fn literal(&self) -> Option<String> {
        let text = self.0.iter().map(|part| match &part.kind {
            PartKind::Text(text) => Some(text.as_str()),
            _ => None,
        });
        text.collect()
    }

    /// The text of a word that is neither quoted nor expanded.
    pub(super) fn bare(&self) -> Option<String> {
        if self.0.iter().any(|part| part.quoted) { None } else { self.literal() }
    }
}
