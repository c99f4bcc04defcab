use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use patchkit_core::{Context, ErrorKind, Output};
use patchkit_rollout::verify::behaviour::readiness::{HttpReadiness, Readiness, wait_until_ready};

use crate::support::{Loopback, PORT, Service};

fn soon() -> Readiness {
    Readiness { within: Duration::from_millis(300), ..Readiness::default() }
}

fn http(status: u16) -> Option<HttpReadiness> {
    Some(HttpReadiness { port: PORT, path: "/users/1".into(), status })
}

fn stat(state: char) -> String {
    format!("1 (app) {state} 0 1 1 {}", "0 ".repeat(40))
}

#[tokio::test]
async fn a_service_that_is_all_there_is_ready() {
    let service = Service::start("none");
    service.container.write("/run/ready", "");
    service.container.output.lock().unwrap().stderr = Bytes::from_static(b"starting\nlistening on 8080\n");
    let all = Readiness {
        port: Some(PORT),
        http: http(200),
        log: Some("listening on [0-9]+".into()),
        file: Some("/run/ready".into()),
        within: Duration::from_secs(20),
    };
    wait_until_ready(&service.container, &all, &Context::new()).await.unwrap();
}

#[tokio::test]
async fn what_comes_late_is_waited_for() {
    let container = Arc::new(Loopback::new());
    let writer = container.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(150)).await;
        writer.write("/ready", "");
    });
    let file = Readiness { file: Some("/ready".into()), within: Duration::from_secs(20), ..Readiness::default() };
    let took = wait_until_ready(&*container, &file, &Context::new()).await.unwrap();
    assert!(took >= Duration::from_millis(100), "{took:?}");
}

#[tokio::test]
async fn what_is_not_ready_is_named_with_its_last_answer() {
    let service = Service::start("none");
    let output = Output { stdout: Bytes::from_static(b"one\ntwo\n"), stderr: Bytes::from_static(b"no database\n") };
    *service.container.output.lock().unwrap() = output;
    let all =
        Readiness { port: Some(PORT), http: http(204), log: Some("ready$".into()), file: Some("/f".into()), ..soon() };
    let error = wait_until_ready(&service.container, &all, &Context::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(
        error.to_string(),
        "wait until ready: not within 300ms: http /users/1 on port 8080: status 200, not 204; \
         log line /ready$/: not written; file /f: not there\n\
         standard output ends with:\n  one\n  two\nstandard error ends with:\n  no database"
    );
    let nobody = Loopback::new().with_port(PORT, 1);
    let error =
        wait_until_ready(&nobody, &Readiness { port: Some(PORT), ..soon() }, &Context::new()).await.unwrap_err();
    assert!(error.to_string().contains("port 8080: Connection refused"), "{error}");
}

#[tokio::test]
async fn an_early_end_is_told_at_once() {
    let container = Arc::new(Loopback::new().with_file("/proc/1/stat", &stat('S')));
    let writer = container.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(60)).await;
        writer.write("/proc/1/stat", &stat('Z'));
    });
    let long = Readiness { file: Some("/never".into()), within: Duration::from_secs(600), ..Readiness::default() };
    let error = wait_until_ready(&*container, &long, &Context::new()).await.unwrap_err();
    assert!(error.to_string().contains("the container has ended before: file /never: not there"), "{error}");
    // One whose first process vanishes has ended as well.
    container.write("/proc/1/stat", &stat('R'));
    let writer = container.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(60)).await;
        writer.files.lock().unwrap().clear();
    });
    assert!(wait_until_ready(&*container, &long, &Context::new()).await.unwrap_err().to_string().contains("has ended"));
}

#[tokio::test]
async fn wrong_conditions_and_the_end_of_the_run() {
    let (container, cx) = (Loopback::new(), Context::new());
    let kind = async |readiness: &Readiness| wait_until_ready(&container, readiness, &cx).await.unwrap_err().kind();
    assert_eq!(kind(&soon()).await, ErrorKind::Invalid);
    assert_eq!(kind(&Readiness { log: Some("[".into()), ..soon() }).await, ErrorKind::Invalid);
    cx.cancel();
    assert_eq!(kind(&Readiness { port: Some(1), ..soon() }).await, ErrorKind::Cancel);
    let read: Readiness = serde_json::from_str(r#"{"http": {"port": 80}, "within": "1m 5s"}"#).unwrap();
    let http = HttpReadiness { port: 80, path: "/".into(), status: 200 };
    assert_eq!(read, Readiness { http: Some(http), within: Duration::from_secs(65), ..Readiness::default() });
    assert!(serde_json::from_str::<Readiness>(r#"{"prot": 80}"#).is_err());
}
