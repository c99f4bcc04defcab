//! Keeping a compiled database up to date: feeds are asked for what is new, and the database is built again of all.
//!
//! Each feed has a folder of its own, with the last good body and what tells its version. A feed that has not changed
//! is not sent again, and one whose reading was broken off goes on where it stopped, also in another process. What has
//! come is read as advisories before it takes the place of what was there. A feed that fails keeps what it had. The
//! database is replaced as a whole at the end; whoever has it open goes on reading the old one, and whenever this is
//! killed, the old one is there.

mod feed;

use std::{
    fs::{File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use patchkit_core::{Context, Digest, Error, ErrorKind, Result};
use tokio::task::spawn_blocking;
use url::Url;

use super::AdvisoryStore;
use crate::fetch::Refresh;
use feed::Folder;

/// How many feeds are asked at once.
const AT_ONCE: usize = 4;

/// The longest body of a feed, in bytes. The largest real ones have some hundred MB.
const MAX_BODY: u64 = 4 << 30;

/// The feeds that a database is built of, and where what was read of them is kept.
#[derive(Clone, Debug)]
pub struct Feeds {
    folder: PathBuf,
    feeds: Vec<Feed>,
    limit: u64,
}

#[derive(Clone, Debug)]
struct Feed {
    name: String,
    url: Url,
}

/// What an update did.
#[derive(Debug)]
pub struct Updated {
    /// How each feed stands, in their order.
    pub feeds: Vec<FeedUpdate>,
    /// The digest of the database that is there now.
    pub digest: Digest,
}

/// What an update did with one feed.
#[derive(Debug)]
pub struct FeedUpdate {
    /// The name of the feed.
    pub name: String,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of asking a feed.
#[derive(Debug)]
pub enum Outcome {
    /// It has changed, and the database has the new version.
    Changed,
    /// Nothing could be read of it, and the database has the version of before.
    Kept(Error),
    /// Nothing could be read of it, now or before: the database lacks it.
    Missing(Error),
    /// It has not changed.
    Unchanged,
}

impl Outcome {
    /// What a caller should tell: why the feed is out of date or absent.
    #[must_use]
    pub fn warning(&self) -> Option<&Error> {
        match self {
            Self::Kept(error) | Self::Missing(error) => Some(error),
            Self::Changed | Self::Unchanged => None,
        }
    }
}

impl Feeds {
    /// No feeds yet; the folder is made where it is absent.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), feeds: Vec::new(), limit: MAX_BODY }
    }

    /// The same, with one more feed: advisories in any format that is known, or a compiled database. The name is the
    /// [source's](super::SourceInfo) in the database.
    ///
    /// # Errors
    /// `Invalid` for a name that is there already, or not made of 1 to 64 ASCII letters, digits, `-`, `_` and `.`, with
    /// a letter or digit first.
    pub fn with_feed(mut self, name: &str, url: Url) -> Result<Self> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let begins_well = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        if !begins_well || name.len() > 64 || !name.bytes().all(allowed) {
            let message = "expected 1 to 64 ASCII letters, digits, '-', '_', '.', with a letter or digit first";
            return Err(Error::invalid(message).during("add feed").on(format!("{name:?}")));
        }
        if self.feeds.iter().any(|feed| feed.name.eq_ignore_ascii_case(name)) {
            return Err(Error::invalid("there is a feed of that name").during("add feed").on(name));
        }
        self.feeds.push(Feed { name: name.into(), url });
        Ok(self)
    }

    /// The same, which refuses bodies of more than this many bytes. The default is 4 GiB.
    #[must_use]
    pub fn with_limit(self, limit: u64) -> Self {
        Self { limit, ..self }
    }

    /// Asks every feed for what is new, and builds the database of what there is of all.
    ///
    /// # Errors
    /// `Conflict` while another update works in the folder; `Invalid` without feeds; a feed's error where there is
    /// nothing of any, or nothing any more of one that the database has; `Corrupt` where the body of before is what was read and cannot be read any more; `Denied` and
    /// `Unexpected` where files cannot be written; `Cancel`. A failing feed is no error but an [`Outcome`].
    pub async fn update(&self, database: &Path, fetch: &dyn Refresh, cx: &Context) -> Result<Updated> {
        if self.feeds.is_empty() {
            return Err(Error::invalid("there are no feeds").during("update advisories").on(self.folder.display()));
        }
        let _lock = self.lock()?;
        let asked = self.feeds.iter().map(|feed| self.ask(feed, fetch, cx));
        let asked: Vec<(FeedUpdate, Option<Body>)> = stream::iter(asked).buffered(AT_ONCE).try_collect().await?;
        let (feeds, bodies): (Vec<_>, Vec<_>) = asked.into_iter().unzip();
        let bodies: Vec<Body> = bodies.into_iter().flatten().collect();
        let feeds = complete(feeds, bodies.is_empty(), database)?;
        cx.check()?;
        let database = database.to_owned();
        let digest = blocking(move || build(&bodies, &database)).await?;
        Ok(Updated { feeds, digest })
    }

    /// The only update that works in the folder, until the file is closed.
    fn lock(&self) -> Result<File> {
        let path = self.folder.join(".lock");
        let opened = std::fs::create_dir_all(&self.folder).and_then(|()| File::create(&path));
        let file = opened.map_err(|error| failed(&path, error))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => {
                let error = Error::conflict("another update is at work here");
                Err(error.during("update advisories").on(self.folder.display()))
            }
            Err(TryLockError::Error(error)) => Err(failed(&path, error)),
        }
    }

    async fn ask(&self, feed: &Feed, fetch: &dyn Refresh, cx: &Context) -> Result<(FeedUpdate, Option<Body>)> {
        let folder = Folder::new(self.folder.join(&feed.name), self.limit);
        let asked = folder.refresh(&feed.url, fetch, cx).await;
        let held = folder.retrieved().await?;
        let outcome = match asked {
            Ok(true) => Outcome::Changed,
            Ok(false) => Outcome::Unchanged,
            Err(error) if error.kind() == ErrorKind::Cancel => return Err(error),
            Err(error) if held.is_some() => Outcome::Kept(error),
            Err(error) => Outcome::Missing(error),
        };
        if let Some(error) = outcome.warning() {
            tracing::warn!(feed = feed.name, %error, "not updated");
        }
        let body = held.map(|(path, retrieved)| Body { name: feed.name.clone(), path, retrieved });
        Ok((FeedUpdate { name: feed.name.clone(), outcome }, body))
    }
}

