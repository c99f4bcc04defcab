//! podman and Docker, through the API of Docker's that both have on a Unix socket.
//!
//! The engine runs on this machine: streams and files travel through its API, but ports are reached, and openings are
//! seen, through the container's processes in `/proc`, for which it takes root's rights. What they say of a container:
//!
//! - With [`Network::None`](patchkit_core::Network::None) there still is a loopback, which engines always give.
//! - They report a signal as an exit status above 128, as a shell does, and that is how it is read back: a program that
//!   itself ends with 137 seems to have been ended by signal 9.
//! - A command that another runs beside ([`Container::exec`](patchkit_core::Container::exec)) and that exceeds its time
//!   is ended where its process may be signalled, and with its container otherwise.

mod archive;
mod attached;
mod container;
mod create;
mod error;
mod exec;
mod image;
mod owner;
mod plain;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use bollard::Docker;
use patchkit_core::{Command, Container, Context, Error, Image, Plugin, PluginInfo, Result, Runtime};
use tokio::sync::Mutex;

use container::EngineContainer;
use error::of_engine;
use owner::Owned;

/// How long the engine may take to answer.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs commands in containers of podman's or Docker's.
///
/// An image is loaded into the engine when it is first used, under the name `localhost/patchkit/HEX` that its digest
/// gives, and kept for the next start; [`forget_images`](Self::forget_images) removes those that no container uses.
///
/// Containers are removed when they ended, are dropped or cancelled; dropping one blocks for as long as that takes.
/// Should this process be killed, a shell that waits for just that ends the command, where it may send signals to it.
/// Each container carries who made it, and [`open`](Self::open) removes those whose makers are dead: what is left of an
/// ended one, and all of one that could not be ended.
///
/// It is tested with podman 4.3. Of Docker it needs an API that is no older than podman's (1.41), and nothing more.
#[derive(Clone, Debug)]
pub struct Engine(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    docker: Docker,
    socket: PathBuf,
    /// So that an image is not loaded twice at once.
    loading: Mutex<()>,
}

impl Engine {
    /// Connects to the engine that listens on a Unix socket, and removes containers whose makers are dead.
    ///
    /// # Errors
    /// [`NotFound`](patchkit_core::ErrorKind::NotFound) where there is no socket,
    /// [`Unavailable`](patchkit_core::ErrorKind::Unavailable) where nobody listens,
    /// [`Denied`](patchkit_core::ErrorKind::Denied) where we may not talk to it.
    pub async fn open(socket: impl Into<PathBuf>, cx: &Context) -> Result<Self> {
        let socket = socket.into();
        let opened = cx.guard(async {
            check(&socket)?;
            let path = socket.to_str().ok_or_else(|| Error::invalid("the path is no text"))?;
            let docker = Docker::connect_with_unix(path, PATIENCE.as_secs(), bollard::API_DEFAULT_VERSION);
            let docker = docker.map_err(of_engine)?.negotiate_version().await.map_err(of_engine)?;
            let engine = Self(Arc::new(Inner { docker, socket: socket.clone(), loading: Mutex::default() }));
            owner::reap(engine.docker()).await?;
            Ok(engine)
        });
        opened.await.map_err(|error| error.on(socket.display()).during("open engine"))
    }

    /// The sockets that podman and Docker have where nobody chose others, for this user: podman's first.
    #[must_use]
    pub fn usual_sockets() -> Vec<PathBuf> {
        let own = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let own = own.iter().flat_map(|folder| [folder.join("podman/podman.sock"), folder.join("docker.sock")]);
        let shared = ["/run/podman/podman.sock", "/var/run/docker.sock"].map(PathBuf::from);
        own.chain(shared).collect()
    }

    /// Which program it is, and which version: `podman 4.3.1`.
    ///
    /// # Errors
    /// Those of asking it.
    pub async fn version(&self, cx: &Context) -> Result<String> {
        let version = cx.guard(async { self.docker().version().await.map_err(of_engine) }).await?;
        let components = version.components.unwrap_or_default();
        let podman = components.iter().any(|component| component.name.contains("Podman"));
        let name = if podman { "podman" } else { "docker" };
        Ok(format!("{name} {}", version.version.unwrap_or_default()))
    }

    /// Removes the images that were loaded and that no container uses; says how many.
    ///
    /// # Errors
    /// Those of asking the engine.
    pub async fn forget_images(&self, cx: &Context) -> Result<usize> {
        let _loading = self.0.loading.lock().await;
        cx.guard(image::forget(self.docker())).await.map_err(|error| error.during("forget images"))
    }

    fn docker(&self) -> &Docker {
        &self.0.docker
    }

    fn socket(&self) -> &Path {
        &self.0.socket
    }

    async fn load(&self, image: &Image, cx: &Context) -> Result<String> {
        let _loading = self.0.loading.lock().await;
        image::load(self.docker(), image, cx).await
    }
}

/// Says why a socket is none, better than a client of HTTP does.
fn check(socket: &Path) -> Result<()> {
    match std::os::unix::net::UnixStream::connect(socket) {
        Ok(_) => Ok(()),
        Err(error) => Err(match error.kind() {
            std::io::ErrorKind::NotFound => Error::not_found("no socket is there"),
            std::io::ErrorKind::PermissionDenied => Error::denied("we may not talk to it"),
            _ => Error::unavailable(format!("nobody listens: {error}")),
        }
        .because(error)),
    }
}

impl Plugin for Engine {
    fn info(&self) -> PluginInfo {
        let socket = self.socket().display().to_string();
        PluginInfo::new("engine", env!("CARGO_PKG_VERSION")).configured(&socket).needing("a container engine")
    }
}

#[async_trait]
impl Runtime for Engine {
    async fn start(&self, image: &Image, command: &Command, cx: &Context) -> Result<Box<dyn Container>> {
        let started = async {
            let name = self.load(image, cx).await?;
            let body = create::body(&name, command)?;
            let owned = cx.guard(Owned::create(self.docker(), self.socket(), body)).await?;
            let container = EngineContainer::start(self.docker().clone(), owned, image, command);
            Ok(Box::new(cx.guard(container).await?) as Box<dyn Container>)
        };
        started.await.map_err(|error: Error| error.on(image.digest()).during("start container").by("engine"))
    }
}
