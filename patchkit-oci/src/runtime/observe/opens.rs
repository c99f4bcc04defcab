//! Openings, as the kernel reports them.

use std::{
    collections::BTreeSet,
    fs::{self, Metadata},
    io::{self, PipeReader, PipeWriter},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd},
        unix::{ffi::OsStrExt, fs::MetadataExt},
    },
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

use nix::{
    errno::Errno,
    fcntl::AT_FDCWD,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        fanotify::{EventFFlags, Fanotify, FanotifyEvent, InitFlags, MarkFlags, MaskFlags},
        resource::{Resource, getrlimit},
        statfs::{OVERLAYFS_SUPER_MAGIC, statfs},
    },
};
use patchkit_core::{Seen, Used, image::FilePath};

use super::{
    MAX_FILES,
    root::{Root, same},
};

/// When fewer file descriptors than this are left, the kernel may have dropped reports that needed one, and does not
/// say so.
const FEW: u64 = 200;

/// The most reports that may wait to be read: more are no suite of tests but somebody who wants to fill our memory.
const MAX_WAITING: u64 = 250_000;

/// The bytes that the kernel counts for a report that waits.
const REPORT: u64 = 24;

/// A file system that is watched. A thread reads the reports; whoever wants an answer reads what is left of them first.
#[derive(Debug)]
pub(super) struct Opens {
    noted: Arc<Mutex<Noted>>,
    stop: Option<PipeWriter>,
    reader: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Noted {
    group: Fanotify,
    root: Root,
    files: BTreeSet<FilePath>,
    complete: bool,
    /// Descriptors from this number on are the last ones.
    last: u64,
    /// The most reports that may wait.
    most: u64,
    /// Whether the kernel can be told that it need not report a file again.
    quiet: bool,
    /// Whether nothing is reported until what waits is read.
    paused: bool,
}

impl Opens {
    /// Watches the file system that the root is of.
    pub(super) fn watch(root: Root) -> io::Result<Self> {
        Self::limited(root, MAX_WAITING)
    }

    /// The same, with a limit of its own for the reports that wait.
    pub(super) fn limited(root: Root, most: u64) -> io::Result<Self> {
        own_file_system(root.path())?;
        let group = group(root.path())?;
        let last = getrlimit(Resource::RLIMIT_NOFILE)?.0.saturating_sub(FEW);
        let noted =
            Noted { group, root, files: BTreeSet::new(), complete: true, last, most, quiet: true, paused: false };
        let noted = Arc::new(Mutex::new(noted));
        let (stopped, stop) = io::pipe()?;
        let reader = thread::Builder::new().name("patchkit-opens".into());
        let reader = reader.spawn({
            let noted = noted.clone();
            move || read(&noted, &stopped)
        })?;
        Ok(Self { noted, stop: Some(stop), reader: Some(reader) })
    }

    /// Keeps the thread from reading while something is done.
    #[cfg(test)]
    pub(super) fn unread<T>(&self, work: impl FnOnce() -> T) -> T {
        let _noted = lock(&self.noted);
        work()
    }

    /// What was opened until now.
    pub(super) fn used(&self) -> Used {
        let mut noted = lock(&self.noted);
        noted.drain();
        let seen = if noted.complete { Seen::Opened } else { Seen::Mapped };
        Used { seen, files: noted.files.clone() }
    }
}

impl Drop for Opens {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(reader) = self.reader.take() {
            // A reader that panicked has nothing more to say.
            let _ = reader.join();
        }
    }
}

/// Refuses a root that is only a folder of a larger file system: all of that would be watched.
fn own_file_system(root: &Path) -> io::Result<()> {
    const FUSE_SUPER_MAGIC: i64 = 0x6573_5546;
    let kind = statfs(root)?.filesystem_type();
    let layered = kind == OVERLAYFS_SUPER_MAGIC || kind.0 == FUSE_SUPER_MAGIC;
    if layered && fs::metadata(root)?.dev() != fs::metadata("/")?.dev() {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::Unsupported, "the root is no overlay of its own"))
}

fn group(root: &Path) -> io::Result<Fanotify> {
    let flags = InitFlags::FAN_CLASS_NOTIF | InitFlags::FAN_CLOEXEC | InitFlags::FAN_NONBLOCK;
    // Not to wait for the other end of a pipe that has a name.
    let descriptors =
        EventFFlags::O_RDONLY | EventFFlags::O_LARGEFILE | EventFFlags::O_CLOEXEC | EventFFlags::O_NONBLOCK;
    // The kernel's own limit of what waits is soon reached by a search through all files; ours is checked by hand.
    let unlimited = InitFlags::FAN_UNLIMITED_MARKS | InitFlags::FAN_UNLIMITED_QUEUE;
    let group = Fanotify::init(flags | unlimited, descriptors)?;
    mark(&group, MarkFlags::FAN_MARK_ADD, root)?;
    Ok(group)
}

