//! One file a command.

mod inventory;
mod ledger;
mod scan;

use patchkit_core::Stop;

use crate::{
    Ended,
    cli::{Cli, Command},
    place,
};

/// Carries out the command.
pub(crate) async fn run(Cli { command, global }: Cli) -> Result<Ended, Stop> {
    let cx = place::context();
    match command {
        Command::Inventory(args) => inventory::run(&args, &global, &cx).await?,
        Command::Ledger(args) => ledger::run(&args, &global, &cx).await?,
        Command::Scan(args) => return scan::run(&args, &global, &cx).await,
        _ => unimplemented_yet(),
    }
    Ok(Ended::Done)
}
fn unimplemented_yet() { }
