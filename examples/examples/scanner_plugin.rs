//! A scanner of one's own: programs that run as root whoever starts them, outside the places where they are expected.
//!
//! `cargo run --example scanner_plugin -- LAYOUT[:TAG]` scans an OCI layout with it.

use std::{process::ExitCode, sync::Arc};

use async_trait::async_trait;
use patchkit_core::{
    Context, Error, Finding, FixState, Image, Package, Plugin, PluginInfo, PurlParts, Result, ScanReport, Scanner,
    Severity, Target, Version, image::FilePath,
};
use patchkit_oci::Layout;

/// Reports set-user-id programs below a folder.
#[derive(Debug)]
struct SetuidScanner {
    below: FilePath,
}

impl Plugin for SetuidScanner {
    fn info(&self) -> PluginInfo {
        PluginInfo::new("setuid", "1.0.0").configured(&self.below.to_string())
    }
}

#[async_trait]
impl Scanner for SetuidScanner {
    async fn scan(&self, image: &Image, cx: &Context) -> Result<ScanReport> {
        let files = image.files(|_path, _size| false, cx).await?;
        let suspects = files.iter().filter(|(path, node)| {
            path.starts_with(&self.below) && node.size().is_some() && node.metadata.mode & 0o4000 != 0
        });
        let (packages, findings) = suspects.map(|(path, _)| finding(&path.to_string())).collect::<Result<_>>()?;
        Ok(ScanReport { packages, findings, ..ScanReport::of(image) }.sorted())
    }
}

fn finding(path: &str) -> Result<(Package, Finding)> {
    let invalid = |error: &dyn std::fmt::Display| Error::invalid(error.to_string()).on(path);
    let parts = PurlParts { kind: "generic".into(), name: path.into(), ..PurlParts::default() };
    let purl = parts.build().map_err(|error| invalid(&error))?;
    let name = path.parse().map_err(|error| invalid(&error))?;
    let version = Version::new("generic", "0").map_err(|error| invalid(&error))?;
    let package = Package { locations: [path.to_owned()].into(), ..Package::new(purl.clone(), name, version) };
    let id = "EXAMPLE-SETUID".parse().map_err(|error| invalid(&error))?;
    let title = Some(format!("{path} runs as its owner, whoever starts it"));
    let finding = Finding { title, ..Finding::new(id, purl, Severity::High, FixState::NotFixed, "setuid") };
    Ok((package, finding))
}

#[tokio::main]
async fn main() -> ExitCode {
    let Some(name) = std::env::args().nth(1) else {
        eprintln!("usage: scanner_plugin LAYOUT[:TAG]");
        return ExitCode::from(2);
    };
    match scan(&name).await {
        Ok(reports) => {
            let findings: Vec<_> = reports.iter().flat_map(|report| &report.findings).collect();
            findings.iter().for_each(|finding| println!("{}", finding.title.as_deref().unwrap_or_default()));
            println!("{} found", findings.len());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn scan(name: &str) -> Result<Vec<ScanReport>> {
    let (folder, tag) = name.split_once(':').map_or((name, None), |(folder, tag)| (folder, Some(tag)));
    let cx = Context::new();
    let layout = Layout::open(folder).await?;
    let reference = layout.find(tag).await?;
    let target = Target::open(Arc::new(layout), reference, &cx).await?;
    let below = FilePath::new("usr").expect("it is a path");
    let scanner = SetuidScanner { below };
    let mut reports = Vec::new();
    for image in target.images().images() {
        reports.push(scanner.scan(image, &cx).await?);
    }
    Ok(reports)
}
