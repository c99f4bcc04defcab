//! Whether something that a suite started outlives its containers, whatever the runtime says.

use std::{
    collections::BTreeMap,
    fs,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use patchkit_core::{Context, Result};

use super::Suite;
use crate::verify::behaviour::isolation::Process;

/// The variable by which processes of a run are known on the host.
const VARIABLE: &str = "PATCHKIT_SUITE_RUN";

/// How long the kernel may take to end what is in a container.
const GRACE: Duration = Duration::from_secs(3);

/// The mark that all processes of one run of a suite inherit.
pub(super) struct Mark(String);

impl Mark {
    /// A mark that no other run has.
    pub(super) fn new(cx: &Context) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        Self(format!("{}-{}-{}", cx.run(), std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)))
    }

    /// The suite, whose commands have the mark.
    pub(super) fn on(&self, suite: &Suite) -> Suite {
        let mut suite = suite.clone();
        suite.environment.env.insert(VARIABLE.into(), self.0.clone());
        suite
    }

    /// The processes of this machine that have the mark and do not end within a time of grace, as words.
    ///
    /// Nothing is seen of a runtime on another machine, and of a process that wrote over its first environment.
    pub(super) async fn survivors(&self, cx: &Context) -> Result<Vec<String>> {
        let began = cx.now();
        loop {
            let alive = self.alive();
            if alive.is_empty() || cx.now().duration_since(began).unsigned_abs() >= GRACE {
                return Ok(alive.into_iter().map(|(process, name)| format!("{name} (pid {})", process.id)).collect());
            }
            cx.sleep(Duration::from_millis(50)).await?;
        }
    }

    fn alive(&self) -> BTreeMap<Process, String> {
        let Ok(all) = fs::read_dir("/proc") else { return BTreeMap::new() };
        let numbers = all.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        numbers.filter_map(|id| self.marked(id)).collect()
    }

    /// The process and its name, where it is alive and has the mark.
    fn marked(&self, id: u32) -> Option<(Process, String)> {
        let environment = fs::read(format!("/proc/{id}/environ")).ok()?;
        let mark = format!("{VARIABLE}={}", self.0);
        if !environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes()) {
            return None;
        }
        let process = Process::read(&fs::read(format!("/proc/{id}/stat")).ok()?)?;
        let name = fs::read_to_string(format!("/proc/{id}/comm")).unwrap_or_default();
        Some((process, name.trim().to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_survivor_is_named_until_it_is_gone() {
        let (mark, cx) = (Mark::new(&Context::new()), Context::new());
        let other = Mark::new(&cx);
        let mut child = std::process::Command::new("sleep").arg("60").env(VARIABLE, &mark.0).spawn().unwrap();
        assert_eq!(mark.survivors(&cx).await.unwrap(), [format!("sleep (pid {})", child.id())]);
        assert!(other.survivors(&cx).await.unwrap().is_empty());
        child.kill().unwrap();
        assert!(mark.survivors(&cx).await.unwrap().is_empty(), "one that was not waited for is dead all the same");
        child.wait().unwrap();
    }
}
