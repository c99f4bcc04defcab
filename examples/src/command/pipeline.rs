//! `run`: a pipeline from a file.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;
use patchkit_core::{Context, Error, Pipeline, Released, Result, Severity, Signed, Stop, Verified, Verifier};
use patchkit_oci::{ImageName, LocalKey, SigstoreBundle};
use patchkit_rollout::{
    FileDeployer, FileLedger, SeverityGate, TagDeployer, report,
    verify::{
        CheckProfile,
        suite::{Suite, SuiteVerifier},
    },
};
use patchkit_scan::{Rescan, debian::apt::client::Mirror};
use serde::Deserialize;

use super::plan;
use crate::{
    archive, checking,
    cli::{self, Check, Global},
    output::{self, Progress},
    place, present, running,
};

/// A pipeline as it stands in a file. Paths are relative to the file's folder.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Description {
    /// The image to patch. It must be where a patched image can be put beside it: a layout or a registry.
    image: ImageName,
    /// Files or folders with advisories.
    #[serde(default)]
    advisories: Vec<PathBuf>,
    #[serde(default)]
    packages: Packages,
    /// What shows that the patched image still does what it did; the checks alone where nothing is said.
    #[serde(default)]
    tests: Tests,
    gate: Gate,
    /// The private key, PKCS #8 PEM.
    key: PathBuf,
    release: Release,
    /// Where everything is recorded, and a run that was interrupted is resumed from.
    ledger: PathBuf,
    /// Where the page about the run goes.
    #[serde(default)]
    report: Option<PathBuf>,
}

/// Which packages change, and where they come from.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct Packages {
    only: Vec<String>,
    all: bool,
    mirror: Vec<String>,
    sources: Vec<PathBuf>,
    keyring: Vec<PathBuf>,
    cache: Option<PathBuf>,
    allow_expired: bool,
    timestamp: Option<Timestamp>,
}

/// What shows that the patched image still does what it did.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct Tests {
    /// A suite to run before and after.
    suite: Option<PathBuf>,
    /// What runs its containers, as `--runtime` names it.
    runtime: Option<String>,
    /// Where images are unpacked.
    store: Option<PathBuf>,
    /// What is checked without tests.
    checks: Vec<Check>,
    /// What these checks require, and which of their findings somebody answers for.
    profile: Option<PathBuf>,
}

impl Default for Tests {
    fn default() -> Self {
        Self { suite: None, runtime: None, store: None, checks: vec![Check::All], profile: None }
    }
}

impl Tests {
    /// The verifiers that were asked for, in their order. Runs of originals are remembered in the ledger.
    async fn verifiers(&self, ledger: &FileLedger, cx: &Context) -> Result<Vec<Arc<dyn Verifier>>> {
        let profile = self.profile.as_deref().map(CheckProfile::read).transpose()?.unwrap_or_default();
        let mut verifiers = checking::checks(&self.checks, &profile);
        if let Some(suite) = &self.suite {
            let containers = cli::Containers { runtime: self.runtime.clone(), store: self.store.clone() };
            let runtime = running::runtime(&containers, cx).await?;
            let verifier = SuiteVerifier::new(Suite::read(suite)?, runtime)?;
            verifiers.push(Arc::new(verifier.remembering(Arc::new(ledger.clone()))));
        }
        Ok(verifiers)
    }
}

/// What may not be left.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Gate {
    deny_at: Severity,
    #[serde(default)]
    count_unfixed: bool,
}

/// Where the signed image goes: one of both.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum Release {
    /// A file that says which image should run.
    File(PathBuf),
    /// A tag in the image's repository.
    Tag(String),
}

