//! The advisory database: compiled from files, kept up to date from feeds, described.

use std::{
    fs,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use patchkit_core::{Context, Digest, Error, Result};
use patchkit_scan::{
    AdvisoryStore,
    advisory::{Feeds, update::Outcome},
};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::{
    archive,
    cli::{self, Global},
    output::{self, Progress},
};

pub(crate) async fn run(db: &cli::Db, global: &Global, cx: &Context) -> Result<()> {
    match db {
        cli::Db::Build { paths, keep_going } => build(paths, *keep_going, global).await,
        cli::Db::Info { file } => info(file.as_deref(), global, cx),
        cli::Db::Update { feeds, cache } => update(feeds.as_deref(), cache.as_deref(), global, cx).await,
    }
}

/// Where the database is that a scan uses when none is named.
pub(crate) fn default_database(cache: Option<&Path>) -> PathBuf {
    cache.map_or_else(archive::default_cache, Path::to_owned).join("advisories.db")
}

async fn build(paths: &[PathBuf], keep_going: bool, global: &Global) -> Result<()> {
    let file = global.output.clone().unwrap_or_else(|| default_database(None));
    let (paths, target) = (paths.to_vec(), file.clone());
    let work = tokio::task::spawn_blocking(move || {
        let mut builder = AdvisoryStore::builder();
        if keep_going {
            builder = builder.keeping_going();
        }
        for path in paths {
            builder.path(&path)?;
        }
        let store = builder.build();
        make_folder_of(&target)?;
        store.write(&target)?;
        Ok::<_, Error>(store)
    });
    let progress = Progress::of(global);
    let store = progress.step("compile advisories", async { work.await.expect("it does not panic") }).await?;
    progress.line(&format!("{}: {} claims of {} sources", file.display(), store.len(), store.sources().len()));
    Ok(())
}

fn make_folder_of(file: &Path) -> Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(|error| Error::invalid(error.to_string()).on(folder.display()))
}

/// What a database has.
#[derive(Serialize)]
struct Info {
    digest: Digest,
    bytes: u64,
    claims: usize,
    scopes: Vec<String>,
    sources: Vec<Source>,
}

#[derive(Serialize)]
struct Source {
    name: String,
    records: u64,
    newest: Option<jiff::civil::Date>,
    retrieved: Option<Timestamp>,
    age_days: Option<u64>,
}

fn info(file: Option<&Path>, global: &Global, cx: &Context) -> Result<()> {
    let store = AdvisoryStore::open_compiled(&file.map_or_else(|| default_database(None), Path::to_owned))?;
    store.verify()?;
    let sources = store.sources().iter().map(|source| Source {
        name: source.name.to_string(),
        records: source.records,
        newest: source.newest,
        retrieved: source.retrieved,
        age_days: source.age(cx.now()).map(|age| age.as_secs() / 86_400),
    });
    let info = Info {
        digest: store.digest(),
        bytes: store.size(),
        claims: store.len(),
        scopes: store.scopes().map(ToString::to_string).collect(),
        sources: sources.collect(),
    };
    output::print(global, &info, || table(&info))
}

fn table(info: &Info) -> String {
    let megabytes = info.bytes as f64 / 1e6;
    let heading =
        format!("{} · {} claims · {} scopes · {megabytes:.1} MB", info.digest, info.claims, info.scopes.len());
    let rows = info.sources.iter().map(|source| {
        let date = source.retrieved.map(|time| time.to_string()).or_else(|| source.newest.map(|date| date.to_string()));
        let age = source.age_days.map_or_else(String::new, |days| format!("{days} days"));
        [source.name.clone(), source.records.to_string(), date.unwrap_or_default(), age]
    });
    format!("{heading}\n{}\n", output::table(["Source", "Records", "As of", "Age"], rows))
}

/// A file of feeds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FeedsFile {
    feeds: Vec<FeedEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FeedEntry {
    name: String,
    url: Url,
}

async fn update(feeds: Option<&Path>, cache: Option<&Path>, global: &Global, cx: &Context) -> Result<()> {
    let path = feeds.map_or_else(default_feeds, Path::to_owned);
    let folder = cache.map_or_else(archive::default_cache, Path::to_owned).join("feeds");
    let database = global.output.clone().unwrap_or_else(|| default_database(cache));
    make_folder_of(&database)?;
    let mut all = Feeds::new(folder);
    for FeedEntry { name, url } in read_feeds(&path)?.feeds {
        all = all.with_feed(&name, url).map_err(|error| error.on(path.display()))?;
    }
    let (progress, fetch) = (Progress::of(global), archive::fetch()?);
    let updated = progress.step("update advisories", all.update(&database, &fetch, cx)).await?;
    for feed in &updated.feeds {
        progress.line(&format!("{}: {}", feed.name, outcome(&feed.outcome)));
    }
    progress.line(&format!("{} has digest {}", database.display(), updated.digest));
    Ok(())
}

fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Changed => "changed".into(),
        Outcome::Kept(error) => format!("warning: kept as it was: {error}"),
        Outcome::Missing(error) => format!("warning: missing: {error}"),
        Outcome::Unchanged => "unchanged".into(),
    }
}

fn read_feeds(path: &Path) -> Result<FeedsFile> {
    let invalid = |message: String| Error::invalid(message).during("read feeds").on(path.display());
    let text = fs::read_to_string(path)
        .map_err(|error| invalid(format!("{error}; name a file with --feeds: `feeds: [{{name: NAME, url: URL}}]`")))?;
    serde_saphyr::from_str(&text).map_err(|error| invalid(error.to_string()))
}

/// `$XDG_CONFIG_HOME/patchkit/feeds.yaml`, or the same in `~/.config`.
fn default_feeds() -> PathBuf {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_CONFIG_HOME").or_else(|| absolute("HOME").map(|home| home.join(".config")));
    base.unwrap_or_default().join("patchkit").join("feeds.yaml")
}
