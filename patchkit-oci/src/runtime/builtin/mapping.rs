//! Which ids outside are which inside, where the container has a user namespace.

use std::fs;

use rustix::process::{getegid, geteuid};
use serde::{Deserialize, Serialize};

use super::{
    Fault,
    spec::{Config, IdMapping, NamespaceKind, User},
};

/// The programs that map the ranges an administrator gave to a user.
const TOOLS: [&str; 2] = ["newuidmap", "newgidmap"];

/// The ids of a user namespace.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
pub(super) struct Ids {
    pub(super) uids: Vec<IdMapping>,
    pub(super) gids: Vec<IdMapping>,
    pub(super) way: Way,
}

/// How they are written.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
pub(super) enum Way {
    /// By root.
    Root,
    /// By the user, for whom that is one id only.
    Own,
    /// By `newuidmap` and `newgidmap`.
    Tools,
}

impl Ids {
    /// The ids of the container's user namespace; `None` where it has the caller's.
    pub(super) fn plan(config: &Config) -> Result<Option<Self>, Fault> {
        let is_root = geteuid().is_root();
        if is_root && config.namespace(NamespaceKind::User).is_none() {
            return Ok(None);
        }
        let (uids, gids) = (config.linux.uid_mappings.clone(), config.linux.gid_mappings.clone());
        let ids = match (is_root, uids.is_empty() || gids.is_empty()) {
            (true, true) => return Err(Fault::new("linux.uidMappings", "root must say which ids to map")),
            (true, false) => Self { uids, gids, way: Way::Root },
            (false, true) => Self::of_caller(),
            (false, false) => Self { way: way(&uids, &gids), uids, gids },
        };
        ids.check(&config.process.user)?;
        Ok(Some(ids))
    }

    /// The caller is 0 inside, and the ranges of the caller follow from 1.
    fn of_caller() -> Self {
        let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
        let single = |host| vec![IdMapping { container: 0, host, size: 1 }];
        let (mut uids, mut gids) = (single(uid), single(gid));
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let name = name_of(&read("/etc/passwd"), uid);
        for (file, mappings) in [("/etc/subuid", &mut uids), ("/etc/subgid", &mut gids)] {
            mappings.extend(ranges(&read(file), uid, name.as_deref()));
        }
        if uids.len() > 1 && gids.len() > 1 && TOOLS.iter().all(|tool| is_installed(tool)) {
            return Self { uids, gids, way: Way::Tools };
        }
        Self { uids: single(uid), gids: single(gid), way: Way::Own }
    }

    /// Whether the process's user exists inside.
    pub(super) fn check(&self, user: &User) -> Result<(), Fault> {
        let unmapped = |what: &str, id: u32| {
            Fault::new(
                "process.user",
                format!("{what} {id} is not mapped: the caller has no range for it in /etc/sub{what}"),
            )
        };
        if !self.uids.iter().any(|mapping| mapping.holds(user.uid)) {
            return Err(unmapped("uid", user.uid));
        }
        let mut gids = user.additional_gids.iter().chain([&user.gid]);
        let missing = gids.find(|gid| !self.gids.iter().any(|mapping| mapping.holds(**gid)));
        missing.map_or(Ok(()), |gid| Err(unmapped("gid", *gid)))
    }
}

fn way(uids: &[IdMapping], gids: &[IdMapping]) -> Way {
    let is_own = |mappings: &[IdMapping], own: u32| matches!(mappings, [one] if one.size == 1 && one.host == own);
    if is_own(uids, geteuid().as_raw()) && is_own(gids, getegid().as_raw()) { Way::Own } else { Way::Tools }
}

fn is_installed(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(tool).is_file())
}

/// The name of a user: `name:password:uid:…`.
fn name_of(passwd: &str, uid: u32) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

/// The ranges of a user, one after the other from 1: `name|uid:start:count`.
fn ranges(table: &str, uid: u32, name: Option<&str>) -> Vec<IdMapping> {
    let mut next = 1u32;
    let mut mappings = Vec::new();
    for line in table.lines() {
        let [who, start, count] = line.split(':').collect::<Vec<_>>()[..] else { continue };
        let (Ok(host), Ok(size)) = (start.parse(), count.parse::<u32>()) else { continue };
        let Some(end) = next.checked_add(size) else { continue };
        if size > 0 && (who.parse() == Ok(uid) || Some(who) == name) {
            mappings.push(IdMapping { container: next, host, size });
            next = end;
        }
    }
    mappings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_follow_each_other() {
        let table = "anna:100000:65536\nben:1:1\n1000:300000:10\nbroken\nanna:x:1\nanna:5:0\n";
        let mapping = |container, host, size| IdMapping { container, host, size };
        assert_eq!(ranges(table, 1000, Some("anna")), [mapping(1, 100_000, 65_536), mapping(65_537, 300_000, 10)]);
        assert_eq!(ranges(table, 1, None), []);
    }

    #[test]
    fn names_are_found_by_id() {
        assert_eq!(name_of("root:x:0:0\nanna:x:1000:1000::/:/bin/sh\n", 1000).as_deref(), Some("anna"));
        assert_eq!(name_of("root\n:::\n", 1000), None);
    }

    #[test]
    fn a_user_who_does_not_exist_inside_is_refused() {
        let single = vec![IdMapping { container: 0, host: 1000, size: 1 }];
        let ids = Ids { uids: single.clone(), gids: single, way: Way::Own };
        ids.check(&User::default()).unwrap();
        let fault = ids.check(&User { uid: 70, ..User::default() }).unwrap_err().to_string();
        assert!(fault.starts_with("process.user: uid 70 is not mapped"), "{fault}");
    }
}
