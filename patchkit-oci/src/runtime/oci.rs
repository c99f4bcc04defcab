//! Starting containers in an OCI runtime program.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use async_trait::async_trait;
use patchkit_core::{Command, Container, Context, Error, Image, Network, Plugin, PluginInfo, Result, Runtime};
use serde_json::json;

use super::{
    bundle::{self, Surroundings},
    cgroup::{self, MemoryGroup},
    container::{First, OciContainer, Parts, watch_inside},
    keeper::Keeper,
    network::{Loopback, Namespace},
    observe::Watch,
    process::{Process, Running},
    program::{Dialect, Program},
    root::{Mounting, Root},
    store::{LayerStore, Unpacked},
    view::View,
};
use crate::file::{blocking, on};

/// Runs commands in an OCI runtime program: runc, crun, youki, or another with the same command line.
///
/// As root, it mounts an overlay for each container, makes its network, and keeps limits by control groups. As another
/// user each container gets a copy of the image's files, and limits of memory and processes are those of
/// `setrlimit(2)`; only the built-in program connects to ports, and supplementary groups of the image's users are left out.
///
/// A command that ends with status 129 to 192 is told as ended by a signal, as shells do, since these programs pass on
/// a number only.
///
/// ```no_run
/// use patchkit_core::{Command, Context, Image, Result, RuntimeExt};
/// use patchkit_oci::runtime::{LayerStore, OciRuntime};
///
/// async fn run(image: &Image) -> Result<()> {
///     let runtime = OciRuntime::new("runc", LayerStore::open("/var/lib/patchkit")?);
///     let command = Command { args: vec!["/usr/bin/id".into()], ..Command::default() };
///     println!("{:?}", runtime.run(image, &command, &Context::new()).await?.stdout);
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug)]
pub struct OciRuntime {
    program: Program,
    store: LayerStore,
    dialect: Dialect,
}

/// What of a container is on the host before it runs.
struct Prepared {
    root: Root,
    view: View,
    network: Option<Namespace>,
    memory: Option<MemoryGroup>,
}

impl OciRuntime {
    /// Runs commands in a program, given by its path or its name, with images unpacked in a store.
    pub fn new(program: impl Into<PathBuf>, store: LayerStore) -> Self {
        Self { program: Program::named(program.into()), store, dialect: Dialect::Standard }
    }

    /// Runs commands in the runtime that is built in, with nothing installed and no need to be root. The program that
    /// this process runs must hand over to [`builtin::main`](super::builtin::main) in its first lines.
    ///
    /// # Errors
    /// [`Unsupported`](patchkit_core::ErrorKind::Unsupported) where that program's file is not known.
    pub fn built_in(store: LayerStore) -> Result<Self> {
        Ok(Self { program: Program::own()?, store, dialect: Dialect::BuiltIn })
    }

    /// The same, for a program that understands what the built-in one does beside runc's command line: the annotation
    /// `org.patchkit.overlay`, JSON with `lower` (a list, the topmost first), `upper` and `work`, is mounted at the root's
    /// path where we may not mount ourselves, and `connect PORT ID` reaches a port of a container whose network is not
    /// ours.
    #[must_use]
    pub fn with_overlays_by_program(self) -> Self {
        Self { dialect: Dialect::BuiltIn, ..self }
    }

    /// The program.
    #[must_use]
    pub fn program(&self) -> &Path {
        self.program.path()
    }

    fn mounting(&self) -> Mounting {
        Mounting::of(self.store.way(), self.dialect)
    }

