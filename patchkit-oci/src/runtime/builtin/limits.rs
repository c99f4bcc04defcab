//! Resource limits of a process.

use rustix::process::{Resource, Rlimit as KernelLimit, setrlimit};

use super::{Fault, fault::Blame, spec::Rlimit};

/// Sets them on this process.
pub(super) fn set(limits: &[Rlimit]) -> Result<(), Fault> {
    limits.iter().try_for_each(|limit| {
        let finite = |value: u64| (value != u64::MAX).then_some(value);
        let what = || format!("process.rlimits {} {}:{}", limit.kind, limit.soft, limit.hard);
        let new = KernelLimit { current: finite(limit.soft), maximum: finite(limit.hard) };
        setrlimit(resource(&limit.kind)?, new).blame(what())
    })
}

fn resource(name: &str) -> Result<Resource, Fault> {
    Ok(match name {
        "RLIMIT_AS" => Resource::As,
        "RLIMIT_CORE" => Resource::Core,
        "RLIMIT_CPU" => Resource::Cpu,
        "RLIMIT_DATA" => Resource::Data,
        "RLIMIT_FSIZE" => Resource::Fsize,
        "RLIMIT_LOCKS" => Resource::Locks,
        "RLIMIT_MEMLOCK" => Resource::Memlock,
        "RLIMIT_MSGQUEUE" => Resource::Msgqueue,
        "RLIMIT_NICE" => Resource::Nice,
        "RLIMIT_NOFILE" => Resource::Nofile,
        "RLIMIT_NPROC" => Resource::Nproc,
        "RLIMIT_RSS" => Resource::Rss,
        "RLIMIT_RTPRIO" => Resource::Rtprio,
        "RLIMIT_RTTIME" => Resource::Rttime,
        "RLIMIT_SIGPENDING" => Resource::Sigpending,
        "RLIMIT_STACK" => Resource::Stack,
        _ => return Err(Fault::new("process.rlimits", format!("unknown resource {name:?}"))),
    })
}
