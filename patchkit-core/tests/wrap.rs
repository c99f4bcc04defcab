//! Wrappers around a port: how often, how many at once, how long.
#![allow(clippy::unwrap_used)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use patchkit_core::{
    memory::ManualClock,
    wrap::{Limit, Record, Retry, Timeout, Wrap},
    *,
};

/// A signer that fails some times, or hangs, and counts.
#[derive(Clone, Debug, Default)]
struct Flaky {
    asked: Arc<AtomicUsize>,
    running: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    failures: usize,
    error: Option<fn() -> Error>,
    takes: Duration,
}

impl Plugin for Flaky {
    fn info(&self) -> PluginInfo {
        PluginInfo::new("flaky", "1")
    }
}

#[async_trait]
impl Signer for Flaky {
    async fn sign(&self, _message: &[u8], cx: &Context) -> Result<Signature> {
        let asked = self.asked.fetch_add(1, SeqCst);
        self.most.fetch_max(self.running.fetch_add(1, SeqCst) + 1, SeqCst);
        cx.sleep(self.takes).await?;
        self.running.fetch_sub(1, SeqCst);
        match self.error {
            Some(error) if asked < self.failures => Err(error()),
            _ => Ok(Signature { key_id: "k".into(), bytes: vec![] }),
        }
    }

    async fn identity(&self, _cx: &Context) -> Result<Identity> {
        Err(Error::unsupported("none"))
    }
}

/// Runs a call while a clock is moved on by a second whenever everything waits, and says how long it took.
async fn timed<T>(call: impl AsyncFnOnce(Context) -> T) -> (T, i64) {
    let clock = ManualClock::at(Timestamp::UNIX_EPOCH);
    let cx = Context::new().with_clock(Arc::new(clock.clone()));
    let ticks = async {
        loop {
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            clock.advance(Duration::from_secs(1));
        }
    };
    tokio::select! {
        biased;
        done = call(cx.clone()) => (done, cx.now().as_second()),
        () = ticks => unreachable!("the clock never stops"),
    }
}

#[tokio::test]
async fn retries_what_may_help_with_growing_delays() {
    let flaky = Flaky { failures: 3, error: Some(|| Error::unavailable("busy")), ..Flaky::default() };
    let retry = Retry { times: 5, first: Duration::from_secs(2), longest: Duration::from_secs(60) };
    let signer = flaky.clone().wrapped(retry);
    let (signed, seconds) = timed(async |cx| signer.sign(b"", &cx).await).await;
    signed.unwrap();
    assert_eq!((flaky.asked.load(SeqCst), seconds), (4, 2 + 4 + 8));
}

#[tokio::test]
async fn keeps_the_delay_that_was_asked_for() {
    let later = || Error::unavailable("busy").retry(patchkit_core::Retry::After(Some(Duration::from_secs(30))));
    let flaky = Flaky { failures: 1, error: Some(later), ..Flaky::default() };
    let signer = flaky.clone().wrapped(Retry::default());
    let (signed, seconds) = timed(async |cx| signer.sign(b"", &cx).await).await;
    signed.unwrap();
    assert_eq!(seconds, 30);

    let never = Retry { longest: Duration::from_secs(10), ..Retry::default() };
    let flaky = Flaky { failures: 1, error: Some(later), ..Flaky::default() };
    let (signed, _) = timed(async |cx| flaky.clone().wrapped(never).sign(b"", &cx).await).await;
    assert_eq!(signed.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn does_not_retry_what_cannot_help_and_gives_up_in_the_end() {
    let cases: [(fn() -> Error, usize); 3] =
        [(|| Error::corrupt("bad"), 1), (|| Error::denied("no"), 1), (|| Error::unavailable("busy"), 1 + 5)];
    for (error, asked) in cases {
        let flaky = Flaky { failures: 99, error: Some(error), ..Flaky::default() };
        let signer = flaky.clone().wrapped(Retry::default());
        timed(async |cx| signer.sign(b"", &cx).await).await.0.unwrap_err();
        assert_eq!(flaky.asked.load(SeqCst), asked);
    }
}

#[tokio::test]
async fn a_slow_call_is_dropped() {
    let flaky = Flaky { takes: Duration::from_secs(100), ..Flaky::default() };
    let signer = flaky.clone().wrapped(Timeout(Duration::from_secs(5)));
    let (signed, seconds) = timed(async |cx| signer.sign(b"", &cx).await).await;
    assert_eq!((signed.unwrap_err().kind(), seconds), (ErrorKind::Unavailable, 5));
}

#[tokio::test]
async fn only_so_many_run_at_once() {
    let flaky = Flaky { takes: Duration::from_secs(1), ..Flaky::default() };
    let signer = flaky.clone().wrapped(Limit::new(3));
    let (done, _) = timed(async |cx| futures::future::join_all((0..10).map(|_| signer.sign(b"", &cx))).await).await;
    assert!(done.iter().all(Result::is_ok));
    assert_eq!((flaky.most.load(SeqCst), flaky.asked.load(SeqCst)), (3, 10));
}

#[tokio::test]
async fn calls_are_noted() {
    let record = Record::default();
    let signer = Flaky::default().wrapped(record.clone());
    let cx = Context::new();
    signer.sign(b"", &cx).await.unwrap();
    signer.identity(&cx).await.unwrap_err();
    let calls: Vec<_> = record.calls().into_iter().map(|call| (call.operation, call.failed)).collect();
    assert_eq!(calls, [("sign", None), ("identity", Some(ErrorKind::Unsupported))]);
}
