//! What runs containers: what the command line names, or the first that works.

use std::{path::PathBuf, sync::Arc};

use patchkit_core::{Context, Error, ErrorKind, Result, Runtime};
use patchkit_oci::runtime::{Engine, LayerStore, OciRuntime, Way, try_out};

use crate::{archive, cli::Containers};

/// The programs that are tried.
const PROGRAMS: [&str; 3] = ["runc", "crun", "youki"];

/// The runtime that was asked for.
///
/// # Errors
/// [`Unsupported`](ErrorKind::Unsupported) where none works; those of the runtime that is named.
pub(crate) async fn runtime(containers: &Containers, cx: &Context) -> Result<Arc<dyn Runtime>> {
    match containers.runtime.as_deref() {
        None | Some("auto") => any(containers, cx).await,
        Some("built-in") => Ok(Arc::new(built_in(containers)?)),
        Some(engine @ ("docker" | "podman")) => Ok(Arc::new(engine_at(engine, cx).await?)),
        Some(program) => Ok(Arc::new(OciRuntime::new(program, store(containers)?))),
    }
}

/// The built-in runtime or, where it cannot, the first program that works.
async fn any(containers: &Containers, cx: &Context) -> Result<Arc<dyn Runtime>> {
    let mut faults = Vec::new();
    for way in programs(containers) {
        match way.runtime {
            Ok(runtime) => match try_out(&*runtime, cx).await {
                Ok(_) => return Ok(runtime),
                Err(error) if error.kind() == ErrorKind::Cancel => return Err(error),
                Err(error) => faults.push(format!("{}: {error}", way.name)),
            },
            Err(error) => faults.push(format!("{}: {error}", way.name)),
        }
    }
    let why = faults.first().cloned().unwrap_or_default();
    Err(Error::unsupported(format!("no way to run containers works here; see `patchkit doctor` ({why})")))
}

/// The ways to run containers that are programs.
pub(crate) fn programs(containers: &Containers) -> Vec<Way> {
    let advice = "allow user namespaces, or run as root";
    let program = |name: &str| {
        let runtime = store(containers).map(|store| OciRuntime::new(name, store));
        Way::new(name, runtime, format!("install {name}, or take another way"))
    };
    let mut ways = vec![Way::new("built-in", built_in(containers), advice)];
    ways.extend(PROGRAMS.map(program));
    ways
}

fn built_in(containers: &Containers) -> Result<OciRuntime> {
    OciRuntime::built_in(store(containers)?)
}

fn store(containers: &Containers) -> Result<LayerStore> {
    LayerStore::open(containers.store.clone().unwrap_or_else(|| archive::default_cache().join("containers")))
}

/// The engine of that name at one of the usual sockets.
async fn engine_at(name: &str, cx: &Context) -> Result<Engine> {
    let sockets: Vec<PathBuf> = Engine::usual_sockets();
    let socket = sockets.iter().find(|socket| socket.to_string_lossy().contains(name) && socket.exists());
    let missing = || Error::unsupported(format!("no socket of {name} is there; start its service")).on(name);
    Engine::open(socket.ok_or_else(missing)?, cx).await
}
