//! The folder of one feed: in `state.json` what the last good body is, which lies beside it under its hash; and in
//! `partial` and `partial.json` the beginning of a newer one.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use patchkit_core::{Context, Digest, Error, Hasher, Result};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tempfile::NamedTempFile;
use url::Url;

use super::{blocking, failed};
use crate::{
    advisory::AdvisoryStore,
    fetch::{Body, Held, Partial, Refresh, Refreshed, Validators, without_credentials},
};

#[derive(Clone, Debug)]
pub(super) struct Folder {
    path: PathBuf,
    limit: u64,
}

/// What the last good body is.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct State {
    url: String,
    #[serde(flatten)]
    validators: Validators,
    digest: Digest,
    /// When it came, or was last found to be unchanged.
    retrieved: Timestamp,
}

/// What `partial` is the beginning of.
#[derive(Debug, Deserialize, Serialize)]
struct Beginning {
    url: String,
    #[serde(flatten)]
    validators: Validators,
}

impl Folder {
    pub(super) fn new(path: PathBuf, limit: u64) -> Self {
        Self { path, limit }
    }

    fn body(&self, digest: &Digest) -> PathBuf {
        self.path.join(digest.hex())
    }

    fn partial(&self) -> PathBuf {
        self.path.join("partial")
    }

    fn state(&self) -> PathBuf {
        self.path.join("state.json")
    }

    fn beginning(&self) -> PathBuf {
        self.path.join("partial.json")
    }

    /// The body and when it was retrieved, if there is one and it is what was retrieved.
    pub(super) async fn retrieved(&self) -> Result<Option<(PathBuf, Timestamp)>> {
        Ok(self.checked().await?.map(|state| (self.body(&state.digest), state.retrieved)))
    }

    /// Asks for what is new, and whether there was anything.
    pub(super) async fn refresh(&self, url: &Url, fetch: &dyn Refresh, cx: &Context) -> Result<bool> {
        fs::create_dir_all(&self.path).map_err(|error| failed(&self.path, error))?;
        let shown = without_credentials(url).to_string();
        let state = self.checked().await?.filter(|state| state.url == shown);
        let whole = state.as_ref().map(|state| state.validators.clone()).unwrap_or_default();
        let held = Held { whole, partial: self.held(&shown) };
        match (fetch.refresh(url, &held, cx).await?, state) {
            (Refreshed::Changed { validators, start, body }, _) => {
                self.receive(&Beginning { url: shown.clone(), validators: validators.clone() }, start, body, cx)
                    .await?;
                self.accept(shown, validators, cx.now()).await?;
                Ok(true)
            }
            (Refreshed::Unchanged, Some(state)) => {
                self.write(&self.state(), &State { retrieved: cx.now(), ..state })?;
                Ok(false)
            }
            (Refreshed::Unchanged, None) => {
                Err(Error::unexpected("it says that nothing has changed, and there is nothing")
                    .during("fetch")
                    .on(shown))
            }
        }
    }

    /// What the body is, unless it has become something else.
    async fn checked(&self) -> Result<Option<State>> {
        let Some(state) = self.read::<State>(&self.state()) else { return Ok(None) };
        let path = self.body(&state.digest);
        let digest = blocking(move || match hash(&path) {
            Ok(digest) => Ok(Some(digest)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(&path, error)),
        });
        Ok((digest.await? == Some(state.digest)).then_some(state))
    }

    /// What there is of a newer body.
    fn held(&self, url: &str) -> Option<Partial> {
        let Beginning { validators, .. } = self.read(&self.beginning()).filter(|begun: &Beginning| begun.url == url)?;
        let length = fs::metadata(self.partial()).ok()?.len();
        Some(Partial { length, validators })
    }

    /// Writes a body behind the beginning that there is of it.
    async fn receive(&self, begun: &Beginning, start: u64, mut body: Body, cx: &Context) -> Result<()> {
        let path = self.partial();
        let located = |error| failed(&path, error);
        if start == 0 {
            // In this order, so that no bytes are ever taken for those of another version.
            File::create(&path).map_err(located)?;
            self.write(&self.beginning(), begun)?;
        }
        let mut file = File::options().append(true).open(&path).map_err(located)?;
        let mut length = file.metadata().map_err(located)?.len();
        let too_large = || Error::corrupt(format!("more than {} bytes", self.limit)).during("fetch").on(&begun.url);
        if length != start {
            return Err(Error::conflict("the file changed while it was written").on(path.display()));
        }
        while let Some(chunk) = body.chunk(cx).await? {
            length += chunk.len() as u64;
            if length > self.limit {
                self.forget();
                return Err(too_large());
            }
            file.write_all(&chunk).map_err(located)?;
        }
        Ok(())
    }

    /// Makes what has come the body, if it is advisories.
    async fn accept(&self, url: String, validators: Validators, retrieved: Timestamp) -> Result<()> {
        let partial = self.partial();
        let checked = blocking(move || check(&partial)).await;
        let digest = checked.inspect_err(|_| self.forget())?;
        let path = self.body(&digest);
        fs::rename(self.partial(), &path).map_err(|error| failed(&path, error))?;
        // From here on it counts; before, the old one did.
        self.write(&self.state(), &State { url, validators, digest, retrieved })?;
        self.forget();
        self.remove_bodies_but(&path);
        Ok(())
    }

    /// Begins anew next time.
    fn forget(&self) {
        let _ = fs::remove_file(self.beginning());
        let _ = fs::remove_file(self.partial());
    }

    /// Removes bodies that no note is about any more.
    fn remove_bodies_but(&self, kept: &Path) {
        for entry in fs::read_dir(&self.path).into_iter().flatten().flatten() {
            let is_body = entry.file_name().to_str().is_some_and(|name| name.len() == 64 && hex::decode(name).is_ok());
            if is_body && entry.path() != kept {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// A note, unless it is absent or damaged: then what it is about is as good as absent too.
    fn read<T: DeserializeOwned>(&self, path: &Path) -> Option<T> {
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }

    fn write(&self, path: &Path, note: &impl Serialize) -> Result<()> {
        let write = || {
            let mut file = NamedTempFile::new_in(&self.path)?;
            file.write_all(&serde_json::to_vec_pretty(note)?)?;
            file.as_file().sync_all()?;
            file.persist(path).map_err(|error| error.error)
        };
        write().map(drop).map_err(|error| failed(path, error))
    }
}

/// Reads a file as advisories, and hashes it.
fn check(path: &Path) -> Result<Digest> {
    let mut builder = AdvisoryStore::builder();
    builder.path(path)?;
    if builder.records() == 0 {
        return Err(Error::corrupt("there are no advisories in it").during("read advisories").on(path.display()));
    }
    let digest = File::open(path).and_then(|file| file.sync_all()).and_then(|()| hash(path));
    digest.map_err(|error| failed(path, error))
}

fn hash(path: &Path) -> io::Result<Digest> {
    let (mut file, mut hasher) = (File::open(path)?, Hasher::default());
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            read => hasher.update(&buffer[..read]),
        }
    }
}
