//! Updating a database from servers that answer well, badly, and not at all.

#![cfg(feature = "http")]
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use patchkit_core::{Context, Error, ErrorKind, Result, memory::ManualClock};
use patchkit_scan::{
    AdvisoryStore,
    advisory::{
        Feeds, Scope,
        update::{Outcome, Updated},
    },
    fetch::{HttpFetch, HttpOptions, SchemeFetch},
};
use tempfile::TempDir;
use url::Url;

/// A file on the server, and what goes wrong with it.
#[derive(Clone, Default)]
struct Served {
    body: Vec<u8>,
    version: u32,
    /// The connection drops after so many bytes of a body.
    drops_after: Option<usize>,
    /// It says that there are fewer bytes than there were.
    cut: Option<usize>,
    is_broken: bool,
}

/// A server of files with entity tags and ranges, on this machine.
#[derive(Clone)]
struct Server {
    address: String,
    files: Arc<Mutex<BTreeMap<String, Served>>>,
    /// The first line of each request, and the status of its answer.
    log: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = Self { address, files: Arc::default(), log: Arc::default() };
        let answering = server.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let server = answering.clone();
                thread::spawn(move || server.answer(stream.unwrap()));
            }
        });
        server
    }

    fn url(&self, path: &str) -> Url {
        format!("http://{}{path}", self.address).parse().unwrap()
    }

    fn put(&self, path: &str, served: Served) {
        self.files.lock().unwrap().insert(path.into(), served);
    }

    /// What was asked since the last time.
    fn log(&self) -> Vec<String> {
        std::mem::take(&mut self.log.lock().unwrap())
    }

    fn answer(&self, mut stream: TcpStream) {
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        let headers: BTreeMap<String, String> = lines
            .map(Result::unwrap_or_default)
            .take_while(|line| !line.is_empty())
            .filter_map(|line| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned())))
            .collect();
        let path = first.split(' ').nth(1).unwrap();
        let served = self.files.lock().unwrap().get(path).cloned();
        let (status, head, body) = respond(served.as_ref(), &headers);
        let range = headers.get("range").map(|range| format!(" {range}")).unwrap_or_default();
        self.log.lock().unwrap().push(format!("{path}{range} {status}"));
        let body = served.and_then(|served| served.drops_after).map_or(&body[..], |end| &body[..end.min(body.len())]);
        let _ = write!(stream, "HTTP/1.1 {status} x\r\nConnection: close\r\n{head}\r\n");
        let _ = stream.write_all(body);
    }
}

fn respond(served: Option<&Served>, headers: &BTreeMap<String, String>) -> (u16, String, Vec<u8>) {
    let Some(served) = served.filter(|served| !served.is_broken) else {
        return (if served.is_some() { 500 } else { 404 }, "Content-Length: 0\r\n".into(), Vec::new());
    };
    let tag = format!("\"v{}\"", served.version);
    if headers.get("if-none-match") == Some(&tag) {
        return (304, format!("ETag: {tag}\r\n"), Vec::new());
    }
    let body = &served.body[..served.cut.unwrap_or(served.body.len())];
    let start = headers.get("range").filter(|_| headers.get("if-range") == Some(&tag));
    let start = start.map(|range| range.trim_start_matches("bytes=").trim_end_matches('-').parse::<usize>().unwrap());
    let rest = &body[start.unwrap_or(0)..];
    let mut head = format!("ETag: {tag}\r\nContent-Length: {}\r\n", rest.len());
    if let Some(start) = start {
        head += &format!("Content-Range: bytes {start}-{}/{}\r\n", body.len() - 1, body.len());
    }
    (if start.is_some() { 206 } else { 200 }, head, rest.to_vec())
}

/// A list of so many CVEs, the versions of whose fixes have a mark in them.
fn list(count: usize, mark: u32) -> Vec<u8> {
    let line = |n: usize| format!("CVE-2024-{} (x)\n\t[bullseye] - curl {n}.{mark}-1\n", 1000 + n);
    (0..count).map(line).collect::<String>().into_bytes()
}

