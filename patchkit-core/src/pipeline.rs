//! placeholder
use crate::*;
/// A pipeline.
#[derive(Debug)]
pub struct Pipeline<Out>(std::marker::PhantomData<Out>);
/// How a signature is wrapped and attached.
pub trait SignatureFormat: std::fmt::Debug + Send + Sync {}
