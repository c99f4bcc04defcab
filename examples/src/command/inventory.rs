use patchkit_core::{BaseLayers, Context, Digest, Distribution, Package, Platform, Result, ScanReport};
use patchkit_scan::Inventory;
use serde::Serialize;

use super::scan;
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
    let images = place::chosen(&target, &args.platforms)?;
    let mut all = Vec::new();
    for image in &images {
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
    if global.format.of_reports().is_some() {
        let reports: Vec<_> = all.into_iter().map(report).collect();
        return output::print_reports(global, &reports, scan::created(&images), &args.image.to_string(), String::new);
    }
    output::print(global, &all, || all.iter().map(table).collect::<Vec<_>>().join("\n"))
}

/// A report that judges nothing.
fn report(installed: Installed) -> ScanReport {
    let Installed { image, platform, distribution, packages, base, warnings } = installed;
    let (findings, suppressed) = (Vec::new(), Vec::new());
    ScanReport { subject: image, platform, distribution, packages, findings, suppressed, base, warnings }
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