fn served(count: usize, version: u32) -> Served {
    Served { body: list(count, version), version, ..Served::default() }
}

struct Place {
    folder: TempDir,
    clock: ManualClock,
}

impl Place {
    fn new() -> Self {
        let clock = ManualClock::at("2026-03-01T12:00:00Z".parse().unwrap());
        Self { folder: tempfile::tempdir().unwrap(), clock }
    }

    fn database(&self) -> PathBuf {
        self.folder.path().join("advisories.db")
    }

    fn feed(&self, name: &str) -> PathBuf {
        self.folder.path().join("feeds").join(name)
    }

    async fn update(&self, feeds: &[(&str, Url)]) -> Result<Updated> {
        let new = Feeds::new(self.folder.path().join("feeds"));
        let feeds = feeds.iter().try_fold(new, |feeds, (name, url)| feeds.with_feed(name, url.clone()))?;
        self.update_of(&feeds).await
    }

    async fn update_of(&self, feeds: &Feeds) -> Result<Updated> {
        let options = HttpOptions::default().with_retries(0, Duration::ZERO);
        let fetch = SchemeFetch::new(HttpFetch::new(&options)?);
        let cx = Context::new().with_clock(Arc::new(self.clock.clone()));
        feeds.update(&self.database(), &fetch, &cx).await
    }

    /// The fixed versions of curl that the database has.
    fn fixes(&self) -> Vec<String> {
        let store = AdvisoryStore::open_compiled(&self.database()).unwrap();
        store.verify().unwrap();
        let claims = store.claims(&Scope::new("debian", Some("11")), "curl").unwrap();
        claims.iter().map(|claim| format!("{:?}", claim.status())).collect()
    }

    fn retrieved(&self, name: &str) -> String {
        let store = AdvisoryStore::open_compiled(&self.database()).unwrap();
        let source = store.sources().iter().find(|source| &*source.name == name).unwrap();
        source.retrieved.unwrap().to_string()
    }
}

fn outcomes(updated: &Updated) -> Vec<&'static str> {
    let word = |outcome: &Outcome| match outcome {
        Outcome::Changed => "changed",
        Outcome::Kept(_) => "kept",
        Outcome::Missing(_) => "missing",
        Outcome::Unchanged => "unchanged",
    };
    updated.feeds.iter().map(|feed| word(&feed.outcome)).collect()
}

fn only_error(updated: &Updated) -> &Error {
    updated.feeds[0].outcome.warning().unwrap()
}

#[tokio::test]
async fn what_has_changed_is_read_and_what_has_not_is_only_asked_for() {
    let (server, place) = (Server::start(), Place::new());
    let feeds = [("one", server.url("/one")), ("two", server.url("/two"))];
    server.put("/one", served(2, 1));
    server.put("/two", Served { body: list(1, 7), version: 7, ..Served::default() });
    let first = place.update(&feeds).await.unwrap();
    assert_eq!((outcomes(&first), place.fixes().len()), (vec!["changed", "changed"], 2));
    place.clock.advance(Duration::from_secs(3600));
    server.put("/one", served(3, 2));
    let second = place.update(&feeds).await.unwrap();
    assert_eq!((outcomes(&second), place.fixes().len()), (vec!["changed", "unchanged"], 3));
    assert_ne!(first.digest, second.digest);
    assert_eq!([place.retrieved("one"), place.retrieved("two")], ["2026-03-01T13:00:00Z"; 2]);
    let third = place.update(&feeds).await.unwrap();
    assert_eq!((outcomes(&third), third.digest), (vec!["unchanged", "unchanged"], second.digest));
    let mut log = server.log();
    log.sort();
    assert_eq!(log, ["/one 200", "/one 200", "/one 304", "/two 200", "/two 304", "/two 304"]);
}

