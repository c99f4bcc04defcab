//! The HTTP client against a server that answers by script, badly.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use super::*;

/// Answers each connection with the next of the given bytes, then closes it; notes the heads of the requests.
struct Server {
    address: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(answers: Vec<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&heads);
        thread::spawn(move || {
            for answer in answers {
                let (stream, _) = listener.accept().expect("a connection");
                noted.lock().expect("unpoisoned").push(serve(stream, &answer));
            }
        });
        Self { address, heads }
    }

    fn url(&self, path: &str) -> Url {
        url(&format!("http://{}{path}", self.address))
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("unpoisoned").clone()
    }
}

fn serve(mut stream: TcpStream, answer: &[u8]) -> String {
    let mut head = String::new();
    let mut reader = BufReader::new(stream.try_clone().expect("cloned"));
    while !head.ends_with("\r\n\r\n") {
        reader.read_line(&mut head).expect("a request");
    }
    stream.write_all(answer).expect("answered");
    head.to_ascii_lowercase()
}

fn answer(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nConnection: close\r\n{headers}\r\n{body}").into_bytes()
}

fn client() -> HttpFetch {
    let options = HttpOptions::default().with_retries(3, Duration::from_millis(1));
    HttpFetch::new(&options.with_timeouts(Duration::from_secs(5), Duration::from_millis(500))).expect("a client")
}

async fn read(fetch: &HttpFetch, url: &Url) -> Result<String> {
    let cx = Context::new();
    let bytes = fetch.open(url, &cx).await?.read(1000, &cx).await?;
    Ok(String::from_utf8(bytes).expect("text"))
}

#[tokio::test]
async fn busy_servers_are_asked_again() {
    let server = Server::start(vec![
        answer("503 Busy", "Content-Length: 0\r\n", ""),
        answer("429 Slow", "Content-Length: 0\r\nRetry-After: 0\r\n", ""),
        answer("200 OK", "Content-Length: 5\r\n", "hello"),
    ]);
    assert_eq!(read(&client(), &server.url("/a")).await.expect("third time"), "hello");
    assert_eq!(server.heads().len(), 3);
}

#[tokio::test]
async fn at_last_we_give_up() {
    let server = Server::start(vec![answer("500 Broken", "Content-Length: 0\r\n", ""); 4]);
    let error = read(&client(), &server.url("/a")).await.expect_err("never");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().ends_with("/a: the server answers 500 Internal Server Error"), "{error}");
    assert_eq!(server.heads().len(), 4);
}

#[tokio::test]
async fn a_no_is_not_asked_again() {
    for (status, kind) in
        [("404 No", ErrorKind::NotFound), ("403 No", ErrorKind::Denied), ("407 No", ErrorKind::Denied)]
    {
        let server = Server::start(vec![answer(status, "Content-Length: 0\r\n", "")]);
        assert_eq!(read(&client(), &server.url("/a")).await.expect_err(status).kind(), kind);
    }
}

#[tokio::test]
async fn a_dropped_body_goes_on_where_it_stopped() {
    let server = Server::start(vec![
        answer("200 OK", "Content-Length: 10\r\nETag: \"v1\"\r\n", "01234"),
        answer("503 Busy", "Content-Length: 0\r\n", ""),
        answer("206 Partial", "Content-Length: 5\r\nContent-Range: bytes 5-9/10\r\nETag: \"v1\"\r\n", "567"),
        answer("206 Partial", "Content-Length: 2\r\nContent-Range: bytes 8-9/10\r\nETag: \"v1\"\r\n", "89"),
    ]);
    assert_eq!(read(&client(), &server.url("/a")).await.expect("in pieces"), "0123456789");
    let heads = server.heads();
    assert!(heads[1].contains("range: bytes=5-\r\n") && heads[1].contains("if-range: \"v1\"\r\n"), "{}", heads[1]);
    assert!(heads[3].contains("range: bytes=8-\r\n"), "{}", heads[3]);
}

#[tokio::test]
async fn a_server_without_ranges_is_read_from_the_start() {
    let head = "Content-Length: 10\r\nLast-Modified: Sat, 11 Jul 2026 10:16:37 GMT\r\n";
    let server = Server::start(vec![answer("200 OK", head, "01234"), answer("200 OK", head, "0123456789")]);
    assert_eq!(read(&client(), &server.url("/a")).await.expect("twice"), "0123456789");
}

