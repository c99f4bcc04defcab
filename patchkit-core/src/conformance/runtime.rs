//! The contract of [`Runtime`] and [`Container`].

use std::time::Duration;

use bytes::Bytes;
use tokio::{io::AsyncReadExt, time::Instant};

use super::{Check, Outcomes, Wrong, equal, fails, holds};
use crate::{
    Command, Container, Context, ErrorKind, Exit, Image, LimitKind, Limits, Network, Outcome, Result, Runtime,
    RuntimeExt, Seen, Used,
};

/// How long anything may take that should be quick.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs every case in an image that has a POSIX `/bin/sh` with `cat`, `id`, `nc` (that takes `-l -p PORT`) and `sleep`:
/// Alpine's will do.
pub async fn suite(runtime: &dyn Runtime, image: &Image) -> Outcomes {
    let mut outcomes = Outcomes::default();
    let at = (runtime, image);
    outcomes.case("a-failure-is-an-outcome", exit_code(at)).await;
    outcomes.case("a-program-that-is-not-there-is-an-error", no_program(at)).await;
    outcomes.case("output-is-kept-apart", output(at)).await;
    outcomes.case("the-environment-is-passed", environment(at)).await;
    outcomes.case("user-and-folder-are-set", user_and_folder(at)).await;
    outcomes.case("input-is-passed", input(at)).await;
    outcomes.case("files-are-collected", collect(at)).await;
    outcomes.case("what-one-writes-the-next-does-not-see", separate(at)).await;
    outcomes.case("a-read-only-root-is-kept", read_only(at)).await;
    outcomes.case("the-time-limit-is-kept", time_limit(at)).await;
    outcomes.case("the-output-limit-is-kept", output_limit(at)).await;
    outcomes.case("the-memory-limit-is-kept", memory_limit(at)).await;
    outcomes.case("the-limit-of-processes-is-kept", process_limit(at)).await;
    outcomes.case("what-the-first-command-leaves-running-is-ended", left_running(at)).await;
    outcomes.case("cancelling-ends-it", cancel(at)).await;
    outcomes.case("the-use-of-files-is-seen", used(at)).await;
    outcomes.case("commands-share-a-container", exec(at)).await;
    outcomes.case("output-can-be-read-while-it-runs", early_output(at)).await;
    outcomes.case("a-first-command-is-asked-to-stop", stop(at)).await;
    outcomes.case("one-that-does-not-stop-is-ended", kill(at)).await;
    outcomes.case("a-named-port-is-reached", connect(at)).await;
    outcomes.case("another-port-is-not", connect_elsewhere(at)).await;
    outcomes
}

type At<'a> = (&'a dyn Runtime, &'a Image);

fn shell(script: &str) -> Command {
    let limits = Limits { time: Some(PATIENCE), ..Limits::default() };
    Command { args: ["/bin/sh", "-c", script].map(Into::into).to_vec(), limits, ..Command::default() }
}

async fn run((runtime, image): At<'_>, command: &Command) -> Result<Outcome> {
    runtime.run(image, command, &Context::new()).await
}

async fn start((runtime, image): At<'_>, command: &Command) -> Result<Box<dyn Container>> {
    runtime.start(image, command, &Context::new()).await
}

/// Fails where the command did not end with status 0.
fn success(outcome: &Outcome) -> Check {
    holds(outcome.exit == Exit::Code(0), &format!("{:?}, {:?}", outcome.exit, outcome.stderr))
}

async fn exit_code(at: At<'_>) -> Check {
    equal(run(at, &shell("exit 3")).await?.exit, Exit::Code(3))
}

async fn no_program(at: At<'_>) -> Check {
    let command = Command { args: vec!["/no/such/program".into()], ..Command::default() };
    fails(run(at, &command).await, ErrorKind::NotFound)
}

async fn output(at: At<'_>) -> Check {
    let outcome = run(at, &shell("echo out; echo err >&2")).await?;
    equal((&*outcome.stdout, &*outcome.stderr), (&b"out\n"[..], &b"err\n"[..]))
}

async fn environment(at: At<'_>) -> Check {
    let env = [("GREETING".to_owned(), "hello world".to_owned())].into();
    let outcome = run(at, &Command { env, ..shell("printf %s \"$GREETING\"") }).await?;
    equal(outcome.stdout, Bytes::from("hello world"))
}

async fn user_and_folder(at: At<'_>) -> Check {
    let (user, workdir) = (Some("1234:2345".into()), Some("/dev".into()));
    let outcome = run(at, &Command { user, workdir, ..shell("id -u; id -g; pwd") }).await?;
    equal(outcome.stdout, Bytes::from("1234\n2345\n/dev\n"))
}

async fn input(at: At<'_>) -> Check {
    let outcome = run(at, &Command { stdin: Bytes::from("hello"), ..shell("cat") }).await?;
    equal(outcome.stdout, Bytes::from("hello"))
}

async fn collect(at: At<'_>) -> Check {
    let collect = vec!["/made".into(), "/absent".into()];
    let outcome = run(at, &Command { collect, ..shell("echo hello > /made; exit 1") }).await?;
    equal(outcome.files, [("/made".to_owned(), Bytes::from("hello\n"))].into())
}

async fn separate(at: At<'_>) -> Check {
    success(&run(at, &shell("echo hello > /made")).await?)?;
    let outcome = run(at, &shell("cat /made")).await?;
    holds(outcome.exit != Exit::Code(0), "another container's file is there")
}

async fn read_only(at: At<'_>) -> Check {
    let read_only = |script| Command { read_only_root: true, ..shell(script) };
    success(&run(at, &read_only("echo hello > /tmp/made")).await?)?;
    let outcome = run(at, &read_only("echo hello > /made")).await?;
    holds(outcome.exit != Exit::Code(0), "the root can be written to")
}

