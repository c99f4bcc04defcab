use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use crate::context::Clock;

/// A clock that stands still until a test moves it. Clones share the time.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<watch::Sender<Timestamp>>);

impl ManualClock {
    /// A clock that shows the given time.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self(Arc::new(watch::Sender::new(now)))
    }

    /// Moves the time on and wakes those who waited for it.
    pub fn advance(&self, by: Duration) {
        self.0.send_modify(|now| *now = later(*now, by));
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.borrow()
    }

    async fn sleep(&self, duration: Duration) {
        let mut time = self.0.subscribe();
        let until = later(self.now(), duration);
        // The sender lives as long as `self`, so waiting cannot fail.
        let _ = time.wait_for(|now| *now >= until).await;
    }
}

fn later(now: Timestamp, by: Duration) -> Timestamp {
    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
    now.checked_add(by).unwrap_or(Timestamp::MAX)
}