/// The same, unless the database of before has more than what there is of the feeds now: where they are all missing, or
/// one that it has.
fn complete(feeds: Vec<FeedUpdate>, is_nothing: bool, database: &Path) -> Result<Vec<FeedUpdate>> {
    let old = AdvisoryStore::open_compiled(database).ok();
    let has = |name: &str| old.as_ref().is_some_and(|old| old.sources().iter().any(|source| *source.name == *name));
    let mut kept = Vec::new();
    for FeedUpdate { name, outcome } in feeds {
        match outcome {
            Outcome::Missing(error) if is_nothing || has(&name) => return Err(error),
            outcome => kept.push(FeedUpdate { name, outcome }),
        }
    }
    Ok(kept)
}

/// What there is of a feed.
struct Body {
    name: String,
    path: PathBuf,
    retrieved: Timestamp,
}

fn build(bodies: &[Body], database: &Path) -> Result<Digest> {
    let mut builder = AdvisoryStore::builder();
    for Body { name, path, retrieved } in bodies {
        builder.source(name, Some(*retrieved)).path(path)?;
    }
    let store = builder.build();
    store.write(database)?;
    Ok(store.digest())
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    spawn_blocking(work).await.map_err(|error| Error::unexpected(error.to_string()).because(error))?
}

fn failed(path: &Path, error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::PermissionDenied => ErrorKind::Denied,
        _ => ErrorKind::Unexpected,
    };
    Error::new(kind, error.to_string()).during("update advisories").on(path.display()).because(error)
}
