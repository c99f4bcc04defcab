//! A ledger in a file: one entry a line, JSON, and beside it the head, so that a cut-off end is found too.

use std::{
    fs::{self, File, OpenOptions},
    io::{BufRead, BufReader, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use patchkit_core::{Context, Digest, Entry, Error, Ledger, Plugin, PluginInfo, Record, Result};
use serde::{Deserialize, Serialize};

/// A ledger in a file of JSON lines, for any number of processes at once.
///
/// Appending holds an exclusive lock on the file, writes the line, makes it durable, and then moves the head, a small
/// file beside it (`NAME.head`) that knows how many entries there are and the digest of the last. A process that is
/// killed leaves at most a torn last line that the head knows nothing of; the next append takes it away. An end that
/// was cut off is missed by the head and is [`Corrupt`](patchkit_core::ErrorKind::Corrupt). Whoever can rewrite both
/// files can rewrite history: keep the head's digest elsewhere to find that.
#[derive(Clone, Debug)]
pub struct FileLedger {
    path: PathBuf,
}

/// What the ledger must at least hold.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Head {
    entries: u64,
    digest: Digest,
}

impl FileLedger {
    /// The ledger in the given file, which is made by the first append.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce(&Self) -> Result<T> + Send + 'static) -> Result<T> {
        let ledger = self.clone();
        let shown = self.path.display().to_string();
        let done = tokio::task::spawn_blocking(move || work(&ledger)).await;
        done.map_err(|error| Error::unexpected("the ledger's thread died").because(error))?
            .map_err(|error| error.on(shown))
    }

    fn append_now(&self, record: Record) -> Result<Entry> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(&self.path).map_err(io("open"))?;
        file.lock().map_err(io("lock"))?;
        let Chain { entries, sound } = self.chain(&mut file)?;
        file.set_len(sound).map_err(io("drop a torn line"))?;
        let entry = Entry::after(entries.last(), record);
        let mut line = serde_json::to_vec(&entry).expect("an entry has only string keys");
        line.push(b'\n');
        file.write_all(&line).and_then(|()| file.sync_data()).map_err(io("append"))?;
        self.write_head(Head { entries: entry.sequence + 1, digest: entry.digest })?;
        Ok(entry)
    }

    fn read_now(&self, from: u64, limit: usize) -> Result<Vec<Entry>> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return self.nothing_is_missing();
            }
            Err(error) => return Err(io("open")(error)),
        };
        file.lock_shared().map_err(io("lock"))?;
        let Chain { entries, .. } = self.chain(&mut file)?;
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        Ok(entries.into_iter().skip(from).take(limit).collect())
    }

    fn nothing_is_missing(&self) -> Result<Vec<Entry>> {
        match self.head()? {
            Some(head) => Err(Error::corrupt(format!("the file is gone, but its head knows {} entries", head.entries))),
            None => Ok(Vec::new()),
        }
    }

    /// All entries, each checked against the one before and the whole against the head.
    fn chain(&self, file: &mut File) -> Result<Chain> {
        file.seek(SeekFrom::Start(0)).map_err(io("read"))?;
        let mut reader = BufReader::new(file);
        let mut chain = Chain { entries: Vec::new(), sound: 0 };
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).map_err(io("read"))? > 0 {
            if line.last() != Some(&b'\n') {
                break;
            }
            let number = chain.entries.len();
            let entry: Entry = serde_json::from_slice(&line)
                .map_err(|error| Error::corrupt(format!("entry {number} does not read")).because(error))?;
            entry.check(chain.entries.last())?;
            chain.entries.push(entry);
            chain.sound += line.len() as u64;
            line.clear();
        }
        self.check_head(&chain.entries)?;
        Ok(chain)
    }

    fn check_head(&self, entries: &[Entry]) -> Result<()> {
        let Some(head) = self.head()? else {
            return Ok(());
        };
        let last = head.entries.checked_sub(1).and_then(|last| usize::try_from(last).ok());
        match last.and_then(|last| entries.get(last)) {
            Some(entry) if entry.digest == head.digest => Ok(()),
            Some(_) => Err(Error::corrupt(format!("entry {} is not the one that the head knows", head.entries - 1))),
            None => Err(Error::corrupt(format!("{} of {} entries are left", entries.len(), head.entries))),
        }
    }

    fn head(&self) -> Result<Option<Head>> {
        let mut text = String::new();
        match File::open(self.head_path()).and_then(|mut file| file.read_to_string(&mut text)) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io("read the head")(error)),
        }
        serde_json::from_str(&text).map(Some).map_err(|error| Error::corrupt("the head does not read").because(error))
    }

    fn write_head(&self, head: Head) -> Result<()> {
        let json = serde_json::to_vec(&head).expect("a head has only string keys");
        let part = self.beside("head.part");
        let mut file = File::create(&part).map_err(io("write the head"))?;
        file.write_all(&json).and_then(|()| file.sync_data()).map_err(io("write the head"))?;
        fs::rename(part, self.head_path()).map_err(io("write the head"))
    }

    fn head_path(&self) -> PathBuf {
        self.beside("head")
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(".");
        name.push(suffix);
        name.into()
    }
}