pub(crate) async fn run(args: &cli::Run, global: &Global, cx: &Context) -> Result<(), Stop> {
    let progress = Progress::of(global);
    let description = read(&args.pipeline)?;
    let target = place::target(&description.image, global, cx).await?;
    let selection = description.packages.selection(&description.advisories)?;
    let scanner = plan::scanner(&selection, global, cx).await?;
    let created = target.images().images().iter().filter_map(|image| image.config().created()?.parse().ok()).max();
    let ledger = FileLedger::new(&description.ledger);
    let verified =
        Pipeline::new().scan(scanner.clone()).patch(archive::patcher(&selection)?).verify(Rescan::new(scanner));
    let verifiers = description.tests.verifiers(&ledger, cx).await?;
    let signed = verifiers
        .into_iter()
        .fold(verified, Pipeline::<Verified>::verify)
        .approve(description.gate.gate())
        .sign_as(SigstoreBundle::created(created.unwrap_or(Timestamp::UNIX_EPOCH)), LocalKey::read(&description.key)?);
    let pipeline = description.release.after(signed, &target)?.recorded_in(ledger);
    let released = progress.step(&format!("{pipeline:?}"), pipeline.run(target, cx)).await?;
    finish(&released, description.report.as_deref(), global).map_err(Stop::from)
}

/// Writes the page, where one is wanted, and prints the summary.
pub(crate) fn finish(released: &Released, page: Option<&Path>, global: &Global) -> Result<()> {
    let summary = report::Summary::of(released);
    if let Some(path) = page {
        output::write_whole(path, report::page(&summary).as_bytes())?;
    }
    output::print(global, &summary, || present::report(&summary))
}

fn read(path: &Path) -> Result<Description> {
    let invalid = |message: String| Error::invalid(message).during("read the pipeline").on(path.display());
    let text = fs::read_to_string(path).map_err(|error| invalid(error.to_string()))?;
    let mut description: Description = serde_saphyr::from_str(&text).map_err(|error| invalid(error.to_string()))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    description.paths().into_iter().for_each(|path| *path = folder.join(&*path));
    description.image = beside(&description.image, folder)?;
    Ok(description)
}

/// A layout is looked for beside the pipeline's file.
fn beside(image: &ImageName, folder: &Path) -> Result<ImageName> {
    let ImageName::Oci(local) = image else { return Ok(image.clone()) };
    let tag = local.name().map(|name| format!(":{name}")).unwrap_or_default();
    let name = format!("oci:{}{tag}", folder.join(local.path()).display());
    name.parse().map_err(|error: patchkit_oci::ParseImageNameError| Error::invalid(error.to_string()))
}

impl Description {
    fn paths(&mut self) -> Vec<&mut PathBuf> {
        let Self { advisories, packages, tests, key, release, ledger, report, image: _, gate: _ } = self;
        let Tests { suite, store, profile, runtime: _, checks: _ } = tests;
        let Packages { sources, keyring, cache, only: _, all: _, mirror: _, allow_expired: _, timestamp: _ } = packages;
        let file = match release {
            Release::File(path) => Some(path),
            Release::Tag(_) => None,
        };
        let lists = advisories.iter_mut().chain(sources).chain(keyring);
        lists
            .chain([key, ledger])
            .chain(report)
            .chain(cache)
            .chain(suite)
            .chain(store)
            .chain(profile)
            .chain(file)
            .collect()
    }
}

impl Packages {
    fn selection(&self, advisories: &[PathBuf]) -> Result<cli::Selection> {
        let mirror = self.mirror.iter().map(|text| text.parse::<Mirror>()).collect::<Result<_, _>>();
        let archive = cli::Archive {
            mirror: mirror.map_err(|error| Error::invalid(error.to_string()))?,
            sources: self.sources.clone(),
            keyring: self.keyring.clone(),
            cache: self.cache.clone(),
            allow_expired: self.allow_expired,
            timestamp: self.timestamp,
        };
        let claims = cli::Claims { advisories: advisories.to_vec(), ..cli::Claims::default() };
        Ok(cli::Selection { claims, only: self.only.clone(), all: self.all, archive })
    }
}

impl Gate {
    fn gate(&self) -> SeverityGate {
        let gate = SeverityGate::deny_at(self.deny_at);
        if self.count_unfixed { gate.counting_unfixed() } else { gate }
    }
}

impl Release {
    fn after(&self, signed: Pipeline<Signed>, target: &patchkit_core::Target) -> Result<Pipeline<Released>> {
        match self {
            Self::File(path) => Ok(signed.release(FileDeployer::new(path))),
            Self::Tag(tag) => {
                let reference = target.reference().repository().tag(tag);
                let reference = reference.map_err(|error| Error::invalid(error.to_string()))?;
                Ok(signed.release(TagDeployer::new(target.registry().clone(), reference)?))
            }
        }
    }
}