#[tokio::test]
async fn a_file_that_changed_is_not_pieced_together() {
    let server = Server::start(vec![
        answer("200 OK", "Content-Length: 10\r\nETag: \"v1\"\r\n", "01234"),
        answer("200 OK", "Content-Length: 10\r\nETag: \"v2\"\r\n", "abcdefghij"),
    ]);
    assert_eq!(read(&client(), &server.url("/a")).await.expect_err("another file").kind(), ErrorKind::Conflict);
    let server = Server::start(vec![
        answer("200 OK", "Content-Length: 10\r\nETag: \"v1\"\r\n", "01234"),
        answer("206 Partial", "Content-Length: 6\r\nContent-Range: bytes 4-9/10\r\nETag: \"v1\"\r\n", "456789"),
    ]);
    assert_eq!(read(&client(), &server.url("/a")).await.expect_err("another range").kind(), ErrorKind::Corrupt);
}

#[tokio::test]
async fn silence_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = url(&format!("http://{}/", listener.local_addr().expect("an address")));
    let options = HttpOptions::default().with_retries(0, Duration::ZERO);
    let fetch =
        HttpFetch::new(&options.with_timeouts(Duration::from_secs(1), Duration::from_millis(100))).expect("a client");
    let error = read(&fetch, &address).await.expect_err("nobody answers");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    drop(listener);
    let error = read(&fetch, &address).await.expect_err("nobody listens");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn bodies_are_bounded() {
    let lying = answer("200 OK", "Content-Length: 2000\r\n", "");
    let endless = answer("200 OK", "", &"x".repeat(2000));
    for body in [lying, endless] {
        let server = Server::start(vec![body]);
        assert_eq!(read(&client(), &server.url("/a")).await.expect_err("too large").kind(), ErrorKind::Corrupt);
    }
}

#[tokio::test]
async fn a_proxy_gets_its_credentials_and_the_whole_address() {
    let proxy = Server::start(vec![answer("200 OK", "Content-Length: 2\r\n", "ok")]);
    let options = HttpOptions::default().with_proxy(format!("http://user:pass@{}", proxy.address));
    let fetch = HttpFetch::new(&options).expect("a client");
    assert_eq!(read(&fetch, &url("http://deb.example.org/x")).await.expect("through the proxy"), "ok");
    let head = &proxy.heads()[0];
    assert!(head.starts_with("get http://deb.example.org/x http/1.1\r\n"), "{head}");
    assert!(head.contains("proxy-authorization: basic dxnlcjpwyxnz\r\n"), "{head}");
}

/// Run again as a process of its own, since the environment of this one is shared.
#[tokio::test]
async fn proxies_are_taken_from_the_environment() {
    const TARGET: &str = "PATCHKIT_TEST_PROXIED";
    if let Ok(target) = std::env::var(TARGET) {
        assert_eq!(read(&client(), &url(&target)).await.expect("read"), "ok");
        return;
    }
    let proxy = Server::start(vec![answer("200 OK", "Content-Length: 2\r\n", "ok")]);
    let direct = Server::start(vec![answer("200 OK", "Content-Length: 2\r\n", "ok")]);
    for target in ["http://deb.example.org/x".to_owned(), direct.url("/x").to_string()] {
        let status = std::process::Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "fetch::tests::http::proxies_are_taken_from_the_environment"])
            .env(TARGET, target)
            .env("http_proxy", format!("http://user:pass@{}", proxy.address))
            .env("no_proxy", "127.0.0.1")
            .output()
            .expect("runs");
        assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stdout));
    }
    assert_eq!((proxy.heads().len(), direct.heads().len()), (1, 1));
    assert!(proxy.heads()[0].contains("proxy-authorization: basic"), "{}", proxy.heads()[0]);
}

#[tokio::test]
async fn cancelling_ends_the_wait_for_another_attempt() {
    let server = Server::start(vec![answer("503 Busy", "Content-Length: 0\r\nRetry-After: 50\r\n", "")]);
    let (fetch, cx) = (client(), Context::new());
    let (stop, address) = (cx.clone(), server.url("/a"));
    let (result, ()) = tokio::join!(fetch.open(&address, &cx), async move {
        tokio::time::sleep(Duration::from_millis(100)).await;
        stop.cancel();
    });
    assert_eq!(result.expect_err("cancelled").kind(), ErrorKind::Cancel);
}

