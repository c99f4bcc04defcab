//! `doctor`: which ways to run containers work here.

use patchkit_core::{Context, Result};
use patchkit_oci::runtime;

use crate::{
    cli::{self, Global},
    output::{self, Progress},
    running,
};

pub(crate) async fn run(args: &cli::Doctor, global: &Global, cx: &Context) -> Result<()> {
    let ways = running::programs(&args.containers);
    let checkups = Progress::of(global).step("try every way to run a container", async {
        Ok::<_, patchkit_core::Error>(runtime::doctor(&ways, cx).await)
    });
    let checkups = checkups.await?;
    output::print(global, &checkups, || checkups.iter().map(|checkup| format!("{checkup}\n")).collect())
}
