//! A finished run, in a terminal.

use patchkit_core::{NoteClass, Reason};
use patchkit_rollout::report::{ImageSummary, Summary};

use crate::output;

/// The most rows of a list that are shown; the page has them all.
const MOST: usize = 12;

/// The report of a run.
pub(crate) fn report(summary: &Summary) -> String {
    let mut text = format!("{}\n  before {}\n  after  {}\n", summary.target, summary.before, summary.after);
    summary.images.iter().for_each(|image| text.push_str(&section(image)));
    text.push_str("\nProof\n");
    for reason in summary.verdicts.iter().chain([&summary.approval]) {
        text.push_str(&indented(reason));
    }
    text.push_str(&format!("✓ signed by key {}\n", &summary.identity.key_id[..summary.identity.key_id.len().min(12)]));
    for (digest, percent) in &summary.deployment.shares {
        text.push_str(&format!("✓ {percent} % runs {digest}\n"));
    }
    text
}

fn section(image: &ImageSummary) -> String {
    let name = image.distribution.as_deref().unwrap_or("unknown distribution");
    let review = image.notes.iter().filter(|note| note.class != NoteClass::Harmless).count();
    format!(
        "\n{} · {name} · {} packages\n{}\n{} vulnerabilities fixed, {} findings left; {} packages changed, {:.1} MB added; \
         {} maintainer scripts and triggers noted, {review} to review\n{}",
        image.platform,
        image.packages,
        changes(image),
        image.fixed.len(),
        image.left.len(),
        image.changes.len(),
        image.added_bytes as f64 / 1e6,
        image.notes.len(),
        fixed(image),
    )
}

fn changes(image: &ImageSummary) -> String {
    let version = |version: &Option<patchkit_core::Version>, none: &str| {
        version.as_ref().map_or_else(|| none.to_owned(), ToString::to_string)
    };
    let rows = image.changes.iter().map(|change| {
        [
            change.package.to_string(),
            version(&change.from, "new"),
            version(&change.to, "removed"),
            change.fixes.len().to_string(),
        ]
    });
    output::table(["Package", "From", "To", "Fixes"], rows)
}

fn fixed(image: &ImageSummary) -> String {
    let shown: Vec<_> = image.fixed.iter().take(MOST).map(|fix| fix.id.to_string()).collect();
    let more = image.fixed.len().saturating_sub(MOST);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    if shown.is_empty() { String::new() } else { format!("fixed: {}{more}\n", shown.join(", ")) }
}

/// A reason without the details of what holds.
fn indented(reason: &Reason) -> String {
    match reason.holds {
        true => format!("✓ {}\n", reason.message),
        false => format!("{reason}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_report() {
        let summary = include_str!("../../patchkit-rollout/tests/data/summary.json");
        insta::assert_snapshot!(report(&serde_json::from_str(summary).unwrap()));
    }
}
