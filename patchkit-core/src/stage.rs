//! One step of a pipeline, of one's own making.

use std::{fmt, future::Future, marker::PhantomData, sync::Arc};

use async_trait::async_trait;

use crate::{Context, Stop};

/// A step from one link of the chain to the next, or to something of one's own.
#[async_trait]
pub trait Stage: fmt::Debug + Send + Sync {
    /// What it takes.
    type In: Send + Sync + 'static;
    /// What it makes.
    type Out: Send + Sync + 'static;

    /// Takes the step.
    async fn run(&self, input: Arc<Self::In>, cx: &Context) -> Result<Arc<Self::Out>, Stop>;
}

/// A stage made of a name and a closure.
///
/// ```
/// use patchkit_core::{Reason, Scanned, Stop, stage_fn};
///
/// let only_small = stage_fn("only-small", |scanned: std::sync::Arc<Scanned>, _cx| async move {
///     match scanned.reports().iter().map(|report| report.packages.len()).sum::<usize>() {
///         0..1000 => Ok(scanned),
///         n => Err(Stop::Refused { stage: "only-small", reasons: vec![Reason::no(format!("{n} packages"))] }),
///     }
/// });
/// ```
pub fn stage_fn<In, Out, F, Fut>(name: &'static str, function: F) -> impl Stage<In = In, Out = Out>
where
    In: Send + Sync + 'static,
    Out: Send + Sync + 'static,
    F: Fn(Arc<In>, Context) -> Fut + Send + Sync,
    Fut: Future<Output = Result<Arc<Out>, Stop>> + Send,
{
    StageFn { name, function, types: PhantomData::<fn(In) -> Out> }
}

struct StageFn<F, In, Out> {
    name: &'static str,
    function: F,
    types: PhantomData<fn(In) -> Out>,
}

impl<F, In, Out> fmt::Debug for StageFn<F, In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

#[async_trait]
impl<In, Out, F, Fut> Stage for StageFn<F, In, Out>
where
    In: Send + Sync + 'static,
    Out: Send + Sync + 'static,
    F: Fn(Arc<In>, Context) -> Fut + Send + Sync,
    Fut: Future<Output = Result<Arc<Out>, Stop>> + Send,
{
    type In = In;
    type Out = Out;

    async fn run(&self, input: Arc<In>, cx: &Context) -> Result<Arc<Out>, Stop> {
        (self.function)(input, cx.clone()).await
    }
}
