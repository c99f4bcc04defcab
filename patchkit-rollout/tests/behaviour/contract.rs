use patchkit_core::Context;
use patchkit_rollout::verify::behaviour::contract::{Calls, Contract, Effects, check, differences, served};

use crate::support::{PORT, Service, faults};

fn calls() -> Calls {
    Calls { port: PORT, effects: Effects::AsExamples, ..Calls::default() }
}

#[tokio::test]
async fn a_kept_contract_passes_twenty_times() {
    let (before, after, cx) = (Service::start("none"), Service::start("none"), Context::new());
    let contract = served(PORT, "/openapi.json", &before.container, &cx).await.unwrap();
    let names = ["GET /users", "GET /users/{id}", "GET /work", "POST /users"];
    assert_eq!(contract.operations(), names);
    for _ in 0..20 {
        let reasons = check(&contract, &calls(), &before.container, &after.container, &cx).await.unwrap();
        assert_eq!(faults(&reasons), Vec::<String>::new());
        assert_eq!(reasons.len(), 4);
    }
}

#[tokio::test]
async fn each_broken_contract_is_named() {
    let (before, cx) = (Service::start("none"), Context::new());
    let contract = served(PORT, "/openapi.json", &before.container, &cx).await.unwrap();
    for (fault, named) in [
        ("undeclared", "status 418 is not declared, but not so in the original"),
        ("status", "status was 200, is 203"),
        ("type", "content type text/plain is not declared for status 200, but not so in the original"),
        ("field", "body the whole: lacks the required `name`, but not so in the original"),
        ("created", "body /id: is string, not integer, but not so in the original"),
    ] {
        let after = Service::start(fault);
        let reasons = check(&contract, &calls(), &before.container, &after.container, &cx).await.unwrap();
        let found = faults(&reasons);
        assert!(found.iter().any(|message| message == named), "{fault}: {found:?}");
        assert_eq!(reasons.iter().filter(|reason| !reason.holds).count(), 1, "{fault}: {found:?}");
        // What the original does not keep is not held against the patched one.
        let reasons = check(&contract, &calls(), &after.container, &after.container, &cx).await.unwrap();
        assert_eq!(faults(&reasons), Vec::<String>::new(), "{fault}");
    }
}

#[tokio::test]
async fn what_may_change_something_is_not_called_unasked() {
    let (service, cx) = (Service::start("none"), Context::new());
    let contract = served(PORT, "/openapi.json", &service.container, &cx).await.unwrap();
    let except = [("GET /work".to_owned(), "slow".to_owned())].into();
    let careful = Calls { effects: Effects::None, except, ..calls() };
    let reasons = check(&contract, &careful, &service.container, &service.container, &cx).await.unwrap();
    let left_out = reasons.last().unwrap().to_string();
    assert_eq!(
        left_out,
        "✓ 2 operations are not called\n  ✓ GET /work: slow\n  ✓ POST /users: it may change something"
    );
}

#[tokio::test]
async fn documents_are_compared() {
    let (before, after, cx) = (Service::start("none"), Service::start("document"), Context::new());
    let was = served(PORT, "/openapi.json", &before.container, &cx).await.unwrap();
    let is = served(PORT, "/openapi.json", &after.container, &cx).await.unwrap();
    assert_eq!(faults(&differences(&was, &was)), Vec::<String>::new());
    assert_eq!(
        faults(&differences(&was, &is)),
        [
            "GET /users is declared otherwise",
            "GET /users/{id} is declared otherwise",
            "GET /work is gone",
            "POST /users is declared otherwise",
            "query parameter limit is newly required",
            "response 200/email is gone",
            "response 200/users/*/email is gone",
            "response 201/email is gone",
        ]
    );
}

const ODD: &str = "
openapi: 3.1.0
servers: [{ url: 'https://example.com/{v}/', variables: { v: { default: v1 } } }]
paths:
  /a/{b}:
    parameters:
      - { name: b, in: path, required: true, schema: { type: string, minLength: 3 }, example: 'x/ y' }
      - { name: q, in: query, required: true, schema: { type: array, minItems: 2, items: { type: integer, minimum: 5 } } }
      - { name: f, in: query, style: deepObject, required: true, schema: { $ref: '#/components/schemas/F' } }
      - { name: X-Key, in: header, required: true, schema: { enum: [k] } }
      - { name: c, in: cookie, required: true, schema: { type: string, format: date } }
      - { name: o, in: query, schema: { type: string } }
    get: { responses: { 200: { description: '.' } } }
    post: { requestBody: { content: { application/json: { schema: { type: object } } } }, responses: {} }
  /loop: { get: { parameters: [{ name: l, in: query, required: true, schema: { $ref: '#/components/schemas/L' } }], responses: {} } }
  /p: { get: { parameters: [{ name: p, in: query, required: true, schema: { type: string, pattern: '^z+$' } }], responses: {} } }
  /r: { $ref: 'elsewhere.yaml#/r' }
  /u/{v}: { get: { responses: {} } }
components:
  schemas:
    F: { allOf: [{ type: object, required: [g], properties: { g: { type: boolean } } }] }
    L: { type: object, required: [l], properties: { l: { $ref: '#/components/schemas/L' } } }
";

#[test]
fn requests_are_built_from_what_the_document_says() {
    let contract = Contract::read(ODD.as_bytes()).unwrap();
    let requests = contract.requests(&Calls { port: 1, ..Calls::default() });
    let get = requests["GET /a/{b}"].as_ref().unwrap();
    assert_eq!(get.path, "/v1/a/x%2F%20y?f%5Bg%5D=true&q=5&q=5");
    let headers: Vec<_> = get.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    assert_eq!(headers, ["cookie: c=2000-01-01", "x-key: k"]);
    let why = |name: &str| requests[name].as_ref().unwrap_err().clone();
    assert_eq!(why("POST /a/{b}"), "it may change something");
    assert_eq!(why("GET /loop"), "query parameter l: its schema needs a value without end");
    assert!(why("GET /p").contains("it needs an example (the whole: does not match ^z+$)"), "{}", why("GET /p"));
    assert_eq!(why("ANY /r"), "its path item is no object, or leads nowhere");
    assert_eq!(why("GET /u/{v}"), "its path has a parameter that is not declared");
    let exemplified = contract.requests(&Calls { effects: Effects::AsExamples, ..Calls::default() });
    assert!(exemplified["POST /a/{b}"].as_ref().unwrap_err().contains("it has no example"));
}

#[test]
fn other_documents_are_refused() {
    for (content, message) in [
        ("swagger: '2.0'", "no field `openapi`"),
        ("openapi: 4.0.0", "no field `openapi`"),
        ("{\"openapi\": \"3.0.0\",", "line 1 column 20"),
        ("a: &b [1]\nc: *b\n", "anchor"),
        ("a: [", "line"),
    ] {
        let error = Contract::read(content.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(message), "{content}: {error}");
    }
}
