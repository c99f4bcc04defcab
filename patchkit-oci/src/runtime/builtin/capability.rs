//! Capabilities, in all five sets.

use rustix::{
    io::Errno,
    thread::{
        CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set, configure_capability_in_ambient_set,
        remove_capability_from_bounding_set, set_capabilities,
    },
};

use super::{
    Fault,
    fault::Blame,
    spec::{Capabilities, IdMapping},
};

const WHAT: &str = "process.capabilities";

/// Removes from the bounding set what the process may never have.
pub(super) fn bound(wanted: &Capabilities) -> Result<(), Fault> {
    let kept = set(&wanted.bounding)?;
    for one in (0..64).map(|bit| CapabilitySet::from_bits_retain(1 << bit)).filter(|one| !kept.contains(*one)) {
        match remove_capability_from_bounding_set(one) {
            Err(Errno::INVAL) => break,
            other => other.blame(WHAT)?,
        }
    }
    Ok(())
}

/// Leaves of the capabilities what is wanted, and of that what this process has.
pub(super) fn limit(wanted: &Capabilities) -> Result<(), Fault> {
    let own = capabilities(None).blame(WHAT)?.permitted;
    let permitted = set(&wanted.permitted)? & own;
    let inheritable = set(&wanted.inheritable)? & permitted;
    let effective = set(&wanted.effective)? & permitted;
    clear_ambient_capability_set().blame(WHAT)?;
    set_capabilities(None, CapabilitySets { effective, permitted, inheritable }).blame(WHAT)?;
    (set(&wanted.ambient)? & inheritable).iter().try_for_each(ambient)
}

/// Leaves nothing but these.
pub(super) fn keep_only(kept: CapabilitySet) -> Result<(), Fault> {
    clear_ambient_capability_set().blame(WHAT)?;
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    set_capabilities(None, sets).blame(WHAT)
}

/// Keeps all capabilities over the next `exec`, which would take them from a user who is not 0 in its namespace.
pub(super) fn outlive_exec(uids: &[IdMapping], host: u32) -> Result<(), Fault> {
    if uids.iter().any(|mapping| mapping.container == 0 && mapping.host == host) {
        return Ok(());
    }
    let own = capabilities(None).blame(WHAT)?;
    set_capabilities(None, CapabilitySets { inheritable: own.permitted, ..own }).blame(WHAT)?;
    own.permitted.iter().try_for_each(ambient)
}

fn ambient(one: CapabilitySet) -> Result<(), Fault> {
    configure_capability_in_ambient_set(one, true).blame(WHAT)
}

fn set(names: &[String]) -> Result<CapabilitySet, Fault> {
    let one = |name: &String| {
        let known = name.strip_prefix("CAP_").and_then(CapabilitySet::from_name);
        known.ok_or_else(|| Fault::new(WHAT, format!("unknown capability {name:?}")))
    };
    names.iter().try_fold(CapabilitySet::empty(), |all, name| Ok(all | one(name)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_kernel() {
        assert_eq!(set(&["CAP_CHOWN".into(), "CAP_KILL".into()]).unwrap(), CapabilitySet::CHOWN | CapabilitySet::KILL);
        assert!(set(&["CHOWN".into()]).is_err() && set(&["CAP_NOTHING".into()]).is_err());
    }
}
