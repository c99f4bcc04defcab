use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use patchkit_core::{
    Command, Connection, Container, Context, Error, Image, Outcome, Output, Result, Runtime, RuntimeExt,
};

use super::Suite;

/// What a suite without services runs in: each command has a container of its own.
#[derive(Debug)]
pub(super) struct Fresh<'a> {
    pub(super) suite: &'a Suite,
    pub(super) image: &'a Image,
    pub(super) runtime: &'a dyn Runtime,
}

impl Fresh<'_> {
    /// The command in the surroundings that a container would have given it.
    fn surrounded(&self, command: &Command) -> Command {
        let Command { mounts, network, capabilities, read_only_root, limits, .. } = self.suite.command();
        let mut command = Command { mounts, network, capabilities, read_only_root, ..command.clone() };
        command.limits.memory = limits.memory;
        command.limits.processes = limits.processes;
        command.limits.time = command.limits.time.or(limits.time);
        command
    }
}

#[async_trait]
impl Container for Fresh<'_> {
    async fn exec(&self, command: &Command, cx: &Context) -> Result<Outcome> {
        self.runtime.run(self.image, &self.surrounded(command), cx).await
    }

    async fn output(&self, _cx: &Context) -> Result<Output> {
        Ok(Output::default())
    }

    async fn connect(&self, port: u16, _cx: &Context) -> Result<Box<dyn Connection>> {
        Err(Error::unavailable("the suite has no services").on(format!("port {port}")))
    }

    async fn read(&self, path: &str, _cx: &Context) -> Result<Option<Bytes>> {
        Err(Error::unsupported("the suite has no services whose container could be looked at").on(path))
    }

    async fn wait(self: Box<Self>, _cx: &Context) -> Result<Outcome> {
        Err(Error::unsupported("there is no first command to wait for"))
    }

    async fn stop(self: Box<Self>, _grace: Duration, cx: &Context) -> Result<Outcome> {
        self.wait(cx).await
    }
}
