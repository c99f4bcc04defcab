//! Folders that lie over each other as the root.

use std::{ffi::CString, os::unix::ffi::OsStrExt, path::Path};

use rustix::{
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string,
        fsmount, fsopen, mount as kernel_mount, mount_bind,
    },
    process::geteuid,
};

use super::{
    super::{Fault, fault::Blame, spec::Overlay},
    inside::Inside,
    mount, remount,
};

const WHAT: &str = "overlay";

/// The kernel reads options from one page.
const MAX_OPTIONS: usize = 4095;

/// Mounts them on a folder.
pub(super) fn mount(overlay: &Overlay, target: &Path) -> Result<(), Fault> {
    match (&overlay.upper, &overlay.work, &overlay.lower[..]) {
        (_, _, []) => Err(Fault::new(WHAT, "there is no lower folder")),
        (Some(_), None, _) | (None, Some(_), _) => Err(Fault::new(WHAT, "upper and work need each other")),
        (None, None, [only]) => {
            mount_bind(only, target).blame(WHAT)?;
            remount(Inside::new(target)?, MountFlags::RDONLY).blame(WHAT)
        }
        _ => {
            let options = options(overlay);
            if options.len() > MAX_OPTIONS { by_steps(overlay, target) } else { at_once(options, target) }
        }
    }
}

fn at_once(options: Vec<u8>, target: &Path) -> Result<(), Fault> {
    let options = CString::new(options).blame(WHAT)?;
    kernel_mount("overlay", target, "overlay", MountFlags::empty(), options.as_c_str()).blame(WHAT)
}

/// One folder after the other, which Linux 6.5 and later take.
fn by_steps(overlay: &Overlay, target: &Path) -> Result<(), Fault> {
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).blame(WHAT)?;
    for lower in &overlay.lower {
        fsconfig_set_string(&context, "lowerdir+", lower).blame(format!("{WHAT}: {}", lower.display()))?;
    }
    for (key, folder) in [("upperdir", &overlay.upper), ("workdir", &overlay.work)] {
        folder.as_ref().map_or(Ok(()), |folder| fsconfig_set_string(&context, key, folder)).blame(WHAT)?;
    }
    if !is_first_user() {
        fsconfig_set_flag(&context, "userxattr").blame(WHAT)?;
    }
    fsconfig_create(&context).blame(WHAT)?;
    let made = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty()).blame(WHAT)?;
    let target = Inside::new(target)?;
    mount::attach(made, &target).blame(WHAT)
}

fn options(overlay: &Overlay) -> Vec<u8> {
    let mut options = b"lowerdir=".to_vec();
    for (place, lower) in overlay.lower.iter().enumerate() {
        options.extend((place > 0).then_some(b':'));
        options.extend(escaped(lower, b",:\\"));
    }
    for (key, folder) in [(",upperdir=", &overlay.upper), (",workdir=", &overlay.work)] {
        if let Some(folder) = folder {
            options.extend(key.as_bytes());
            options.extend(escaped(folder, b",\\"));
        }
    }
    if !is_first_user() {
        options.extend(b",userxattr");
    }
    options
}

fn escaped(path: &Path, special: &[u8]) -> Vec<u8> {
    path.as_os_str()
        .as_bytes()
        .iter()
        .flat_map(|byte| special.contains(byte).then_some(b'\\').into_iter().chain([*byte]))
        .collect()
}

/// Whether this process is in the first user namespace, where overlays keep their marks in trusted attributes.
fn is_first_user() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let is_whole = map.split_whitespace().eq(["0", "0", "4294967295"]);
    is_whole && geteuid().is_root()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_be_options() {
        let overlay =
            Overlay { lower: vec!["/a:b".into(), "/c,d".into()], upper: Some("/u,x".into()), work: Some("/w".into()) };
        let options = String::from_utf8(options(&overlay)).unwrap();
        assert!(options.starts_with("lowerdir=/a\\:b:/c\\,d,upperdir=/u\\,x,workdir=/w"), "{options}");
    }
}
