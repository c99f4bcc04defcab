//! `/dev`: the devices that every program expects, which are the host's, and links.

use std::path::Path;

use rustix::fs::symlinkat;

use super::{
    super::{Fault, fault::Blame},
    inside::{Inside, Kind, Links},
    mount,
};

const DEVICES: [&str; 6] = ["full", "null", "random", "tty", "urandom", "zero"];

const LINKS: [(&str, &str); 5] = [
    ("/proc/self/fd", "fd"),
    ("pts/ptmx", "ptmx"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
];

/// Fills a `/dev` that is empty.
pub(super) fn furnish(root: &Inside) -> Result<(), Fault> {
    let dev = root.find(Path::new(super::DEV), Links::Follow).blame(super::DEV)?;
    for name in DEVICES {
        let path = Path::new(super::DEV).join(name);
        let what = || path.display().to_string();
        let place = root.make(&path, Kind::File, Links::Follow).blame(what())?;
        let device = mount::clone_file(&path).blame(what())?;
        mount::attach(device, place).blame(what())?;
    }
    LINKS.iter().try_for_each(|(target, name)| symlinkat(*target, &dev, *name).blame(format!("/dev/{name}")))
}
