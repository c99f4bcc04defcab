//! The only part that touches the network: connections, proxies, redirects, silence, and what may go in the clear.

use std::{error::Error as StdError, future::Future, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use futures::TryStream;
use patchkit_core::{Context, Error, Result};
use reqwest::{
    Body, Certificate, Client, ClientBuilder, Method, NoProxy, Proxy, RequestBuilder, Response, StatusCode,
    header::{AUTHORIZATION, CONTENT_LENGTH, HeaderMap, HeaderValue, LOCATION},
    redirect,
};
use url::Url;

use super::{
    endpoint::{Endpoints, is_loopback, shown},
    options::{Options, ProxyChoice},
    progress::Progress,
    tls,
};

const MAX_REDIRECTS: u32 = 10;

/// One request.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    /// Goes to the URL's own host only, never along with a redirect to another.
    pub(super) authorization: Option<HeaderValue>,
    pub(super) body: Bytes,
}

/// The connections.
#[derive(Debug)]
pub(super) struct Wire {
    client: Client,
    /// For loopback, which no proxy of the environment can reach.
    direct: Option<Client>,
    endpoints: Arc<Endpoints>,
    stall: Duration,
}

impl Wire {
    pub(super) fn new(options: &Options, endpoints: Arc<Endpoints>) -> Result<Self> {
        tls::install_tls_provider();
        let authorities = authorities(&options.authorities)?;
        let client = match &options.proxy {
            ProxyChoice::Direct => build(options, &authorities, ClientBuilder::no_proxy)?,
            ProxyChoice::Environment => build(options, &authorities, |builder| builder)?,
            ProxyChoice::Url { url, except } => {
                let invalid =
                    |error: reqwest::Error| Error::invalid("the proxy's URL is none").because(error.without_url());
                let proxy = Proxy::all(url.as_str()).map_err(invalid)?.no_proxy(NoProxy::from_string(except));
                build(options, &authorities, |builder| builder.proxy(proxy.clone()))?
            }
        };
        let direct = match options.proxy {
            ProxyChoice::Environment => Some(build(options, &authorities, ClientBuilder::no_proxy)?),
            ProxyChoice::Direct | ProxyChoice::Url { .. } => None,
        };
        Ok(Self { client, direct, endpoints, stall: options.stall_timeout })
    }

    /// Sends a request and follows where it is redirected to, as far as that is safe.
    pub(super) async fn send(&self, mut request: Outgoing, cx: &Context) -> Result<Response> {
        for _ in 0..MAX_REDIRECTS {
            let builder = with_body(self.prepare(&request)?, &request);
            let response = self.patiently(builder.send(), cx).await?;
            let Some(next) = redirection(&request.method, &response)? else { return Ok(response) };
            if next.origin() != request.url.origin() {
                request.authorization = None;
            }
            request.url = next;
        }
        Err(Error::unavailable(format!("{}: redirected more than {MAX_REDIRECTS} times", shown(&request.url))))
    }

    /// Sends a request whose body, of `length` bytes, is a stream. It is not redirected, since the stream is gone.
    pub(super) async fn send_stream<S>(
        &self,
        request: &Outgoing,
        length: u64,
        stream: S,
        progress: &Progress,
        cx: &Context,
    ) -> Result<Response>
    where
        S: TryStream<Ok = Bytes> + Send + 'static,
        S::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        let builder = self.prepare(request)?.header(CONTENT_LENGTH, length).body(Body::wrap_stream(stream));
        let sent = cx.guard(async {
            let sending = builder.send();
            tokio::pin!(sending);
            loop {
                let before = progress.sent();
                tokio::select! {
                    biased;
                    sent = &mut sending => return sent.map_err(broken),
                    () = cx.clock().sleep(self.stall) => if progress.sent() == before { return Err(self.stalled()) },
                }
            }
        });
        sent.await
    }

    /// The next piece of an answer's body.
    pub(super) async fn piece(&self, response: &mut Response, cx: &Context) -> Result<Option<Bytes>> {
        self.patiently(response.chunk(), cx).await
    }

    /// The body of an answer, up to a limit.
    pub(super) async fn collect(&self, mut response: Response, limit: u64, cx: &Context) -> Result<Bytes> {
        let mut all = BytesMut::new();
        while let Some(piece) = self.piece(&mut response, cx).await? {
            if (all.len() + piece.len()) as u64 > limit {
                return Err(Error::corrupt(format!("the answer has more than {limit} bytes")));
            }
            all.extend_from_slice(&piece);
        }
        Ok(all.freeze())
    }

    fn prepare(&self, request: &Outgoing) -> Result<RequestBuilder> {
        let Outgoing { method, url, headers, authorization, body: _ } = request;
        self.endpoints.check(url)?;
        let client = self.direct.as_ref().filter(|_| is_loopback(url)).unwrap_or(&self.client);
        let builder = client.request(method.clone(), url.clone()).headers(headers.clone());
        Ok(match authorization {
            Some(value) => builder.header(AUTHORIZATION, value),
            None => builder,
        })
    }

    async fn patiently<T>(&self, future: impl Future<Output = reqwest::Result<T>>, cx: &Context) -> Result<T> {
        let patient = async {
            tokio::select! {
                biased;
                done = future => done.map_err(broken),
                () = cx.clock().sleep(self.stall) => Err(self.stalled()),
            }
        };
        cx.guard(patient).await
    }

    fn stalled(&self) -> Error {
        Error::unavailable(format!("the other side was silent for {:?}", self.stall))
    }
}

