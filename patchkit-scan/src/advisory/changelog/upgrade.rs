//! Which installed source packages an archive has newer versions of, and the changelogs in those.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufReader, Read},
    path::PathBuf,
};

use flate2::read::MultiGzDecoder;
use futures::{StreamExt, TryStreamExt, stream};
use patchkit_core::{Context, Error, Package, PackageName, Result};
use tokio::task::spawn_blocking;

use super::{Advisory, Scope, SourceUpgrade, advisories};
use crate::debian::{
    apt::{
        client::{Archive, ArchiveClient},
        index::AvailablePackage,
    },
    catalog::SCHEME,
    deb::{DataEntry, Deb, DebError, EntryKind},
    version::DebVersion,
};

/// Changelogs fetched at once.
const PARALLEL: usize = 4;
/// The most bytes that are read of a changelog. The longest real ones have some MB.
const MAX_CHANGELOG: u64 = 64 << 20;

/// What changelogs say about what is installed.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    /// The advisories, sorted by package and id.
    pub advisories: Vec<Advisory>,
    /// Source packages whose newer version has no changelog that could be read, and why.
    pub warnings: Vec<String>,
}

/// Downloads the packages of which an archive has newer versions than installed, and reads from their changelogs what
/// they fix. Of each source package, one binary package with a changelog is enough.
///
/// # Errors
/// Those of [`ArchiveClient::download`]; [`Corrupt`](patchkit_core::ErrorKind::Corrupt) for a damaged package.
pub async fn of_upgrades(
    installed: &[Package],
    archive: &Archive,
    client: &ArchiveClient,
    scope: &Scope,
    cx: &Context,
) -> Result<Claims> {
    let candidates = candidates(installed, archive).into_values();
    let each = stream::iter(candidates.map(|candidate| candidate.claims(client, scope, cx)));
    let all: Vec<Claims> = each.buffered(PARALLEL).try_collect().await?;
    Ok(all.into_iter().fold(Claims::default(), |mut sum, claims| {
        sum.advisories.extend(claims.advisories);
        sum.warnings.extend(claims.warnings);
        sum
    }))
}

/// A source package with a newer version, and the binary packages of it that have one.
struct Candidate {
    upgrade: SourceUpgrade,
    packages: Vec<AvailablePackage>,
}

/// The source packages that the archive has newer versions of, by name.
fn candidates(installed: &[Package], archive: &Archive) -> BTreeMap<String, Candidate> {
    let mut candidates = BTreeMap::new();
    for package in installed.iter().filter(|package| package.version.scheme() == SCHEME) {
        if let Some((name, candidate)) = newer(package, archive) {
            let known = candidates.entry(name);
            known.and_modify(|known: &mut Candidate| known.join(&candidate)).or_insert(candidate);
        }
    }
    candidates
}

/// The newest version of a package, where it is newer than the installed one.
fn newer(package: &Package, archive: &Archive) -> Option<(String, Candidate)> {
    let parse = |text: &str| DebVersion::parse_lenient(text).ok();
    let current = parse(package.version.as_str())?;
    let source = package.source.as_ref().map_or(&package.version, |source| &source.version);
    let versions = archive.named(package.name.as_str()).filter_map(|found| Some((parse(found.version())?, found)));
    let (newest, found) = versions.max_by(|left, right| left.0.cmp(&right.0))?;
    let name: PackageName = found.source_name().parse().ok().filter(|_| newest > current)?;
    let upgrade = SourceUpgrade {
        package: name.clone(),
        installed: parse(source.as_str())?,
        available: parse(&found.source_version())?,
    };
    Some((name.into(), Candidate { upgrade, packages: vec![found] }))
}

impl Candidate {
    fn join(&mut self, other: &Self) {
        self.packages.extend(other.packages.iter().cloned());
        if other.upgrade.installed < self.upgrade.installed {
            self.upgrade.installed = other.upgrade.installed.clone();
        }
        if other.upgrade.available > self.upgrade.available {
            self.upgrade.available = other.upgrade.available.clone();
        }
    }

    async fn claims(self, client: &ArchiveClient, scope: &Scope, cx: &Context) -> Result<Claims> {
        for package in &self.packages {
            let path = client.download(package, cx).await?;
            if let Some(changelog) = changelog(path, package.name().to_owned()).await? {
                let advisories = advisories(&changelog, &self.upgrade, scope);
                return Ok(Claims { advisories, warnings: Vec::new() });
            }
        }
        let SourceUpgrade { package, available, .. } = self.upgrade;
        let warning = format!("{package} {available} has no changelog: what it fixes is not known");
        Ok(Claims { advisories: Vec::new(), warnings: vec![warning] })
    }
}

/// The changelog in a package; `None` where it has none of its own, such as behind a link to another package's.
async fn changelog(path: PathBuf, package: String) -> Result<Option<Vec<u8>>> {
    let read = move || {
        let file = File::open(&path).map_err(|error| Error::unexpected(error.to_string()).on(path.display()))?;
        let found = find(Deb::open(BufReader::new(file)), &package);
        found.map_err(|error| Error::corrupt(error.to_string()).on(&package).because(error))
    };
    spawn_blocking(read).await.map_err(|error| Error::unexpected(error.to_string()))?
}

/// `changelog.Debian` of a package, or `changelog` of one that is native to Debian, compressed or not.
fn find<R>(deb: Result<Deb<R>, DebError>, package: &str) -> Result<Option<Vec<u8>>, DebError>
where
    R: Read + std::io::Seek + Send,
{
    let mut deb = deb?;
    let mut data = deb.data()?;
    let mut native = None;
    while let Some(mut entry) = data.next_entry()? {
        let Some(name) = document(&entry, package) else { continue };
        match name.as_str() {
            "changelog.Debian" | "changelog.Debian.gz" => return Ok(text(&mut entry, &name)),
            "changelog" | "changelog.gz" => native = text(&mut entry, &name),
            _ => {}
        }
    }
    Ok(native)
}

/// The name of a plain file right in the package's folder of documents.
fn document(entry: &DataEntry<'_>, package: &str) -> Option<String> {
    let path = std::str::from_utf8(entry.path.as_bytes()).ok()?;
    let name = path.strip_prefix("usr/share/doc/")?.strip_prefix(package)?.strip_prefix('/')?;
    matches!(entry.kind, EntryKind::File { .. }).then(|| name.to_owned())
}

/// The text of a changelog; `None` where it cannot be decompressed or is too large.
fn text(entry: &mut DataEntry<'_>, name: &str) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    let read = if name.ends_with(".gz") {
        MultiGzDecoder::new(entry).take(MAX_CHANGELOG + 1).read_to_end(&mut text)
    } else {
        entry.take(MAX_CHANGELOG + 1).read_to_end(&mut text)
    };
    read.is_ok_and(|length| length as u64 <= MAX_CHANGELOG).then_some(text)
}
