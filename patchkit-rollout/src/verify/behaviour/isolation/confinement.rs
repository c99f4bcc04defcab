//! What the kernel says about the first process: needs no program in the image.

use std::collections::BTreeMap;

use patchkit_core::{Container, Context, ErrorKind, Reason, Result};
use serde::{Deserialize, Serialize};

/// What must hold for the first process of a container. It is read from its `/proc/1`, see proc(5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expectation {
    /// It has no capability in effect, and none that it could take (`CapEff`, `CapPrm` and `CapAmb` are zero).
    NoCapabilities,
    /// It has no network interface beside its loopback, and no route.
    NoNetwork,
    /// It can gain none by running a program (`NoNewPrivs` is 1).
    NoNewPrivileges,
    /// It does not run as the container's root (effective user).
    NotRoot,
    /// Its root is mounted read-only.
    ReadOnlyRoot,
    /// Its system calls are filtered (`Seccomp` is 2).
    Seccomp,
}

impl Expectation {
    /// The files that say so. The first must be there; a kernel without IPv6 has no `ipv6_route`.
    fn files(self) -> &'static [&'static str] {
        match self {
            Self::NoNetwork => &["/proc/1/net/dev", "/proc/1/net/route", "/proc/1/net/ipv6_route"],
            Self::ReadOnlyRoot => &["/proc/1/mountinfo"],
            Self::NoCapabilities | Self::NoNewPrivileges | Self::NotRoot | Self::Seccomp => &["/proc/1/status"],
        }
    }

    /// What is seen in the files: as it should be, or not; nothing where they cannot be understood.
    fn seen(self, texts: &[Option<String>]) -> Option<Reason> {
        let first = texts.first()?.as_deref()?;
        match self {
            Self::NoCapabilities => no_capabilities(first),
            Self::NoNetwork => no_network(first, &texts[1..]),
            Self::NoNewPrivileges => is_field(first, "NoNewPrivs", "1", "cannot gain privileges"),
            Self::NotRoot => not_root(first),
            Self::ReadOnlyRoot => read_only_root(first),
            Self::Seccomp => is_field(first, "Seccomp", "2", "has its system calls filtered"),
        }
    }
}

/// Checks each expectation: a reason for each, in order. One that cannot be read does not hold.
///
/// # Errors
/// [`Cancel`](ErrorKind::Cancel).
pub async fn confined(all: &[Expectation], container: &dyn Container, cx: &Context) -> Result<Vec<Reason>> {
    let mut reasons = Vec::with_capacity(all.len());
    for expectation in all {
        reasons.push(check(*expectation, container, cx).await?);
    }
    Ok(reasons)
}

async fn check(expectation: Expectation, container: &dyn Container, cx: &Context) -> Result<Reason> {
    let files = expectation.files();
    let untold = |why: String| Reason::no(format!("could not tell whether the container has {expectation:?}: {why}"));
    let mut texts = Vec::with_capacity(files.len());
    for file in files {
        match container.read(file, cx).await {
            Ok(content) => texts.push(content.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())),
            Err(error) if error.kind() == ErrorKind::Cancel => return Err(error),
            Err(error) => return Ok(untold(error.to_string())),
        }
    }
    let missing = || untold(format!("{} is not there, or says nothing about it", files[0]));
    Ok(expectation.seen(&texts).unwrap_or_else(missing))
}

/// The fields of `/proc/PID/status`.
fn fields(status: &str) -> BTreeMap<&str, &str> {
    status.lines().filter_map(|line| line.split_once(':')).map(|(name, value)| (name, value.trim())).collect()
}

fn is_field(status: &str, name: &str, wanted: &str, what: &str) -> Option<Reason> {
    let value = *fields(status).get(name)?;
    let reason = if value == wanted { Reason::yes } else { Reason::no };
    Some(reason(format!("the first process {what}: {name} must be {wanted}, is {value}")))
}

fn no_capabilities(status: &str) -> Option<Reason> {
    let fields = fields(status);
    let mut held = Vec::new();
    for name in ["CapEff", "CapPrm", "CapAmb"] {
        let value = u64::from_str_radix(fields.get(name)?, 16).ok()?;
        if value != 0 {
            held.push(format!("{name} {value:x}"));
        }
    }
    Some(match held.is_empty() {
        true => Reason::yes("the first process has no capabilities"),
        false => Reason::no(format!("the first process has capabilities: {}", held.join(", "))),
    })
}

