//! One file a command.

pub(crate) mod db;
mod demo;
mod diff;
mod doctor;
mod inventory;
mod ledger;
mod patch;
mod pipeline;
mod plan;
mod scan;
mod test;

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
        Command::Db(args) => db::run(&args, &global, &cx).await?,
        Command::Demo(args) => demo::run(args, &global, &cx).await?,
        Command::Diff(args) => diff::run(&args, &global, &cx).await?,
        Command::Doctor(args) => doctor::run(&args, &global, &cx).await?,
        Command::Inventory(args) => inventory::run(&args, &global, &cx).await?,
        Command::Ledger(args) => ledger::run(&args, &global, &cx).await?,
        Command::Patch(args) => patch::run(&args, &global, &cx).await?,
        Command::Plan(args) => plan::run(&args, &global, &cx).await?,
        Command::Run(args) => pipeline::run(&args, &global, &cx).await?,
        Command::Test(args) => test::run(&args, &global, &cx).await?,
        Command::Scan(args) => return scan::run(&args, &global, &cx).await,
    }
    Ok(Ended::Done)
}
