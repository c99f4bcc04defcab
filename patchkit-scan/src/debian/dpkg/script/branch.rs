//! Branches and loops: which ways are open.

use super::condition;
use super::environment::Environment;
use super::follow::{Ended, Flow, Follower};
use super::syntax::{List, Part, PartKind, Word};
use super::{ScriptClass, Step};

impl Follower<'_> {
    pub(super) fn if_clauses(
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
                return Ended { flow: Flow::Exit, status: None };
            }
            _ => {
                return Ended { flow: Flow::Return, status: None };
            }
        }
        Ended::next(None)
    }

    pub(super) fn case(&mut self, subject: &Word, arms: &[(Vec<Word>, List)], environment: &mut Environment) -> Ended {
        self.substitutions(subject, environment);
        let value = environment.value(subject);
        self.arms(value.as_deref(), arms, environment)
    }

    fn arms(&mut self, subject: Option<&str>, arms: &[(Vec<Word>, List)], environment: &mut Environment) -> Ended {
        let Some(((patterns, body), rest)) = arms.split_first() else {
            return Ended::next(Some(true));
        };
        patterns.iter().for_each(|pattern| self.substitutions(pattern, environment));
        let matches: Vec<_> = patterns.iter().map(|pattern| matches_word(subject, pattern, environment)).collect();
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

    pub(super) fn for_loop(&mut self, name: &str, words: &[Word], body: &List, environment: &mut Environment) -> Ended {
        words.iter().for_each(|word| self.substitutions(word, environment));
        let fields = environment.fields(words);
        for field in &fields {
            environment.forget_variables();
            environment.set(name, field.known().map(str::to_owned));
            self.round(environment, |this, environment| this.list(body, environment));
        }
        environment.forget_variables();
        Ended::next(None)
    }

    pub(super) fn while_loop(&mut self, condition: &List, body: &List, environment: &mut Environment) -> Ended {
        environment.forget_variables();
        environment.forget_parameters();
        self.round(environment, |this, environment| {
            let tested = this.list(condition, environment);
            if tested.flow == Flow::Next { this.list(body, environment) } else { tested }
        });
        environment.forget_variables();
        Ended::next(None)
    }

    /// Follows a loop once, in any of its rounds: what an earlier one changed counts from the start.
    fn round(&mut self, environment: &mut Environment, follow: impl FnOnce(&mut Self, &mut Environment) -> Ended) {
        let before = std::mem::replace(&mut self.changed, true);
        let steps = self.steps.len();
        self.perhaps(environment, follow);
        let changes = |step: &Step| step.effect.class() > ScriptClass::Harmless;
        self.changed = before || self.steps[steps..].iter().any(changes);
    }
}

/// Whether a case's subject matches a pattern.
fn matches_word(subject: Option<&str>, pattern: &Word, environment: &Environment) -> Option<bool> {
    let special = |part: &Part| part.quoted && matches!(&part.kind, PartKind::Text(text) if text.contains(['*', '?']));
    let variable = |part: &Part| !matches!(part.kind, PartKind::Text(_));
    let pattern_text = environment.value(pattern)?;
    if pattern.0.iter().any(|part| special(part) || variable(part)) {
        return None;
    }
    if pattern_text == "*" { Some(true) } else { condition::matches_pattern(subject?, &pattern_text) }
}