fn not_root(status: &str) -> Option<Reason> {
    let effective: u32 = fields(status).get("Uid")?.split_whitespace().nth(1)?.parse().ok()?;
    let reason = if effective == 0 { Reason::no } else { Reason::yes };
    Some(reason(format!("the first process runs as user {effective}")))
}

/// The last mount on `/` is the one that is seen.
fn read_only_root(mountinfo: &str) -> Option<Reason> {
    let root = mountinfo.lines().rev().find(|line| line.split(' ').nth(4) == Some("/"))?;
    let of_mount = root.split(' ').nth(5)?;
    let of_system = root.split(" - ").nth(1).and_then(|rest| rest.split(' ').nth(2)).unwrap_or_default();
    let read_only = [of_mount, of_system].iter().any(|options| options.split(',').any(|option| option == "ro"));
    Some(match read_only {
        true => Reason::yes("the root is mounted read-only"),
        false => Reason::no(format!("the root can be written to: it is mounted {of_mount}")),
    })
}

fn no_network(dev: &str, routes: &[Option<String>]) -> Option<Reason> {
    // Two lines of heading, then one an interface.
    let names = dev.lines().skip(2).filter_map(|line| line.split_once(':')).map(|(name, _)| name.trim());
    let others: Vec<_> = names.filter(|name| *name != "lo").collect();
    if dev.lines().count() < 2 {
        return None;
    }
    let v4 = routes.first().and_then(Option::as_deref).unwrap_or_default().lines().skip(1).count();
    let v6 = routes.get(1).and_then(Option::as_deref).unwrap_or_default();
    let v6 = v6.lines().filter(|line| line.split_whitespace().last() != Some("lo")).count();
    Some(match (others.is_empty(), v4 + v6) {
        (true, 0) => Reason::yes("there is no network interface but the loopback, and no route"),
        (true, routes) => Reason::no(format!("there are {routes} routes out of the loopback")),
        (false, _) => Reason::no(format!("there are network interfaces: {}", others.join(", "))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(expectation: Expectation, texts: &[&str]) -> Option<bool> {
        let texts: Vec<_> = texts.iter().map(|text| Some((*text).to_owned())).collect();
        expectation.seen(&texts).map(|reason| reason.holds)
    }

    #[test]
    fn status_says_what_a_process_may() {
        let tight =
            "Uid:\t0\t1000\t0\t0\nCapInh:\t0\nCapPrm:\t0000\nCapEff:\t0000\nCapAmb:\t0\nNoNewPrivs:\t1\nSeccomp:\t2\n";
        let loose = "Uid:\t1\t0\t1\t1\nCapPrm:\t00a8\nCapEff:\t0000\nCapAmb:\t0\nNoNewPrivs:\t0\nSeccomp:\t0\n";
        use Expectation::{NoCapabilities, NoNewPrivileges, NotRoot, Seccomp};
        for expectation in [NoCapabilities, NoNewPrivileges, NotRoot, Seccomp] {
            assert_eq!(holds(expectation, &[tight]), Some(true), "{expectation:?}");
            assert_eq!(holds(expectation, &[loose]), Some(false), "{expectation:?}");
            assert_eq!(holds(expectation, &["Name:\tx\n"]), None, "{expectation:?}");
        }
    }

    #[test]
    fn the_last_mount_on_the_root_counts() {
        let one = "22 1 8:1 / / rw,relatime - ext4 /dev/a rw\n";
        let two = format!(
            "{one}30 22 0:9 / / ro,nosuid master:1 - overlay overlay rw\n31 30 0:4 / /proc rw - proc proc rw\n"
        );
        assert_eq!(holds(Expectation::ReadOnlyRoot, &[one]), Some(false));
        assert_eq!(holds(Expectation::ReadOnlyRoot, &[&two]), Some(true));
        assert_eq!(holds(Expectation::ReadOnlyRoot, &["31 30 0:4 / /proc rw - proc proc rw\n"]), None);
    }

    #[test]
    fn interfaces_and_routes_are_network() {
        let lo = "Inter-|\n face |\n    lo: 0 0\n";
        let eth = format!("{lo}  eth0: 1 2\n");
        let heading = "Iface\tDestination\n";
        assert_eq!(holds(Expectation::NoNetwork, &[lo, heading]), Some(true));
        assert_eq!(holds(Expectation::NoNetwork, &[&eth, heading]), Some(false));
        assert_eq!(holds(Expectation::NoNetwork, &[lo, "Iface\neth0\t0000\n"]), Some(false));
        assert_eq!(holds(Expectation::NoNetwork, &[""]), None);
    }
}
