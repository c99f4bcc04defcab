use std::sync::Arc;

use patchkit_core::{Context, Image, Patcher, Plan, Result, ScanReport, Scanner};

use crate::{
    archive,
    cli::{self, Global, Looking},
    looking,
    output::{self, Progress},
    place, scanning,
};

pub(crate) async fn run(args: &cli::Plan, global: &Global, cx: &Context) -> Result<()> {
    let progress = Progress::of(global);
    let scanner = scanner(&args.selection, global, cx).await?;
    let patcher = archive::patcher(&args.selection)?;
    let target = place::target(&args.image, global, cx).await?;
    let mut plans = Vec::new();
    for image in place::chosen(&target, &args.platforms)? {
        plans.push(one(image, &scanner, &patcher, progress, cx).await?.1);
    }
    output::print(global, &plans, || plans.iter().map(table).collect::<Vec<_>>().join("\n"))
}

/// A scanner over what was named; with `--all` there may be no advisories.
pub(crate) async fn scanner(selection: &cli::Selection, global: &Global, cx: &Context) -> Result<Arc<dyn Scanner>> {
    let looking = Looking { cache: selection.archive.cache.clone(), ..Looking::default() };
    let known = scanning::knowledge(&selection.claims, Progress::of(global)).await?;
    scanning::scanner(&selection.claims, known, looking::options(&looking, global, cx).await?)
}

/// Scans one image and plans what to change in it.
pub(crate) async fn one(
    image: &Image,
    scanner: &dyn Scanner,
    patcher: &dyn Patcher,
    progress: Progress,
    cx: &Context,
) -> Result<(ScanReport, Plan)> {
    let platform = image.platform();
    let report = progress.step(&format!("scan {platform}"), scanner.scan(image, cx)).await?;
    let plan = progress.step(&format!("plan {platform}"), patcher.plan(image, &report, cx)).await?;
    Ok((report, plan))
}

/// A plan for people.
pub(crate) fn table(plan: &Plan) -> String {
    let heading =
        format!("{} · {} packages change, {} findings left", plan.subject, plan.changes.len(), plan.unfixable.len());
    let version = |version: &Option<patchkit_core::Version>| version.as_ref().map_or("–".into(), ToString::to_string);
    let changes = plan
        .changes
        .iter()
        .map(|change| [change.package.to_string(), version(&change.from), version(&change.to), change.reason.clone()]);
    let mut text = format!("{heading}\n{}\n", output::table(["Package", "From", "To", "Why"], changes));
    if !plan.unfixable.is_empty() {
        let left = plan.unfixable.iter().map(|left| {
            let package = left.finding.package.parts();
            [left.finding.id.to_string(), package.name, package.version, left.reason.to_string()]
        });
        text.push_str(&output::table(["Left", "Package", "Installed", "Why"], left));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_as_a_table() {
        let plan: Plan = serde_json::from_str(include_str!("../../tests/data/plan.json")).unwrap();
        insta::assert_snapshot!(table(&plan));
    }
}
