//! Control groups for memory and processes: version 2, or the version 1 hierarchy of each controller.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use super::{
    Fault,
    fault::Blame,
    spec::{Config, Rlimit},
};

/// The pids that the runtime's own processes take in the container.
const OWN_PROCESSES: u64 = 1;

/// What stands in for a control group counts the process that watches and its child too.
const OWN_PROCESSES_OF_USER: u64 = 2;

/// The groups of a container, and the limits that stand in for those that could not be made. Dropping removes them.
#[derive(Debug, Default)]
pub(super) struct Cgroups {
    pub(super) folders: Vec<PathBuf>,
    pub(super) rlimits: Vec<Rlimit>,
}

/// A limit of a controller, and how each version spells it.
struct Wanted {
    controller: &'static str,
    value: u64,
    unified: &'static str,
    legacy: &'static str,
}

impl Cgroups {
    /// Makes groups with the limits; resource limits instead where none can be made. The number of processes can be
    /// limited so only in a user namespace of its own.
    pub(super) fn make(id: &str, config: &Config, has_own_users: bool) -> Result<Self, Fault> {
        let mut groups = Self::default();
        let resources = &config.linux.resources;
        if let Some(bytes) = resources.memory.get() {
            let wanted =
                Wanted { controller: "memory", value: bytes, unified: "memory.max", legacy: "memory.limit_in_bytes" };
            if !groups.add(id, config, &wanted) {
                groups.rlimits.push(Rlimit { kind: "RLIMIT_AS".into(), soft: bytes, hard: bytes });
            }
        }
        if let Some(count) = resources.pids.get() {
            let value = count + OWN_PROCESSES;
            let wanted = Wanted { controller: "pids", value, unified: "pids.max", legacy: "pids.max" };
            if !groups.add(id, config, &wanted) {
                if !has_own_users {
                    return Err(Fault::new(
                        "linux.resources.pids",
                        "no control group can be made, and root has no other limit",
                    ));
                }
                let value = count + OWN_PROCESSES_OF_USER;
                groups.rlimits.push(Rlimit { kind: "RLIMIT_NPROC".into(), soft: value, hard: value });
            }
        }
        Ok(groups)
    }

    /// Moves a process into them.
    pub(super) fn attach(folders: &[PathBuf], pid: i32) -> Result<(), Fault> {
        folders.iter().try_for_each(|folder| {
            let procs = folder.join("cgroup.procs");
            fs::write(&procs, pid.to_string()).blame(procs.display().to_string())
        })
    }

    fn add(&mut self, id: &str, config: &Config, wanted: &Wanted) -> bool {
        let name = config.linux.cgroups_path.as_deref().and_then(Path::file_name);
        let name = name.map_or_else(|| format!("patchkit-{id}").into(), PathBuf::from);
        places(wanted.controller).iter().any(|place| self.add_in(place, &name, wanted))
    }

    fn add_in(&mut self, place: &Place, name: &Path, wanted: &Wanted) -> bool {
        let folder = place.folder.join(name);
        if place.is_unified {
            let _ = fs::write(place.folder.join("cgroup.subtree_control"), format!("+{}", wanted.controller));
        }
        let is_new = fs::create_dir(&folder).is_ok();
        if !is_new && !self.folders.contains(&folder) {
            return false;
        }
        let file = folder.join(if place.is_unified { wanted.unified } else { wanted.legacy });
        let is_set = file.exists() && fs::write(file, wanted.value.to_string()).is_ok();
        if is_set && wanted.controller == "memory" {
            refuse_swap(&folder, wanted.value);
        }
        match (is_new, is_set) {
            (true, true) => self.folders.push(folder),
            (true, false) => drop(fs::remove_dir(folder)),
            (false, _) => {}
        }
        is_set
    }
}

/// Memory means memory: swapping would only delay the limit. Not every kernel accounts for swap.
fn refuse_swap(folder: &Path, bytes: u64) {
    let _ = fs::write(folder.join("memory.swap.max"), "0");
    let _ = fs::write(folder.join("memory.memsw.limit_in_bytes"), bytes.to_string());
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        remove(&self.folders);
    }
}

/// Removes groups; the kernel may take a moment until those who died have left them.
pub(super) fn remove(folders: &[PathBuf]) {
    for folder in folders {
        for _ in 0..500 {
            if fs::remove_dir(folder).is_ok() || !folder.exists() {
                break;
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
}

/// A folder of a hierarchy that has the controller.
#[derive(Debug, PartialEq)]
struct Place {
    folder: PathBuf,
    is_unified: bool,
}

/// Where groups can be tried: this process's group and those above it.
fn places(controller: &str) -> Vec<Place> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let mut places = places_in(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup"), controller);
    places.retain(|place| place.folder.is_dir());
    places
}

fn places_in(mounts: &str, groups: &str, controller: &str) -> Vec<Place> {
    let mut places = Vec::new();
    for line in mounts.lines() {
        let Some((place, filesystem)) = line.split_once(" - ") else { continue };
        let (place, filesystem): (Vec<_>, Vec<_>) = (place.split(' ').collect(), filesystem.split(' ').collect());
        let is_unified = match filesystem[..] {
            ["cgroup2", ..] => true,
            ["cgroup", _, options] if options.split(',').any(|option| option == controller) => false,
            _ => continue,
        };
        let [_, _, _, root, target, ..] = place[..] else { continue };
        let Some(own) = own_group(groups, controller, is_unified) else { continue };
        let Ok(below) = Path::new(own).strip_prefix(root) else { continue };
        let folders = below.ancestors().map(|below| Path::new(target).join(below));
        places.extend(folders.map(|folder| Place { folder, is_unified }));
    }
    places
}

/// The path of this process's group: lines of `/proc/self/cgroup` are `number:controllers:path`.
fn own_group<'a>(groups: &'a str, controller: &str, is_unified: bool) -> Option<&'a str> {
    groups.lines().find_map(|line| {
        let [_, controllers, path] = line.splitn(3, ':').collect::<Vec<_>>()[..] else { return None };
        let is_it =
            if is_unified { controllers.is_empty() } else { controllers.split(',').any(|one| one == controller) };
        is_it.then_some(path)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_found_from_ones_own_upwards() {
        let mounts = "30 1 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                      31 1 0:27 / /sys/fs/cgroup/unified rw,relatime shared:4 - cgroup2 cgroup2 rw\n";
        let groups = "4:memory:/a/b\n0::/c\n";
        let shown: Vec<_> = places_in(mounts, groups, "memory").into_iter().map(|place| place.folder).collect();
        let expected = ["memory/a/b", "memory/a", "memory/", "unified/c", "unified/"];
        assert_eq!(shown, expected.map(|folder| Path::new("/sys/fs/cgroup").join(folder)));
        assert_eq!(places_in(mounts, groups, "pids").len(), 2);
        assert_eq!(places_in("x - cgroup2\n - \n", "::\n", "memory"), []);
    }
}
