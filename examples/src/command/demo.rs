//! `demo`: the main job from nothing.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use patchkit_core::{
    Context, Error, ErrorKind, ImageSet, Pipeline, PutManifest, Reference, Result, Severity, Stop, Target, Verified,
};
use patchkit_oci::{LocalKey, RegistryClient, SigstoreBundle, Store, distribution::Options, serve::Server};
use patchkit_rollout::{FileLedger, SeverityGate, TagDeployer, verify::CheckProfile};
use patchkit_scan::{
    AdvisoryScanner, AdvisoryStore, Inventory, Rescan,
    advisory::{Scope, changelog},
    debian::{
        apt::{cache::Cache, client::ArchiveClient, trust::TrustStore},
        bootstrap::{
            Bootstrap,
            sample::Sample,
            suites::{Outdated, Suites, first_outdated},
        },
        patcher::{DebianPatcher, PatchOptions, Repositories},
    },
};

use super::pipeline;
use crate::{
    archive, checking,
    cli::{self, Check, Global},
    output::Progress,
};

/// What the image is made of, with what it needs: a program with libraries that are often fixed.
const PACKAGE: &str = "curl";
/// A release that gets no new packages any more, but whose security suite has fixes: there is always something to do.
const OLD_RELEASE: &str = "bullseye";
const ARCHITECTURES: [&str; 2] = ["amd64", "arm64"];

/// A vulnerable image, and what is needed to patch it.
struct Made {
    images: ImageSet,
    suites: Suites,
    trust: TrustStore,
    client: ArchiveClient,
    advisories: AdvisoryStore,
}

pub(crate) async fn run(args: cli::Demo, global: &Global, cx: &Context) -> Result<(), Stop> {
    let progress = Progress::of(global);
    let folder = new_folder(args.folder.as_deref())?;
    progress.line(&format!("everything goes to {}", folder.display()));
    let made = make(&args, &folder, progress, cx).await?;

    let store = Store::create(folder.join("registry")).await?;
    let server = Server::bind(([127, 0, 0, 1], 0).into(), Arc::new(store), cx).await?;
    let registry = RegistryClient::new(Options::default())?;
    let reference: Reference = format!("{}/demo/app:1.0", server.address()).parse().expect("it is a reference");
    let options = PutManifest::default();
    let push = made.images.push(&registry, &reference, &options, cx);
    progress.step(&format!("push {reference}"), push).await?;

    let result = patch(made, registry, reference, &folder, progress, cx).await;
    server.shutdown().await;
    let page = folder.join("report.html");
    pipeline::finish(&*result?, Some(&page), global)?;
    progress.line(&format!(
        "the report is {}; the record is checked by\n  patchkit ledger verify {}",
        page.display(),
        folder.join("ledger.jsonl").display()
    ));
    Ok(())
}

/// Takes the image through the whole pipeline.
async fn patch(
    made: Made,
    registry: RegistryClient,
    reference: Reference,
    folder: &Path,
    progress: Progress,
    cx: &Context,
) -> Result<Arc<patchkit_core::Released>, Stop> {
    let registry: Arc<dyn patchkit_core::Registry> = Arc::new(registry);
    let key = LocalKey::generate();
    key.write_new(&folder.join("key.pem"))?;
    let scanner = AdvisoryScanner::new(made.advisories);
    let repositories = Repositories::new(made.suites.sources().to_vec(), made.trust);
    let now = cx.now();
    let options = PatchOptions::default().with_repositories(repositories).with_timestamp(now);
    let verified = Pipeline::new()
        .scan(scanner.clone())
        .patch(DebianPatcher::new(made.client, options))
        .verify(Rescan::new(scanner));
    let pipeline = checking::checks(&[Check::All], &CheckProfile::default())
        .into_iter()
        .fold(verified, Pipeline::<Verified>::verify)
        .approve(SeverityGate::deny_at(Severity::High))
        .sign_as(SigstoreBundle::created(now), key)
        .release(TagDeployer::new(registry.clone(), reference.clone())?)
        .recorded_in(FileLedger::new(folder.join("ledger.jsonl")));
    let target = Target::open(registry, reference, cx).await?;
    progress.step(&format!("{pipeline:?}"), pipeline.run(target, cx)).await
}