fn with_body(builder: RequestBuilder, request: &Outgoing) -> RequestBuilder {
    match request.method {
        Method::GET | Method::HEAD | Method::DELETE => builder,
        _ => builder.body(request.body.clone()),
    }
}

fn authorities(pem: &[Bytes]) -> Result<Vec<Certificate>> {
    let invalid = |error| Error::invalid("an authority is no PEM file of certificates").because(error);
    let mut all = Vec::new();
    for file in pem {
        let found = Certificate::from_pem_bundle(file).map_err(invalid)?;
        if found.is_empty() {
            return Err(Error::invalid("a PEM file of authorities has no certificate"));
        }
        all.extend(found);
    }
    Ok(all)
}

fn build(
    options: &Options,
    authorities: &[Certificate],
    configure: impl Fn(ClientBuilder) -> ClientBuilder,
) -> Result<Client> {
    let base = || {
        let builder = Client::builder()
            .redirect(redirect::Policy::none())
            .referer(false)
            .user_agent(&options.user_agent)
            .connect_timeout(options.connect_timeout);
        configure(builder)
    };
    let system = base().tls_certs_merge(authorities.iter().cloned()).build();
    // A machine without any certificates, such as a minimal container, can still speak to private registries.
    let built = system.or_else(|_| base().tls_certs_only(authorities.iter().cloned()).build());
    built.map_err(|error| Error::invalid("the HTTP client cannot be configured so").because(error))
}

/// Where an answer sends us on to.
fn redirection(method: &Method, response: &Response) -> Result<Option<Url>> {
    let is_read = matches!(*method, Method::GET | Method::HEAD);
    let follows = match response.status() {
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => true,
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND | StatusCode::SEE_OTHER => is_read,
        _ => false,
    };
    if !follows {
        return Ok(None);
    }
    location(response.headers(), response.url()).map(Some)
}

/// The URL of a `Location` header, relative or absolute.
pub(super) fn location(headers: &HeaderMap, from: &Url) -> Result<Url> {
    let text = headers.get(LOCATION).and_then(|value| value.to_str().ok());
    let url = text.and_then(|text| from.join(text).ok());
    url.ok_or_else(|| Error::unexpected("the registry's answer has no usable Location"))
}

/// The error of a connection that could not be made or did not last.
fn broken(error: reqwest::Error) -> Error {
    let error = error.without_url();
    let cause = root_cause(&error);
    let found = if error.is_builder() {
        Error::invalid(format!("no such request can be sent: {cause}"))
    } else if tls::is_untrusted(&error) {
        Error::denied(format!("the other side's certificate is not trusted: {cause}"))
    } else if cause.contains("proxy authorization required") {
        Error::denied("the proxy asks for credentials, or for other ones")
    } else if error.is_connect() {
        Error::unavailable(format!("no connection: {cause}"))
    } else {
        Error::unavailable(format!("the connection broke: {cause}"))
    };
    found.because(error)
}

fn root_cause(error: &(dyn StdError + 'static)) -> String {
    tls::causes(error).last().unwrap_or(error).to_string()
}