#[test]
fn certificate_authorities_must_be_some() {
    let error = HttpFetch::new(&HttpOptions::default().with_authorities(*b"nothing")).expect_err("none");
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

fn held(whole: Option<&str>, partial: Option<(u64, &str)>) -> Held {
    let validators = |etag: &str| Validators { etag: Some(etag.into()), last_modified: None };
    let partial = partial.map(|(length, etag)| Partial { length, validators: validators(etag) });
    Held { whole: whole.map(validators).unwrap_or_default(), partial }
}

/// Where the body starts, what it is, and its entity tag; nothing where nothing has changed.
async fn refreshed(server: &Server, held: &Held) -> Result<Option<(u64, String, Option<String>)>> {
    let cx = Context::new();
    match client().refresh(&server.url("/a"), held, &cx).await? {
        Refreshed::Unchanged => Ok(None),
        Refreshed::Changed { validators, start, body } => {
            let text = String::from_utf8(body.read(1000, &cx).await?).expect("text");
            Ok(Some((start, text, validators.etag)))
        }
    }
}

#[tokio::test]
async fn what_has_not_changed_is_not_read_again() {
    let server = Server::start(vec![
        answer("503 Busy", "Content-Length: 0\r\n", ""),
        answer("304 Same", "ETag: \"v1\"\r\n", ""),
        answer("200 OK", "Content-Length: 5\r\nETag: \"v2\"\r\n", "hello"),
    ]);
    let known = held(Some("\"v1\""), None);
    assert_eq!(refreshed(&server, &known).await.expect("the same"), None);
    let changed = refreshed(&server, &known).await.expect("another");
    assert_eq!(changed, Some((0, "hello".into(), Some("\"v2\"".into()))));
    assert!(server.heads().iter().all(|head| head.contains("if-none-match: \"v1\"\r\n")), "{:?}", server.heads());
    let server = Server::start(vec![answer("304 Same", "", "")]);
    assert!(refreshed(&server, &Held::default()).await.is_err(), "an answer to a question that was not asked");
}

#[tokio::test]
async fn a_beginning_is_continued() {
    let server = Server::start(vec![
        answer("206 Partial", "Content-Length: 5\r\nContent-Range: bytes 5-9/10\r\nETag: \"v2\"\r\n", "567"),
        answer("206 Partial", "Content-Length: 2\r\nContent-Range: bytes 8-9/10\r\nETag: \"v2\"\r\n", "89"),
    ]);
    let rest = refreshed(&server, &held(Some("\"v1\""), Some((5, "\"v2\"")))).await.expect("the rest");
    assert_eq!(rest, Some((5, "56789".into(), Some("\"v2\"".into()))));
    let head = &server.heads()[0];
    assert!(head.contains("range: bytes=5-\r\n") && head.contains("if-range: \"v2\"\r\n"), "{head}");
    assert!(!head.contains("if-none-match"), "{head}");
}

#[tokio::test]
async fn a_beginning_of_something_else_is_given_up() {
    let whole = || answer("200 OK", "Content-Length: 5\r\nETag: \"v3\"\r\n", "hello");
    let expected = Some((0, "hello".to_owned(), Some("\"v3\"".to_owned())));
    let known = held(Some("\"v1\""), Some((5, "\"v2\"")));
    for first in [
        None,
        Some(answer("416 No", "Content-Length: 0\r\n", "")),
        Some(answer("206 Partial", "Content-Length: 1\r\nContent-Range: bytes 4-4/5\r\nETag: \"v2\"\r\n", "o")),
        Some(answer("206 Partial", "Content-Length: 1\r\nContent-Range: bytes 5-5/6\r\nETag: \"v3\"\r\n", "o")),
    ] {
        let server = Server::start(first.into_iter().chain([whole()]).collect());
        assert_eq!(refreshed(&server, &known).await.expect("from the start"), expected);
    }
    let server = Server::start(vec![whole()]);
    assert_eq!(refreshed(&server, &held(None, Some((5, "W/\"v2\"")))).await.expect("from the start"), expected);
    assert!(!server.heads()[0].contains("range"), "{}", server.heads()[0]);
}
