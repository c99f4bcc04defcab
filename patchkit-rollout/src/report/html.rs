//! The summary as one page that needs nothing else to be read.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use patchkit_core::{NoteClass, Reason};

use super::{ImageSummary, Summary};

const STYLE: &str = "
:root{color-scheme:light dark;--line:#8884;--soft:#8882;--good:#18794e;--bad:#c62a2f}
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin-bottom:.2rem}h2{font-size:1.1rem;margin-top:2rem}
code,td.n{font-family:ui-monospace,monospace;font-size:.9em;overflow-wrap:anywhere}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid var(--line);vertical-align:top}
.figures{display:flex;flex-wrap:wrap;gap:1rem;margin:1.2rem 0}.figures div{background:var(--soft);border-radius:.5rem;padding:.6rem 1rem}
.figures b{display:block;font-size:1.5rem}.yes::before{content:'✓ ';color:var(--good)}.no::before{content:'✗ ';color:var(--bad)}
ul{padding-left:1.2rem;list-style:none}details{margin:.5rem 0}.sub{opacity:.7}
";

/// The page.
#[must_use]
pub fn page(summary: &Summary) -> String {
    let title = format!("{} patched", summary.target);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { (title) }
                p { "From " code { (summary.before) } " to " code { (summary.after) } }
                @for image in &summary.images { (image_section(image)) }
                (proof_section(summary))
            }
        }
    }
    .into_string()
}

fn image_section(image: &ImageSummary) -> Markup {
    html! {
        h2 { (image.platform) @if let Some(name) = &image.distribution { span.sub { " " (name) } } }
        div.figures {
            (figure(image.fixed.len(), "vulnerabilities fixed"))
            (figure(image.left.len(), "findings left"))
            (figure(image.changes.len(), "packages changed"))
            (figure(image.packages, "packages installed"))
            (figure(format!("{:.1}", image.added_bytes as f64 / 1e6), "MB added"))
        }
        (changes(image))
        (fixed(image))
        (left(image))
        (notes(image))
    }
}

fn figure(value: impl std::fmt::Display, name: &str) -> Markup {
    html! { div { b { (value.to_string()) } (name) } }
}

fn changes(image: &ImageSummary) -> Markup {
    html! {
        table {
            thead { tr { th { "Package" } th { "From" } th { "To" } th { "Why" } } }
            tbody {
                @for change in &image.changes {
                    tr {
                        td { (change.package) }
                        td.n { @match &change.from { Some(version) => (version), None => "new" } }
                        td.n { @match &change.to { Some(version) => (version), None => "removed" } }
                        td { (change.reason) }
                    }
                }
            }
        }
    }
}

fn fixed(image: &ImageSummary) -> Markup {
    html! {
        details {
            summary { (image.fixed.len()) " vulnerabilities fixed" }
            table {
                @for fix in &image.fixed {
                    tr { td.n { (fix.id) } td { (fix.severity) } td { (fix.packages.join(", ")) } }
                }
            }
        }
    }
}

fn left(image: &ImageSummary) -> Markup {
    html! {
        @if !image.left.is_empty() {
            details {
                summary { (image.left.len()) " findings left" }
                table {
                    @for left in &image.left {
                        tr { td.n { (left.finding.id) } td.n { (left.finding.package) } td { (left.reason) } }
                    }
                }
            }
        }
    }
}

fn notes(image: &ImageSummary) -> Markup {
    let review = image.notes.iter().filter(|note| note.class != NoteClass::Harmless).count();
    html! {
        @if !image.notes.is_empty() {
            details open[review > 0] {
                summary { (image.notes.len()) " notes, " (review) " to review" }
                table {
                    @for note in &image.notes {
                        tr { td { (format!("{:?}", note.class).to_lowercase()) } td { (note.subject) } td { (note.message) } }
                    }
                }
            }
        }
    }
}

fn proof_section(summary: &Summary) -> Markup {
    html! {
        h2 { "Proof" }
        ul { @for reason in &summary.verdicts { (reason_item(reason)) } (reason_item(&summary.approval)) }
        h2 { "Signatures" }
        p { "Signed by key " code { (summary.identity.key_id) } " (" (summary.identity.algorithm) ")" }
        ul { @for signature in &summary.signatures { li { code { (signature.digest) } } } }
        h2 { "Running now" }
        ul {
            @for (digest, percent) in &summary.deployment.shares { li { (percent) " % " code { (digest) } } }
        }
    }
}

fn reason_item(reason: &Reason) -> Markup {
    html! {
        li class=(if reason.holds { "yes" } else { "no" }) {
            (reason.message)
            @if !reason.because.is_empty() { ul { @for reason in &reason.because { (reason_item(reason)) } } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page of everything that a summary can hold, with names that would break it if they were not escaped.
    #[test]
    fn the_whole_page() {
        let summary: Summary = serde_json::from_str(include_str!("../../tests/data/summary.json")).unwrap();
        insta::assert_snapshot!(page(&summary).replace(STYLE, "…").replace("><", ">\n<"));
    }
}
