use std::process::Command as Process;

use patchkit_core::{Command, Context, Error, ErrorKind, Exit, LimitKind, Outcome, Result};
use patchkit_rollout::verify::behaviour::isolation::{Expectation, Forbidden, confined, forbidden};

use crate::support::{Loopback, faults, is_here, outcome, run};

const TIGHT: [&str; 8] = ["--ro-bind", "/", "/", "--unshare-all", "--die-with-parent", "--cap-drop", "ALL", "--proc"];
const LOOSE: [&str; 7] = ["--bind", "/", "/", "--die-with-parent", "--dev", "/dev", "--proc"];

fn bubble(options: &[&str]) -> Process {
    let mut command = Process::new("bwrap");
    command.args(options).arg("/proc").arg("--");
    command
}

/// A container of bubblewrap's, whose `/proc` is that of its own process.
fn container(options: &'static [&'static str]) -> Loopback {
    let container = Loopback::new().with_exec(move |command: &Command| run(bubble(options).args(&command.args)));
    for name in ["status", "mountinfo", "net/dev", "net/route", "net/ipv6_route"] {
        let Outcome { stdout, .. } = run(bubble(options).args(["cat", &format!("/proc/self/{name}")])).unwrap();
        container.write(&format!("/proc/1/{name}"), std::str::from_utf8(&stdout).unwrap());
    }
    container
}

fn shell(what: &str, script: &str) -> Forbidden {
    Forbidden::new(what, ["sh", "-c", script])
}

#[tokio::test]
async fn a_real_sandbox_forbids_and_a_loose_one_does_not() {
    let mut probe = bubble(&TIGHT);
    probe.arg("true");
    if !is_here("bwrap", probe) {
        return;
    }
    let reach = "import socket; socket.create_connection(('192.0.2.1', 80), 1)";
    let all = [
        Forbidden {
            says: Some("[Rr]ead-only".into()),
            ..shell("write to /var", "echo > /var/tmp/patchkit-v && rm /var/tmp/patchkit-v")
        },
        Forbidden { says: Some("unreachable".into()), ..Forbidden::new("reach the outside", ["python3", "-c", reach]) },
        shell("change an owner", "touch /dev/shm/o 2>/dev/null; chown 1:1 /dev/shm/o || chown 1:1 /etc/hostname"),
    ];
    let cx = Context::new();
    let tight = container(&TIGHT);
    assert_eq!(faults(&forbidden(&all, &tight, &cx).await.unwrap()), Vec::<String>::new());
    let loose = container(&LOOSE);
    let found = faults(&forbidden(&all[..1], &loose, &cx).await.unwrap());
    assert_eq!(found, ["the container could write to /var"]);

    use Expectation::{NoCapabilities, NoNetwork, NoNewPrivileges, ReadOnlyRoot, Seccomp};
    let all = [NoCapabilities, NoNetwork, NoNewPrivileges, ReadOnlyRoot];
    assert_eq!(faults(&confined(&all, &tight, &cx).await.unwrap()), Vec::<String>::new());
    let found = faults(&confined(&[NoNetwork, ReadOnlyRoot], &loose, &cx).await.unwrap());
    assert_eq!(found.len(), 2, "{found:?}");
    // Bubblewrap filters nothing by itself.
    assert_eq!(faults(&confined(&[Seccomp], &tight, &cx).await.unwrap()).len(), 1);
}

#[tokio::test]
async fn only_a_failure_of_the_right_kind_shows_anything() {
    let check = async |answer: fn() -> Result<Outcome>| {
        let container = Loopback::new().with_exec(move |_| answer());
        let one = Forbidden { says: Some("denied".into()), ..Forbidden::new("read a secret", ["cat", "/secret"]) };
        one.check(&container, &Context::new()).await.map(|reason| (reason.holds, reason.message))
    };
    let told = |message: &str| (false, format!("could not tell whether the container can read a secret: {message}"));
    let yes = check(|| Ok(outcome(Exit::Code(1), "", "cat: denied\n"))).await.unwrap();
    assert_eq!(yes, (true, "the container cannot read a secret: status 1, cat: denied".into()));
    let no = check(|| Ok(outcome(Exit::Code(0), "s", ""))).await.unwrap();
    assert_eq!(no, (false, "the container could read a secret".into()));
    let other = check(|| Ok(outcome(Exit::Code(1), "", "no such file\n"))).await.unwrap();
    assert_eq!(other, told("it failed for another cause: status 1, no such file"));
    let missing = check(|| Ok(outcome(Exit::Code(127), "", "not found"))).await.unwrap();
    assert_eq!(missing, told("the program cannot be run: status 127, not found"));
    let late = check(|| Ok(outcome(Exit::Limit(LimitKind::Time), "", "denied"))).await.unwrap();
    assert_eq!(late, told("ended by the limit of time, denied"));
    let crashed = check(|| Ok(outcome(Exit::Signal(11), "", "denied"))).await.unwrap();
    assert_eq!(crashed, told("ended by signal 11, denied"));
    let error = check(|| Err(Error::not_found("no cat"))).await.unwrap();
    assert_eq!(error, told("could not be run: no cat"));
    assert_eq!(check(|| Err(Error::cancelled("stop"))).await.unwrap_err().kind(), ErrorKind::Cancel);
}

#[tokio::test]
async fn a_control_must_succeed() {
    let machine = || Loopback::new().with_exec(|command| run(Process::new(&command.args[0]).args(&command.args[1..])));
    let cat = Forbidden::new("read it", ["cat", "/nonexistent"]);
    let args = |path: &str| vec!["cat".to_owned(), path.to_owned()];
    let good = Forbidden { control: args("/dev/null"), ..cat.clone() };
    assert!(good.check(&machine(), &Context::new()).await.unwrap().holds);
    let bad = Forbidden { control: args("/nonexistent/2"), ..cat };
    let reason = bad.check(&machine(), &Context::new()).await.unwrap();
    assert!(!reason.holds && reason.message.contains("the control failed: status 1"), "{reason}");
    let empty = Forbidden::new("x", Vec::<String>::new());
    assert_eq!(empty.check(&machine(), &Context::new()).await.unwrap_err().kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn what_cannot_be_read_does_not_hold() {
    use Expectation::{NoCapabilities, NoNetwork, NotRoot};
    let reasons = confined(&[NoCapabilities, NoNetwork, NotRoot], &Loopback::new(), &Context::new()).await.unwrap();
    assert!(reasons.iter().all(|reason| !reason.holds && reason.message.starts_with("could not tell")), "{reasons:?}");
}
