use std::time::Duration;

use patchkit_core::{Context, ErrorKind};
use patchkit_rollout::verify::behaviour::http::{Client, Redirects, Request};

use crate::support::{Loopback, PORT, Service};

#[tokio::test]
async fn a_real_server_is_understood() {
    let (service, cx) = (Service::start("none"), Context::new());
    let get = async |path: &str| Client::default().send(&Request::get(PORT, path), &service.container, &cx).await;
    assert_eq!(&get("/chunked").await.unwrap().body[..], b"one two three");
    assert_eq!(&get("/old").await.unwrap().body[..], b"until the end");
    let user = get("/users/1").await.unwrap();
    assert_eq!((user.status, user.media_type().as_deref()), (200, Some("application/json")));
    assert_eq!(get("/nothing").await.unwrap().status, 404);
    let head = Request { method: "HEAD".into(), ..Request::get(PORT, "/users/1") };
    let head = Client::default().send(&head, &service.container, &cx).await.unwrap();
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), user.header("content-length"));
    let post = Request { method: "POST".into(), body: r#"{"id": 7}"#.into(), ..Request::get(PORT, "/users") };
    let post = Client::default().send(&post, &service.container, &cx).await.unwrap();
    assert_eq!((post.status, &post.body[..]), (201, &br#"{"id": 7}"#[..]));
}

#[tokio::test]
async fn redirects_are_followed_when_asked_and_never_away() {
    let (service, cx) = (Service::start("none"), Context::new());
    let follow = Client { redirects: Redirects::Follow(3), ..Client::default() };
    let status = async |client: Client, path: &str| {
        client.send(&Request::get(PORT, path), &service.container, &cx).await.unwrap().status
    };
    assert_eq!(status(Client::default(), "/redirect").await, 302);
    assert_eq!(status(follow, "/redirect").await, 200);
    assert_eq!(status(follow, "/away").await, 302);
}

#[tokio::test]
async fn what_goes_wrong_is_told_apart() {
    let (service, cx) = (Service::start("none"), Context::new());
    let kind = async |client: Client, path: &str| {
        client.send(&Request::get(PORT, path), &service.container, &cx).await.unwrap_err().kind()
    };
    let hasty = Client { timeout: Duration::from_millis(200), ..Client::default() };
    let small = Client { body_limit: 5, ..Client::default() };
    assert_eq!(kind(hasty, "/late").await, ErrorKind::Unavailable);
    assert_eq!(kind(small, "/chunked").await, ErrorKind::Unsupported);
    assert_eq!(kind(Client::default(), "/noise").await, ErrorKind::Corrupt);
    assert_eq!(kind(Client::default(), "/short").await, ErrorKind::Unavailable);
    assert_eq!(kind(Client::default(), "relative").await, ErrorKind::Invalid);
    assert_eq!(kind(Client::default(), "/a b").await, ErrorKind::Invalid);
    let smuggled = Request { headers: [("x".to_owned(), "a\r\nb: c".to_owned())].into(), ..Request::get(PORT, "/") };
    let error = Client::default().send(&smuggled, &service.container, &cx).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let nobody = Loopback::new().with_port(PORT, 1);
    let error = Client::default().send(&Request::get(PORT, "/"), &nobody, &cx).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().starts_with("ask over HTTP: GET / on port 8080: "), "{error}");
    cx.cancel();
    assert_eq!(kind(Client::default(), "/").await, ErrorKind::Cancel);
}
