//! A service's behaviour, before and after, against real servers and programs on this machine.
#![allow(clippy::unwrap_used, unreachable_pub)]
#![cfg(feature = "http")]

mod compatibility;
mod contract;
mod http;
mod isolation;
mod probe;
mod readiness;
mod schema;
mod support;
