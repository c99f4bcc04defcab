//! The system calls that no container may make.
//!
//! A deny-list in the spirit of the container engines' default: what reaches past the namespaces, loads code into the
//! kernel, changes the machine, or has been a way out again and again. The rest is left to capabilities and namespaces.

use std::collections::BTreeMap;

use nix::libc::{self, c_long};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen::Dword, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter, sock_filter,
};

use super::{Fault, fault::Blame};

const WHAT: &str = "seccomp";

/// Denied whatever the arguments.
const DENIED: &[c_long] = &[
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_bpf,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_fanotify_init,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_init_module,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_lookup_dcookie,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_nfsservctl,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_pivot_root,
    libc::SYS_quotactl,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_setns,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_umount2,
    libc::SYS_userfaultfd,
    libc::SYS_vhangup,
];

#[cfg(target_arch = "x86_64")]
const DENIED_HERE: &[c_long] = &[
    libc::SYS__sysctl,
    libc::SYS_ioperm,
    libc::SYS_iopl,
    libc::SYS_modify_ldt,
    libc::SYS_sysfs,
    libc::SYS_uselib,
    libc::SYS_ustat,
];

#[cfg(not(target_arch = "x86_64"))]
const DENIED_HERE: &[c_long] = &[];

/// The flags of `clone` and `unshare` that make namespaces.
const NAMESPACES: &[i32] = &[
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWUTS,
    NEWTIME,
];

const NEWTIME: i32 = 0x80;

/// Puts bytes into a terminal's input, or drives the console.
const TERMINAL_IOCTLS: [u64; 2] = [0x5412, 0x541c];

/// Sockets to the hypervisor, past every network namespace.
const AF_VSOCK: u64 = 40;

/// What `personality` may ask for: Linux, 32 bits of `uname`, the current one.
const PERSONALITIES: [u64; 5] = [0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff];

// Instructions and answers of classic BPF (`linux/bpf_common.h`, `linux/seccomp.h`).
const LOAD: u16 = 0x20;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_GREATER_EQUAL: u16 = 0x35;
const RETURN: u16 = 0x06;
const ANSWER_ERRNO: u32 = 0x0005_0000;
const NUMBER: u32 = 0;

/// The bit of system call numbers that makes them the x32 ABI's.
const X32: u32 = 0x4000_0000;

/// The same number on every architecture. Its flags lie in memory, where a filter cannot look: `ENOSYS` makes C libraries
/// call `clone`.
const CLONE3: u32 = 435;

/// A filter that can be put on.
#[derive(Debug)]
pub(super) struct Filter(BpfProgram);

impl Filter {
    pub(super) fn new() -> Result<Self, Fault> {
        let deny = SeccompAction::Errno(libc::EPERM.unsigned_abs());
        let arch: TargetArch = std::env::consts::ARCH.try_into().blame(WHAT)?;
        let filter = SeccompFilter::new(rules().blame(WHAT)?, SeccompAction::Allow, deny, arch).blame(WHAT)?;
        let denied: BpfProgram = filter.try_into().blame(WHAT)?;
        Ok(Self(first().into_iter().chain(denied).collect()))
    }

    /// Puts it on this process and all it starts, together with "no new privileges".
    pub(super) fn put_on(&self) -> Result<(), Fault> {
        apply_filter(&self.0).blame(WHAT)
    }
}

fn rules() -> Result<BTreeMap<c_long, Vec<SeccompRule>>, seccompiler::BackendError> {
    let mut rules: BTreeMap<c_long, Vec<SeccompRule>> =
        DENIED.iter().chain(DENIED_HERE).map(|call| (*call, Vec::new())).collect();
    for call in [libc::SYS_clone, libc::SYS_unshare] {
        let flag = |flag: &i32| has_bits(0, u64::from(flag.unsigned_abs()));
        rules.insert(
            call,
            NAMESPACES
                .iter()
                .filter(|flag| call != libc::SYS_clone || **flag != NEWTIME)
                .map(flag)
                .collect::<Result<_, _>>()?,
        );
    }
    rules.insert(libc::SYS_ioctl, TERMINAL_IOCTLS.map(|request| is(1, request)).into_iter().collect::<Result<_, _>>()?);
    rules.insert(libc::SYS_socket, vec![is(0, AF_VSOCK)?]);
    let other = PERSONALITIES.map(|known| SeccompCondition::new(0, Dword, SeccompCmpOp::Ne, known));
    rules.insert(libc::SYS_personality, vec![SeccompRule::new(other.into_iter().collect::<Result<_, _>>()?)?]);
    Ok(rules)
}

fn is(argument: u8, value: u64) -> Result<SeccompRule, seccompiler::BackendError> {
    SeccompRule::new(vec![SeccompCondition::new(argument, Dword, SeccompCmpOp::Eq, value)?])
}

fn has_bits(argument: u8, bits: u64) -> Result<SeccompRule, seccompiler::BackendError> {
    SeccompRule::new(vec![SeccompCondition::new(argument, Dword, SeccompCmpOp::MaskedEq(bits), bits)?])
}

/// What is asked before the list.
fn first() -> Vec<sock_filter> {
    let step = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    let answer = |errno: i32| step(RETURN, 0, 0, ANSWER_ERRNO | errno.unsigned_abs());
    let mut steps = vec![step(LOAD, 0, 0, NUMBER), step(JUMP_EQUAL, 0, 1, CLONE3), answer(libc::ENOSYS)];
    if cfg!(target_arch = "x86_64") {
        steps.extend([step(JUMP_GREATER_EQUAL, 0, 1, X32), answer(libc::EPERM)]);
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_compiles_and_is_of_a_size_the_kernel_takes() {
        let length = Filter::new().unwrap().0.len();
        assert!((DENIED.len()..4096).contains(&length), "{length}");
    }
}
