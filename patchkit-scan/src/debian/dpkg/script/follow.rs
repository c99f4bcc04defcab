//! Follows a script through the branches that its parameters leave open.
//!
//! Where a condition is not known both ways are followed, and only what holds on both is known after. What fails under
//! `set -e` is taken to succeed: a failure would only do less.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::command::{Verdict, review};
use super::environment::Environment;
use super::syntax::{AndOr, Command, CommandKind, Join, List, Part, PartKind, Pipeline, Redirect, Word};
use super::{Effect, Invocation, ScriptClass, ScriptReview, Step, Tree};

/// How many commands are followed at most: loops and functions multiply them.
const MAX_COMMANDS: usize = 20_000;
/// How much of a script's text a step quotes, in bytes.
const MAX_QUOTE: usize = 2000;

pub(super) fn follow(list: &List, text: &str, invocation: &Invocation, tree: &Tree<'_>) -> ScriptReview {
    let lines = text.lines().collect();
    let mut follower = Follower {
        lines,
        invocation,
        tree,
        changed: false,
        functions: BTreeMap::new(),
        steps: Vec::new(),
        commands: 0,
        calls: 0,
        certain: true,
    };
    let mut environment = Environment::new(invocation.arguments());
    environment.set("DPKG_ROOT", Some(String::new()));
    environment.set("DPKG_MAINTSCRIPT_NAME", Some(invocation.script.to_string()));
    environment.set("DPKG_MAINTSCRIPT_PACKAGE", Some(invocation.package.to_string()));
    follower.list(list, &mut environment);
    ScriptReview { steps: follower.steps }
}

pub(super) struct Follower<'a> {
    lines: Vec<&'a str>,
    pub(super) invocation: &'a Invocation,
    pub(super) tree: &'a Tree<'a>,
    /// Whether the script may have changed files by now, so that the tree no longer tells what it would find.
    pub(super) changed: bool,
    /// Functions, each with whether it is defined for certain and once.
    pub(super) functions: BTreeMap<String, (Rc<Command>, bool)>,
    pub(super) steps: Vec<Step>,
    commands: usize,
    pub(super) calls: usize,
    /// Whether what is followed now is reached for certain.
    pub(super) certain: bool,
}

/// Where the script goes on after a command.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Flow {
    Exit,
    Next,
    Return,
}

/// How a command ended.
#[derive(Clone, Copy)]
pub(super) struct Ended {
    pub(super) flow: Flow,
    pub(super) status: Option<bool>,
}

impl Ended {
    pub(super) fn next(status: Option<bool>) -> Self {
        Self { flow: Flow::Next, status }
    }
}

