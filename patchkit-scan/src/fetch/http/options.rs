//! Settings of the HTTP client.

use std::time::Duration;

use patchkit_core::{Error, Result};
use reqwest::{Certificate, Client, ClientBuilder, Proxy, redirect};

/// Redirects followed for one address.
const MAX_REDIRECTS: usize = 10;
/// The longest pause before an attempt, whatever a server asks for.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// How to reach the outside. The default: proxies from the environment, the machine's certificate authorities, four
/// further attempts, 20 s to connect and 60 s without a byte.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    authorities: Vec<Vec<u8>>,
    proxy: Option<String>,
    attempts: u32,
    first_pause: Duration,
    connect_timeout: Duration,
    read_timeout: Duration,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            authorities: Vec::new(),
            proxy: None,
            attempts: 4,
            first_pause: Duration::from_millis(500),
            connect_timeout: Duration::from_secs(20),
            read_timeout: Duration::from_secs(60),
        }
    }
}

impl HttpOptions {
    /// Trusts further certificate authorities: PEM, one or several.
    #[must_use]
    pub fn with_authorities(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.authorities.push(pem.into());
        self
    }

    /// Sends everything through this proxy, whatever the environment says. A user name and password may stand in the
    /// address.
    #[must_use]
    pub fn with_proxy(self, url: impl Into<String>) -> Self {
        Self { proxy: Some(url.into()), ..self }
    }

    /// Tries at most so many times more after a failure, the first time after `first_pause`, each time twice as long.
    #[must_use]
    pub fn with_retries(self, attempts: u32, first_pause: Duration) -> Self {
        Self { attempts, first_pause, ..self }
    }

    /// Gives up when no connection stands within `connect`, or when no byte comes within `read`.
    #[must_use]
    pub fn with_timeouts(self, connect: Duration, read: Duration) -> Self {
        Self { connect_timeout: connect, read_timeout: read, ..self }
    }

    pub(super) fn retries(&self) -> Retries {
        Retries { attempts: self.attempts, first_pause: self.first_pause }
    }

    pub(super) fn client(&self) -> Result<Client> {
        install_crypto_provider();
        let authorities = self.certificates()?;
        let with_system = self.builder()?.tls_certs_merge(authorities.clone()).build();
        // A container without any certificate authority can still speak HTTP, and HTTPS to the authorities given.
        with_system.or_else(|error| {
            tracing::debug!(%error, "no certificate authorities on this machine");
            let own = self.builder()?.tls_certs_only(authorities).build();
            own.map_err(|error| Error::invalid(error.to_string()).because(error))
        })
    }

    fn builder(&self) -> Result<ClientBuilder> {
        let mut builder = Client::builder()
            .user_agent(concat!("patchkit/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(self.connect_timeout)
            .read_timeout(self.read_timeout)
            .redirect(redirect::Policy::custom(follow));
        if let Some(proxy) = &self.proxy {
            let proxy = Proxy::all(proxy.as_str()).map_err(|_| Error::invalid("the proxy's address cannot be read"))?;
            builder = builder.proxy(proxy);
        }
        Ok(builder)
    }

    fn certificates(&self) -> Result<Vec<Certificate>> {
        let mut certificates = Vec::new();
        for pem in &self.authorities {
            let read = Certificate::from_pem_bundle(pem);
            let read = read.map_err(|error| Error::invalid(error.to_string()).because(error))?;
            if read.is_empty() {
                return Err(Error::invalid("a file of certificate authorities holds none"));
            }
            certificates.extend(read);
        }
        Ok(certificates)
    }
}

/// Follows redirects, but never from HTTPS to HTTP.
fn follow(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let secure = attempt.previous().last().is_some_and(|previous| previous.scheme() == "https");
    if secure && attempt.url().scheme() != "https" {
        return attempt.error("redirected from https: to an insecure address");
    }
    if attempt.previous().len() > MAX_REDIRECTS {
        return attempt.error("redirected too often");
    }
    attempt.follow()
}

/// Chooses the provider of TLS for the process, once; one that an embedder has chosen before stays.
pub fn install_crypto_provider() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// When to try again.
#[derive(Clone, Debug)]
pub(super) struct Retries {
    attempts: u32,
    first_pause: Duration,
}

impl Retries {
    /// The pause after so many failures, or `None` where it is time to give up.
    pub(super) fn pause(&self, failures: u32, wanted: Option<Duration>) -> Option<Duration> {
        if failures >= self.attempts {
            return None;
        }
        let own = self.first_pause.saturating_mul(2_u32.saturating_pow(failures));
        Some(wanted.unwrap_or(own).min(MAX_PAUSE))
    }
}
