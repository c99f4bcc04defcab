//! Asking both containers what a contract declares.

use patchkit_core::{Container, Context, ErrorKind, Reason, Result};

use super::{Calls, Contract, answer, operation, operation::Operation, request};
use crate::verify::behaviour::http::{Client, Request};

/// Asks both containers each operation that is to be called: a reason for each, sorted by path and method, and one
/// with those that are not called. An operation that should be but cannot be built or is not answered does not hold.
///
/// # Errors
/// [`Cancel`](ErrorKind::Cancel).
pub async fn check(
    contract: &Contract,
    calls: &Calls,
    before: &dyn Container,
    after: &dyn Container,
    cx: &Context,
) -> Result<Vec<Reason>> {
    let (mut reasons, mut left_out) = (Vec::new(), Vec::new());
    for (name, operation) in operation::all(contract) {
        if let Some(why) = calls.except.get(&name) {
            left_out.push(Reason::yes(format!("{name}: {why}")));
            continue;
        }
        let built = operation.and_then(|operation| Ok((request::build(contract, &operation, calls)?, operation)));
        match built {
            Ok((request, operation)) => {
                reasons.push(ask(&name, contract, &operation, &request, [before, after], cx).await?);
            }
            Err(why) if is_left_out(&name) => left_out.push(Reason::yes(format!("{name}: {why}"))),
            Err(why) => reasons.push(Reason::no(format!("could not tell whether {name} keeps its contract: {why}"))),
        }
    }
    if reasons.is_empty() {
        reasons.push(Reason::no("no operation of the contract was called: nothing was checked"));
    }
    if !left_out.is_empty() {
        let message = format!("{} operations are not called", left_out.len());
        reasons.push(Reason::of(true, message, left_out));
    }
    Ok(reasons)
}

/// Whether an operation need not be called: only one that changes nothing always can be.
fn is_left_out(name: &str) -> bool {
    let method = name.split(' ').next().unwrap_or_default();
    method != "ANY" && !request::is_safe(method)
}

async fn ask(
    name: &str,
    contract: &Contract,
    operation: &Operation<'_>,
    request: &Request,
    [before, after]: [&dyn Container; 2],
    cx: &Context,
) -> Result<Reason> {
    let client = Client::default();
    let was = client.send(request, before, cx).await;
    let is = client.send(request, after, cx).await;
    match (was, is) {
        (Ok(was), Ok(is)) => Ok(answer::compare(name, contract, operation, [&was, &is])),
        (Err(error), _) | (_, Err(error)) if error.kind() == ErrorKind::Cancel => Err(error),
        (Ok(_), Err(error)) => Ok(Reason::no(format!("{name} is not answered any more: {error}"))),
        (Err(error), _) => {
            Ok(Reason::no(format!("could not tell whether {name} keeps its contract: the original: {error}")))
        }
    }
}

/// The document that a service gives of itself: `/openapi.json`.
///
/// # Errors
/// Those of [`Client::send`] and [`Contract::read`]; [`NotFound`](ErrorKind::NotFound) for a status that is not 200.
pub async fn served(port: u16, path: &str, container: &dyn Container, cx: &Context) -> Result<Contract> {
    let response = Client::default().send(&Request::get(port, path), container, cx).await?;
    match response.status {
        200 => Contract::read(&response.body),
        status => Err(patchkit_core::Error::not_found(format!("status {status}")).on(path)),
    }
}