#[tokio::test]
async fn what_was_broken_off_goes_on_where_it_stopped() {
    let (server, place) = (Server::start(), Place::new());
    let feeds = [("one", server.url("/one"))];
    server.put("/one", served(2, 1));
    place.update(&feeds).await.unwrap();
    let old = fs::read(place.database()).unwrap();
    server.log();
    server.put("/one", Served { drops_after: Some(1000), ..served(200, 2) });
    let broken = place.update(&feeds).await.unwrap();
    assert_eq!((outcomes(&broken), only_error(&broken).kind()), (vec!["kept"], ErrorKind::Unavailable));
    assert_eq!(fs::read(place.database()).unwrap(), old);
    let again = place.update(&feeds).await.unwrap();
    assert_eq!(outcomes(&again), ["kept"]);
    server.put("/one", served(200, 2));
    let done = place.update(&feeds).await.unwrap();
    assert_eq!((outcomes(&done), place.fixes().len()), (vec!["changed"], 200));
    assert_eq!(server.log(), ["/one 200", "/one bytes=1000- 206", "/one bytes=2000- 206"]);
    assert_eq!(outcomes(&place.update(&feeds).await.unwrap()), ["unchanged"]);
}

#[tokio::test]
async fn a_beginning_of_an_older_version_is_not_continued() {
    let (server, place) = (Server::start(), Place::new());
    let feeds = [("one", server.url("/one"))];
    server.put("/one", Served { drops_after: Some(1000), ..served(200, 1) });
    assert_eq!(place.update(&feeds).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(!place.database().exists());
    server.put("/one", served(100, 2));
    assert_eq!(outcomes(&place.update(&feeds).await.unwrap()), ["changed"]);
    assert!(place.fixes().len() == 100 && place.fixes().iter().all(|fix| fix.contains(".2-1")), "{:?}", place.fixes());
}

#[tokio::test]
async fn what_is_no_advisories_does_not_replace_any() {
    let (server, place) = (Server::start(), Place::new());
    let feeds = [("one", server.url("/one")), ("two", server.url("/two"))];
    server.put("/one", served(2, 1));
    server.put("/two", served(1, 1));
    place.update(&feeds).await.unwrap();
    let json = br#"{"id": "X-1", "affected": [{"package": {"ecosystem": "Go", "name": "x"}, "versions": ["1"]}]}"#;
    let damaged = |body: &[u8]| Served { body: body.into(), version: 9, ..Served::default() };
    for bad in [
        damaged(b"<html>Log in first</html>"),
        damaged(b""),
        Served { cut: Some(json.len() / 2), ..damaged(json) },
        damaged(br#"{"id": "X-1", "affected": []}"#),
        Served { is_broken: true, ..served(1, 1) },
    ] {
        server.put("/one", bad);
        place.clock.advance(Duration::from_secs(60));
        let updated = place.update(&feeds).await.unwrap();
        assert_eq!(outcomes(&updated), ["kept", "unchanged"]);
        assert_eq!((place.fixes().len(), place.retrieved("one").as_str()), (2, "2026-03-01T12:00:00Z"));
    }
    assert!(!place.feed("one").join("partial").exists());
    server.put("/one", served(5, 3));
    assert_eq!(outcomes(&place.update(&feeds).await.unwrap()), ["changed", "unchanged"]);
    assert_eq!(place.fixes().len(), 5);
}

#[tokio::test]
async fn a_feed_that_was_never_there_is_said_and_one_that_is_lost_keeps_the_database() {
    let (server, place) = (Server::start(), Place::new());
    let feeds = [("one", server.url("/one")), ("two", server.url("/absent"))];
    server.put("/one", served(2, 1));
    let updated = place.update(&feeds).await.unwrap();
    assert_eq!(outcomes(&updated), ["changed", "missing"]);
    assert_eq!(updated.feeds[1].outcome.warning().unwrap().kind(), ErrorKind::NotFound);
    // Somebody changed the body that was read, and the server is gone.
    let body = fs::read_dir(place.feed("one")).unwrap().map(|entry| entry.unwrap().path());
    let body: Vec<_> = body.filter(|path| path.extension().is_none()).collect();
    assert_eq!(body.len(), 1);
    fs::write(&body[0], list(1, 1)).unwrap();
    server.put("/one", Served { is_broken: true, ..Served::default() });
    server.put("/absent", served(3, 1));
    let old = fs::read(place.database()).unwrap();
    assert_eq!(place.update(&feeds).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(fs::read(place.database()).unwrap(), old);
    server.put("/one", served(2, 1));
    assert_eq!(outcomes(&place.update(&feeds).await.unwrap()), ["changed", "unchanged"]);
}

#[tokio::test]
async fn feeds_may_be_files_and_databases() {
    let place = Place::new();
    let [list_path, other] = ["list", "other.db"].map(|name| place.folder.path().join(name));
    fs::write(&list_path, list(2, 1)).unwrap();
    AdvisoryStore::open([&list_path]).unwrap().write(&other).unwrap();
    fs::write(&list_path, list(3, 1)).unwrap();
    let url = |path: &Path| Url::from_file_path(path).unwrap();
    let feeds = [("list", url(&list_path)), ("other", url(&other))];
    assert_eq!(outcomes(&place.update(&feeds).await.unwrap()), ["changed", "changed"]);
    assert_eq!(place.fixes().len(), 3);
}

#[tokio::test]
async fn what_cannot_be_done_is_said() {
    let (server, place) = (Server::start(), Place::new());
    server.put("/one", served(200, 1));
    let url = || server.url("/one");
    for name in ["", "..", "a/b", ".hidden", "a b", "ä"] {
        assert_eq!(place.update(&[(name, url())]).await.unwrap_err().kind(), ErrorKind::Invalid, "{name}");
    }
    assert_eq!(place.update(&[("a", url()), ("A", url())]).await.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(place.update(&[]).await.unwrap_err().kind(), ErrorKind::Invalid);
    let feeds = Feeds::new(place.folder.path().join("feeds")).with_feed("one", url()).unwrap();
    let error = place.update_of(&feeds.clone().with_limit(100)).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Corrupt, "more than 100 bytes"));
    let lock = fs::File::open(place.folder.path().join("feeds/.lock")).unwrap();
    lock.lock().unwrap();
    assert_eq!(place.update_of(&feeds).await.unwrap_err().kind(), ErrorKind::Conflict);
    lock.unlock().unwrap();
    assert_eq!(outcomes(&place.update_of(&feeds).await.unwrap()), ["changed"]);
}

/// Killed at any moment: the files are those of before, and the next update is as good as the first.
#[tokio::test]
async fn whatever_is_left_behind_the_next_update_is_whole() {
    let (server, place) = (Server::start(), Place::new());
    let feeds = [("one", server.url("/one"))];
    server.put("/one", served(50, 1));
    place.update(&feeds).await.unwrap();
    let folder = place.feed("one");
    let beginning = |version: u32| format!(r#"{{"url": "{}", "etag": "\"v{version}\""}}"#, server.url("/one"));
    for (version, partial, note) in [
        (2, Some(list(50, 2)[..700].to_vec()), Some(beginning(2))),
        (3, Some(list(50, 2)[..700].to_vec()), Some(beginning(2))),
        (4, Some(list(50, 4)), Some(beginning(4))),
        (5, Some(b"rubbish".to_vec()), None),
        (6, None, Some(beginning(6))),
        (7, Some(Vec::new()), Some("{\"url".into())),
    ] {
        for (name, content) in [("partial", partial), ("partial.json", note.map(String::into_bytes))] {
            content.into_iter().for_each(|content| fs::write(folder.join(name), content).unwrap());
        }
        server.put("/one", served(50, version));
        assert_eq!(outcomes(&place.update(&feeds).await.unwrap()), ["changed"], "{version}");
        let mark = format!(".{version}-1");
        assert!(place.fixes().iter().all(|fix| fix.contains(&mark)), "{:?}", place.fixes());
    }
    fs::write(folder.join("state.json"), "{").unwrap();
    server.put("/one", served(60, 8));
    assert_eq!(outcomes(&place.update(&feeds).await.unwrap()), ["changed"]);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
}