/// The entries of a file, and how many of its bytes they are: a torn line may follow.
struct Chain {
    entries: Vec<Entry>,
    sound: u64,
}

fn io(what: &'static str) -> impl Fn(std::io::Error) -> Error {
    move |error| Error::unexpected(format!("cannot {what}: {error}")).because(error)
}

impl Plugin for FileLedger {
    fn info(&self) -> PluginInfo {
        PluginInfo::new("file-ledger", env!("CARGO_PKG_VERSION"))
    }
}

#[async_trait]
impl Ledger for FileLedger {
    async fn append(&self, record: &Record, _cx: &Context) -> Result<Entry> {
        let record = record.clone();
        self.blocking(move |ledger| ledger.append_now(record)).await
    }

    async fn read(&self, from: u64, limit: usize, _cx: &Context) -> Result<Vec<Entry>> {
        self.blocking(move |ledger| ledger.read_now(from, limit)).await
    }
}

#[cfg(test)]
mod tests {
    use patchkit_core::ErrorKind;

    use super::*;

    fn record(n: u32) -> Record {
        let at = jiff::Timestamp::UNIX_EPOCH;
        Record { kind: "test".into(), subject: Digest::of(b"x"), run: "r".into(), at, body: n.into() }
    }

    fn filled(entries: u32) -> (tempfile::TempDir, FileLedger) {
        let folder = tempfile::tempdir().unwrap();
        let ledger = FileLedger::new(folder.path().join("ledger.jsonl"));
        for n in 0..entries {
            ledger.append_now(record(n)).unwrap();
        }
        (folder, ledger)
    }

    fn rewrite(ledger: &FileLedger, change: impl FnOnce(String) -> String) {
        let text = fs::read_to_string(ledger.path()).unwrap();
        fs::write(ledger.path(), change(text)).unwrap();
    }

    #[test]
    fn what_is_appended_is_read_again_in_pages() {
        let (_folder, ledger) = filled(5);
        let page = ledger.read_now(3, 10).unwrap();
        assert_eq!(page.iter().map(|entry| entry.sequence).collect::<Vec<_>>(), [3, 4]);
        assert!(ledger.read_now(9, 10).unwrap().is_empty());
    }

    #[test]
    fn every_kind_of_tampering_is_found() {
        type Tampering = fn(String) -> String;
        let cases: [(&str, Tampering); 5] = [
            ("changed", |text| text.replacen("\"body\":1", "\"body\":7", 1)),
            ("left out", |text| {
                text.lines().enumerate().filter(|(n, _)| *n != 1).map(|(_, l)| format!("{l}\n")).collect()
            }),
            ("put in twice", |text| text.lines().flat_map(|l| [format!("{l}\n"), format!("{l}\n")]).collect()),
            ("cut off", |text| text.lines().take(2).map(|l| format!("{l}\n")).collect()),
            ("emptied", |_| String::new()),
        ];
        for (name, tampering) in cases {
            let (_folder, ledger) = filled(3);
            rewrite(&ledger, tampering);
            assert_eq!(ledger.read_now(0, 10).unwrap_err().kind(), ErrorKind::Corrupt, "{name}");
            assert_eq!(ledger.append_now(record(9)).unwrap_err().kind(), ErrorKind::Corrupt, "{name}");
        }
        let (_folder, ledger) = filled(1);
        fs::remove_file(ledger.path()).unwrap();
        assert_eq!(ledger.read_now(0, 10).unwrap_err().kind(), ErrorKind::Corrupt, "removed");
    }

    #[test]
    fn a_torn_last_line_is_dropped_by_the_next_append() {
        let (_folder, ledger) = filled(2);
        rewrite(&ledger, |text| text + "{\"sequence\":2,\"prev");
        assert_eq!(ledger.read_now(0, 10).unwrap().len(), 2);
        ledger.append_now(record(2)).unwrap();
        assert_eq!(ledger.read_now(0, 10).unwrap().len(), 3);
    }

    #[test]
    fn many_writers_lose_nothing() {
        let (_folder, ledger) = filled(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10).for_each(|n| drop(ledger.append_now(record(n)).unwrap())));
            }
        });
        assert_eq!(ledger.read_now(0, 100).unwrap().len(), 40);
    }
}
