//! What the system has that running commands needs or is better for.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use nix::{
    fcntl::AT_FDCWD,
    sys::fanotify::{EventFFlags, Fanotify, InitFlags, MarkFlags, MaskFlags},
};
use patchkit_core::{Context, Error, Result};
use tokio::process::Command;

use super::Checkup;
use crate::file::{blocking, on};

/// Where control groups are, by convention (`file-hierarchy(7)`).
const CGROUPS: &str = "/sys/fs/cgroup";

/// The controllers that limits are kept by.
const CONTROLLERS: [&str; 2] = ["memory", "pids"];

/// Tries all of it.
pub(super) async fn checkups(cx: &Context) -> Vec<Checkup> {
    let cgroups = blocking(|| cgroups(Path::new(CGROUPS))).await;
    let fanotify = blocking(fanotify).await;
    let overlay = cx.guard(overlay()).await;
    let user = cx.guard(run("unshare", &["--user", "--map-root-user", "true"], "made one")).await;
    vec![
        Checkup::of(
            "control groups",
            cgroups,
            "run as root, or have a group with the controllers memory and pids delegated to you; else limits of memory \
             and processes are kept less strictly",
        ),
        Checkup::of(
            "fanotify",
            fanotify,
            "run as root of the machine (CAP_SYS_ADMIN); else which files tests use is seen by what they map only",
        ),
        Checkup::of(
            "overlay mounts",
            overlay,
            "load the kernel's module overlay, and put temporary files where it can write (not on another overlay); else \
             files are copied for each start",
        ),
        Checkup::of(
            "user namespaces",
            user,
            "allow them (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone, \
             kernel.apparmor_restrict_unprivileged_userns); without them only root can run commands",
        ),
    ]
}

/// Runs a program that says by its status whether something works.
async fn run(program: &str, args: &[&str], seen: &str) -> Result<String> {
    let output = Command::new(program).args(args).kill_on_drop(true).output().await;
    let output = output.map_err(|error| Error::unavailable(format!("it cannot be tried: {program}: {error}")))?;
    let said = String::from_utf8_lossy(&output.stderr);
    match output.status.success() {
        true => Ok(seen.to_owned()),
        false => Err(Error::denied(said.trim().lines().last().unwrap_or("it fails without a word").to_owned())),
    }
}

/// Mounts an overlay where nobody else sees it, in a user namespace where that is needed.
async fn overlay() -> Result<String> {
    let folder = tempfile::tempdir().map_err(on(&std::env::temp_dir()))?;
    let path = |name: &str| -> Result<String> {
        let path = folder.path().join(name);
        fs::create_dir(&path).map_err(on(&path))?;
        path.into_os_string().into_string().map_err(|_| Error::invalid("the path is no text"))
    };
    let (lower, upper, work, root) = (path("lower")?, path("upper")?, path("work")?, path("root")?);
    let options = format!("lowerdir={lower},upperdir={upper},workdir={work}");
    let mount = ["mount", "-t", "overlay", "overlay", "-o", &options, &root];
    match nix::unistd::geteuid().is_root() {
        true => run("unshare", &[&["--mount"], &mount[..]].concat(), "mounted one").await,
        false => {
            let private = ["--user", "--map-root-user", "--mount"];
            run("unshare", &[&private, &mount[..]].concat(), "mounted one in a user namespace").await
        }
    }
}

/// Watches a file system, opens a file, and waits to be told.
fn fanotify() -> Result<String> {
    let denied = |error: nix::Error| Error::denied(format!("the kernel says {error}")).because(error);
    let file = tempfile::NamedTempFile::new().map_err(on(&std::env::temp_dir()))?;
    let flags = InitFlags::FAN_CLASS_NOTIF | InitFlags::FAN_CLOEXEC | InitFlags::FAN_NONBLOCK;
    let group = Fanotify::init(flags, EventFFlags::O_RDONLY | EventFFlags::O_CLOEXEC).map_err(denied)?;
    let mark = MarkFlags::FAN_MARK_ADD | MarkFlags::FAN_MARK_FILESYSTEM;
    group.mark(mark, MaskFlags::FAN_OPEN, AT_FDCWD, Some(file.path())).map_err(denied)?;
    fs::File::open(file.path()).map_err(on(file.path()))?;
    match group.read_events().map_err(denied)?.is_empty() {
        false => Ok("was told of an opening".into()),
        true => Err(Error::unsupported("the kernel does not tell of openings")),
    }
}

/// Makes a control group with the controllers that limits need, and removes it.
fn cgroups(root: &Path) -> Result<String> {
    let name = format!("patchkit-doctor-{}", std::process::id());
    if root.join("cgroup.controllers").exists() {
        let group = Group::make(root.join(name))?;
        let file = group.0.join("cgroup.controllers");
        let has = fs::read_to_string(&file).map_err(on(&file))?;
        let missing: Vec<_> =
            CONTROLLERS.into_iter().filter(|name| !has.split_whitespace().any(|it| it == *name)).collect();
        return match missing.is_empty() {
            true => Ok("version 2, with memory and pids".into()),
            false => Err(Error::unsupported(format!("version 2, without {}", missing.join(" and ")))),
        };
    }
    for controller in CONTROLLERS {
        drop(Group::make(root.join(controller).join(&name))?);
    }
    Ok("version 1, with memory and pids".into())
}

/// A control group that is removed when dropped.
struct Group(PathBuf);

impl Group {
    fn make(path: PathBuf) -> Result<Self> {
        match fs::create_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(Error::unsupported("there is no such controller").on(path.display()).because(error))
            }
            made => made.map(|()| Self(path.clone())).map_err(on(&path)),
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "a control group could not be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controllers_that_are_missing_are_named() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("memory")).unwrap();
        let error = cgroups(root.path()).unwrap_err();
        assert!(error.subject().unwrap().contains("/pids/"), "{error}");
        assert_eq!(fs::read_dir(root.path().join("memory")).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn what_fails_says_what_the_system_said() {
        let failed = run("sh", &["-c", "echo first >&2; echo no way >&2; exit 1"], "").await.unwrap_err();
        assert_eq!(failed.to_string(), "no way");
        assert!(run("no-such-program", &[], "").await.is_err());
    }

    #[tokio::test]
    async fn all_is_tried() {
        let checkups = checkups(&Context::new()).await;
        let names: Vec<_> = checkups.iter().map(|checkup| checkup.name.as_str()).collect();
        assert_eq!(names, ["control groups", "fanotify", "overlay mounts", "user namespaces"]);
        checkups.iter().for_each(|checkup| println!("{checkup}"));
    }
}