    async fn launch(&self, image: &Image, command: &Command, cx: &Context) -> Result<OciContainer> {
        let unpacked = self.store.prepare(image, cx).await?;
        let folder = tempfile::Builder::new().prefix("patchkit-").rand_bytes(10).tempdir_in(self.store.containers());
        let folder = folder.map_err(on(self.store.folder()))?;
        let id = folder.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
        let keeper = Keeper::start(&self.program, &id, folder.path())?;
        // From here on it is the keeper who removes it.
        let folder = folder.keep();
        let prepared = self.prepare(image, command, unpacked, &folder, &id).await?;
        let pid_file = folder.join("pid");
        let mut program = self.program_in(&folder);
        program.args(["run", "--bundle"]).arg(&folder).arg("--pid-file").arg(&pid_file).arg(&id);
        // Before it starts, so that nothing is missed.
        let watch = command.observe.then(|| Watch::before_start(&prepared.root.mountpoint())).flatten();
        let mut running = Running::start(program, command.stdin.clone(), command.limits.output)?;
        keeper.watch(running.child.id().unwrap_or_default())?;
        let (began, started) = (Instant::now(), running.started(&pid_file).await);
        let pid = match started {
            Ok(pid) => pid,
            Err(error) => {
                drop((watch, prepared.memory));
                keeper.ended()?;
                keeper.end().await?;
                return Err(error.by(self.info().name));
            }
        };
        let Prepared { root, view, network, memory } = prepared;
        let process = Process::open(pid).map(Arc::new);
        let first = First::watch(running.child, process.clone(), memory, command.limits.time, began);
        Ok(OciContainer::new(Parts {
            program: self.program.clone(),
            dialect: self.dialect,
            id,
            image: image.clone(),
            command: command.clone(),
            root,
            view: Arc::new(view),
            watch: watch.or_else(|| command.observe.then(|| watch_inside(pid)).flatten()),
            network,
            pid,
            process,
            streams: running.streams,
            first,
            keeper,
        }))
    }

    fn program_in(&self, folder: &Path) -> tokio::process::Command {
        let mut program = self.program.command();
        program.arg("--root").arg(folder.join("state"));
        program
    }

    /// Makes the bundle and what it speaks of.
    async fn prepare(
        &self,
        image: &Image,
        command: &Command,
        unpacked: Unpacked,
        folder: &Path,
        id: &str,
    ) -> Result<Prepared> {
        let (image, command, mounting) = (image.clone(), command.clone(), self.mounting());
        let (folder, id) = (folder.to_owned(), id.to_owned());
        blocking(move || {
            let (root, overlay) = Root::new(folder, unpacked, mounting)?;
            let view = root.view(&command, mounting)?;
            let process = bundle::process(&image, &command, &view)?;
            root.furnish(&command, process["cwd"].as_str().unwrap_or("/"), &view, mounting)?;
            let network = network(&command.network)?;
            let memory = command.limits.memory.and_then(|limit| MemoryGroup::new(&id, limit));
            let around = Surroundings {
                id: &id,
                folder: &root.folder,
                network: network.as_ref().map(Namespace::path),
                overlay,
                cgroup: cgroup::is_usable()
                    .then(|| if memory.is_some() { format!("/{id}/inner") } else { format!("/{id}") }),
                group_memory: memory.as_ref().map(MemoryGroup::inner_limit),
            };
            let config = bundle::config(process, &command, &around)?;
            let path = root.folder.join("config.json");
            fs::write(&path, config.to_string()).map_err(on(&path))?;
            Ok(Prepared { root, view, network, memory })
        })
        .await
    }
}

/// The network, made before the container: so that a loopback is there at once, or is not there at all.
fn network(wanted: &Network) -> Result<Option<Namespace>> {
    let loopback = match wanted {
        Network::Host => return Ok(None),
        Network::Loopback | Network::Ports(_) => Loopback::Up,
        Network::None => Loopback::Down,
    };
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let made = Namespace::new(loopback);
    made.map(Some).map_err(|error| Error::unexpected(format!("cannot make a network: {error}")).because(error))
}

impl Plugin for OciRuntime {
    fn info(&self) -> PluginInfo {
        let configuration = json!(self.program.words());
        let info = PluginInfo::new("oci-runtime", env!("CARGO_PKG_VERSION")).configured(&configuration);
        info.needing(self.program.path().display().to_string())
    }
}

#[async_trait]
impl Runtime for OciRuntime {
    async fn start(&self, image: &Image, command: &Command, cx: &Context) -> Result<Box<dyn Container>> {
        let container = cx.guard(self.launch(image, command, cx)).await?;
        Ok(Box::new(container))
    }
}
