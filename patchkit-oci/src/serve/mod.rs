//! Any registry as a registry over HTTP (OCI distribution specification 1.1), on this machine alone.
//!
//! ```
//! use patchkit_core::Context;
//! use patchkit_oci::{FolderScratch, Store, serve::Server};
//! use std::sync::Arc;
//!
//! # let folder = tempfile::tempdir().unwrap();
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let store = Store::create(folder.path()).await?;
//! let cx = Context::new().with_scratch(Arc::new(FolderScratch::temporary()));
//! let server = Server::bind("127.0.0.1:0".parse().unwrap(), Arc::new(store), &cx).await?;
//! println!("skopeo copy --dest-tls-verify=false oci:image docker://{}/app:1", server.address());
//! server.shutdown().await;
//! # Ok::<_, patchkit_core::Error>(()) }).unwrap();
//! ```

mod blobs;
mod hosted;
mod lists;
mod manifests;
mod range;
mod reply;
mod route;
mod upload;

use std::{convert::Infallible, future::Future, net::SocketAddr, sync::Arc, time::Duration};

use hyper::{
    Method, Request, Response, StatusCode,
    body::{Body, Incoming},
    header::HeaderName,
    http::request::Parts,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use patchkit_core::{Context, Error, ErrorKind, Repository, Result};
use serde_json::json;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

pub use hosted::{Hosted, Plain};
pub use range::{Asked, parse_content_range, parse_range};
use reply::{Refusal, Reply};
use route::{Query, Route};
use upload::Uploads;

/// How long requests that are being answered may take after the server is told to stop.
const GRACE: Duration = Duration::from_secs(10);

const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");

/// A registry that is being served. Dropped, it stops at once.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    running: JoinHandle<()>,
}

impl Server {
    /// Serves a registry at an address of this machine; port 0 takes any that is free.
    ///
    /// Uploads grow in the context's scratch space, so that should not be memory. Whoever can reach the address may
    /// read and write everything: there are no credentials.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) for an address that others can reach;
    /// [`Unavailable`](ErrorKind::Unavailable) where the address is taken.
    pub async fn bind(address: SocketAddr, registry: Arc<dyn Hosted>, cx: &Context) -> Result<Self> {
        let bound = listen(address).await.map_err(|error| error.on(address).during("serve"));
        let (listener, address) = bound?;
        let service = Arc::new(Service { registry, uploads: Uploads::default(), cx: cx.clone() });
        let (stop, stopped) = watch::channel(false);
        let running = tokio::spawn(run(listener, service, stopped));
        Ok(Self { address, stop, running })
    }

    /// Where it is served.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more requests, and waits for those that are being answered, but not longer than ten seconds.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        // It ends in any case, and a panic of it is none of ours.
        let _ = (&mut self.running).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.running.abort();
    }
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr)> {
    if !address.ip().is_loopback() {
        return Err(Error::invalid("only addresses of this machine are served, since there are no credentials"));
    }
    let cannot = |error: std::io::Error| Error::unavailable(error.to_string()).because(error);
    let listener = TcpListener::bind(address).await.map_err(cannot)?;
    let address = listener.local_addr().map_err(cannot)?;
    Ok((listener, address))
}

async fn run(listener: TcpListener, service: Arc<Service>, mut stopped: watch::Receiver<bool>) {
    let (graceful, mut connections) = (GracefulShutdown::new(), JoinSet::new());
    loop {
        tokio::select! {
            // The sender lives as long as the server.
            _ = stopped.changed() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(connections.spawn(answer(stream, service.clone(), &graceful))),
                // Too many open files: some will be closed.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
        }
    }
    drop(listener);
    let _ = tokio::time::timeout(GRACE, graceful.shutdown()).await;
}

/// Answers the requests of a connection.
fn answer(
    stream: TcpStream,
    service: Arc<Service>,
    graceful: &GracefulShutdown,
) -> impl Future<Output = ()> + Send + 'static {
    // Small answers should not wait for more to send.
    let _ = stream.set_nodelay(true);
    let respond = move |request| respond(service.clone(), request);
    let connection =
        http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service_fn(respond));
    let watched = graceful.watch(connection);
    async move {
        if let Err(error) = watched.await {
            tracing::debug!(%error, "connection");
        }
    }
}