/// Begins or ends to report what is opened on the root's file system. What is opened to be executed is opened, too.
fn mark(group: &Fanotify, how: MarkFlags, root: &Path) -> nix::Result<()> {
    group.mark(how | MarkFlags::FAN_MARK_FILESYSTEM, MaskFlags::FAN_OPEN, AT_FDCWD, Some(root))
}

/// Reads reports until it is stopped.
fn read(noted: &Mutex<Noted>, stopped: &PipeReader) {
    let Ok(group) = lock(noted).group.as_fd().try_clone_to_owned() else {
        lock(noted).complete = false;
        return;
    };
    let mut both = [PollFd::new(group.as_fd(), PollFlags::POLLIN), PollFd::new(stopped.as_fd(), PollFlags::POLLIN)];
    loop {
        match poll(&mut both, PollTimeout::NONE) {
            Ok(_) if both[1].any() != Some(false) => return,
            Ok(_) => lock(noted).drain(),
            Err(Errno::EINTR) => {}
            Err(_) => {
                lock(noted).complete = false;
                return;
            }
        }
    }
}

fn lock(noted: &Mutex<Noted>) -> MutexGuard<'_, Noted> {
    noted.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Noted {
    /// Notes what was reported until now, but not what is reported meanwhile: there may be no end of that.
    fn drain(&mut self) {
        let mut waiting = self.waiting();
        if waiting > self.most {
            self.pause();
        }
        while waiting > 0 {
            match self.group.read_events() {
                Ok(events) => {
                    events.iter().for_each(|event| self.note(event));
                    waiting = waiting.saturating_sub(events.len().max(1) as u64);
                }
                Err(Errno::EAGAIN) => break,
                Err(Errno::EINTR) => {}
                Err(error) => return self.miss(&format!("the kernel's reports cannot be read: {error}")),
            }
        }
        self.resume();
    }

    /// How many reports wait.
    fn waiting(&self) -> u64 {
        rustix::io::ioctl_fionread(&self.group).unwrap_or(REPORT) / REPORT
    }

    fn pause(&mut self) {
        self.paused = mark(&self.group, MarkFlags::FAN_MARK_REMOVE, self.root.path()).is_ok();
        self.miss("openings came too fast");
    }

    fn resume(&mut self) {
        if self.paused {
            self.paused = mark(&self.group, MarkFlags::FAN_MARK_ADD, self.root.path()).is_err();
        }
    }

    fn miss(&mut self, why: &str) {
        if std::mem::replace(&mut self.complete, false) {
            tracing::warn!(root = %self.root, "not all that is opened is seen: {why}");
        }
    }

    fn note(&mut self, event: &FanotifyEvent) {
        let Some(file) = event.fd().filter(|_| event.check_version()) else {
            return self.miss("openings came too fast");
        };
        if u64::try_from(file.as_raw_fd()).is_ok_and(|number| number >= self.last) {
            self.miss("too few file descriptors are left");
        }
        if u32::try_from(event.pid()) == Ok(std::process::id()) {
            return;
        }
        match self.name(file) {
            Ok(Some((path, metadata))) => self.keep(path, &metadata, file),
            Ok(None) => {}
            Err(error) => self.miss(&format!("a file cannot be named: {error}")),
        }
    }

    fn name(&self, file: BorrowedFd<'_>) -> io::Result<Option<(FilePath, Metadata)>> {
        let link = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        let metadata = fs::metadata(&link)?;
        if metadata.is_dir() {
            return Ok(None);
        }
        let printed = fs::read_link(&link)?;
        let is = |path: &Path| fs::symlink_metadata(path).is_ok_and(|there| same(&there, &metadata));
        let path = self.root.place(printed.as_os_str().as_bytes(), is);
        Ok(path.map(|path| (path, metadata)))
    }

    fn keep(&mut self, path: FilePath, metadata: &Metadata, file: BorrowedFd<'_>) {
        if self.files.len() >= MAX_FILES && !self.files.contains(&path) {
            return self.miss("too many files");
        }
        self.files.insert(path);
        // Another name of the file would not be reported either.
        if self.quiet && metadata.nlink() == 1 {
            self.quiet = self.hush(file).is_ok();
        }
    }

    /// Tells the kernel not to report a file again, for as long as it has it in memory.
    fn hush(&self, file: BorrowedFd<'_>) -> nix::Result<()> {
        let flags = MarkFlags::FAN_MARK_ADD
            | MarkFlags::FAN_MARK_EVICTABLE
            | MarkFlags::FAN_MARK_IGNORED_MASK
            | MarkFlags::FAN_MARK_IGNORED_SURV_MODIFY;
        self.group.mark(flags, MaskFlags::FAN_OPEN, file, None::<&Path>)
    }
}
