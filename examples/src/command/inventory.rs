use patchkit_core::{BaseLayers, Context, Digest, Distribution, Package, Platform, Result};
use patchkit_scan::Inventory;
use serde::Serialize;

use crate::{
    cli::{self, Global},
    looking,
    output::{self, Progress},
    place,
};

/// What is installed in one image.
#[derive(Serialize)]
struct Installed {
    image: Digest,
    platform: Platform,
    distribution: Option<Distribution>,
    packages: Vec<Package>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base: Option<BaseLayers>,
    warnings: Vec<String>,
}

pub(crate) async fn run(args: &cli::Inventory, global: &Global, cx: &Context) -> Result<()> {
    let target = place::target(&args.image, global, cx).await?;
    let options = looking::options(&args.looking, global, cx).await?;
    let mut all = Vec::new();
    for image in place::chosen(&target, &args.platforms)? {
        let name = format!("read {}", image.platform());
        let found = Progress::of(global).step(&name, Inventory::with(image, &options, cx)).await?;
        all.push(Installed {
            image: *image.digest(),
            platform: image.platform().clone(),
            distribution: found.distribution,
            packages: found.packages,
            base: found.base,
            warnings: found.warnings,
        });
    }
    output::print(global, &all, || all.iter().map(table).collect::<Vec<_>>().join("\n"))
}

fn table(installed: &Installed) -> String {
    let name = installed.distribution.as_ref().and_then(|found| found.pretty_name.as_deref());
    let heading = format!("{} · {} · {} packages", installed.platform, name.unwrap_or("?"), installed.packages.len());
    let rows = installed.packages.iter().map(|package| {
        [
            package.name.to_string(),
            package.version.to_string(),
            package.architecture.clone().unwrap_or_default(),
            package.source.as_ref().map(|source| source.name.to_string()).unwrap_or_default(),
            package.layer.as_ref().map(Digest::short).unwrap_or_default(),
        ]
    });
    let warnings = installed.warnings.iter().map(|warning| format!("warning: {warning}\n")).collect::<String>();
    let table = output::table(["Package", "Version", "Architecture", "Source", "Layer"], rows);
    format!("{heading}\n{warnings}{table}\n")
}
