//! A store of downloaded files on disk, found by their hash, shared by any number of processes.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use jiff::Timestamp;
use patchkit_core::{Algorithm, Digest, Error, ErrorKind, Hasher, Result};
use tempfile::NamedTempFile;

/// Bytes hashed at once.
const CHUNK: usize = 256 << 10;
/// An unfinished file this old has no writer any more.
const ABANDONED: Duration = Duration::from_secs(24 * 3600);

/// Downloaded files by their digest, and the date of the newest `Release` file seen of every suite.
///
/// A file becomes visible only whole and verified (written aside, then renamed), so that a process may be killed at any
/// moment. Every read verifies it again: a file that was damaged since, also by a power failure, is dropped and counts
/// as absent. That is why nothing waits for the disk (`fsync`) except the dates, which no hash protects.
///
/// Layout: `sha256/ab/abcd…`, `sha512/…`, `seen/…`, `unfinished/…`.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// Opens a cache in a folder, which is made where it is absent, and clears away what killed writers left a day ago.
    ///
    /// # Errors
    /// `Denied` or `Unexpected` when the folder cannot be used.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self> {
        let cache = Self { root: root.into() };
        for folder in [cache.unfinished(), cache.root.join("seen")] {
            fs::create_dir_all(&folder).map_err(at(&folder))?;
        }
        cache.clear_abandoned();
        Ok(cache)
    }

    /// The file with this digest, verified just now; `None` where it is absent or was found damaged.
    ///
    /// # Errors
    /// `Denied` or `Unexpected` when a file that is there cannot be read.
    pub fn find(&self, digest: &Digest) -> Result<Option<PathBuf>> {
        let path = self.path(digest);
        let Some(mut file) = open(&path)? else {
            return Ok(None);
        };
        let mut hasher = Hasher::new(digest.algorithm());
        let mut chunk = vec![0; CHUNK];
        loop {
            match file.read(&mut chunk).map_err(at(&path))? {
                0 => break,
                length => hasher.update(&chunk[..length]),
            }
        }
        self.keep_if(hasher.finish() == *digest, digest, path)
    }

    /// The content of the file with this digest, verified; `None` where it is absent or was found damaged.
    ///
    /// # Errors
    /// `Denied` or `Unexpected` when a file that is there cannot be read.
    pub fn read(&self, digest: &Digest) -> Result<Option<Vec<u8>>> {
        let path = self.path(digest);
        let Some(mut file) = open(&path)? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(at(&path))?;
        let mut hasher = Hasher::new(digest.algorithm());
        hasher.update(&bytes);
        Ok(self.keep_if(hasher.finish() == *digest, digest, path)?.map(|_| bytes))
    }

    /// Begins a file whose digest will be of this kind. Dropped unfinished, it leaves nothing behind.
    ///
    /// # Errors
    /// `Denied` or `Unexpected` when no file can be made.
    pub fn writer(&self, algorithm: Algorithm) -> Result<CacheWriter> {
        let file = NamedTempFile::new_in(self.unfinished()).map_err(at(&self.root))?;
        Ok(CacheWriter { cache: self.clone(), file, hasher: Hasher::new(algorithm), size: 0 })
    }

    /// Stores bytes under their digest and says where.
    ///
    /// # Errors
    /// `Corrupt` when they have another digest, `Denied` or `Unexpected` when they cannot be written.
    pub fn store(&self, digest: &Digest, bytes: &[u8]) -> Result<PathBuf> {
        let mut writer = self.writer(digest.algorithm())?;
        writer.write(bytes)?;
        writer.finish(digest)
    }

    /// The date of the newest `Release` file seen of a suite, which is named by its address.
    ///
    /// # Errors
    /// `Corrupt` where the note is no date, `Denied` or `Unexpected` when it cannot be read.
    pub fn seen(&self, suite: &str) -> Result<Option<Timestamp>> {
        let path = self.seen_path(suite);
        let Some(mut file) = open(&path)? else {
            return Ok(None);
        };
        let mut note = String::new();
        file.read_to_string(&mut note).map_err(at(&path))?;
        let date = note.lines().next().unwrap_or_default().parse();
        date.map(Some).map_err(|_| Error::corrupt("not a date; remove it to begin anew").on(path.display()))
    }

    /// Notes the date of a `Release` file that was verified, unless a newer one is noted already.
    ///
    /// # Errors
    /// `Denied` or `Unexpected` when the note cannot be written.
    pub fn set_seen(&self, suite: &str, date: Timestamp) -> Result<()> {
        let path = self.seen_path(suite);
        let lock = File::create(path.with_extension("lock")).map_err(at(&path))?;
        lock.lock().map_err(at(&path))?;
        if self.seen(suite).ok().flatten().is_some_and(|seen| seen >= date) {
            return Ok(());
        }
        let mut file = NamedTempFile::new_in(self.unfinished()).map_err(at(&path))?;
        let write = write!(file, "{date}\n{suite}\n").and_then(|()| file.as_file().sync_all());
        write.map_err(at(&path))?;
        file.persist(&path).map_err(|error| at(&path)(error.error))?;
        Ok(())
    }

    /// Removes a file that turned out to be damaged, so that it is fetched again.
    fn keep_if(&self, sound: bool, digest: &Digest, path: PathBuf) -> Result<Option<PathBuf>> {
        if sound {
            return Ok(Some(path));
        }
        tracing::warn!(%digest, path = %path.display(), "a cached file is damaged and dropped");
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(&path)(error)),
            _ => Ok(None),
        }
    }

    fn clear_abandoned(&self) {
        let Ok(entries) = fs::read_dir(self.unfinished()) else {
            return;
        };
        for entry in entries.flatten() {
            let age =
                entry.metadata().and_then(|data| data.modified()).map(|time| SystemTime::now().duration_since(time));
            if matches!(age, Ok(Ok(age)) if age > ABANDONED) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        self.root.join(digest.algorithm().as_str()).join(&hex[..2]).join(hex)
    }

    fn seen_path(&self, suite: &str) -> PathBuf {
        self.root.join("seen").join(Digest::of(suite).hex())
    }

    fn unfinished(&self) -> PathBuf {
        self.root.join("unfinished")
    }
}

