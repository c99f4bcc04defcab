//! A small HTTP server on loopback that does what it is told, also what no server should.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::TcpListener,
    task::JoinHandle,
};

/// A request as it came in.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    /// As it stood in the request line: absolute for a proxy.
    pub target: String,
    pub headers: HashMap<String, String>,
    pub body: Bytes,
}

impl Seen {
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap()
    }

    /// The values of a parameter of the query, decoded.
    pub fn query(&self, name: &str) -> Vec<String> {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        url::form_urlencoded::parse(query.as_bytes())
            .filter(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
            .collect()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// `GET /v2/…`, to compare with.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.path())
    }
}

/// What to answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
    /// The length to claim in place of the body's.
    pub claim: Option<u64>,
    /// How many bytes of the body to send before hanging up.
    pub cut: Option<usize>,
}

impl Answer {
    pub fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new(), claim: None, cut: None }
    }

    pub fn header(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.into(), value.to_string()));
        self
    }

    pub fn body(self, body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..self }
    }

    pub fn claiming(self, length: u64) -> Self {
        Self { claim: Some(length), ..self }
    }

    pub fn cut(self, cut: usize) -> Self {
        Self { cut: Some(cut), ..self }
    }

    /// An error as the specification wants it.
    pub fn error(status: u16, code: &str) -> Self {
        Self::new(status).body(format!(r#"{{"errors":[{{"code":"{code}","message":"so it is"}}]}}"#))
    }
}

/// What stands behind a server.
pub trait Handler: Send + Sync + 'static {
    fn answer(&self, request: &Seen) -> Option<Answer>;

    /// How many bytes of the body to read before hanging up; everything where none is given.
    fn body_limit(&self, _head: &Seen) -> Option<usize> {
        None
    }
}

impl<F: Fn(&Seen) -> Answer + Send + Sync + 'static> Handler for F {
    fn answer(&self, request: &Seen) -> Option<Answer> {
        Some(self(request))
    }
}

/// A running server; it stops when it is dropped.
pub struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Server {
    pub async fn start(handler: impl Handler) -> Self {
        Self::start_shared(Arc::new(handler)).await
    }

    pub async fn start_shared(handler: Arc<dyn Handler>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, seen) = (listener.local_addr().unwrap(), Arc::<Mutex<Vec<Seen>>>::default());
        let task = tokio::spawn({
            let seen = Arc::clone(&seen);
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    stream.set_nodelay(true).unwrap();
                    tokio::spawn(serve(stream, Arc::clone(&handler), Arc::clone(&seen)));
                }
            }
        });
        Self { address, seen, task }
    }

    pub fn host(&self) -> String {
        self.address.to_string()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The request lines so far.
    pub fn lines(&self) -> Vec<String> {
        self.seen().iter().map(Seen::line).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves one connection until one of the two hangs up.
pub async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    handler: Arc<dyn Handler>,
    log: Arc<Mutex<Vec<Seen>>>,
) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    while let Some(mut request) = head(&mut stream).await? {
        let length: usize = request.header("content-length").map_or(0, |text| text.parse().unwrap());
        let limit = handler.body_limit(&request).filter(|limit| *limit < length);
        let mut body = vec![0; limit.unwrap_or(length)];
        stream.read_exact(&mut body).await?;
        request.body = body.into();
        log.lock().unwrap().push(request.clone());
        let answer = handler.answer(&request);
        let (Some(answer), None) = (answer, limit) else { return Ok(()) };
        send(&mut stream, &request, &answer).await?;
        if answer.cut.is_some() {
            return stream.shutdown().await;
        }
    }
    Ok(())
}

async fn head(stream: &mut (impl AsyncBufReadExt + Unpin)) -> io::Result<Option<Seen>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let mut first = lines[0].split(' ');
    let (method, target) = (first.next().unwrap().into(), first.next().unwrap().into());
    let headers = lines[1..].iter().filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
    Ok(Some(Seen { method, target, headers, body: Bytes::new() }))
}

async fn send(stream: &mut (impl AsyncWrite + Unpin), request: &Seen, answer: &Answer) -> io::Result<()> {
    let mut head = format!("HTTP/1.1 {} X\r\n", answer.status);
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if answer.status != 204 {
        head.push_str(&format!("content-length: {}\r\n", answer.claim.unwrap_or(answer.body.len() as u64)));
    }
    stream.write_all(format!("{head}\r\n").as_bytes()).await?;
    if request.method != "HEAD" {
        let end = answer.cut.unwrap_or(answer.body.len()).min(answer.body.len());
        stream.write_all(&answer.body[..end]).await?;
    }
    stream.flush().await
}
