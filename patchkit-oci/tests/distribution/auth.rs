//! Challenges, tokens and credentials, and where they must not go.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use jiff::Timestamp;
use patchkit_core::{
    Blob, ByteRange, Context, Descriptor, Digest, ErrorKind, MediaType, Reference, Registry, Repository,
    memory::ManualClock,
};
use patchkit_oci::distribution::{AuthFiles, Credential, Options, RegistryClient};

use crate::{
    client,
    fake::Fake,
    options, repository,
    server::{Answer, Handler, Seen, Server},
};

const OCI: &str = "application/vnd.oci.image.manifest.v1+json";

fn basic(text: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(text))
}

/// A registry that wants a token of its own server for each scope.
struct Guarded {
    fake: Fake,
    /// What the token server wants to see.
    wanted: Option<String>,
    issued: AtomicU32,
    /// Uses of one token before it is refused.
    uses: u32,
    used: AtomicU32,
    /// Whether each refresh token is good for once, and comes with the next.
    rotates: bool,
}

impl Guarded {
    fn new(wanted: Option<&str>) -> Self {
        let fake = Fake::default();
        fake.add_manifest("v1", OCI, "{}");
        let (issued, used) = (AtomicU32::new(0), AtomicU32::new(0));
        Self { fake, wanted: wanted.map(Into::into), issued, uses: u32::MAX, used, rotates: false }
    }