/// A file on its way into a [`Cache`].
#[derive(Debug)]
pub struct CacheWriter {
    cache: Cache,
    file: NamedTempFile,
    hasher: Hasher,
    size: u64,
}

impl CacheWriter {
    /// Appends bytes.
    ///
    /// # Errors
    /// `Unexpected` when the disk is full, for instance.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        self.file.write_all(bytes).map_err(at(self.file.path()))
    }

    /// How many bytes were written.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Makes the file visible under its digest and says where it is.
    ///
    /// # Errors
    /// `Corrupt` when the bytes have another digest: then nothing is stored.
    pub fn finish(self, expected: &Digest) -> Result<PathBuf> {
        let found = self.hasher.finish();
        if found != *expected {
            return Err(Error::corrupt(format!("has the digest {found}, not {expected}")));
        }
        let path = self.cache.path(expected);
        let folder = path.parent().unwrap_or(&self.cache.root);
        fs::create_dir_all(folder).map_err(at(folder))?;
        self.file.persist(&path).map_err(|error| at(&path)(error.error))?;
        Ok(path)
    }
}

fn open(path: &Path) -> Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(at(path)(error)),
    }
}

fn at(path: &Path) -> impl Fn(io::Error) -> Error + use<> {
    let path = path.display().to_string();
    move |error| {
        let denied = matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem);
        let kind = if denied { ErrorKind::Denied } else { ErrorKind::Unexpected };
        Error::new(kind, error.to_string()).during("use the cache").on(&path).because(error)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn cache() -> (tempfile::TempDir, Cache) {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = Cache::open(folder.path().join("deep/er")).expect("a cache");
        (folder, cache)
    }

    fn unfinished(cache: &Cache) -> usize {
        fs::read_dir(cache.unfinished()).expect("there").count()
    }

    #[test]
    fn what_is_stored_is_found_and_verified() {
        let (_folder, cache) = cache();
        let digest = Digest::of("hello");
        assert_eq!(cache.read(&digest).expect("absent"), None);
        let path = cache.store(&digest, b"hello").expect("stored");
        assert_eq!(cache.find(&digest).expect("there"), Some(path));
        assert_eq!(cache.read(&digest).expect("there").as_deref(), Some(&b"hello"[..]));
        assert_eq!(unfinished(&cache), 0);
    }

    #[test]
    fn other_bytes_are_refused_and_leave_nothing() {
        let (_folder, cache) = cache();
        let error = cache.store(&Digest::of("hello"), b"hullo").expect_err("other bytes");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert_eq!((cache.read(&Digest::of("hello")).expect("absent"), unfinished(&cache)), (None, 0));
    }

    #[test]
    fn damage_is_noticed_and_dropped() {
        for damage in ["hullo", "hell", "hello!", ""] {
            let (_folder, cache) = cache();
            let digest = Digest::of("hello");
            let path = cache.store(&digest, b"hello").expect("stored");
            fs::write(&path, damage).expect("damaged");
            assert_eq!(cache.find(&digest).expect("no error"), None);
            assert!(!path.exists());
            cache.store(&digest, b"hello").expect("stored again");
        }
    }

    #[test]
    fn half_a_file_is_never_visible() {
        let (_folder, cache) = cache();
        let mut writer = cache.writer(Algorithm::Sha256).expect("a writer");
        writer.write(b"hel").expect("written");
        assert_eq!((cache.read(&Digest::of("hel")).expect("absent"), unfinished(&cache)), (None, 1));
        drop(writer);
        assert_eq!(unfinished(&cache), 0);
    }

    #[test]
    fn many_writers_of_one_file_agree() {
        let (_folder, cache) = cache();
        let bytes = vec![7; 100_000];
        let digest = Digest::of(&bytes);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        cache.store(&digest, &bytes).expect("stored");
                        assert!(cache.find(&digest).expect("no error").is_some());
                    }
                });
            }
        });
        assert_eq!(unfinished(&cache), 0);
    }

    #[test]
    fn dates_only_go_forward() {
        let (_folder, cache) = cache();
        let time = |text: &str| text.parse::<Timestamp>().expect("a time");
        assert_eq!(cache.seen("a").expect("nothing"), None);
        for date in ["2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z"] {
            cache.set_seen("a", time(date)).expect("noted");
        }
        assert_eq!(cache.seen("a").expect("noted"), Some(time("2026-01-02T00:00:00Z")));
        assert_eq!(cache.seen("b").expect("nothing"), None);
        fs::write(cache.seen_path("a"), "yesterday").expect("damaged");
        assert_eq!(cache.seen("a").expect_err("damaged").kind(), ErrorKind::Corrupt);
    }

    #[test]
    fn leftovers_go_after_a_day() {
        let (_folder, cache) = cache();
        let (old, new) = (cache.unfinished().join("old"), cache.unfinished().join("new"));
        fs::write(&new, "").expect("written");
        let two_days_ago = SystemTime::now() - 2 * ABANDONED;
        File::create(&old).expect("made").set_modified(two_days_ago).expect("dated");
        Cache::open(&cache.root).expect("opened again");
        assert!(!old.exists() && new.exists());
    }
}
