use std::fmt;

use thiserror::Error;

/// The capabilities of a file: the extended attribute `security.capability` (`capabilities(7)`; Linux,
/// `include/uapi/linux/capability.h`, `struct vfs_ns_cap_data`).
///
/// It prints as `getcap(8)` does: `cap_net_raw=ep`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability {
    /// The bits that are given, 0 for `CAP_CHOWN`.
    pub permitted: u64,
    /// The bits that are given to a process that has them in its own inheritable set.
    pub inheritable: u64,
    /// Whether they are in effect at once.
    pub effective: bool,
    /// The user who is root in the name space that they are for; none for everywhere.
    pub root: Option<u32>,
}

/// Why some bytes are no [`Capability`].
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ParseCapabilityError {
    /// There are not as many bytes as the revision has.
    #[error("{found} bytes at 4, revision {revision} has {expected}")]
    Length {
        /// The revision.
        revision: u8,
        /// How many follow the first word.
        found: usize,
        /// How many should.
        expected: usize,
    },
    /// There is no such revision.
    #[error("revision {0} at 3")]
    Revision(u8),
    /// There is no first word.
    #[error("{0} bytes, where a word of 4 is expected")]
    Short(usize),
}

/// The names of the bits, by their numbers.
const NAMES: [&str; 41] = [
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

impl Capability {
    /// Reads the attribute.
    ///
    /// # Errors
    /// [`ParseCapabilityError`], with the place.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseCapabilityError> {
        let words: Vec<u32> = bytes.as_chunks::<4>().0.iter().take(6).map(|word| u32::from_le_bytes(*word)).collect();
        let Some((magic, words)) = words.split_first() else {
            return Err(ParseCapabilityError::Short(bytes.len()));
        };
        let revision = (magic >> 24) as u8;
        let expected = match revision {
            1 => 8,
            2 => 16,
            3 => 20,
            other => return Err(ParseCapabilityError::Revision(other)),
        };
        let found = bytes.len() - 4;
        if found != expected {
            return Err(ParseCapabilityError::Length { revision, found, expected });
        }
        let set = |low: u32, high: Option<&u32>| u64::from(low) | high.map_or(0, |high| u64::from(*high) << 32);
        Ok(Self {
            permitted: set(words[0], words.get(2)),
            inheritable: set(words[1], words.get(3)),
            effective: magic & 1 == 1,
            root: words.get(4).copied(),
        })
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |bits: u64| {
            let set = (0..64_usize).filter(move |bit| bits >> bit & 1 == 1);
            let name = |bit| NAMES.get(bit).map_or_else(|| format!("cap_{bit}"), |name| format!("cap_{name}"));
            set.map(name).collect::<Vec<_>>().join(",")
        };
        let effective = if self.effective { "e" } else { "" };
        let mut sets = Vec::new();
        let (both, only) = (self.permitted & self.inheritable, self.inheritable & !self.permitted);
        for (bits, letters) in [(self.permitted & !both, "p"), (both, "ip"), (only, "i")] {
            if bits != 0 {
                sets.push(format!("{}={effective}{letters}", names(bits)));
            }
        }
        f.write_str(if sets.is_empty() { "none" } else { "" })?;
        f.write_str(&sets.join(" "))?;
        self.root.map_or(Ok(()), |root| write!(f, " [rootid={root}]"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    #[test]
    fn prints_what_getcap_prints() {
        for (words, text) in [
            (vec![0x0200_0001, 1 << 13, 0, 0, 0], "cap_net_raw=ep"),
            (vec![0x0200_0000, 1 << 10 | 1 << 12, 0, 0, 0], "cap_net_bind_service,cap_net_admin=p"),
            (vec![0x0300_0001, 0, 0, 1 << 7, 0, 1000], "cap_bpf=ep [rootid=1000]"),
            (vec![0x0100_0001, 1, 1], "cap_chown=eip"),
            (vec![0x0200_0000, 0, 2, 0, 1 << 31], "cap_dac_override,cap_63=i"),
            (vec![0x0200_0000, 0, 0, 0, 0], "none"),
        ] {
            assert_eq!(Capability::parse(&bytes(&words)).unwrap().to_string(), text);
        }
    }

    #[test]
    fn refuses_what_is_none() {
        assert_eq!(Capability::parse(b"abc"), Err(ParseCapabilityError::Short(3)));
        assert_eq!(Capability::parse(&bytes(&[0x0400_0000])), Err(ParseCapabilityError::Revision(4)));
        for length in [4, 8, 19, 21, 24, 400] {
            let mut long = bytes(&[0x0200_0001; 6]);
            long.resize(length, 0);
            let error = Capability::parse(&long).unwrap_err();
            assert_eq!(error, ParseCapabilityError::Length { revision: 2, found: length - 4, expected: 16 });
        }
    }
}
