//! A pipeline in a web service: one value, shared by all requests, each run with its own deadline.
//!
//! `cargo run --example web_service` serves on a free port of loopback, asks itself once, and ends.
//! `cargo run --example web_service -- 127.0.0.1:8080` goes on serving: `curl -X POST 127.0.0.1:8080/patch`.

use std::time::Duration;

use axum::{Json, Router, extract::State, http::StatusCode, routing::post};
use jiff::Timestamp;
use patchkit_core::{
    Context, Decision, Pipeline, Reason, Released, Severity, Stop,
    memory::{MemoryDeployer, MemoryGate, MemoryLedger, MemorySigner},
};
use patchkit_rollout::report::Summary;
use serde_json::{Value, json};
use tokio::net::TcpListener;

#[path = "shared/tiny.rs"]
mod tiny;

/// How long a request may take.
const PATIENCE: Duration = Duration::from_secs(60);

fn pipeline() -> Pipeline<Released> {
    let always = MemoryGate::new("always", |_| Ok(Decision::Allow { reason: Reason::yes("it is an example") }));
    tiny::verified(Severity::High)
        .approve(always)
        .sign(MemorySigner::new("service"))
        .release(MemoryDeployer::default())
        .recorded_in(MemoryLedger::default())
}

async fn patch(State(pipeline): State<Pipeline<Released>>) -> (StatusCode, Json<Value>) {
    let cx = Context::new().with_deadline(Timestamp::now() + PATIENCE);
    let run = async { pipeline.run(tiny::target(&cx).await?, &cx).await };
    match run.await {
        Ok(released) => (StatusCode::OK, Json(json!(Summary::of(&released)))),
        Err(stop) => (status(&stop), Json(json!({ "stopped": stop.to_string() }))),
    }
}

fn status(stop: &Stop) -> StatusCode {
    match stop {
        Stop::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        Stop::NothingToDo(_) => StatusCode::OK,
        Stop::Refused { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        Stop::Waiting(_) => StatusCode::ACCEPTED,
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let asked = std::env::args().nth(1);
    let listener = TcpListener::bind(asked.as_deref().unwrap_or("127.0.0.1:0")).await?;
    let address = listener.local_addr()?;
    let service = Router::new().route("/patch", post(patch)).with_state(pipeline());
    let serving = tokio::spawn(async move { axum::serve(listener, service).await });
    println!("serving on http://{address}");
    if asked.is_some() {
        return serving.await?;
    }
    println!("{}", ask(address).await?);
    Ok(())
}

/// One request, without an HTTP library.
async fn ask(address: std::net::SocketAddr) -> std::io::Result<String> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    stream.write_all(b"POST /patch HTTP/1.0\r\nContent-Length: 0\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
