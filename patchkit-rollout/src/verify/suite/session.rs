//! A container in which services run while something else is done.

use std::{collections::BTreeSet, ops::RangeInclusive, pin::pin, time::Duration};

use async_trait::async_trait;
use futures::future::{BoxFuture, Either, select};
use patchkit_core::{Container, Context, Error, ErrorKind, Image, Result, Runtime};

use super::{
    Service, Suite, SuiteRun,
    run::{Ended, tail},
};
use crate::verify::{behaviour::readiness, hardening::Listening};

/// How long a first service may take to end when it is asked to.
const GRACE: Duration = Duration::from_secs(10);

/// The ports that Linux gives to who asks for none (`ip_local_port_range`).
const EPHEMERAL: RangeInclusive<u16> = 32768..=60999;

/// What is done beside the services.
#[async_trait]
pub(super) trait Work: Send {
    async fn act(&mut self, container: &dyn Container, run: &mut SuiteRun, cx: &Context) -> Result<()>;
}

/// Starts the suite's services, each when the one before is ready, does the work beside them, and ends them.
///
/// A service that is not ready is a failed test in the run, and the work is done all the same.
pub(super) async fn beside(
    suite: &Suite,
    (first, others): (&Service, &[Service]),
    (image, runtime): (&Image, &dyn Runtime),
    run: &mut SuiteRun,
    work: &mut dyn Work,
    cx: &Context,
) -> Result<()> {
    let container = match runtime.start(image, &suite.service(first), cx).await {
        Ok(container) => container,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            run.add_service(first, &Err(error), Duration::ZERO, String::new());
            return Ok(());
        }
        Err(error) => return Err(error.during(format!("start the service {}", first.name))),
    };
    ready(first, &*container, run, cx).await?;
    others_beside(suite, others, &*container, run, work, cx).await?;
    run.listening = listening(&*container, cx).await?;
    end(first, container, run, cx).await
}

async fn ready(service: &Service, container: &dyn Container, run: &mut SuiteRun, cx: &Context) -> Result<()> {
    let began = cx.now();
    let waited = readiness::wait_until_ready(container, &service.ready, cx).await;
    let took = match &waited {
        Err(error) if matches!(error.kind(), ErrorKind::Cancel | ErrorKind::Invalid) => {
            return waited.map(drop);
        }
        Ok(took) => *took,
        Err(_) => cx.now().duration_since(began).unsigned_abs(),
    };
    let output = container.output(cx).await.unwrap_or_default();
    let output = tail(&[&output.stdout[..], &output.stderr[..]].concat());
    run.add_service(service, &waited.map(drop), took, output);
    Ok(())
}

/// Does the work while the other services run beside it in the container.
fn others_beside<'a>(
    suite: &'a Suite,
    others: &'a [Service],
    container: &'a dyn Container,
    run: &'a mut SuiteRun,
    work: &'a mut dyn Work,
    cx: &'a Context,
) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        let Some((service, rest)) = others.split_first() else {
            return work.act(container, run, cx).await;
        };
        let command = suite.service(service);
        let running = pin!(container.exec(&command, cx));
        let body = async {
            ready(service, container, run, cx).await?;
            others_beside(suite, rest, container, run, work, cx).await
        };
        match select(pin!(body), running).await {
            Either::Left((done, _)) => done,
            Either::Right((ended, body)) => {
                body.await?;
                let ended = ended.map_or_else(|error| error.to_string(), |outcome| Ended(outcome.exit).to_string());
                tracing::debug!(service = service.name, ended, "a service ended by itself");
                Ok(())
            }
        }
    })
}

/// The ports that are listened on in a container, but for those that the kernel gives by itself. Where the first service
/// has ended there are none.
async fn listening(container: &dyn Container, cx: &Context) -> Result<BTreeSet<u16>> {
    let mut tables = Vec::new();
    for table in ["/proc/1/net/tcp", "/proc/1/net/tcp6"] {
        tables.push(match container.read(table, cx).await {
            Err(error) if error.kind() == ErrorKind::Cancel => return Err(error),
            read => read.ok().flatten().unwrap_or_default(),
        });
    }
    let listening = Listening::parse(&tables[0], &tables[1]);
    let listening = listening.map_err(|error| Error::unexpected(error.to_string()).because(error))?;
    Ok(listening.ports().filter(|port| !EPHEMERAL.contains(port)).collect())
}

/// Ends the first service, and with it all others.
async fn end(first: &Service, container: Box<dyn Container>, run: &mut SuiteRun, cx: &Context) -> Result<()> {
    let outcome = container.stop(GRACE, cx).await?;
    if let Some(step) = run.steps.iter_mut().find(|step| step.name == first.name) {
        step.used = outcome.used;
    }
    Ok(())
}
