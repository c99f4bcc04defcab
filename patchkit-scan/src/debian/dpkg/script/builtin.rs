//! Single commands: functions, those of the shell itself, and programs.

use std::rc::Rc;

use super::command;
use super::command::review;
use super::condition;
use super::environment::{Environment, Field};
use super::follow::{Ended, Flow, Follower};
use super::syntax::{Command, Word};
use super::{Effect, TargetKind};

/// How deep functions may call each other.
const MAX_CALLS: usize = 10;

impl Follower<'_> {
    pub(super) fn simple(
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
        assignments.iter().for_each(|(name, _)| environment.set(name, None));
        match name.known() {
            Some(name) => self.named(name, rest, lines, environment),
            None => self.verdict(lines, review("which command it runs is not known")),
        }
    }

    fn assign(&mut self, name: &str, value: Option<String>, lines: (usize, usize), environment: &mut Environment) {
        if matches!(name, "PATH" | "IFS" | "ENV" | "BASH_ENV") || name.starts_with("LD_") {
            self.note(lines, Some(Effect::NeedsReview { why: format!("it sets {name}") }));
        }
        environment.set(name, value);
    }

    /// A function, a command of the shell, or a program.
    fn named(&mut self, name: &str, words: &[Field], lines: (usize, usize), environment: &mut Environment) -> Ended {
        match self.functions.get(name).cloned() {
            Some((body, true)) => self.call(&body, words, lines, environment),
            Some((body, false)) => {
                self.call(&body, words, lines, environment);
                self.verdict(lines, review("which function of this name it calls is not known"))
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

    fn builtin(&mut self, name: &str, words: &[Field], lines: (usize, usize), environment: &mut Environment) -> Ended {
        let word = |at: usize| words.get(at).and_then(Field::known);
        match name {
            ":" | "true" | "break" | "continue" | "cd" | "umask" => Ended::next(Some(true)),
            "false" => Ended::next(Some(false)),
            "[" if word(words.len().wrapping_sub(1)) == Some("]") => Ended::next(self.test(&words[..words.len() - 1])),
            "test" => Ended::next(self.test(words)),
            "exit" => self.exit(words, lines),
            "return" => Ended { flow: Flow::Return, status: None },
            "set" => self.set(words, lines, environment),
            "shift" => {
                match word(0).unwrap_or("1").parse() {
                    Ok(count) => environment.shift(count),
                    Err(_) => environment.forget_parameters(),
                }
                Ended::next(None)
            }
            "export" | "local" | "readonly" | "read" | "unset" => self.declare(name, words, lines, environment),
            "command" if word(0) == Some("-v") || word(0) == Some("-V") => Ended::next(None),
            "." if matches!(word(0), Some("/usr/share/debconf/confmodule" | "/usr/share/debconf/confmodule.sh")) => {
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
        if self.changed { condition::test(words, &|_| None) } else { condition::test(words, self.tree) }
    }

    /// Whether a command removes files that are not there, or makes folders that are.
    fn is_done_already(&self, name: &str, words: &[Field]) -> bool {
        let known: Option<Vec<&str>> = words.iter().map(Field::known).collect();
        let Some((option, paths)) = known.as_deref().and_then(<[&str]>::split_first) else {
            return false;
        };
        let done = |path: &&str| {
            let facts = if path.starts_with('/') && !self.changed { (self.tree)(path) } else { None };
            facts.is_some_and(|facts| match (command::program(name), *option) {
                ("mkdir", "-p") => facts.target.is_some_and(|target| target.kind == TargetKind::Directory),
                ("rm", "-f" | "-rf") => !facts.is_symlink && facts.target.is_none(),
                _ => false,
            })
        };
        !paths.is_empty() && paths.iter().all(done)
    }

    fn exit(&mut self, words: &[Field], lines: (usize, usize)) -> Ended {
        let code = words.first().and_then(Field::known).filter(|code| *code != "0");
        if let Some(code) = code {
            let why = format!("the script stops with status {code}");
            let effect = if self.certain { Effect::Refuse { why } } else { Effect::NeedsReview { why } };
            self.note(lines, Some(effect));
        }
        Ended { flow: Flow::Exit, status: None }
    }

    /// `set` with options only, such as `-e`.
    fn set(&mut self, words: &[Field], lines: (usize, usize), environment: &mut Environment) -> Ended {
        let options = words.iter().all(|word| {
            let plain = |flags: &str| !flags.is_empty() && flags.bytes().all(|flag| b"eux".contains(&flag));
            word.known().is_some_and(|word| word.strip_prefix(['-', '+']).is_some_and(plain))
        });
        if options && !words.is_empty() {
            return Ended::next(Some(true));
        }
        environment.forget_parameters();
        self.verdict(lines, review("it sets its own parameters or options"))
    }

    /// Commands that set variables by name.
    fn declare(&mut self, name: &str, words: &[Field], lines: (usize, usize), environment: &mut Environment) -> Ended {
        for word in words {
            let Some(word) = word.known() else {
                // Any variable may be meant.
                environment.forget_variables();
                continue;
            };
            match word.split_once('=') {
                Some((variable, value)) => self.assign(variable, Some(value.to_owned()), lines, environment),
                None if word.starts_with('-') || matches!(name, "export" | "readonly") => {}
                None => self.assign(word, None, lines, environment),
            }
        }
        Ended::next(None)
    }
}