impl Follower<'_> {
    pub(super) fn list(&mut self, list: &List, environment: &mut Environment) -> Ended {
        let mut ended = Ended::next(Some(true));
        for and_or in &list.0 {
            ended = self.and_or(and_or, environment);
            if ended.flow != Flow::Next {
                break;
            }
        }
        ended
    }

    fn and_or(&mut self, and_or: &AndOr, environment: &mut Environment) -> Ended {
        if and_or.background {
            let lines = and_or.first.commands[0].lines;
            self.note(lines, review("it runs something in the background").effect);
        }
        let mut ended = self.pipeline(&and_or.first, environment);
        for (join, pipeline) in &and_or.rest {
            if ended.flow != Flow::Next {
                return ended;
            }
            let runs = ended.status.map(|status| status == (*join == Join::And));
            match runs {
                Some(false) => {}
                Some(true) => ended = self.pipeline(pipeline, environment),
                // What follows a failure that is not expected: dpkg would have stopped here.
                None if *join == Join::Or && is_failure(pipeline) => {
                    // It may also have been a way out on purpose.
                    self.certain = false;
                    ended = Ended::next(Some(true));
                }
                None => ended = self.perhaps(environment, |this, environment| this.pipeline(pipeline, environment)),
            }
        }
        ended
    }

    /// Follows what may or may not be reached.
    pub(super) fn perhaps(
        &mut self,
        environment: &mut Environment,
        follow: impl FnOnce(&mut Self, &mut Environment) -> Ended,
    ) -> Ended {
        let certain = std::mem::replace(&mut self.certain, false);
        let mut branch = environment.clone();
        let ended = follow(self, &mut branch);
        // After a way out that may have been taken, nothing is certain any more.
        self.certain = certain && ended.flow == Flow::Next;
        if ended.flow == Flow::Next {
            environment.merge(&branch);
        }
        Ended::next(None)
    }

    fn pipeline(&mut self, pipeline: &Pipeline, environment: &mut Environment) -> Ended {
        let ended = match &pipeline.commands[..] {
            [command] => self.command(command, environment),
            commands => {
                commands.iter().for_each(|command| {
                    self.subshell(environment, |this, environment| this.command(command, environment))
                });
                Ended::next(None)
            }
        };
        let status = ended.status.map(|status| status != pipeline.negated);
        Ended { status, ..ended }
    }

    /// Follows what runs in a process of its own, and so changes no variable here.
    fn subshell(&mut self, environment: &Environment, follow: impl FnOnce(&mut Self, &mut Environment) -> Ended) {
        let certain = std::mem::replace(&mut self.certain, false);
        follow(self, &mut environment.clone());
        self.certain = certain;
    }

    pub(super) fn command(&mut self, command: &Command, environment: &mut Environment) -> Ended {
        self.commands += 1;
        if self.commands > MAX_COMMANDS {
            self.note(command.lines, review("the script is too intricate to follow").effect);
            return Ended { flow: Flow::Exit, status: None };
        }
        self.redirects(&command.redirects, command.lines, environment);
        match &command.kind {
            CommandKind::Case { subject, arms } => self.case(subject, arms, environment),
            CommandKind::For { name, words, body } => self.for_loop(name, words, body, environment),
            CommandKind::Function { name, body } => self.define(name, body),
            CommandKind::Group(list) => self.list(list, environment),
            CommandKind::If { clauses, otherwise } => self.if_clauses(clauses, otherwise, environment),
            CommandKind::Simple { assignments, words } => self.simple(assignments, words, command.lines, environment),
            CommandKind::Subshell(list) => {
                self.subshell(environment, |this, environment| this.list(list, environment));
                Ended::next(None)
            }
            CommandKind::While { condition, body } => self.while_loop(condition, body, environment),
        }
    }

    fn redirects(&mut self, redirects: &[Redirect], lines: (usize, usize), environment: &Environment) {
        for redirect in redirects {
            self.substitutions(&redirect.target, environment);
            let target = environment.value(&redirect.target);
            let harmless = match target.as_deref() {
                Some("/dev/null" | "/dev/stderr" | "/dev/stdout" | "/dev/tty") => true,
                Some(stream) if redirect.duplicates => {
                    stream == "-" || stream.bytes().all(|byte| byte.is_ascii_digit())
                }
                _ => false,
            };
            if redirect.writes && !harmless {
                let why = format!("it writes {}", target.as_deref().unwrap_or("a file"));
                self.note(lines, Some(Effect::NeedsReview { why }));
            }
        }
    }

    /// Follows the commands inside a word.
    pub(super) fn substitutions(&mut self, word: &Word, environment: &Environment) {
        for Part { kind, .. } in &word.0 {
            match kind {
                PartKind::Command(list) => self.subshell(environment, |this, environment| this.list(list, environment)),
                PartKind::Opaque(words) => words.iter().for_each(|word| self.substitutions(word, environment)),
                PartKind::Variable { fallback: Some(fallback), .. } => self.substitutions(&fallback.word, environment),
                PartKind::Text(_) | PartKind::Variable { fallback: None, .. } => {}
            }
        }
    }

    fn define(&mut self, name: &str, body: &Rc<Command>) -> Ended {
        let once = self.functions.get(name).is_none_or(|(known, _)| Rc::ptr_eq(known, body));
        self.functions.insert(name.to_owned(), (Rc::clone(body), self.certain && once));
        Ended::next(Some(true))
    }

    pub(super) fn verdict(&mut self, lines: (usize, usize), verdict: Verdict) -> Ended {
        let Verdict { effect, status } = verdict;
        self.note(lines, effect);
        Ended::next(status)
    }

    /// Notes an effect with the lines of the script, once.
    pub(super) fn note(&mut self, lines: (usize, usize), effect: Option<Effect>) {
        let Some(effect) = effect else { return };
        self.changed |= effect.class() > ScriptClass::Harmless;
        let quoted = self.lines.get(lines.0 - 1..lines.1.min(self.lines.len())).unwrap_or_default();
        let mut text = quoted.join("\n");
        text.truncate(text.floor_char_boundary(MAX_QUOTE));
        let step = Step { lines, text, effect };
        if !self.steps.contains(&step) {
            self.steps.push(step);
        }
    }
}

/// Whether a pipeline does nothing but end the script, or nothing at all.
fn is_failure(pipeline: &Pipeline) -> bool {
    let [Command { kind: CommandKind::Simple { assignments, words }, redirects, .. }] = &pipeline.commands[..] else {
        return false;
    };
    let name = words.first().and_then(Word::bare);
    assignments.is_empty() && redirects.is_empty() && matches!(name.as_deref(), Some("exit" | "return" | "true" | ":"))
}
