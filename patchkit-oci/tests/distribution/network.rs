//! The way to the registry: proxies, private authorities, plain HTTP.

use std::sync::{Arc, Mutex};

use base64::{Engine, prelude::BASE64_STANDARD};
use patchkit_core::{Context, Descriptor, ErrorKind, Reference, Registry, Result};
use patchkit_oci::distribution::{AuthFiles, Options, ProxyChoice, RegistryClient};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, pki_types::PrivateKeyDer},
};

use crate::{
    options,
    server::{Answer, Handler, Seen, Server, serve},
};

const OCI: &str = "application/vnd.oci.image.manifest.v1+json";

fn registry(_: &Seen) -> Answer {
    let digest = patchkit_core::Digest::of(b"{}");
    Answer::new(200).header("content-type", OCI).header("docker-content-digest", digest).body("{}")
}

fn proxy_of_http(request: &Seen) -> Answer {
    let wanted = format!("Basic {}", BASE64_STANDARD.encode("me:pw@1"));
    match request.header("proxy-authorization") == Some(&wanted) {
        true if request.target.starts_with("http://registry.example.org/v2/") => registry(request),
        true => Answer::new(502),
        false => Answer::new(407).header("proxy-authenticate", r#"Basic realm="way out""#),
    }
}

async fn resolve(name: &str, options: Options) -> Result<Descriptor> {
    let reference: Reference = name.parse().unwrap();
    RegistryClient::new(options)?.resolve(&reference, &Context::new()).await
}

fn with_userinfo(server: &Server, userinfo: &str) -> String {
    format!("http://{userinfo}@{}", server.host())
}

#[tokio::test]
async fn a_proxy_with_credentials() {
    let proxy = Server::start(proxy_of_http).await;
    let through = |userinfo| {
        let proxy = ProxyChoice::url(with_userinfo(&proxy, userinfo));
        resolve("registry.example.org/app:v1", options().with_plain_http("registry.example.org").with_proxy(proxy))
    };
    through("me:pw%401").await.unwrap();
    let error = through("me:no").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
}

#[tokio::test]
async fn what_is_excepted_goes_straight() {
    let (proxy, server) = (Server::start(proxy_of_http).await, Server::start(registry).await);
    let choice = ProxyChoice::Url { url: proxy.url(""), except: "127.0.0.0/8,example.net".into() };
    resolve(&format!("{}/app:v1", server.host()), options().with_proxy(choice)).await.unwrap();
    assert!(proxy.seen().is_empty());
}

#[tokio::test]
async fn a_proxy_of_the_environment() {
    let (proxy, server) = (Server::start(proxy_of_http).await, Server::start(registry).await);
    let child = |name: String, except: &'static str| {
        let url = with_userinfo(&proxy, "me:pw%401");
        tokio::process::Command::new(std::env::current_exe().unwrap())
            .args(["network::environment_in_a_child", "--exact", "--nocapture"])
            .envs([("HTTP_PROXY", url.as_str()), ("http_proxy", &url), ("NO_PROXY", except), ("no_proxy", except)])
            .env("PATCHKIT_TEST_NAME", name)
            .output()
    };
    for (name, except, expected, through_proxy) in [
        ("registry.example.org/app:v1".to_owned(), "", "resolved", 1),
        (format!("{}/app:v1", server.host()), "", "resolved", 0),
        ("registry.example.org/app:v1".to_owned(), "example.org", "Unavailable", 0),
    ] {
        let before = proxy.seen().len();
        let output = child(name.clone(), except).await.unwrap();
        assert!(String::from_utf8_lossy(&output.stdout).contains(expected), "{name}: {output:?}");
        assert_eq!(proxy.seen().len() - before, through_proxy, "{name}");
    }
}