async fn make(args: &cli::Demo, folder: &Path, progress: Progress, cx: &Context) -> Result<Made> {
    if args.offline {
        return offline(folder, progress, cx).await;
    }
    match online(args, progress, cx).await {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Unavailable) => {
            progress.line(&format!("no Debian archive with something to patch can be reached: {error}"));
            progress.line("going on as with --offline");
            offline(folder, progress, cx).await
        }
        made => made,
    }
}

/// An image of real packages of a release's main suite, which its security suite has fixed since.
async fn online(args: &cli::Demo, progress: Progress, cx: &Context) -> Result<Made> {
    let machine = archive::of_machine()?;
    machine.warnings.iter().for_each(|warning| progress.line(&format!("warning: {warning}")));
    let sources = cli::Archive { mirror: args.mirror.clone(), ..cli::Archive::default() };
    let client = archive::client(&sources)?;
    let image = Bootstrap::of([PACKAGE]).with_entrypoint([format!("/usr/bin/{PACKAGE}")]);
    let mut candidates = Suites::among(&machine.sources);
    candidates.extend(candidates.first().map(|suites| suites.of_release(OLD_RELEASE)));
    let find = first_outdated(&candidates, &image, ARCHITECTURES[0], &machine.trust, &client, cx);
    let outdated = progress.step("look for a release with something to patch", find).await?;
    finish(image, outdated, machine.trust, client, progress, cx).await
}

/// The same, from a small archive that is made and signed on the spot.
async fn offline(folder: &Path, progress: Progress, cx: &Context) -> Result<Made> {
    let sample = Sample::make()?;
    let client = ArchiveClient::new(Arc::new(sample.fetch()), Cache::open(folder.join("cache"))?);
    let (image, suites, trust) = (Sample::image(), Sample::suites(), sample.trust());
    let outdated = suites.outdated(&image, ARCHITECTURES[0], &trust, &client, cx).await?;
    finish(image, outdated, trust, client, progress, cx).await
}

/// Makes the image, and finds out from the changelogs of newer packages what they fix.
async fn finish(
    image: Bootstrap,
    outdated: Outdated,
    trust: TrustStore,
    client: ArchiveClient,
    progress: Progress,
    cx: &Context,
) -> Result<Made> {
    let Outdated { suites, security, .. } = outdated;
    let main = [suites.main.clone()];
    let make = image.images(&client, &main, &trust, ARCHITECTURES, cx);
    let images = progress.step(&format!("make an image of {}", suites.release), make).await?;
    let read = async {
        let inventory = Inventory::of(&images.images()[0], cx).await?;
        let distribution = inventory.distribution.ok_or_else(|| Error::unexpected("the image has no os-release"))?;
        let scope = Scope::of(&distribution);
        let claims = changelog::of_upgrades(&inventory.packages, &security, &client, &scope, cx).await?;
        claims.warnings.iter().for_each(|warning| progress.line(&format!("warning: {warning}")));
        let mut advisories = AdvisoryStore::builder();
        advisories.source(changelog::SOURCE, Some(cx.now()));
        claims.advisories.into_iter().for_each(|advisory| advisories.add(advisory));
        Ok::<_, Error>(advisories.build())
    };
    let advisories = progress.step("read what the newer packages say they fix", read).await?;
    Ok(Made { images, suites, trust, client, advisories })
}

/// The folder that was named, which must be new or empty; else the first of `patchkit-demo`, `patchkit-demo-2`, … that
/// is new.
fn new_folder(named: Option<&Path>) -> Result<PathBuf> {
    let make = |path: &Path| {
        fs::create_dir_all(path)
            .map_err(|error| Error::invalid(error.to_string()).during("make the folder").on(path.display()))
    };
    if let Some(path) = named {
        make(path)?;
        let used = fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some());
        return match used {
            true => Err(Error::conflict("the folder is not empty").on(path.display())),
            false => Ok(path.to_owned()),
        };
    }
    let names = (1..).map(|n| if n == 1 { "patchkit-demo".into() } else { format!("patchkit-demo-{n}") });
    let path = names.map(PathBuf::from).find(|path| !path.exists()).expect("there are endless names");
    make(&path)?;
    Ok(path)
}
