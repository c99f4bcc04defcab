use std::{
    process::Command as Process,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use patchkit_core::{Command, Container, Context, Error, ErrorKind, Exit, LimitKind, Reason, Result};
use patchkit_rollout::verify::behaviour::compatibility::{CommandHook, Compatibility, Hooks, ProcessHook};
use serde_json::json;

use crate::support::{Loopback, faults, outcome, run};

const SECOND: Duration = Duration::from_secs(1);

/// A container whose commands run on this machine.
fn machine() -> Loopback {
    Loopback::new().with_exec(|command| run(Process::new(&command.args[0]).args(&command.args[1..])))
}

fn shell(script: &str) -> CommandHook {
    let args = ["sh", "-c", script].map(str::to_owned).into();
    CommandHook::new(Command { args, ..Command::default() }, SECOND)
}

async fn ask(hook: &dyn Compatibility) -> Result<Vec<Reason>> {
    hook.check(&machine(), &machine(), &Context::new()).await
}

#[tokio::test]
async fn a_command_answers_by_status_and_json() {
    let yes = ask(&shell(r#"echo working; echo '{"compatible": true, "reasons": ["schema 42"]}'"#)).await.unwrap();
    assert_eq!(yes, [Reason::yes("schema 42")]);
    let no = ask(&shell(r#"echo '{"compatible": false}'"#)).await.unwrap();
    assert_eq!(no, [Reason::no("the hook answers: compatible false")]);
    let failed = ask(&shell(r#"echo '{"compatible": true}'; echo 'no table users' >&2; exit 3"#)).await.unwrap();
    assert_eq!(failed, [Reason::no("the check ended with status 3: no table users")]);
    for silent in ["true", "echo '{\"compatible\": \"yes\"}'", "exit 127", "kill -9 $$"] {
        assert!(ask(&shell(silent)).await.is_err(), "{silent}");
    }
}

#[tokio::test]
async fn a_commands_time_is_limited() {
    let container = Loopback::new().with_exec(|command| {
        assert_eq!(command.limits.time, Some(SECOND));
        Ok(outcome(Exit::Limit(LimitKind::Time), r#"{"compatible": true}"#, ""))
    });
    let error = shell("").check(&container, &container, &Context::new()).await.unwrap_err();
    assert!(error.to_string().contains("ended by the limit of time"), "{error}");
}

fn python(script: &str) -> ProcessHook {
    ProcessHook::new("python3", 20 * SECOND).arg("-c").arg(script).with_input(json!({"schema": 42}))
}

#[tokio::test]
async fn a_program_looks_into_both_containers_and_answers() {
    let script = r#"
import json, sys
def ask(**request):
    print(json.dumps(request), flush=True)
    return json.loads(sys.stdin.readline())
start = json.loads(sys.stdin.readline())
was = ask(read={"in": "before", "path": "/schema"})["content"]
missing = ask(read={"in": "after", "path": "/schema"})["content"]
ran = ask(exec={"in": "after", "args": ["sh", "-c", "echo out; exit 4"]})
refused = ask(exec={"in": "before", "args": ["x"]})
print(json.dumps({"compatible": True, "reasons": [repr([start["protocol"], start["input"], was, missing, ran, refused])]}))
"#;
    let before = Loopback::new().with_file("/schema", "41");
    let reasons = python(script).check(&before, &machine(), &Context::new()).await.unwrap();
    assert_eq!(
        reasons,
        [Reason::yes(
            "['patchkit-compatibility/1', {'schema': 42}, '41', None, \
             {'exit': {'code': 4}, 'stdout': 'out\\n', 'stderr': ''}, {'error': '[\"x\"]'}]"
        )]
    );
}

#[tokio::test]
async fn a_program_that_does_not_answer_is_an_error() {
    for (script, message) in [
        ("", "without an answer"),
        ("print('yes')", "a line is neither request nor answer"),
        ("print('{\"compatible\": true}'); import sys; sys.exit(2)", "it answered but ended with exit status: 2"),
        ("print('x' * (2 << 20))", "a line is longer than"),
    ] {
        let error = ask(&python(script)).await.unwrap_err().to_string();
        assert!(error.contains(message), "{script}: {error}");
    }
    let missing = ask(&ProcessHook::new("/nonexistent/hook", SECOND)).await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::Unavailable);
}

/// The processes, other than zombies, that have this word among their arguments.
fn running(word: &str) -> usize {
    let has = |entry: std::fs::DirEntry| {
        std::fs::read(entry.path().join("cmdline"))
            .is_ok_and(|line| line.split(|byte| *byte == 0).any(|arg| arg == word.as_bytes()))
    };
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter(|entry| entry.file_name().as_encoded_bytes()[0].is_ascii_digit())
        .map(has)
        .filter(|has| *has)
        .count()
}

async fn gone(word: &str) -> bool {
    for _ in 0..100 {
        if running(word) == 0 {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}

#[tokio::test]
async fn nothing_of_a_program_is_left() {
    let word = format!("9{}.0137", std::process::id());
    let late = format!("sleep {word} & sleep {word}");
    let begun = Instant::now();
    let hook = ProcessHook::new("sh", Duration::from_millis(400)).arg("-c").arg(late);
    assert!(ask(&hook).await.unwrap_err().to_string().contains("no answer within 400ms"));
    assert!(begun.elapsed() < 10 * SECOND && gone(&word).await);

    let leaving = format!("sleep {word} >/dev/null & echo '{{\"compatible\": true}}'");
    assert!(ask(&ProcessHook::new("sh", 20 * SECOND).arg("-c").arg(leaving)).await.unwrap()[0].holds);
    assert!(gone(&word).await);

    let cx = Context::new();
    let hook = ProcessHook::new("sleep", 60 * SECOND).arg(&word);
    let (container, other) = (machine(), cx.clone());
    let cancel = async {
        while running(&word) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        other.cancel();
    };
    let (asked, ()) = tokio::join!(hook.check(&container, &container, &cx), cancel);
    assert_eq!(asked.unwrap_err().kind(), ErrorKind::Cancel);
    assert!(gone(&word).await);
}

/// A hook that answers otherwise each time.
#[derive(Debug, Default)]
struct Odd(AtomicUsize);

#[async_trait]
impl Compatibility for Odd {
    async fn check(&self, _: &dyn Container, _: &dyn Container, cx: &Context) -> Result<Vec<Reason>> {
        match self.0.fetch_add(1, Ordering::Relaxed) {
            0 => Ok(vec![Reason::yes("a")]),
            1 => Ok(vec![]),
            2 => Err(Error::unavailable("the store is not there")),
            3 => cx.sleep(60 * SECOND).await.map(|()| vec![Reason::yes("late")]),
            _ => Err(Error::cancelled("stopped")),
        }
    }
}

#[tokio::test]
async fn hooks_fail_closed() {
    let hooks = Hooks::new("store", Odd::default(), Duration::from_millis(100)).and("schema", shell("exit 1"));
    let one = async || ask(&hooks).await.map(|reasons| faults(&reasons[..1]));
    assert_eq!(one().await.unwrap(), Vec::<String>::new());
    let untold = "could not tell whether store is compatible";
    assert_eq!(one().await.unwrap(), [format!("{untold}: an answer without reasons")]);
    assert_eq!(one().await.unwrap(), [format!("{untold}: the store is not there")]);
    assert_eq!(one().await.unwrap(), [format!("{untold}: no answer within 100ms")]);
    assert_eq!(one().await.unwrap_err().kind(), ErrorKind::Cancel);
    let reasons = ask(&Hooks::new("a", shell("exit 1"), SECOND).and("b", shell("echo '{\"compatible\": true}'"))).await;
    let holds: Vec<_> = reasons.unwrap().iter().map(|reason| (reason.message.clone(), reason.holds)).collect();
    assert_eq!(holds, [("a is not compatible".to_owned(), false), ("b is compatible".to_owned(), true)]);
}
