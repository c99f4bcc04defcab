use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use crate::{Action, Context, Deployer, Digest, Error, Observation, Plugin, PluginInfo, Result};

/// A deployment in memory that reaches what it is told at once. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct MemoryDeployer(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    stable: Option<Digest>,
    canary: Option<(Digest, u8)>,
    previous: Option<Digest>,
}

impl MemoryDeployer {
    /// A deployment that runs the given image.
    #[must_use]
    pub fn running(digest: Digest) -> Self {
        Self(Arc::new(Mutex::new(State { stable: Some(digest), ..State::default() })))
    }
}

impl Plugin for MemoryDeployer {
    fn info(&self) -> PluginInfo {
        PluginInfo::new("memory", env!("CARGO_PKG_VERSION"))
    }
}

#[async_trait]
impl Deployer for MemoryDeployer {
    async fn observe(&self, _cx: &Context) -> Result<Observation> {
        let state = self.0.lock().expect("nobody panics while holding the lock");
        let canary = state.canary.map_or(0, |(_, percent)| percent);
        let stable = state.stable.map(|digest| (digest, 100 - canary));
        let shares = stable.into_iter().chain(state.canary).filter(|(_, percent)| *percent > 0).collect();
        Ok(Observation { shares, settled: true, message: None })
    }

    async fn perform(&self, action: &Action, _cx: &Context) -> Result<()> {
        let Action::Release { image, percent } = action;
        let digest = *image.digest().ok_or_else(|| Error::invalid("an image is released by digest").on(image))?;
        let mut state = self.0.lock().expect("nobody panics while holding the lock");
        match percent {
            0..100 if state.stable != Some(digest) => state.canary = Some((digest, *percent)),
            0..=100 => {
                if state.stable != Some(digest) {
                    state.previous = state.stable.replace(digest);
                }
                state.canary = None;
            }
            _ => return Err(Error::invalid(format!("a share of {percent} %")).on(image)),
        }
        Ok(())
    }

    async fn rollback(&self, _cx: &Context) -> Result<()> {
        let mut state = self.0.lock().expect("nobody panics while holding the lock");
        if state.canary.take().is_none() && state.previous.is_some() {
            state.stable = state.previous.take();
        }
        Ok(())
    }
}
