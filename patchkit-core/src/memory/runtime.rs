use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;

use crate::{
    Command, Connection, Container, Context, Error, Image, Outcome, Output, Plugin, PluginInfo, Result, Runtime,
};

type Answer = dyn Fn(&Image, &Command) -> Result<Outcome> + Send + Sync;

/// A runtime that is a closure: it runs nothing, it answers.
///
/// It is asked once for each command: when a container is started, and when another command is run in it.
#[derive(Clone)]
pub struct MemoryRuntime {
    info: PluginInfo,
    answer: Arc<Answer>,
}

impl MemoryRuntime {
    /// The runtime that is called this and answers like that.
    pub fn new(name: &str, answer: impl Fn(&Image, &Command) -> Result<Outcome> + Send + Sync + 'static) -> Self {
        Self { info: PluginInfo::new(name, env!("CARGO_PKG_VERSION")), answer: Arc::new(answer) }
    }
}

impl fmt::Debug for MemoryRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MemoryRuntime").field(&self.info.name).finish()
    }
}

impl Plugin for MemoryRuntime {
    fn info(&self) -> PluginInfo {
        self.info.clone()
    }
}

#[async_trait]
impl Runtime for MemoryRuntime {
    async fn start(&self, image: &Image, command: &Command, cx: &Context) -> Result<Box<dyn Container>> {
        cx.check()?;
        let first = (self.answer)(image, command)?;
        Ok(Box::new(MemoryContainer { answer: self.answer.clone(), image: image.clone(), first }))
    }
}

/// A first command that has its answer already.
struct MemoryContainer {
    answer: Arc<Answer>,
    image: Image,
    first: Outcome,
}

impl fmt::Debug for MemoryContainer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryContainer").field("image", &self.image).finish_non_exhaustive()
    }
}

#[async_trait]
impl Container for MemoryContainer {
    async fn exec(&self, command: &Command, cx: &Context) -> Result<Outcome> {
        cx.check()?;
        (self.answer)(&self.image, command)
    }

    async fn output(&self, _cx: &Context) -> Result<Output> {
        Ok(Output { stdout: self.first.stdout.clone(), stderr: self.first.stderr.clone() })
    }

    async fn connect(&self, port: u16, _cx: &Context) -> Result<Box<dyn Connection>> {
        Err(Error::unsupported("nothing runs in memory").on(format!("port {port}")))
    }

    async fn read(&self, path: &str, _cx: &Context) -> Result<Option<Bytes>> {
        Ok(self.first.files.get(path).cloned())
    }

    async fn wait(self: Box<Self>, cx: &Context) -> Result<Outcome> {
        cx.check()?;
        Ok(self.first)
    }

    async fn stop(self: Box<Self>, _grace: Duration, cx: &Context) -> Result<Outcome> {
        self.wait(cx).await
    }
}