async fn time_limit(at: At<'_>) -> Check {
    let limits = Limits { time: Some(Duration::from_millis(500)), ..Limits::default() };
    let outcome = run(at, &Command { limits, ..shell("sleep 60") }).await?;
    equal(outcome.exit, Exit::Limit(LimitKind::Time))
}

async fn output_limit(at: At<'_>) -> Check {
    let limits = Limits { output: Some(4), ..Limits::default() };
    let outcome = run(at, &Command { limits, ..shell("echo 0123456789") }).await?;
    holds(outcome.stdout == "0123", &format!("{:?} was kept", outcome.stdout))
}

async fn memory_limit(at: At<'_>) -> Check {
    let limits = Limits { memory: Some(32 << 20), time: Some(PATIENCE), ..Limits::default() };
    let outcome = run(at, &Command { limits, ..shell("x=0123456789; while :; do x=$x$x; done") }).await?;
    let ended = !matches!(outcome.exit, Exit::Code(0) | Exit::Limit(LimitKind::Time));
    holds(ended, &format!("it ended with {:?}", outcome.exit))
}

async fn process_limit(at: At<'_>) -> Check {
    let limits = Limits { processes: Some(8), time: Some(PATIENCE), ..Limits::default() };
    let script = "i=0; while [ $i -lt 30 ]; do sleep 1 & i=$((i+1)); done; echo all >&2; wait";
    let outcome = run(at, &Command { limits, ..shell(script) }).await?;
    holds(outcome.stderr != "all\n" && !outcome.stderr.is_empty(), "all processes were made")
}

async fn left_running(at: At<'_>) -> Check {
    let outcome = run(at, &shell("sleep 60 & echo $!")).await?;
    success(&outcome)?;
    holds(!outcome.stdout.is_empty(), "nothing was left running")?;
    holds(outcome.duration < PATIENCE, &format!("it took {:?}", outcome.duration))
}

async fn cancel((runtime, image): At<'_>) -> Check {
    let cx = Context::new();
    let cancel = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        cx.cancel();
    };
    let (command, began) = (shell("sleep 60"), Instant::now());
    let (outcome, ()) = tokio::join!(runtime.run(image, &command, &cx), cancel);
    fails(outcome, ErrorKind::Cancel)?;
    holds(began.elapsed() < PATIENCE, "it took its time")
}

async fn used(at: At<'_>) -> Check {
    let outcome = run(at, &Command { observe: true, ..shell("echo hello > /made; cat /made; sleep 1") }).await?;
    success(&outcome)?;
    let Some(Used { seen, files }) = outcome.used else {
        return Err(Wrong("nothing was seen".into()));
    };
    let has = |name: &[u8]| files.iter().any(|path| path.as_bytes() == name);
    match seen {
        Seen::Opened => holds(has(b"made"), &format!("only {files:?} were seen")),
        Seen::Mapped => holds(!files.is_empty(), "no file was seen"),
    }
}

async fn exec(at: At<'_>) -> Check {
    let cx = Context::new();
    let container = start(at, &shell("sleep 60")).await?;
    success(&container.exec(&shell("echo hello > /made"), &cx).await?)?;
    equal(container.exec(&shell("cat /made; exit 4"), &cx).await?.stdout, Bytes::from("hello\n"))?;
    equal(container.read("/made", &cx).await?, Some(Bytes::from("hello\n")))?;
    equal(container.read("/absent", &cx).await?, None)?;
    holds(container.read("/proc/1/cmdline", &cx).await?.is_some_and(|read| !read.is_empty()), "/proc cannot be read")
}

async fn early_output(at: At<'_>) -> Check {
    let container = start(at, &shell("echo ready; sleep 60")).await?;
    until(async || Ok(container.output(&Context::new()).await?.stdout == "ready\n")).await
}

/// Tries again until it is so.
async fn until(holds_now: impl AsyncFn() -> Result<bool>) -> Check {
    let began = Instant::now();
    while !holds_now().await? {
        holds(began.elapsed() < PATIENCE, "it did not come")?;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

async fn stop(at: At<'_>) -> Check {
    let container = start(at, &shell("trap 'exit 7' TERM; echo up; while :; do sleep 0.1; done")).await?;
    until(async || Ok(!container.output(&Context::new()).await?.stdout.is_empty())).await?;
    equal(container.stop(PATIENCE, &Context::new()).await?.exit, Exit::Code(7))
}

async fn kill(at: At<'_>) -> Check {
    let container = start(at, &shell("trap '' TERM; echo up; while :; do sleep 0.1; done")).await?;
    until(async || Ok(!container.output(&Context::new()).await?.stdout.is_empty())).await?;
    equal(container.stop(Duration::from_millis(300), &Context::new()).await?.exit, Exit::Signal(9))
}

/// Something that listens on port 8080 and says hello.
fn server(network: Network) -> Command {
    Command { network, ..shell("while :; do echo hello | nc -l -p 8080; done") }
}

async fn connect(at: At<'_>) -> Check {
    let container = start(at, &server(Network::Ports([8080].into()))).await?;
    let greets = async || {
        let Ok(mut connection) = container.connect(8080, &Context::new()).await else { return Ok(false) };
        let mut greeting = [0; 5];
        Ok(connection.read_exact(&mut greeting).await.is_ok() && greeting == *b"hello")
    };
    until(greets).await
}

async fn connect_elsewhere(at: At<'_>) -> Check {
    let container = start(at, &server(Network::Ports([8081].into()))).await?;
    fails(container.connect(8080, &Context::new()).await, ErrorKind::Denied)?;
    fails(container.connect(8081, &Context::new()).await, ErrorKind::Unavailable)
}
