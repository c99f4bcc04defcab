//! Follows a script through the branches that its parameters leave open.
//!
//! Where a condition is not known both ways are followed, and only what holds on both is known after. What fails under
//! `set -e` is taken to succeed: a failure would only do less.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::command::{self, Verdict, review};
use super::condition;
use super::environment::{Environment, Field};
use super::syntax::{
    AndOr, Command, CommandKind, Join, List, Part, PartKind, Pipeline, Redirect, Word,
};
use super::{Effect, Invocation, ScriptClass, ScriptReview, Step, TargetKind, Tree};

/// How many commands are followed at most: loops and functions multiply them.
const MAX_COMMANDS: usize = 20_000;
/// How deep functions may call each other.
const MAX_CALLS: usize = 10;
/// How much of a script's text a step quotes, in bytes.
const MAX_QUOTE: usize = 2000;

pub(super) fn follow(
    list: &List,
    text: &str,
    invocation: &Invocation,
    tree: &Tree<'_>,
) -> ScriptReview {
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
    environment.set(
        "DPKG_MAINTSCRIPT_PACKAGE",
        Some(invocation.package.to_string()),
    );
    follower.list(list, &mut environment);
    ScriptReview {
        steps: follower.steps,
    }
}

struct Follower<'a> {
    lines: Vec<&'a str>,
    invocation: &'a Invocation,
    tree: &'a Tree<'a>,
    /// Whether the script may have changed files by now, so that the tree no longer tells what it would find.
    changed: bool,
    /// Functions, each with whether it is defined for certain and once.
    functions: BTreeMap<String, (Rc<Command>, bool)>,
    steps: Vec<Step>,
    commands: usize,
    calls: usize,
    /// Whether what is followed now is reached for certain.
    certain: bool,
}

/// Where the script goes on after a command.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Flow {
    Exit,
    Next,
    Return,
}

/// How a command ended.
#[derive(Clone, Copy)]
struct Ended {
    flow: Flow,
    status: Option<bool>,
}

impl Ended {
    fn next(status: Option<bool>) -> Self {
        Self {
            flow: Flow::Next,
            status,
        }
    }
}

