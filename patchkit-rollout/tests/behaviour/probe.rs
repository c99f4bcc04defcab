use std::time::Duration;

use patchkit_core::{Context, ErrorKind};
use patchkit_rollout::verify::behaviour::probe::{ProbeSet, Recording, record, replay, side_by_side};

use crate::support::{Loopback, Service, faults};

const SET: &str = "
probes:
  - name: index
    request: { port: 8080 }
    headers: [Content-Type]
  - name: users
    request: { port: 8080, path: /users, headers: { accept: application/json } }
    headers: [content-type, etag, x-request]
    body: { json: { same: ['$'], except: ['$.requested_at'] } }
    required: ['$.users', status, header etag]
  - name: user
    request: { port: 8080, path: /redirect }
    redirects: 1
    body: { schema: { type: object, required: [id, name], properties: { id: { const: 1 } } } }
  - name: text
    request: { port: 8080 }
    body: { text: { matches: ['Welcome'], except: ['[0-9]{10}'] } }
  - name: chunks
    request: { port: 8080, path: /chunked }
    body: digest
  - name: work
    request: { port: 8080, path: /work }
    latency: { samples: 7, ratio: 2.0, floor: 60ms }
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_service_passes_twenty_times_of_twenty() {
    let set = ProbeSet::read(SET).unwrap();
    let (before, after, cx) = (Service::start("none"), Service::start("none"), Context::new());
    for _ in 0..5 {
        let run = || side_by_side(&set, &before.container, &after.container, &cx);
        let (a, b, c, d) = tokio::join!(run(), run(), run(), run());
        for (_, reasons) in [a, b, c, d].map(Result::unwrap) {
            assert_eq!(faults(&reasons), Vec::<String>::new());
            assert_eq!(reasons.len(), set.probes().len());
        }
    }
}

#[tokio::test]
async fn each_fault_is_named() {
    let set = ProbeSet::read(SET).unwrap();
    let (before, cx) = (Service::start("none"), Context::new());
    for (fault, probe, named) in [
        ("status", "users", "status was 200, is 203"),
        ("header", "users", "header etag was `\"42\"`, is missing"),
        ("field", "user", "body breaks its schema: the whole: lacks the required `name`"),
        ("type", "users", "header content-type was `application/json`, is `text/plain`"),
        ("body", "index", "line 1 was `<h1>Welcome</h1>`, is `<h1>Goodbye</h1>`"),
        ("body", "text", "nothing in the body matches Welcome"),
        ("slower", "work", "latency is over its bound of"),
    ] {
        let after = Service::start(fault);
        let (_, reasons) = side_by_side(&set, &before.container, &after.container, &cx).await.unwrap();
        let found = faults(&reasons);
        assert!(found.iter().any(|message| message.contains(named)), "{fault}: {found:?}");
        let refused = format!("probe {probe} does not answer as before");
        assert!(found.contains(&refused), "{fault}: {found:?}");
        let others = reasons.iter().filter(|reason| !reason.holds && reason.message != refused).count();
        assert_eq!(others, usize::from(fault == "body"), "{fault}: {found:?}");
    }
}

#[tokio::test]
async fn what_varies_is_noted_and_a_fault_where_it_is_required() {
    let (service, cx) = (Service::start("none"), Context::new());
    let set = ProbeSet::read(SET).unwrap();
    let recording = record(&set, &service.container, &cx).await.unwrap();
    let varying: Vec<_> =
        recording.probes.iter().map(|probe| probe.varying.iter().cloned().collect::<Vec<_>>()).collect();
    assert_eq!(varying[..2], [vec!["line 2".to_owned()], vec!["$['request_id']".into(), "header x-request".into()]]);
    let json = serde_json::to_string(&recording).unwrap();
    let recording: Recording = serde_json::from_str(&json).unwrap();
    let reasons = replay(&set, &service.container, &recording, &cx).await.unwrap();
    assert_eq!(faults(&reasons), Vec::<String>::new());
    let note = "$['request_id'] varies in the original itself and is not compared";
    assert!(reasons[1].because.iter().any(|reason| reason.holds && reason.message == note), "{}", reasons[1]);

    let strict = ProbeSet::read(&SET.replace("'$.users', status", "'$.request_id', status")).unwrap();
    assert_eq!(replay(&strict, &service.container, &recording, &cx).await.unwrap_err().kind(), ErrorKind::Invalid);
    let (_, reasons) = side_by_side(&strict, &service.container, &service.container, &cx).await.unwrap();
    let fault = "$['request_id'] is required, but varies in the original itself".to_owned();
    assert!(faults(&reasons).contains(&fault), "{:?}", faults(&reasons));
}

#[tokio::test]
async fn a_service_that_is_gone_does_not_pass() {
    let (service, cx) = (Service::start("none"), Context::new());
    let set = ProbeSet::read(SET).unwrap();
    let nobody = Loopback::new().with_port(8080, 1);
    let (_, reasons) = side_by_side(&set, &service.container, &nobody, &cx).await.unwrap();
    assert!(reasons.iter().all(|reason| !reason.holds), "{reasons:?}");
    // An original that does not answer says nothing.
    assert_eq!(record(&set, &nobody, &cx).await.unwrap_err().kind(), ErrorKind::Unavailable);
    let limited = Context::new().with_deadline(cx.now() + Duration::from_millis(300));
    assert_eq!(record(&set, &service.container, &limited).await.unwrap_err().kind(), ErrorKind::Cancel);
}

#[test]
fn wrong_sets_are_refused_by_name() {
    for (from, to, message) in [
        ("name: users", "name: index", "two probes are called index"),
        ("['$']", "['$[']", "users: the JSON path $["),
        ("'[0-9]{10}'", "'['", "text: regex parse error"),
        ("samples: 7", "samples: 4", "4 samples"),
        ("ratio: 2.0", "ratio: 0.5", "a ratio of 0.5"),
        ("header etag", "header age", "users: header age is required, but not compared"),
        ("redirects: 1", "redirect: 1", "redirect"),
    ] {
        let error = ProbeSet::read(&SET.replace(from, to)).unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
    }
    assert!(ProbeSet::read("probes: []").is_err());
}
