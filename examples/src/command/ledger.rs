use patchkit_core::{Context, Digest, Entry, Error, Ledger, Result};
use patchkit_rollout::{
    FileLedger,
    verify::exercise::{self, Review},
};
use serde_json::json;

use crate::{
    cli::{self, Global},
    output,
};

pub(crate) async fn run(args: &cli::Ledger, global: &Global, cx: &Context) -> Result<()> {
    let (cli::Ledger::Review { file } | cli::Ledger::Show { file } | cli::Ledger::Verify { file }) = args;
    if !file.exists() {
        return Err(Error::not_found("there is no such ledger").on(file.display()));
    }
    let entries = FileLedger::new(file).read(0, usize::MAX, cx).await?;
    match args {
        cli::Ledger::Review { .. } => {
            let review = exercise::review(&exercise::history(&entries));
            output::print(global, &review, || reviewed(&review))
        }
        cli::Ledger::Show { .. } => output::print(global, &entries, || table(&entries)),
        cli::Ledger::Verify { .. } => {
            let head = entries.last().map(|entry| entry.digest);
            let shown = head.as_ref().map_or_else(|| "none".into(), Digest::to_string);
            let text = format!("{} entries, each following the one before; the head is {shown}", entries.len());
            output::print(global, &json!({ "entries": entries.len(), "head": head }), || text)
        }
    }
}

fn reviewed(review: &Review) -> String {
    let mut text = format!("{} patches were tested\n", review.patches);
    for test in &review.never_needed {
        text.push_str(&format!("the test {test} used nothing that any of them changed\n"));
    }
    for (package, patches) in &review.never_covered {
        text.push_str(&format!("no test used the package {package}, which {patches} of them changed\n"));
    }
    text
}

fn table(entries: &[Entry]) -> String {
    let rows = entries.iter().map(|entry| {
        let record = &entry.record;
        [
            entry.sequence.to_string(),
            record.at.to_string(),
            record.kind.clone(),
            record.subject.short(),
            record.run.clone(),
        ]
    });
    output::table(["#", "At", "What", "Subject", "Run"], rows)
}
