//! Copies an image with all its platforms between layouts and registries: a push and a pull in a few lines.
//!
//! `cargo run --release --example copy -- oci:build/app:1.0 127.0.0.1:5000/app:1.0`

use std::{process::ExitCode, sync::Arc};

use patchkit_core::{Context, Error, PutManifest, Reference, Registry, Result, Target};
use patchkit_oci::{FolderScratch, ImageName, Layout, RegistryClient, distribution::Options};

/// Where a name leads, for reading or for writing.
async fn place(name: &str) -> Result<(Arc<dyn Registry>, Reference)> {
    match name.parse().map_err(|error| Error::invalid(format!("{error}")))? {
        ImageName::Oci(local) => {
            let layout = Layout::create(local.path()).await?;
            let reference = layout.find(local.name()).await?;
            Ok((Arc::new(layout), reference))
        }
        ImageName::Registry(reference) => Ok((Arc::new(RegistryClient::new(Options::default())?), reference)),
        other => Err(Error::unsupported("only layouts and registries are copied here").on(other)),
    }
}

async fn copy(from: &str, to: &str) -> Result<()> {
    let cx = Context::new().with_scratch(Arc::new(FolderScratch::temporary()));
    let (registry, reference) = place(from).await?;
    let source = Target::open(registry, reference, &cx).await?;
    let (registry, reference) = place(to).await?;
    source.images().push(&registry, &reference, &PutManifest::default(), &cx).await?;
    println!("{}", source.images().digest());
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    let [_, from, to] = &std::env::args().collect::<Vec<_>>()[..] else {
        eprintln!("usage: copy FROM TO, each oci:DIR:TAG or HOST/REPO:TAG");
        return ExitCode::from(2);
    };
    match copy(from, to).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
