use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use patchkit_core::{Container, Context, Error, Result};

use super::{Request, Response};

/// Asks services in containers. Each request has a connection of its own, so that no answer depends on another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// The longest time of one exchange, redirects not counted together.
    pub timeout: Duration,
    /// The longest body in bytes that is read.
    pub body_limit: usize,
    /// What is done with an answer that points elsewhere.
    pub redirects: Redirects,
}

/// What is done with an answer that points elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Redirects {
    /// Up to so many are followed, as long as they stay on the same port. One that leaves it is the answer.
    Follow(u8),
    /// They are answers like others.
    #[default]
    Stay,
}

impl Default for Client {
    /// Ten seconds, four MiB, no redirects followed.
    fn default() -> Self {
        Self { timeout: Duration::from_secs(10), body_limit: 4 << 20, redirects: Redirects::Stay }
    }
}

impl Client {
    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// [`Invalid`](patchkit_core::ErrorKind::Invalid) for a request that HTTP cannot say,
    /// [`Unavailable`](patchkit_core::ErrorKind::Unavailable) where nobody listens, the connection breaks or the time is
    /// over, [`Corrupt`](patchkit_core::ErrorKind::Corrupt) for an answer that is not HTTP,
    /// [`Unsupported`](patchkit_core::ErrorKind::Unsupported) for a body over the limit; those of
    /// [`Container::connect`].
    pub async fn send(&self, request: &Request, container: &dyn Container, cx: &Context) -> Result<Response> {
        let mut request = request.clone();
        let mut left = match self.redirects {
            Redirects::Follow(most) => most,
            Redirects::Stay => 0,
        };
        loop {
            let response = self.exchange(&request, container, cx).await.map_err(|error| about(error, &request))?;
            match redirected(&request, &response) {
                Some(next) if left > 0 => request = next,
                _ => return Ok(response),
            }
            left -= 1;
        }
    }

    async fn exchange(&self, request: &Request, container: &dyn Container, cx: &Context) -> Result<Response> {
        let message = message(request)?;
        let late = || Error::unavailable(format!("no whole answer within {:?}", self.timeout));
        cx.guard(async {
            let exchange = self.converse(message, request.port, container, cx);
            tokio::time::timeout(self.timeout, exchange).await.map_err(|_| late())?
        })
        .await
    }

    async fn converse(
        &self,
        message: hyper::Request<Full<Bytes>>,
        port: u16,
        container: &dyn Container,
        cx: &Context,
    ) -> Result<Response> {
        let stream = container.connect(port, cx).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
        let begun = Instant::now();
        let exchange = async {
            let response = sender.send_request(message).await.map_err(failed)?;
            self.read(response, begun).await
        };
        tokio::pin!(exchange, connection);
        tokio::select! {
            response = &mut exchange => response,
            // It is over, but what it brought may still have to be read.
            _ = &mut connection => exchange.await,
        }
    }

    async fn read(&self, response: hyper::Response<Incoming>, begun: Instant) -> Result<Response> {
        let (head, mut body) = response.into_parts();
        let mut content = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let Ok(bytes) = frame.map_err(failed)?.into_data() else { continue };
            if content.len() + bytes.len() > self.body_limit {
                return Err(Error::unsupported(format!("the body is longer than {} bytes", self.body_limit)));
            }
            content.extend_from_slice(&bytes);
        }
        let latency = begun.elapsed();
        let text = |value: &header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
        Ok(Response { status: head.status.as_u16(), headers, body: content.freeze(), latency })
    }
}

fn about(error: Error, request: &Request) -> Error {
    error.during("ask over HTTP").on(format!("{} {} on port {}", request.method, request.path, request.port))
}

fn message(request: &Request) -> Result<hyper::Request<Full<Bytes>>> {
    if !request.path.starts_with('/') {
        return Err(Error::invalid("the path does not begin with a slash"));
    }
    let mut message = hyper::Request::builder()
        .method(request.method.as_str())
        .uri(request.path.as_str())
        .header(header::HOST, format!("localhost:{}", request.port))
        .header(header::CONNECTION, "close");
    for (name, value) in &request.headers {
        message = message.header(name.as_str(), value.as_str());
    }
    message
        .body(Full::new(Bytes::from(request.body.clone())))
        .map_err(|error| Error::invalid(error.to_string()).because(error))
}

/// What a broken exchange says: whether the answer was no HTTP, or did not come whole.
fn failed(error: hyper::Error) -> Error {
    let text = match std::error::Error::source(&error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    };
    let error_of = if error.is_parse() || error.is_parse_too_large() { Error::corrupt } else { Error::unavailable };
    error_of(text).because(error)
}

/// The request that an answer asks for, where it stays on the same port.
fn redirected(request: &Request, response: &Response) -> Option<Request> {
    if !matches!(response.status, 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let path = same_port(&response.header("location")?, request.port)?;
    let keeps = matches!(response.status, 307 | 308) || matches!(request.method.as_str(), "GET" | "HEAD");
    Some(if keeps {
        Request { path, ..request.clone() }
    } else {
        Request { method: "GET".into(), path, body: String::new(), ..request.clone() }
    })
}

fn same_port(location: &str, port: u16) -> Option<String> {
    let location = location.split('#').next().unwrap_or_default();
    let local = ["localhost", "127.0.0.1"].iter().find_map(|host| {
        let rest = location.strip_prefix("http://")?.strip_prefix(host)?;
        rest.strip_prefix(&format!(":{port}")).or((port == 80).then_some(rest))
    });
    let path = local.map_or(location, |rest| if rest.is_empty() { "/" } else { rest });
    (path.starts_with('/') && !path.starts_with("//")).then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_redirects_to_the_same_port_are_followed() {
        assert_eq!(same_port("/b?c#d", 80).as_deref(), Some("/b?c"));
        assert_eq!(same_port("http://localhost:8080", 8080).as_deref(), Some("/"));
        assert_eq!(same_port("http://127.0.0.1/x", 80).as_deref(), Some("/x"));
        for elsewhere in ["//example.com/", "http://example.com/", "http://localhost:81/x", "https://localhost/", "b"] {
            assert_eq!(same_port(elsewhere, 80), None, "{elsewhere}");
        }
    }
}
