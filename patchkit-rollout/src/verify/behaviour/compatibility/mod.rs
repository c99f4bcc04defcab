//! What must answer before a patch is judged compatible with data: schema migrations, data stores, formats on disk.

mod command;
mod process;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use patchkit_core::{Container, Context, ErrorKind, Reason, Result};
use serde::{Deserialize, Serialize};

pub use command::CommandHook;
pub use process::ProcessHook;

/// Answers whether the patched container can live with the data of the original one.
///
/// # Contract
/// - Each thing looked at is a reason; an error means that it could not tell, and so does an answer without reasons.
#[async_trait]
pub trait Compatibility: std::fmt::Debug + Send + Sync {
    /// Looks at the original, which runs as before, and at the patched one.
    async fn check(&self, before: &dyn Container, after: &dyn Container, cx: &Context) -> Result<Vec<Reason>>;
}

/// Several hooks that all must answer, each within a time. It fails closed: an error, no answer in time and an answer
/// without reasons are reasons that do not hold.
#[derive(Clone, Debug)]
pub struct Hooks {
    hooks: Vec<(String, Arc<dyn Compatibility>)>,
    limit: Duration,
}

impl Hooks {
    /// The first hook, by the name that reasons are told under, and the longest time for each.
    pub fn new(name: impl Into<String>, hook: impl Compatibility + 'static, limit: Duration) -> Self {
        Self { hooks: vec![(name.into(), Arc::new(hook))], limit }
    }

    /// The same, with one more.
    #[must_use]
    pub fn and(mut self, name: impl Into<String>, hook: impl Compatibility + 'static) -> Self {
        self.hooks.push((name.into(), Arc::new(hook)));
        self
    }

    async fn ask(&self, hook: &dyn Compatibility, containers: [&dyn Container; 2], cx: &Context) -> Result<Answered> {
        let [before, after] = containers;
        let answer = cx.guard(async { Ok(tokio::time::timeout(self.limit, hook.check(before, after, cx)).await) });
        match answer.await? {
            Err(_late) => Ok(Answered::Nothing(format!("no answer within {:?}", self.limit))),
            Ok(Err(error)) if error.kind() == ErrorKind::Cancel => Err(error),
            Ok(Err(error)) => Ok(Answered::Nothing(error.to_string())),
            Ok(Ok(reasons)) if reasons.is_empty() => Ok(Answered::Nothing("an answer without reasons".into())),
            Ok(Ok(reasons)) => Ok(Answered::Reasons(reasons)),
        }
    }
}

enum Answered {
    Nothing(String),
    Reasons(Vec<Reason>),
}

#[async_trait]
impl Compatibility for Hooks {
    /// A reason for each hook, in order, that rests on the hook's own.
    async fn check(&self, before: &dyn Container, after: &dyn Container, cx: &Context) -> Result<Vec<Reason>> {
        let mut reasons = Vec::with_capacity(self.hooks.len());
        for (name, hook) in &self.hooks {
            reasons.push(match self.ask(&**hook, [before, after], cx).await? {
                Answered::Nothing(why) => Reason::no(format!("could not tell whether {name} is compatible: {why}")),
                Answered::Reasons(because) => {
                    let holds = because.iter().all(|reason| reason.holds);
                    let word = if holds { "is" } else { "is not" };
                    Reason::of(holds, format!("{name} {word} compatible"), because)
                }
            });
        }
        Ok(reasons)
    }
}

/// What a hook outside of this process answers, as JSON: `{"compatible": true, "reasons": ["the schema is at 42"]}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Whether the patched image can live with the data.
    pub compatible: bool,
    /// Why, in words. Without any, the answer itself is the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
}

impl Answer {
    fn reasons(self) -> Vec<Reason> {
        let reason = |message: String| Reason::of(self.compatible, message, Vec::new());
        match self.reasons.is_empty() {
            true => vec![reason(format!("the hook answers: compatible {}", self.compatible))],
            false => self.reasons.into_iter().map(reason).collect(),
        }
    }
}
