//! The services of both images, side by side, while they are asked the same.

use patchkit_core::{Context, Reason, Result, Runtime};

use super::Suite;
use crate::verify::pair::Pair;

/// Without HTTP there is nothing to ask.
#[cfg(not(feature = "http"))]
pub(super) async fn judge(
    _suite: &Suite,
    _pair: Pair<'_>,
    _runtime: &dyn Runtime,
    _cx: &Context,
) -> Result<Vec<Reason>> {
    Ok(Vec::new())
}

#[cfg(feature = "http")]
pub(super) use asked::judge;

#[cfg(feature = "http")]
mod asked {
    use std::fs;

    use patchkit_core::{Command, Container, Error};

    use async_trait::async_trait;

    use super::{
        super::{
            Behaviour, Hook, Service, SuiteRun,
            session::{self, Work},
        },
        *,
    };
    use crate::verify::behaviour::{
        compatibility::{CommandHook, Compatibility, Hooks},
        contract::{self, Contract},
        probe::{self, ProbeSet},
    };

    /// Starts the services in both images and asks them what the suite says.
    pub(in super::super) async fn judge(
        suite: &Suite,
        pair: Pair<'_>,
        runtime: &dyn Runtime,
        cx: &Context,
    ) -> Result<Vec<Reason>> {
        let Some(behaviour) = &suite.behaviour else { return Ok(Vec::new()) };
        let services = suite.services.split_first();
        let services = services.ok_or_else(|| Error::invalid("the suite asks for behaviour, but has no services"))?;
        let mut original = Original { suite, services, pair, runtime, behaviour, reasons: Vec::new() };
        session::beside(suite, services, (pair.before, runtime), &mut SuiteRun::of(pair.before), &mut original, cx)
            .await?;
        if original.reasons.is_empty() {
            original.reasons.push(Reason::no("could not tell how the services behave: they could not be started"));
        }
        Ok(original.reasons)
    }

    /// The services of the original run, so that those of the patched image can be started beside them.
    struct Original<'a> {
        suite: &'a Suite,
        services: (&'a Service, &'a [Service]),
        pair: Pair<'a>,
        runtime: &'a dyn Runtime,
        behaviour: &'a Behaviour,
        reasons: Vec<Reason>,
    }

    #[async_trait]
    impl Work for Original<'_> {
        async fn act(&mut self, container: &dyn Container, _run: &mut SuiteRun, cx: &Context) -> Result<()> {
            let Self { suite, services, pair, runtime, behaviour, reasons } = self;
            let mut both = Both { before: container, behaviour, reasons };
            let run = &mut SuiteRun::of(pair.after);
            session::beside(suite, *services, (pair.after, *runtime), run, &mut both, cx).await
        }
    }

    /// The services of both run.
    struct Both<'a> {
        before: &'a dyn Container,
        behaviour: &'a Behaviour,
        reasons: &'a mut Vec<Reason>,
    }

    #[async_trait]
    impl Work for Both<'_> {
        async fn act(&mut self, container: &dyn Container, _run: &mut SuiteRun, cx: &Context) -> Result<()> {
            *self.reasons = ask(self.behaviour, [self.before, container], cx).await?;
            Ok(())
        }
    }

    async fn ask(behaviour: &Behaviour, [before, after]: [&dyn Container; 2], cx: &Context) -> Result<Vec<Reason>> {
        let mut reasons = Vec::new();
        if !behaviour.probes.is_empty() {
            let set = ProbeSet::new(behaviour.probes.clone())?;
            reasons.extend(probe::side_by_side(&set, before, after, cx).await?.1);
        }
        if let Some(promise) = &behaviour.contract {
            let content = fs::read(&promise.document);
            let content = content.map_err(|error| Error::invalid(error.to_string()).on(promise.document.display()))?;
            let document = Contract::read(&content).map_err(|error| error.on(promise.document.display()))?;
            reasons.extend(contract::check(&document, &promise.calls, before, after, cx).await?);
        }
        for Hook { name, command, user, within } in &behaviour.hooks {
            let command = Command { args: command.clone(), user: user.clone(), ..Command::default() };
            let hook = Hooks::new(name, CommandHook::new(command, *within), *within);
            reasons.extend(hook.check(before, after, cx).await?);
        }
        Ok(reasons)
    }
}
