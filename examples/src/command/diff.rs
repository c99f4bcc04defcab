use patchkit_core::{Context, Error, Image, Platform, Result};
use patchkit_oci::diff::ImageDiff;
use patchkit_scan::Inventory;
use serde::Serialize;
use std::collections::BTreeMap;

use crate::{
    cli::{self, Global},
    output::{self, Progress},
    place,
};

/// How one platform's images differ.
#[derive(Serialize)]
struct Compared {
    platform: Platform,
    packages: Vec<PackageDifference>,
    #[serde(flatten)]
    content: ImageDiff,
}

/// A package whose version is not the same.
#[derive(Serialize)]
struct PackageDifference {
    name: String,
    before: Option<String>,
    after: Option<String>,
}

pub(crate) async fn run(args: &cli::Diff, global: &Global, cx: &Context) -> Result<()> {
    let progress = Progress::of(global);
    let before = place::target(&args.before, global, cx).await?;
    let after = place::target(&args.after, global, cx).await?;
    let others = place::chosen(&after, &args.platforms)?;
    let mut all = Vec::new();
    for image in place::chosen(&before, &args.platforms)? {
        let platform = image.platform();
        let same = others.iter().find(|other| other.platform() == platform);
        let other = same.ok_or_else(|| Error::not_found(format!("no image for {platform}")).on(after.reference()))?;
        all.push(progress.step(&format!("compare {platform}"), compare(image, other, cx)).await?);
    }
    output::print(global, &all, || all.iter().map(text).collect::<Vec<_>>().join("\n"))
}

async fn compare(before: &Image, after: &Image, cx: &Context) -> Result<Compared> {
    let content = ImageDiff::of(before, after, cx).await?;
    let packages = packages(&Inventory::of(before, cx).await?, &Inventory::of(after, cx).await?);
    Ok(Compared { platform: before.platform().clone(), packages, content })
}

fn packages(before: &Inventory, after: &Inventory) -> Vec<PackageDifference> {
    let mut all: BTreeMap<String, [Option<String>; 2]> = BTreeMap::new();
    for (side, inventory) in [before, after].into_iter().enumerate() {
        for package in &inventory.packages {
            let architecture = package.architecture.iter().map(|name| format!(":{name}")).collect::<String>();
            all.entry(format!("{}{architecture}", package.name)).or_default()[side] = Some(package.version.to_string());
        }
    }
    let differ = all.into_iter().filter(|(_, [before, after])| before != after);
    differ.map(|(name, [before, after])| PackageDifference { name, before, after }).collect()
}

fn text(compared: &Compared) -> String {
    let version = |version: &Option<String>| version.clone().unwrap_or_else(|| "–".into());
    let rows = compared
        .packages
        .iter()
        .map(|package| [package.name.clone(), version(&package.before), version(&package.after)]);
    format!("{}\n{}\n{}", compared.platform, output::table(["Package", "Before", "After"], rows), compared.content)
}