    fn token(&self, request: &Seen) -> Answer {
        let form: std::collections::HashMap<_, _> = url::form_urlencoded::parse(&request.body).into_owned().collect();
        let shown = form.get("refresh_token").map(String::as_str).or(request.header("authorization"));
        let next = |number| format!("refresh {number}");
        let wanted = match self.issued.load(Ordering::SeqCst) {
            number if self.rotates && number > 0 => Some(next(number)),
            _ => self.wanted.clone(),
        };
        if shown != wanted.as_deref() {
            return Answer::error(401, "UNAUTHORIZED");
        }
        let mut scopes = request.query("scope");
        scopes.extend(
            form.get("scope").map(|text| text.split(' ').map(Into::into).collect::<Vec<_>>()).unwrap_or_default(),
        );
        let service = request.query("service").pop().or(form.get("service").cloned());
        assert_eq!(service.as_deref(), Some("the registry"));
        let number = self.issued.fetch_add(1, Ordering::SeqCst);
        self.used.store(0, Ordering::SeqCst);
        let token = BASE64_STANDARD.encode(format!("{number} {}", scopes.join(" ")));
        let key = if number.is_multiple_of(2) { "token" } else { "access_token" };
        let refresh = if self.rotates { format!(r#","refresh_token":"{}""#, next(number + 1)) } else { String::new() };
        Answer::new(200).body(format!(r#"{{"{key}":"{token}","expires_in":300{refresh}}}"#))
    }

    fn is_allowed(&self, request: &Seen, scope: &str) -> bool {
        let token = request.header("authorization").and_then(|text| text.strip_prefix("Bearer "));
        let token = token.map(|token| String::from_utf8(BASE64_STANDARD.decode(token).unwrap()).unwrap());
        token.is_some_and(|token| token.split(' ').skip(1).any(|has| has == scope))
            && self.used.fetch_add(1, Ordering::SeqCst) < self.uses
    }
}

impl Handler for Guarded {
    fn answer(&self, request: &Seen) -> Option<Answer> {
        if request.path() == "/token" {
            return Some(self.token(request));
        }
        let repository = request.path().strip_prefix("/v2/").unwrap().split('/').next().unwrap();
        let writes = !matches!(request.method.as_str(), "GET" | "HEAD") || request.path().contains("/uploads/");
        let scope = format!("repository:{repository}:pull{}", if writes { ",push" } else { "" });
        let all = format!("repository:{repository}:pull,push");
        if self.is_allowed(request, &scope) || self.is_allowed(request, &all) {
            return self.fake.answer(request);
        }
        let realm = format!("http://{}/token", request.header("host").unwrap());
        let challenge = format!(r#"Bearer realm="{realm}",service="the registry",scope="{scope}""#);
        Some(Answer::error(401, "UNAUTHORIZED").header("www-authenticate", challenge))
    }
}

async fn resolve(server: &Server, options: Options) -> patchkit_core::Result<Descriptor> {
    let reference: Reference = format!("{}/app:v1", server.host()).parse().unwrap();
    RegistryClient::new(options)?.resolve(&reference, &Context::new()).await
}

#[tokio::test]
async fn a_token_without_a_name() {
    let server = Server::start(Guarded::new(None)).await;
    resolve(&server, options()).await.unwrap();
    assert_eq!(server.lines(), ["HEAD /v2/app/manifests/v1", "GET /token", "HEAD /v2/app/manifests/v1"]);
    assert_eq!(server.seen()[1].query("scope"), ["repository:app:pull"]);
}

#[tokio::test]
async fn a_token_for_a_password_or_a_refresh_token() {
    let server = Server::start(Guarded::new(Some(&basic("me:pw")))).await;
    resolve(&server, options().with_credential(server.host(), Credential::basic("me", "pw"))).await.unwrap();
    let error = resolve(&server, options().with_credential(server.host(), Credential::basic("me", "no"))).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Denied);
    assert_eq!(resolve(&server, options()).await.unwrap_err().kind(), ErrorKind::Denied);

    let server = Server::start(Guarded::new(Some("refresh me"))).await;
    let credential = Credential::IdentityToken("refresh me".into());
    resolve(&server, options().with_credential(format!("{}/app", server.host()), credential)).await.unwrap();
    let asked = &server.seen()[1];
    assert_eq!((asked.method.as_str(), asked.header("authorization")), ("POST", None));
    assert!(String::from_utf8_lossy(&asked.body).contains("grant_type=refresh_token"));
}

/// RFC 6749, section 6: the next refresh token takes the place of the one that was used.
#[tokio::test]
async fn a_refresh_token_that_is_replaced_is_used_once() {
    let server = Server::start(Guarded { rotates: true, ..Guarded::new(Some("refresh me")) }).await;
    let credential = Credential::IdentityToken("refresh me".into());
    let client = RegistryClient::new(options().with_credential(server.host(), credential)).unwrap();
    let cx = Context::new();
    let many = ["a", "b", "c", "d"].map(|name| {
        let reference: Reference = format!("{}/{name}:v1", server.host()).parse().unwrap();
        let (client, cx) = (&client, &cx);
        async move { client.resolve(&reference, cx).await }
    });
    futures::future::try_join_all(many).await.unwrap();
}

#[tokio::test]
async fn one_token_a_scope_also_for_many_at_once() {
    let server = Server::start(Guarded::new(None)).await;
    let (client, cx) = (client(), Context::new());
    let reference: Reference = format!("{}/app:v1", server.host()).parse().unwrap();
    let many = (0..20).map(|_| client.resolve(&reference, &cx));
    futures::future::try_join_all(many).await.unwrap();
    let tokens = |server: &Server| server.lines().iter().filter(|line| *line == "GET /token").count();
    assert_eq!(tokens(&server), 1);
    // The next scope is asked for before anybody refuses.
    let before = server.seen().len();
    client.put_blob(reference.repository(), &Blob::of(MediaType::OCI_LAYER, "x"), &cx).await.unwrap();
    assert_eq!(tokens(&server), 2);
    assert_eq!(server.lines()[before], "GET /token");
    assert_eq!(server.seen().len(), before + 4);
}

#[tokio::test]
async fn a_token_is_renewed_before_it_expires_and_after_it_was_refused() {
    let server = Server::start(Guarded::new(None)).await;
    let clock = ManualClock::at(Timestamp::UNIX_EPOCH);
    let cx = Context::new().with_clock(Arc::new(clock.clone()));
    let (client, reference) = (client(), repository(&server).tag("v1").unwrap());
    for (wait, requests) in [(0, 3), (200, 1), (80, 2)] {
        clock.advance(Duration::from_secs(wait));
        let before = server.seen().len();
        client.resolve(&reference, &cx).await.unwrap();
        assert_eq!(server.seen().len() - before, requests, "after {wait} s");
    }

    let server = Server::start(Guarded { uses: 2, ..Guarded::new(None) }).await;
    let (client, reference) = (crate::client(), repository(&server).tag("v1").unwrap());
    for _ in 0..4 {
        client.resolve(&reference, &cx).await.unwrap();
    }
}

#[tokio::test]
async fn a_token_that_expires_during_an_upload_is_renewed() {
    // HEAD, POST and then the stream: the stream finds its token used up.
    let server = Server::start(Guarded { uses: 2, ..Guarded::new(None) }).await;
    let client = RegistryClient::new(options().with_monolithic(0)).unwrap();
    let blob = Blob::of(MediaType::OCI_LAYER, Bytes::from(crate::noise(300_000)));
    client.put_blob(&repository(&server), &blob, &Context::new()).await.unwrap();
    assert!(server.lines().iter().filter(|line| line.starts_with("PATCH")).count() >= 2);
}

#[tokio::test]
async fn a_mount_asks_for_both_scopes() {
    let server = Server::start(Guarded::new(None)).await;
    #[derive(Debug)]
    struct From(Repository);
    #[async_trait::async_trait]
    impl patchkit_core::BlobSource for From {
        async fn open(&self, _: ByteRange, _: &Context) -> patchkit_core::Result<patchkit_core::ByteStream> {
            Ok(patchkit_core::ByteStream::of("x"))
        }
        fn origin(&self) -> Option<&Repository> {
            Some(&self.0)
        }
    }
    let from = From(format!("{}/base", server.host()).parse().unwrap());
    let blob = Blob::new(Descriptor::of(MediaType::OCI_LAYER, b"x"), Arc::new(from));
    client().put_blob(&repository(&server), &blob, &Context::new()).await.unwrap();
    let asked: Vec<_> = server.seen().iter().map(|seen| seen.query("scope")).filter(|all| all.len() > 1).collect();
    assert!(asked.contains(&vec!["repository:app:pull,push".into(), "repository:base:pull".into()]), "{asked:?}");
}

fn basic_registry(request: &Seen) -> Answer {
    match request.header("authorization") {
        Some(shown) if shown == basic("me:pw") => {
            Answer::new(200).header("docker-content-digest", Digest::of(b"{}")).header("content-type", OCI).body("{}")
        }
        _ => Answer::error(401, "UNAUTHORIZED").header("www-authenticate", r#"Basic realm="x""#),
    }
}

#[tokio::test]
async fn a_password_from_a_file_or_a_helper() {
    let server = Server::start(basic_registry).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.json");
    let host = server.host();
    fs::write(&file, format!(r#"{{"auths":{{"{host}/app":{{"auth":"{}"}}}}}}"#, BASE64_STANDARD.encode("me:pw")))
        .unwrap();
    let of_file = || options().with_auth_files(AuthFiles::Only(vec![file.clone()]));
    resolve(&server, of_file()).await.unwrap();

    // A helper is looked for in PATH, which is the process's: the child of this test has one with the helper.
    let helper = folder.path().join("docker-credential-patchkit-test");
    let script = format!(
        "#!/bin/sh\nread -r host || true\n[ \"$1 $host\" = \"get {host}\" ] || {{ echo credentials not found in native keychain; exit 1; }}\necho '{{\"Username\":\"me\",\"Secret\":\"pw\"}}'\n"
    );
    fs::write(&helper, script).unwrap();
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(&file, r#"{"credsStore":"patchkit-test"}"#).unwrap();
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let child = |host: &str| {
        tokio::process::Command::new(std::env::current_exe().unwrap())
            .args(["auth::helper_in_a_child", "--exact", "--nocapture"])
            .env("PATH", &path)
            .env("PATCHKIT_TEST_HOST", host)
            .env("PATCHKIT_TEST_FILE", &file)
            .output()
    };
    let output = child(&host).await.unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("resolved"));

    let other = Server::start(basic_registry).await;
    let output = child(&other.host()).await.unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("Denied"), "{output:?}");
}

/// Does something only as a child of the test above.
#[tokio::test]
async fn helper_in_a_child() {
    let Some(host) = std::env::var_os("PATCHKIT_TEST_HOST") else { return };
    let file = std::env::var_os("PATCHKIT_TEST_FILE").unwrap().into();
    let reference: Reference = format!("{}/app:v1", host.into_string().unwrap()).parse().unwrap();
    let client = RegistryClient::new(options().with_auth_files(AuthFiles::Only(vec![file]))).unwrap();
    match client.resolve(&reference, &Context::new()).await {
        Ok(_) => println!("resolved"),
        Err(error) => println!("{error:?}"),
    }
}

#[tokio::test]
async fn a_missing_helper_is_named() {
    let server = Server::start(basic_registry).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.json");
    fs::write(&file, format!(r#"{{"credHelpers":{{"{}":"does-not-exist"}}}}"#, server.host())).unwrap();
    let error = resolve(&server, options().with_auth_files(AuthFiles::Only(vec![file]))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("docker-credential-does-not-exist"), "{error}");
}

#[tokio::test]
async fn credentials_stay_on_their_host() {
    let content = Bytes::from_static(b"content");
    let digest = Digest::of(&content);
    let storage = Server::start(move |_: &Seen| Answer::new(200).body(content.clone())).await;
    let target = storage.url("/bucket/object?X-Signature=abc");
    let server = Server::start(move |request: &Seen| match basic_registry(request).status {
        200 => Answer::new(307).header("location", &target),
        _ => basic_registry(request),
    })
    .await;
    let client = RegistryClient::new(options().with_credential(server.host(), Credential::basic("me", "pw"))).unwrap();
    let stream = client.blob(&repository(&server), &digest, ByteRange::FULL, &Context::new()).await.unwrap();
    assert_eq!(stream.collect(100).await.unwrap(), "content");
    assert_eq!(storage.seen()[0].header("authorization"), None);
    assert_eq!(storage.seen()[0].query("X-Signature"), ["abc"]);
    assert_eq!(server.seen()[1].header("authorization"), Some(basic("me:pw").as_str()));
}

#[tokio::test]
async fn a_challenge_of_another_host_is_not_answered() {
    let thief = Server::start(|_: &Seen| Answer::new(401).header("www-authenticate", r#"Basic realm="x""#)).await;
    let target = thief.url("/");
    let server = Server::start(move |_: &Seen| Answer::new(307).header("location", &target)).await;
    let credential = Credential::basic("me", "pw");
    let error = resolve(&server, options().with_credential(server.host(), credential)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert_eq!(thief.seen().len(), 1);
    assert_eq!(thief.seen()[0].header("authorization"), None);
}

#[tokio::test]
async fn an_upload_elsewhere_goes_without_credentials() {
    let (fake, handler) = crate::fake::shared(Fake::default());
    let storage = Server::start_shared(handler).await;
    let at = storage.url("");
    *fake.absolute.lock().unwrap() = Some(at.clone());
    let behind = Arc::clone(&fake);
    let server = Server::start(move |request: &Seen| match basic_registry(request).status {
        200 => behind.answer(request).unwrap(),
        _ => basic_registry(request),
    })
    .await;
    let options = options().with_credential(server.host(), Credential::basic("me", "pw")).with_monolithic(0);
    let blob = Blob::of(MediaType::OCI_LAYER, Bytes::from(crate::noise(100_000)));
    RegistryClient::new(options).unwrap().put_blob(&repository(&server), &blob, &Context::new()).await.unwrap();
    assert!(fake.has(&blob.descriptor().digest));
    assert_eq!(storage.seen().len(), 2);
    assert!(storage.seen().iter().all(|seen| seen.header("authorization").is_none()));
}

#[tokio::test]
async fn nobody_leads_us_into_the_clear() {
    for status in [307, 401] {
        let server = Server::start(move |_: &Seen| {
            Answer::new(status)
                .header("location", "http://storage.example.org/x")
                .header("www-authenticate", r#"Bearer realm="http://auth.example.org/token""#)
        })
        .await;
        let error = resolve(&server, options()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied);
        assert!(error.to_string().contains("plain HTTP"), "{error}");
    }
}

#[tokio::test]
async fn secrets_are_in_no_error() {
    let server = Server::start(Guarded::new(Some("nobody"))).await;
    for credential in [Credential::basic("me", "s3cret"), Credential::IdentityToken("s3cret".into())] {
        let error = resolve(&server, options().with_credential(server.host(), credential)).await.unwrap_err();
        let shown = format!("{error} {error:?} {:?}", std::error::Error::source(&error));
        assert!(!shown.contains("s3cret") && !shown.contains(&BASE64_STANDARD.encode("me:s3cret")), "{shown}");
    }
}
