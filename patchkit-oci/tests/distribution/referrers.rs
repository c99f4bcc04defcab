//! What refers to a manifest: by the API, and by the tag where there is none.

use patchkit_core::{
    Context, DeleteManifest, Descriptor, Digest, ErrorKind, ManifestBytes, MediaType, PutManifest, ReferrersFilter,
    Registry,
};
use serde_json::{Value, json};

use crate::{
    client,
    fake::{Fake, shared},
    repository,
    server::{Answer, Seen, Server},
};

const OCI: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

fn referrer(subject: &Digest, artifact_type: &str, note: &str) -> ManifestBytes {
    let json = json!({
        "schemaVersion": 2, "mediaType": OCI, "artifactType": artifact_type,
        "config": { "mediaType": "application/vnd.oci.empty.v1+json" },
        "subject": { "mediaType": OCI, "digest": subject, "size": 2 },
        "annotations": { "note": note },
    });
    ManifestBytes { media_type: MediaType::OCI_MANIFEST, bytes: json.to_string().into() }
}

fn of_type(text: &str) -> ReferrersFilter {
    ReferrersFilter { artifact_type: Some(MediaType::new(text)) }
}

fn digests(of: &[Descriptor]) -> Vec<Digest> {
    of.iter().map(|descriptor| descriptor.digest).collect()
}

#[tokio::test]
async fn with_and_without_the_api() {
    for referrers in [true, false] {
        let (fake, handler) = shared(Fake { referrers, conditions: true, ..Fake::default() });
        let server = Server::start_shared(handler).await;
        let (client, cx, repository) = (client(), Context::new(), repository(&server));
        let subject = fake.add_manifest("v1", OCI, "{}");
        let all = ReferrersFilter::default();
        assert_eq!(client.referrers(&repository, &subject, &all, &cx).await.unwrap(), []);

        let (first, second) = (referrer(&subject, "a/signature", "1"), referrer(&subject, "a/sbom", "2"));
        for manifest in [&first, &second, &first] {
            let reference = repository.digest(manifest.descriptor().digest);
            client.put_manifest(&reference, manifest, &PutManifest::default(), &cx).await.unwrap();
        }
        let mut expected = [first.descriptor().digest, second.descriptor().digest];
        expected.sort();
        let found = client.referrers(&repository, &subject, &all, &cx).await.unwrap();
        assert_eq!(digests(&found), expected);
        let found = client.referrers(&repository, &subject, &of_type("a/sbom"), &cx).await.unwrap();
        assert_eq!(digests(&found), [second.descriptor().digest]);
        assert_eq!(found[0].artifact_type, Some(MediaType::new("a/sbom")));
        assert_eq!(found[0].size, second.bytes.len() as u64);

        client.delete(&repository.digest(second.descriptor().digest), &cx).await.unwrap();
        let found = client.referrers(&repository, &subject, &all, &cx).await.unwrap();
        assert_eq!(digests(&found), [first.descriptor().digest]);

        let list = fake.tag(&format!("sha256-{}", subject.hex()));
        assert_eq!(list.is_some(), !referrers);
        if let Some(list) = list {
            let list: Value = serde_json::from_slice(&list).unwrap();
            assert_eq!(list["manifests"][0]["annotations"]["note"], "1");
            assert_eq!(list["manifests"][0]["artifactType"], "a/signature");
        }
    }
}

#[tokio::test]
async fn another_writer_of_the_tag_is_not_overwritten() {
    for conditions in [true, false] {
        let (fake, handler) = shared(Fake { conditions, ..Fake::default() });
        let server = Server::start_shared(handler).await;
        let (client, cx, repository) = (client(), Context::new(), repository(&server));
        let subject = fake.add_manifest("v1", OCI, "{}");
        let (ours, theirs) = (referrer(&subject, "a/b", "ours"), Digest::of(b"theirs"));
        let tag = format!("sha256-{}", subject.hex());
        let list = json!({ "schemaVersion": 2, "manifests": [{ "mediaType": OCI, "digest": theirs, "size": 6 }] });
        let write = {
            let tag = tag.clone();
            move |fake: &Fake| _ = fake.add_manifest(&tag, INDEX, list.to_string())
        };
        // The first put is the referrer itself. They write right before our list, or without conditions before both.
        match conditions {
            true => {
                *fake.before_put.lock().unwrap() = Some(Box::new(move |fake: &Fake| {
                    *fake.before_put.lock().unwrap() = Some(Box::new(write));
                }));
            }
            false => write(&fake),
        }
        let reference = repository.digest(ours.descriptor().digest);
        client.put_manifest(&reference, &ours, &PutManifest::default(), &cx).await.unwrap();
        let list: Value = serde_json::from_slice(&fake.tag(&tag).unwrap()).unwrap();
        let mut found: Vec<_> =
            list["manifests"].as_array().unwrap().iter().map(|entry| entry["digest"].clone()).collect();
        let mut expected = vec![json!(theirs), json!(ours.descriptor().digest)];
        (found.sort_by_key(Value::to_string), expected.sort_by_key(Value::to_string));
        assert_eq!(found, expected, "with conditions: {conditions}");
    }
}

#[tokio::test]
async fn all_pages_filtered_by_us_where_the_registry_did_not() {
    let entry = |text: &str, artifact_type: &str| json!({ "mediaType": OCI, "digest": Digest::of(text), "size": 1, "artifactType": artifact_type });
    let (first, second) =
        (json!({ "manifests": [entry("1", "a/b"), entry("2", "c/d")] }), json!({ "manifests": [entry("3", "a/b")] }));
    let server = Server::start(move |request: &Seen| {
        let answer = Answer::new(200).header("content-type", INDEX);
        match request.query("page").is_empty() {
            true => answer.header("link", format!("<{}?page=2>; rel=\"next\"", request.path())).body(first.to_string()),
            false => answer.body(second.to_string()),
        }
    })
    .await;
    let (client, cx, subject) = (client(), Context::new(), Digest::of(b"x"));
    let found = client.referrers(&repository(&server), &subject, &of_type("a/b"), &cx).await.unwrap();
    let mut expected = [Digest::of("1"), Digest::of("3")];
    expected.sort();
    assert_eq!(digests(&found), expected);
    assert_eq!(server.seen()[0].query("artifactType"), ["a/b"]);
}

#[tokio::test]
async fn a_page_for_people_is_no_api_and_a_broken_list_no_empty_one() {
    let server = Server::start(|request: &Seen| match request.path().contains("/referrers/") {
        true => Answer::new(200).header("content-type", "text/html").body("<html>welcome"),
        false => Answer::error(404, "MANIFEST_UNKNOWN"),
    })
    .await;
    let (all, cx, subject) = (ReferrersFilter::default(), Context::new(), Digest::of(b"x"));
    assert_eq!(client().referrers(&repository(&server), &subject, &all, &cx).await.unwrap(), []);

    let server =
        Server::start(|_: &Seen| Answer::new(200).header("content-type", INDEX).body(r#"{"manifests":[{}]}"#)).await;
    let error = client().referrers(&repository(&server), &subject, &all, &cx).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}