/// Does something only as a child of the test above.
#[tokio::test]
async fn environment_in_a_child() {
    let Ok(name) = std::env::var("PATCHKIT_TEST_NAME") else { return };
    let options = options().with_proxy(ProxyChoice::Environment).with_plain_http("registry.example.org");
    match resolve(&name, options).await {
        Ok(_) => println!("resolved"),
        Err(error) => println!("{error:?}"),
    }
}

/// A registry over TLS, the certificate of the authority behind its own, and what it saw.
struct Secure {
    port: u16,
    authority: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Secure {
    async fn start() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let names = vec!["registry.example.org".to_owned(), "localhost".to_owned()];
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &authority).unwrap();
        patchkit_oci::distribution::install_tls_provider();
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, seen) = (listener.local_addr().unwrap().port(), Arc::<Mutex<Vec<Seen>>>::default());
        tokio::spawn({
            let (acceptor, seen) = (TlsAcceptor::from(Arc::new(config)), Arc::clone(&seen));
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let (acceptor, seen) = (acceptor.clone(), Arc::clone(&seen));
                    tokio::spawn(async move {
                        if let Ok(stream) = acceptor.accept(stream).await {
                            let handler: Arc<dyn Handler> = Arc::new(registry);
                            let _ = serve(stream, handler, seen).await;
                        }
                    });
                }
            }
        });
        Self { port, authority: authority.pem(), seen }
    }
}

#[tokio::test]
async fn a_private_authority() {
    let server = Secure::start().await;
    let name = format!("localhost:{}/app:v1", server.port);
    let secure = || options().with_https(format!("localhost:{}", server.port));
    resolve(&name, secure().with_authority(server.authority.clone())).await.unwrap();
    let error = resolve(&name, secure()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error:?}");
    assert!(error.to_string().contains("certificate"), "{error}");
    for pem in ["", "no certificate"] {
        let error = RegistryClient::new(options().with_authority(pem)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
}

/// A proxy that opens a tunnel to one port for those who know the password.
async fn tunnel(port: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head).await.unwrap() > 0 {}
                let shown = format!("proxy-authorization: basic {}", BASE64_STANDARD.encode("me:pw")).to_lowercase();
                let may = head.to_lowercase().contains(&shown) && head.starts_with("CONNECT registry.example.org:443 ");
                if !may {
                    return drop(stream.write_all(b"HTTP/1.1 407 Who\r\ncontent-length: 0\r\n\r\n").await);
                }
                stream.write_all(b"HTTP/1.1 200 Go on\r\n\r\n").await.unwrap();
                let mut target = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut target).await;
            });
        }
    });
    address.port()
}

#[tokio::test]
async fn a_tunnel_with_credentials() {
    let server = Secure::start().await;
    let proxy = tunnel(server.port).await;
    let through = |userinfo: &str| {
        let proxy = ProxyChoice::url(format!("http://{userinfo}@127.0.0.1:{proxy}"));
        let options = options().with_proxy(proxy).with_authority(server.authority.clone());
        resolve("registry.example.org/app:v1", options)
    };
    through("me:pw").await.unwrap();
    assert_eq!(server.seen.lock().unwrap()[0].target, "/v2/app/manifests/v1");
    let error = through("me:no").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error:?}");
}

#[tokio::test]
async fn says_who_it_is_and_finds_nobody() {
    let server = Server::start(registry).await;
    resolve(&format!("{}/app:v1", server.host()), options().with_user_agent("me/1")).await.unwrap();
    assert_eq!(server.seen()[0].header("user-agent"), Some("me/1"));
    drop(server);
    let started = std::time::Instant::now();
    let error = resolve("localhost:1/app:v1", options()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("no connection"), "{error}");
    assert!(started.elapsed() < std::time::Duration::from_secs(5));
}

#[test]
fn the_default_is_for_the_surroundings() {
    let Options { proxy, auth_files, .. } = Options::default();
    assert_eq!((proxy, auth_files), (ProxyChoice::Environment, AuthFiles::Standard));
}
