//! When to try again, and when to give up.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use jiff::Timestamp;
use patchkit_core::{Context, Error, ErrorKind, Result, Retry};
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// How often and how patiently something is tried again that may be: 408, 429, 5xx, no connection, a dropped one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How often it is tried in all. A transfer that made progress starts counting anew.
    pub attempts: u32,
    /// The wait before the second attempt; it doubles each time, and up to half of it is left to chance.
    pub first: Duration,
    /// The longest such wait.
    pub most: Duration,
    /// The longest wait that a registry may ask for with `Retry-After`. More is left to the caller: the error says
    /// how long.
    pub patience: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 5,
            first: Duration::from_millis(250),
            most: Duration::from_secs(15),
            patience: Duration::from_secs(120),
        }
    }
}

impl RetryPolicy {
    /// Nothing is tried again.
    #[must_use]
    pub fn never() -> Self {
        Self { attempts: 1, ..Self::default() }
    }
}

/// Counts the failures of one operation.
#[derive(Debug)]
pub(super) struct Attempts {
    policy: RetryPolicy,
    failed: u32,
}

impl Attempts {
    pub(super) fn new(policy: RetryPolicy) -> Self {
        Self { policy, failed: 0 }
    }

    /// Whether it failed before.
    pub(super) fn again(&self) -> bool {
        self.failed > 0
    }

    /// Forgets the failures: something got through.
    pub(super) fn progressed(&mut self) {
        self.failed = 0;
    }

    /// Waits until the next attempt; gives the error back where there should be none. One that is given up but may
    /// help later, such as a busy registry, still says so.
    pub(super) async fn pause(&mut self, error: Error, cx: &Context) -> Result<()> {
        self.failed += 1;
        let Retry::After(asked) = error.retryable() else { return Err(error) };
        if self.failed >= self.policy.attempts || asked.is_some_and(|asked| asked > self.policy.patience) {
            let may_help_later = error.kind() == ErrorKind::Unavailable;
            return Err(if may_help_later { error } else { error.retry(Retry::Never) });
        }
        let wait = self.backoff().max(asked.unwrap_or_default());
        tracing::debug!(%error, attempt = self.failed, ?wait, "trying again");
        cx.sleep(wait).await
    }

    fn backoff(&self) -> Duration {
        let doubled = self.policy.first.saturating_mul(1 << (self.failed - 1).min(16)).min(self.policy.most);
        doubled.mul_f64(0.5 + random_fraction() / 2.0)
    }
}

/// A number in 0..1; good enough to spread clients out.
fn random_fraction() -> f64 {
    let random = RandomState::new().hash_one(()) >> 40;
    f64::from(u32::try_from(random).expect("24 bits are left")) / f64::from(1u32 << 24)
}

/// How long the other side asks to be left alone (RFC 9110, section 10.2.3: seconds or a date).
pub(super) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(date.duration_since(now).try_into().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use patchkit_core::{Clock, memory::ManualClock};

    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = "1994-11-06T08:49:07Z".parse().unwrap();
        for (text, seconds) in [
            ("7", Some(7)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(30)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
        ] {
            let headers = [(RETRY_AFTER, text.parse().unwrap())].into_iter().collect();
            assert_eq!(retry_after(&headers, now), seconds.map(Duration::from_secs), "{text}");
        }
    }

    #[tokio::test]
    async fn never_earlier_than_asked_nor_longer_than_patience() {
        let clock = ManualClock::at(Timestamp::UNIX_EPOCH);
        let cx = Context::new().with_clock(Arc::new(clock.clone()));
        let busy = |seconds| Error::unavailable("busy").retry(Retry::After(Some(Duration::from_secs(seconds))));

        let mut attempts = Attempts::new(RetryPolicy::default());
        assert_eq!(attempts.pause(busy(121), &cx).await.unwrap_err().retryable(), busy(121).retryable());

        let waiting = tokio::spawn({
            let cx = cx.clone();
            async move { Attempts::new(RetryPolicy::default()).pause(busy(100), &cx).await }
        });
        tokio::task::yield_now().await;
        clock.advance(Duration::from_secs(99));
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        clock.advance(Duration::from_secs(1));
        waiting.await.unwrap().unwrap();
        assert_eq!(clock.now(), Timestamp::from_second(100).unwrap());
    }

    #[tokio::test]
    async fn what_cannot_help_is_not_tried() {
        let cx = Context::new();
        let mut attempts = Attempts::new(RetryPolicy { first: Duration::ZERO, ..RetryPolicy::default() });
        let corrupt = Error::corrupt("no").retry(Retry::After(None));
        assert_eq!(attempts.pause(corrupt, &cx).await.unwrap_err().kind(), ErrorKind::Corrupt);
        for _ in 0..3 {
            attempts.pause(Error::unavailable("down"), &cx).await.unwrap();
        }
        assert_eq!(attempts.pause(Error::unavailable("down"), &cx).await.unwrap_err().kind(), ErrorKind::Unavailable);
    }

    #[test]
    fn waits_double_up_to_a_limit() {
        let mut attempts = Attempts::new(RetryPolicy::default());
        for (failed, most) in [(1, 250), (2, 500), (3, 1000), (40, 15_000)] {
            attempts.failed = failed;
            let wait = attempts.backoff();
            let most = Duration::from_millis(most);
            assert!(wait >= most / 2 && wait <= most, "{failed}: {wait:?}");
        }
    }
}
