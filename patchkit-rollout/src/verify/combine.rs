//! One verifier of several.
//!
//! All parts run side by side, and none is stopped because another has answered: every reason is kept, as a tree. Each
//! fails closed: a part that ends with an error, or answers about another image, or checks nothing, does not hold, with
//! what was wrong as its reason; only [`Cancel`](patchkit_core::ErrorKind::Cancel) ends the whole. What the parts
//! attach is kept with their place before its name: `1-rescan/rescan-linux-amd64-0123456789ab.json`.
//!
//! ```
//! use std::sync::Arc;
//! use patchkit_core::{Reason, Verdict, Verifier, memory::MemoryVerifier};
//! use patchkit_rollout::verify::combine;
//!
//! let says = |name: &str| -> Arc<dyn Verifier> {
//!     Arc::new(MemoryVerifier::new(name, |patched| {
//!         Ok(Verdict { subject: *patched.images().digest(), reasons: vec![Reason::yes("fine")], evidence: vec![] })
//!     }))
//! };
//! let both = combine::all(says("tests"), [says("hardening")]);
//! let two_of_three = combine::at_least(2, says("a"), [says("b"), says("c")])?;
//! # Ok::<_, patchkit_core::Error>(())
//! ```

use std::sync::Arc;

use async_trait::async_trait;
use futures::{StreamExt, stream};
use patchkit_core::{
    Context, Error, ErrorKind, Evidence, Patched, Plugin, PluginInfo, Reason, Result, Verdict, Verifier,
};

/// How many parts run at once where nothing else is said.
const PARALLEL: usize = 4;

/// Several verifiers as one: [`all`], [`any`], [`at_least`].
#[derive(Clone, Debug)]
pub struct Combined {
    rule: Rule,
    /// Never empty.
    parts: Vec<Arc<dyn Verifier>>,
    parallel: usize,
}

/// How many parts must pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    All,
    Any,
    AtLeast(usize),
}

/// Passes where every part passes.
pub fn all(first: impl Verifier + 'static, rest: impl IntoIterator<Item = Arc<dyn Verifier>>) -> Combined {
    Combined::new(Rule::All, first, rest)
}

/// Passes where a part passes, whatever becomes of the others.
pub fn any(first: impl Verifier + 'static, rest: impl IntoIterator<Item = Arc<dyn Verifier>>) -> Combined {
    Combined::new(Rule::Any, first, rest)
}

/// Passes where so many parts pass, whatever becomes of the others.
///
/// # Errors
/// [`Invalid`](ErrorKind::Invalid) for none, and for more than there are.
pub fn at_least(
    number: usize,
    first: impl Verifier + 'static,
    rest: impl IntoIterator<Item = Arc<dyn Verifier>>,
) -> Result<Combined> {
    let combined = Combined::new(Rule::AtLeast(number), first, rest);
    match number {
        0 => Err(Error::invalid("at least none of the verifiers: nothing would be asked for")),
        n if n > combined.parts.len() => {
            Err(Error::invalid(format!("at least {n} of {} verifiers: it could never pass", combined.parts.len())))
        }
        _ => Ok(combined),
    }
}

impl Combined {
    fn new(rule: Rule, first: impl Verifier + 'static, rest: impl IntoIterator<Item = Arc<dyn Verifier>>) -> Self {
        let first: Arc<dyn Verifier> = Arc::new(first);
        Self { rule, parts: [first].into_iter().chain(rest).collect(), parallel: PARALLEL }
    }

    /// The same, with at most so many parts running at once, and at least one; four by default.
    #[must_use]
    pub fn with_parallel(self, parts: usize) -> Self {
        Self { parallel: parts.max(1), ..self }
    }

    fn needed(&self) -> usize {
        match self.rule {
            Rule::All => self.parts.len(),
            Rule::Any => 1,
            Rule::AtLeast(number) => number,
        }
    }

    /// The reasons at the top: of `all` those of the parts, otherwise one that they are under, so that a part may fail.
    fn judge(&self, reasons: Vec<Reason>) -> Vec<Reason> {
        let (passed, needed) = (reasons.iter().filter(|reason| reason.holds).count(), self.needed());
        let message = format!("{passed} of {} verifiers pass, at least {needed} must", reasons.len());
        match self.rule {
            Rule::All => reasons,
            Rule::Any | Rule::AtLeast(_) => vec![Reason::of(passed >= needed, message, reasons)],
        }
    }
}

impl Plugin for Combined {
    fn info(&self) -> PluginInfo {
        let (name, needed) = match self.rule {
            Rule::All => ("all", 0),
            Rule::Any => ("any", 0),
            Rule::AtLeast(number) => ("at-least", number),
        };
        let infos: Vec<_> = self.parts.iter().map(Plugin::info).collect();
        let mut needs: Vec<_> = infos.iter().flat_map(|info| info.needs.clone()).collect();
        needs.sort();
        needs.dedup();
        let info = PluginInfo::new(name, env!("CARGO_PKG_VERSION")).configured(&(needed, infos));
        PluginInfo { needs, ..info }
    }
}

#[async_trait]
impl Verifier for Combined {
    async fn verify(&self, patched: &Patched, cx: &Context) -> Result<Verdict> {
        cx.check()?;
        let subject = *patched.images().digest();
        let runs: Vec<_> = self.parts.iter().map(|part| answer(part, patched, cx)).collect();
        let answers: Vec<_> = stream::iter(runs).buffered(self.parallel).collect().await;
        let (mut reasons, mut evidence) = (Vec::new(), Vec::new());
        for (place, (name, answer)) in answers.into_iter().enumerate() {
            match answer {
                Err(error) if error.kind() == ErrorKind::Cancel => return Err(error),
                Err(error) => reasons.push(Reason::no(format!("{name}: could not tell: {error}"))),
                Ok(verdict) => {
                    reasons.push(said(&name, &verdict, patched));
                    evidence.extend(verdict.evidence.into_iter().map(|evidence| kept_apart(place, &name, evidence)));
                }
            }
        }
        Ok(Verdict { subject, reasons: self.judge(reasons), evidence })
    }
}

async fn answer(part: &Arc<dyn Verifier>, patched: &Patched, cx: &Context) -> (String, Result<Verdict>) {
    (part.info().name, part.verify(patched, cx).await)
}

/// What a part says, as one reason.
fn said(name: &str, verdict: &Verdict, patched: &Patched) -> Reason {
    let because = verdict.reasons.clone();
    if verdict.subject != *patched.images().digest() {
        let message = format!("{name}: could not tell: the verdict is about {}", verdict.subject);
        return Reason { because, ..Reason::no(message) };
    }
    let message = match verdict.passes() {
        true => format!("{name} passes"),
        false if because.is_empty() => format!("{name}: could not tell: nothing was checked"),
        false => format!("{name} does not pass"),
    };
    Reason::of(verdict.passes(), message, because)
}

fn kept_apart(place: usize, part: &str, evidence: Evidence) -> Evidence {
    Evidence { name: format!("{}-{part}/{}", place + 1, evidence.name), ..evidence }
}