impl Follower<'_> {
    fn list(&mut self, list: &List, environment: &mut Environment) -> Ended {
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
                None => {
                    ended = self.perhaps(environment, |this, environment| {
                        this.pipeline(pipeline, environment)
                    })
                }
            }
        }
        ended
    }

    /// Follows what may or may not be reached.
    fn perhaps(
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
                    self.subshell(environment, |this, environment| {
                        this.command(command, environment)
                    })
                });
                Ended::next(None)
            }
        };
        let status = ended.status.map(|status| status != pipeline.negated);
        Ended { status, ..ended }
    }

    /// Follows what runs in a process of its own, and so changes no variable here.
    fn subshell(
        &mut self,
        environment: &Environment,
        follow: impl FnOnce(&mut Self, &mut Environment) -> Ended,
    ) {
        let certain = std::mem::replace(&mut self.certain, false);
        follow(self, &mut environment.clone());
        self.certain = certain;
    }

    fn command(&mut self, command: &Command, environment: &mut Environment) -> Ended {
        self.commands += 1;
        if self.commands > MAX_COMMANDS {
            self.note(
                command.lines,
                review("the script is too intricate to follow").effect,
            );
            return Ended {
                flow: Flow::Exit,
                status: None,
            };
        }
        self.redirects(&command.redirects, command.lines, environment);
        match &command.kind {
            CommandKind::Case { subject, arms } => self.case(subject, arms, environment),
            CommandKind::For { name, words, body } => self.for_loop(name, words, body, environment),
            CommandKind::Function { name, body } => self.define(name, body),
            CommandKind::Group(list) => self.list(list, environment),
            CommandKind::If { clauses, otherwise } => {
                self.if_clauses(clauses, otherwise, environment)
            }
            CommandKind::Simple { assignments, words } => {
                self.simple(assignments, words, command.lines, environment)
            }
            CommandKind::Subshell(list) => {
                self.subshell(environment, |this, environment| {
                    this.list(list, environment)
                });
                Ended::next(None)
            }
            CommandKind::While { condition, body } => self.while_loop(condition, body, environment),
        }
    }

    fn redirects(
        &mut self,
        redirects: &[Redirect],
        lines: (usize, usize),
        environment: &Environment,
    ) {
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
    fn substitutions(&mut self, word: &Word, environment: &Environment) {
        for Part { kind, .. } in &word.0 {
            match kind {
                PartKind::Command(list) => self.subshell(environment, |this, environment| {
                    this.list(list, environment)
                }),
                PartKind::Opaque(words) => words
                    .iter()
                    .for_each(|word| self.substitutions(word, environment)),
                PartKind::Variable {
                    fallback: Some(fallback),
                    ..
                } => self.substitutions(&fallback.word, environment),
                PartKind::Text(_) | PartKind::Variable { fallback: None, .. } => {}
            }
        }
    }

    fn if_clauses(
        &mut self,
        clauses: &[(List, List)],
        otherwise: &List,
        environment: &mut Environment,
    ) -> Ended {
        let Some(((condition, body), rest)) = clauses.split_first() else {
            return self.list(otherwise, environment);
        };
        let tested = self.list(condition, environment);
        match (tested.flow, tested.status) {
            (Flow::Exit | Flow::Return, _) => tested,
            (Flow::Next, Some(true)) => self.list(body, environment),
            (Flow::Next, Some(false)) => self.if_clauses(rest, otherwise, environment),
            (Flow::Next, None) => self.both(
                environment,
                |this, environment| this.list(body, environment),
                |this, environment| this.if_clauses(rest, otherwise, environment),
            ),
        }
    }

    /// Follows two ways of which one is taken.
    fn both(
        &mut self,
        environment: &mut Environment,
        one: impl FnOnce(&mut Self, &mut Environment) -> Ended,
        other: impl FnOnce(&mut Self, &mut Environment) -> Ended,
    ) -> Ended {
        let certain = std::mem::replace(&mut self.certain, false);
        let mut branch = environment.clone();
        let (first, second) = (one(self, &mut branch), other(self, environment));
        self.certain = certain && first.flow == Flow::Next && second.flow == Flow::Next;
        match (first.flow, second.flow) {
            (Flow::Next, Flow::Next) => environment.merge(&branch),
            (Flow::Next, _) => *environment = branch,
            (_, Flow::Next) => {}
            // A function may have been left, or the whole script: the weaker of the two.
            (Flow::Exit, Flow::Exit) => {
                return Ended {
                    flow: Flow::Exit,
                    status: None,
                };
            }
            _ => {
                return Ended {
                    flow: Flow::Return,
                    status: None,
                };
            }
        }
        Ended::next(None)
    }

    fn case(
        &mut self,
        subject: &Word,
        arms: &[(Vec<Word>, List)],
        environment: &mut Environment,
    ) -> Ended {
        self.substitutions(subject, environment);
        let value = environment.value(subject);
        self.arms(value.as_deref(), arms, environment)
    }

    fn arms(
        &mut self,
        subject: Option<&str>,
        arms: &[(Vec<Word>, List)],
        environment: &mut Environment,
    ) -> Ended {
        let Some(((patterns, body), rest)) = arms.split_first() else {
            return Ended::next(Some(true));
        };
        patterns
            .iter()
            .for_each(|pattern| self.substitutions(pattern, environment));
        let matches: Vec<_> = patterns
            .iter()
            .map(|pattern| matches_word(subject, pattern, environment))
            .collect();
        if matches.contains(&Some(true)) {
            self.list(body, environment)
        } else if matches.contains(&None) {
            self.both(
                environment,
                |this, environment| this.list(body, environment),
                |this, environment| this.arms(subject, rest, environment),
            )
        } else {
            self.arms(subject, rest, environment)
        }
    }

    fn for_loop(
        &mut self,
        name: &str,
        words: &[Word],
        body: &List,
        environment: &mut Environment,
    ) -> Ended {
        words
            .iter()
            .for_each(|word| self.substitutions(word, environment));
        let fields = environment.fields(words);
        for field in &fields {
            environment.forget_variables();
            environment.set(name, field.known().map(str::to_owned));
            self.round(environment, |this, environment| {
                this.list(body, environment)
            });
        }
        environment.forget_variables();
        Ended::next(None)
    }

    fn while_loop(
        &mut self,
        condition: &List,
        body: &List,
        environment: &mut Environment,
    ) -> Ended {
        environment.forget_variables();
        environment.forget_parameters();
        self.round(environment, |this, environment| {
            let tested = this.list(condition, environment);
            if tested.flow == Flow::Next {
                this.list(body, environment)
            } else {
                tested
            }
        });
        environment.forget_variables();
        Ended::next(None)
    }

    /// Follows a loop once, in any of its rounds: what an earlier one changed counts from the start.
    fn round(
        &mut self,
        environment: &mut Environment,
        follow: impl FnOnce(&mut Self, &mut Environment) -> Ended,
    ) {
        let before = std::mem::replace(&mut self.changed, true);
        let steps = self.steps.len();
        self.perhaps(environment, follow);
        let changes = |step: &Step| step.effect.class() > ScriptClass::Harmless;
        self.changed = before || self.steps[steps..].iter().any(changes);
    }

    fn define(&mut self, name: &str, body: &Rc<Command>) -> Ended {
        let once = self
            .functions
            .get(name)
            .is_none_or(|(known, _)| Rc::ptr_eq(known, body));
        self.functions
            .insert(name.to_owned(), (Rc::clone(body), self.certain && once));
        Ended::next(Some(true))
    }

    fn simple(
        &mut self,
        assignments: &[(String, Word)],
        words: &[Word],
        lines: (usize, usize),
        environment: &mut Environment,
    ) -> Ended {
        let all = assignments.iter().map(|(_, word)| word).chain(words);
        all.for_each(|word| self.substitutions(word, environment));
        for (name, value) in assignments {
            self.assign(name, environment.value(value), lines, environment);
        }
        let fields = environment.fields(words);
        let Some((name, rest)) = fields.split_first() else {
            return Ended::next(None);
        };
        // A variable before a command is set for the command alone.
        assignments
            .iter()
            .for_each(|(name, _)| environment.set(name, None));
        match name.known() {
            Some(name) => self.named(name, rest, lines, environment),
            None => self.verdict(lines, review("which command it runs is not known")),
        }
    }

    fn assign(
        &mut self,
        name: &str,
        value: Option<String>,
        lines: (usize, usize),
        environment: &mut Environment,
    ) {
        if matches!(name, "PATH" | "IFS" | "ENV" | "BASH_ENV") || name.starts_with("LD_") {
            self.note(
                lines,
                Some(Effect::NeedsReview {
                    why: format!("it sets {name}"),
                }),
            );
        }
        environment.set(name, value);
    }

    /// A function, a command of the shell, or a program.
    fn named(
        &mut self,
        name: &str,
        words: &[Field],
        lines: (usize, usize),
        environment: &mut Environment,
    ) -> Ended {
        match self.functions.get(name).cloned() {
            Some((body, true)) => self.call(&body, words, lines, environment),
            Some((body, false)) => {
                self.call(&body, words, lines, environment);
                self.verdict(
                    lines,
                    review("which function of this name it calls is not known"),
                )
            }
            None => self.builtin(name, words, lines, environment),
        }
    }

    fn call(
        &mut self,
        body: &Rc<Command>,
        words: &[Field],
        lines: (usize, usize),
        environment: &mut Environment,
    ) -> Ended {
        if self.calls == MAX_CALLS {
            return self.verdict(lines, review("functions call each other too deep"));
        }
        self.calls += 1;
        let mut inner = environment.with_parameters(words);
        let ended = self.command(body, &mut inner);
        environment.take_variables(inner);
        self.calls -= 1;
        match ended.flow {
            Flow::Exit => ended,
            Flow::Next => Ended::next(ended.status),
            Flow::Return => Ended::next(None),
        }
    }

    fn builtin(
        &mut self,
        name: &str,
        words: &[Field],
        lines: (usize, usize),
        environment: &mut Environment,
    ) -> Ended {
        let word = |at: usize| words.get(at).and_then(Field::known);
        match name {
            ":" | "true" | "break" | "continue" | "cd" | "umask" => Ended::next(Some(true)),
            "false" => Ended::next(Some(false)),
            "[" if word(words.len().wrapping_sub(1)) == Some("]") => {
                Ended::next(self.test(&words[..words.len() - 1]))
            }
            "test" => Ended::next(self.test(words)),
            "exit" => self.exit(words, lines),
            "return" => Ended {
                flow: Flow::Return,
                status: None,
            },
            "set" => self.set(words, lines, environment),
            "shift" => {
                match word(0).unwrap_or("1").parse() {
                    Ok(count) => environment.shift(count),
                    Err(_) => environment.forget_parameters(),
                }
                Ended::next(None)
            }
            "export" | "local" | "readonly" | "read" | "unset" => {
                self.declare(name, words, lines, environment)
            }
            "command" if word(0) == Some("-v") || word(0) == Some("-V") => Ended::next(None),
            "." if matches!(
                word(0),
                Some("/usr/share/debconf/confmodule" | "/usr/share/debconf/confmodule.sh")
            ) =>
            {
                Ended::next(None)
            }
            _ => {
                let mut verdict = match self.is_done_already(name, words) {
                    true => command::harmless("it finds done what it would do"),
                    false => command::classify(name, words, self.invocation),
                };
                if name.starts_with("db_") {
                    environment.set("RET", None);
                }
                // What is not certain to be done cannot be refused for it.
                if let (Some(Effect::Refuse { why }), false) = (&verdict.effect, self.certain) {
                    verdict.effect = Some(Effect::NeedsReview { why: why.clone() });
                }
                self.verdict(lines, verdict)
            }
        }
    }

    fn test(&self, words: &[Field]) -> Option<bool> {
        if self.changed {
            condition::test(words, &|_| None)
        } else {
            condition::test(words, self.tree)
        }
    }

    /// Whether a command removes files that are not there, or makes folders that are.
    fn is_done_already(&self, name: &str, words: &[Field]) -> bool {
        let known: Option<Vec<&str>> = words.iter().map(Field::known).collect();
        let Some((option, paths)) = known.as_deref().and_then(<[&str]>::split_first) else {
            return false;
        };
        let done = |path: &&str| {
            let facts = if path.starts_with('/') && !self.changed {
                (self.tree)(path)
            } else {
                None
            };
            facts.is_some_and(|facts| match (command::program(name), *option) {
                ("mkdir", "-p") => facts
                    .target
                    .is_some_and(|target| target.kind == TargetKind::Directory),
                ("rm", "-f" | "-rf") => !facts.is_symlink && facts.target.is_none(),
                _ => false,
            })
        };
        !paths.is_empty() && paths.iter().all(done)
    }

    fn exit(&mut self, words: &[Field], lines: (usize, usize)) -> Ended {
        let code = words
            .first()
            .and_then(Field::known)
            .filter(|code| *code != "0");
        if let Some(code) = code {
            let why = format!("the script stops with status {code}");
            let effect = if self.certain {
                Effect::Refuse { why }
            } else {
                Effect::NeedsReview { why }
            };
            self.note(lines, Some(effect));
        }
        Ended {
            flow: Flow::Exit,
            status: None,
        }
    }

    /// `set` with options only, such as `-e`.
    fn set(
        &mut self,
        words: &[Field],
        lines: (usize, usize),
        environment: &mut Environment,
    ) -> Ended {
        let options = words.iter().all(|word| {
            let plain =
                |flags: &str| !flags.is_empty() && flags.bytes().all(|flag| b"eux".contains(&flag));
            word.known()
                .is_some_and(|word| word.strip_prefix(['-', '+']).is_some_and(plain))
        });
        if options && !words.is_empty() {
            return Ended::next(Some(true));
        }
        environment.forget_parameters();
        self.verdict(lines, review("it sets its own parameters or options"))
    }

    /// Commands that set variables by name.
    fn declare(
        &mut self,
        name: &str,
        words: &[Field],
        lines: (usize, usize),
        environment: &mut Environment,
    ) -> Ended {
        for word in words {
            let Some(word) = word.known() else {
                // Any variable may be meant.
                environment.forget_variables();
                continue;
            };
            match word.split_once('=') {
                Some((variable, value)) => {
                    self.assign(variable, Some(value.to_owned()), lines, environment)
                }
                None if word.starts_with('-') || matches!(name, "export" | "readonly") => {}
                None => self.assign(word, None, lines, environment),
            }
        }
        Ended::next(None)
    }

    fn verdict(&mut self, lines: (usize, usize), verdict: Verdict) -> Ended {
        let Verdict { effect, status } = verdict;
        self.note(lines, effect);
        Ended::next(status)
    }

    /// Notes an effect with the lines of the script, once.
    fn note(&mut self, lines: (usize, usize), effect: Option<Effect>) {
        let Some(effect) = effect else { return };
        self.changed |= effect.class() > ScriptClass::Harmless;
        let quoted = self
            .lines
            .get(lines.0 - 1..lines.1.min(self.lines.len()))
            .unwrap_or_default();
        let mut text = quoted.join("\n");
        text.truncate(text.floor_char_boundary(MAX_QUOTE));
        let step = Step {
            lines,
            text,
            effect,
        };
        if !self.steps.contains(&step) {
            self.steps.push(step);
        }
    }
}

/// Whether a pipeline does nothing but end the script, or nothing at all.
fn is_failure(pipeline: &Pipeline) -> bool {
    let [
        Command {
            kind: CommandKind::Simple { assignments, words },
            redirects,
            ..
        },
    ] = &pipeline.commands[..]
    else {
        return false;
    };
    let name = words.first().and_then(Word::bare);
    assignments.is_empty()
        && redirects.is_empty()
        && matches!(name.as_deref(), Some("exit" | "return" | "true" | ":"))
}

/// Whether a case's subject matches a pattern.
fn matches_word(subject: Option<&str>, pattern: &Word, environment: &Environment) -> Option<bool> {
    let special = |part: &Part| {
        part.quoted && matches!(&part.kind, PartKind::Text(text) if text.contains(['*', '?']))
    };
    let variable = |part: &Part| !matches!(part.kind, PartKind::Text(_));
    let pattern_text = environment.value(pattern)?;
    if pattern.0.iter().any(|part| special(part) || variable(part)) {
        return None;
    }
    if pattern_text == "*" {
        Some(true)
    } else {
        condition::matches_pattern(subject?, &pattern_text)
    }
}