async fn respond(
    service: Arc<Service>,
    request: Request<Incoming>,
) -> Result<Response<impl Body<Data = bytes::Bytes, Error = Error> + use<>>, Infallible> {
    let (parts, body) = request.into_parts();
    let is_head = parts.method == Method::HEAD;
    // On a task of its own, so that what has come of an upload is kept when the other side goes away.
    let answered = tokio::spawn(async move {
        let result = service.route(&parts, body).await;
        tracing::debug!(method = %parts.method, path = parts.uri.path(), refused = ?result.as_ref().err(), "request");
        result.unwrap_or_else(Refusal::into_reply)
    });
    let failed = |_| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN", "a bug").into_reply();
    let reply = answered.await.unwrap_or_else(failed).header(API_VERSION, "registry/2.0");
    Ok(if is_head { reply.head() } else { reply }.into_response())
}

/// What answers requests.
struct Service {
    registry: Arc<dyn Hosted>,
    uploads: Uploads,
    cx: Context,
}

impl Service {
    async fn route(&self, parts: &Parts, body: Incoming) -> Result<Reply, Refusal> {
        let path = parts.uri.path();
        let route =
            Route::of(path).ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, "UNKNOWN", "no such endpoint"))?;
        let query = Query::of(parts.uri.query());
        match (parts.method.as_str(), route) {
            ("GET" | "HEAD", Route::Base) => Ok(Reply::json(StatusCode::OK, &json!({}))),
            ("GET", Route::Catalog) => self.catalog(&query).await,
            ("GET", Route::Tags(name)) => self.tags(&name, &query).await,
            ("GET", Route::Referrers(name, digest)) => self.referrers(&name, digest, &query).await,
            ("GET" | "HEAD", Route::Manifest(name, reference)) => self.manifest(&name, &reference, parts).await,
            ("PUT", Route::Manifest(name, reference)) => self.put_manifest(&name, &reference, parts, body).await,
            ("DELETE", Route::Manifest(name, reference)) => self.delete_manifest(&name, &reference).await,
            ("GET" | "HEAD", Route::Blob(name, digest)) => self.blob(&name, digest, parts).await,
            ("DELETE", Route::Blob(name, digest)) => self.delete_blob(&name, digest).await,
            ("POST", Route::Uploads(name)) => self.begin_upload(&name, &query, parts, body).await,
            ("GET", Route::Upload(name, id)) => self.upload_status(&name, &id).await,
            ("PATCH", Route::Upload(name, id)) => self.append_upload(&name, &id, parts, body).await,
            ("PUT", Route::Upload(name, id)) => self.finish_upload(&name, &id, &query, parts, body).await,
            ("DELETE", Route::Upload(name, id)) => self.cancel_upload(&name, &id).await,
            (method, _) => {
                let message = format!("{method} is not for this endpoint");
                Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", message))
            }
        }
    }

    /// The repository of a path on this server.
    fn repository(&self, name: &str) -> Result<Repository, Refusal> {
        let repository = format!("{}/{name}", self.registry.host()).parse();
        repository.map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, "NAME_INVALID", error))
    }
}

/// A header's value, where it is text.
fn header(parts: &Parts, name: HeaderName) -> Option<&str> {
    parts.headers.get(name)?.to_str().ok()
}

/// Whether a list of entity tags, as in `If-None-Match`, has a digest's.
fn has_tag(list: &str, digest: &patchkit_core::Digest) -> bool {
    list.split(',')
        .map(|tag| tag.trim().trim_start_matches("W/").trim_matches('"'))
        .any(|tag| tag == digest.to_string())
}

/// The digest that a part of a path or query should be.
fn digest_of(text: std::result::Result<patchkit_core::Digest, String>) -> Result<patchkit_core::Digest, Refusal> {
    text.map_err(|text| Refusal::new(StatusCode::BAD_REQUEST, "DIGEST_INVALID", format!("{text:?} is no digest")))
}

/// Whether something is there: what does not exist is no error here.
fn exists<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
