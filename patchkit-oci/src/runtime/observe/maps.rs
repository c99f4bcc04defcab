//! What a container's processes have mapped, looked up from time to time.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use patchkit_core::image::FilePath;

use super::{
    MAX_FILES,
    root::{Root, same},
};

/// How long it is until the next look.
const PAUSE: Duration = Duration::from_millis(50);

/// What looks like a file in a process's memory but has no name anywhere.
const NAMELESS: [&[u8]; 4] = [b"/SYSV", b"/anon_hugepage", b"/dev/zero", b"/memfd:"];

/// A container whose processes are looked at.
#[derive(Debug)]
pub(super) struct Maps {
    files: Arc<Mutex<BTreeSet<FilePath>>>,
    sampled: Arc<Sampled>,
    stop: Option<Sender<()>>,
    sampler: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Sampled {
    root: Root,
    /// The container's pid namespace, as links in `/proc` name it.
    namespace: PathBuf,
}

impl Maps {
    /// Looks at the processes that share a process's pid namespace; `None` where that cannot be found out.
    pub(super) fn sample(root: Root, pid: u32) -> Option<Self> {
        let namespace = fs::read_link(format!("/proc/{pid}/ns/pid")).ok()?;
        let (files, sampled) = (Arc::default(), Arc::new(Sampled { root, namespace }));
        let (stop, stopped) = mpsc::channel();
        let sampler = thread::Builder::new().name("patchkit-maps".into());
        let sampler = sampler.spawn({
            let (files, sampled) = (Arc::clone(&files), Arc::clone(&sampled));
            move || {
                sampled.look(&files);
                while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(PAUSE) {
                    sampled.look(&files);
                }
            }
        });
        Some(Self { files, sampled, stop: Some(stop), sampler: Some(sampler.ok()?) })
    }

    /// What was mapped at any look, and what is now.
    pub(super) fn files(&self) -> BTreeSet<FilePath> {
        self.sampled.look(&self.files);
        self.files.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Maps {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(sampler) = self.sampler.take() {
            // A sampler that panicked has nothing more to say.
            let _ = sampler.join();
        }
    }
}

impl Sampled {
    fn look(&self, files: &Mutex<BTreeSet<FilePath>>) {
        for process in self.processes() {
            let Ok(maps) = fs::read(process.join("maps")) else { continue };
            let names: BTreeSet<Vec<u8>> = names(&maps).collect();
            let found = names.iter().filter_map(|name| self.name(name, &process));
            let found: Vec<_> = found.collect();
            let mut files = files.lock().unwrap_or_else(PoisonError::into_inner);
            let room = MAX_FILES.saturating_sub(files.len());
            files.extend(found.into_iter().take(room));
        }
    }

    /// The folders in `/proc` of the container's processes.
    fn processes(&self) -> impl Iterator<Item = PathBuf> {
        let all = fs::read_dir("/proc").into_iter().flatten().flatten();
        let numbered = all.filter(|entry| entry.file_name().as_bytes().iter().all(u8::is_ascii_digit));
        numbered
            .map(|entry| entry.path())
            .filter(|process| fs::read_link(process.join("ns/pid")).is_ok_and(|namespace| namespace == self.namespace))
    }

    /// The name in the container, where it is a file of the container's own file system or was one.
    fn name(&self, printed: &[u8], process: &Path) -> Option<FilePath> {
        let root = process.join("root");
        let inside = |path: &FilePath| root.join(OsStr::from_bytes(path.as_bytes()));
        let shared = |path: &FilePath| {
            let both = fs::symlink_metadata(self.root.of(path)).ok().zip(fs::symlink_metadata(inside(path)).ok());
            both.is_some_and(|(here, there)| same(&here, &there))
        };
        let path = self.root.place(printed, |path| fs::symlink_metadata(path).is_ok())?;
        let ours =
            shared(&path) || (printed.ends_with(b" (deleted)") && path.parent().is_some_and(|folder| shared(&folder)));
        ours.then_some(path)
    }
}

/// The names of files in a list of mappings (`proc_pid_maps(5)`).
fn names(maps: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let lines = maps.split(|byte| *byte == b'\n');
    lines.filter_map(name).filter(|name| !NAMELESS.iter().any(|nameless| name.starts_with(nameless)))
}

/// The name in a line, which begins at its first slash: the five fields before have none.
fn name(line: &[u8]) -> Option<Vec<u8>> {
    let slash = line.iter().position(|byte| *byte == b'/')?;
    Some(unescape(&line[slash..]))
}

/// Undoes the one escape that there is: of a line's end.
fn unescape(name: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((first, after)) = rest.split_first() {
        let escaped = rest.strip_prefix(br"\012");
        plain.push(if escaped.is_some() { b'\n' } else { *first });
        rest = escaped.unwrap_or(after);
    }
    plain
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_mappings_are_read(maps: Vec<u8>) {
            names(&maps).for_each(|name| assert!(name.starts_with(b"/")));
        }

        #[test]
        fn names_that_have_lines_are_read_back(name in "/[a-z\n ]{1,20}") {
            let line = format!("7f00-7f01 r-xp 00000000 fe:00 12 {}", name.replace('\n', "\\012"));
            prop_assert_eq!(super::name(line.as_bytes()), Some(name.into_bytes()));
        }
    }

    #[test]
    fn names_are_read_from_mappings() {
        let maps = b"7f00-7f01 r-xp 00000000 fe:00 12   /usr/lib/libc.so.6\n\
            7f01-7f02 rw-p 00000000 00:00 0\n\
            7f02-7f03 rw-p 00000000 00:00 0   [heap]\n\
            7f03-7f04 rw-s 00000000 00:01 9   /memfd:x (deleted)\n\
            7f04-7f05 r--p 00000000 fe:00 13   /a\\012b c (deleted)\n";
        let names: Vec<_> = names(maps).collect();
        assert_eq!(names, [b"/usr/lib/libc.so.6".to_vec(), b"/a\nb c (deleted)".to_vec()]);
    }
}
