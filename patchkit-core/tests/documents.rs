//! The documents of the OCI image specification's own tests, and those that readers read differently.
#![allow(clippy::unwrap_used)]

mod image;

use patchkit_core::{Config, Error, ErrorKind, Index, Manifest, ManifestBytes, MediaType, Result};
use serde_json::{Value, json};

fn manifest(text: &str) -> Result<Manifest> {
    let bytes = text.as_bytes().to_vec().into();
    Manifest::parse(&ManifestBytes { media_type: MediaType::OCI_MANIFEST, bytes })
}

fn index(text: &str) -> Result<Index> {
    Index::parse(&ManifestBytes { media_type: MediaType::OCI_INDEX, bytes: text.as_bytes().to_vec().into() })
}

fn config(text: &str) -> Result<Config> {
    Config::parse(text.as_bytes().to_vec().into())
}

/// A descriptor is only ever read as a part of something.
fn descriptor(text: &str) -> Result<Manifest> {
    let layer = r#"{"mediaType":"a/b","size":2,"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}"#;
    manifest(&format!(r#"{{"schemaVersion":2,"config":{text},"layers":[{layer}]}}"#))
}

/// Where the specification's own list is damaged: program text follows the document.
fn is_damaged(document: &str) -> bool {
    document.contains("expected success:")
}

/// The number of documents that were refused as they must be, and of all.
fn judge(cases: &[Value], parse: impl Fn(&str) -> Result<(), Error>) -> (usize, usize) {
    let mut refused = 0;
    for case in cases {
        let (text, must_fail) = (case["document"].as_str().unwrap(), case["must_fail"] == true);
        match parse(text) {
            Ok(()) => assert!(!must_fail, "{text}"),
            Err(_) if must_fail => refused += 1,
            Err(error) if is_damaged(text) => assert_eq!(error.kind(), ErrorKind::Corrupt, "{text}"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unsupported, "{text}: {error}"),
        }
    }
    (refused, cases.len())
}

#[test]
fn the_specification_s_documents() {
    let Some(folder) = image::shared("conformance/image-spec/schema") else { return };
    let cases = |name: &str| -> Vec<Value> {
        let bytes = std::fs::read(folder.join(format!("{name}.cases.json"))).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    };
    let (descriptors, all_descriptors) = judge(&cases("descriptor"), |text| descriptor(text).map(drop));
    let (manifests, all_manifests) = judge(&cases("manifest"), |text| manifest(text).map(drop));
    let (indexes, all_indexes) = judge(&cases("imageindex"), |text| index(text).map(drop));
    let (configs, all_configs) = judge(&cases("config"), |text| config(text).map(drop));
    // One more that must be refused, and one that must not, are of the layout's own file.
    assert_eq!(all_descriptors + all_manifests + all_indexes + all_configs + 2, 65);
    assert_eq!(descriptors + manifests + indexes + configs + 1, 40);
}

#[test]
fn only_unknown_digests_are_unsupported() {
    let with = |digest: &str| descriptor(&format!(r#"{{"mediaType":"a/b","size":1,"digest":"{digest}"}}"#));
    assert_eq!(with("sha256+b64u:LCa0a2j_xo_5").unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(with("sha256:LCa0a2j_xo_5").unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(with("sha256+:LCa0a2j_xo_5").unwrap_err().kind(), ErrorKind::Corrupt);
}

const EMPTY: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

fn good_manifest() -> Value {
    let descriptor = json!({ "mediaType": "application/vnd.oci.image.config.v1+json", "size": 2, "digest": EMPTY });
    json!({ "schemaVersion": 2, "config": descriptor, "layers": [descriptor] })
}

fn good_config() -> Value {
    json!({ "architecture": "amd64", "os": "linux", "rootfs": { "type": "layers", "diff_ids": [EMPTY] } })
}

fn changed(mut document: Value, change: impl Fn(&mut Value)) -> String {
    change(&mut document);
    document.to_string()
}

#[test]
fn what_readers_read_differently_is_refused() {
    let good = good_manifest().to_string();
    manifest(&good).unwrap();
    let twice = good.replacen("\"schemaVersion\"", "\"schemaVersion\":2,\"schemaVersion\"", 1);
    let nested = good.replacen("\"size\"", "\"x\":{\"a\":1,\"a\":2},\"size\"", 1);
    let cases = [
        ("a name twice", twice),
        ("a nested name twice", nested),
        ("an index as well", changed(good_manifest(), |m| m["manifests"] = json!([]))),
        ("an index in other capitals", changed(good_manifest(), |m| m["Manifests"] = json!([]))),
        ("schema 1 as well", changed(good_manifest(), |m| m["fsLayers"] = json!([]))),
        ("layers in other capitals", changed(good_manifest(), |m| m["Layers"] = json!([]))),
        ("the long s", changed(good_manifest(), |m| m["layer\u{17f}"] = json!([]))),
        ("digest in other capitals", changed(good_manifest(), |m| m["config"]["Digest"] = json!(EMPTY))),
        ("a negative size", changed(good_manifest(), |m| m["config"]["size"] = json!(-1))),
        ("a fraction", changed(good_manifest(), |m| m["config"]["size"] = json!(1.5))),
        ("a size beyond reason", changed(good_manifest(), |m| m["config"]["size"] = json!(u64::MAX))),
        ("an annotation that is no text", changed(good_manifest(), |m| m["annotations"] = json!({"a": 1}))),
        ("data that lies", changed(good_manifest(), |m| m["config"]["data"] = json!("e30K"))),
        ("another media type", changed(good_manifest(), |m| m["mediaType"] = json!("a/b"))),
        ("trailing garbage", good.clone() + "{}"),
    ];
    for (name, text) in cases {
        assert_eq!(manifest(&text).expect_err(name).kind(), ErrorKind::Corrupt, "{name}");
    }
    let both = r#"{"schemaVersion":2,"manifests":[],"layers":[]}"#;
    assert_eq!(index(both).unwrap_err().kind(), ErrorKind::Corrupt);
    let old = changed(good_manifest(), |m| m["schemaVersion"] = json!(1));
    assert_eq!(manifest(&old).unwrap_err().kind(), ErrorKind::Unsupported);
    let embedded = changed(good_manifest(), |m| m["config"]["data"] = json!("e30="));
    manifest(&embedded).unwrap();
}

#[test]
fn configurations_of_every_builder_are_read() {
    config(&good_config().to_string()).unwrap();
    let docker = changed(good_config(), |c| {
        c["config"] = json!({
            "Hostname": "", "Env": null, "Cmd": null, "Labels": null, "Volumes": null, "ExposedPorts": {"80/tcp": {}},
            "Entrypoint": ["/a"], "OnBuild": null, "Healthcheck": {"Test": ["CMD"]},
        });
        c["container_config"] = json!({ "Env": null });
        c["history"] = json!(null);
        c["created"] = json!("0001-01-01T00:00:00Z");
    });
    assert_eq!(config(&docker).unwrap().entrypoint(), ["/a"]);
    let cases = [
        ("no root file system", changed(good_config(), |c| drop(c.as_object_mut().unwrap().remove("rootfs")))),
        ("another root file system", changed(good_config(), |c| c["rootfs"]["type"] = json!("windows"))),
        ("a time that is none", changed(good_config(), |c| c["created"] = json!("yesterday"))),
        ("history's time", changed(good_config(), |c| c["history"] = json!([{ "created": "1.1.2020" }]))),
        ("labels twice", changed(good_config(), |c| c["config"] = json!({ "Labels": {}, "labels": {} }))),
        ("a short diff id", changed(good_config(), |c| c["rootfs"]["diff_ids"] = json!(["sha256:00"]))),
    ];
    for (name, text) in cases {
        assert_eq!(config(&text).expect_err(name).kind(), ErrorKind::Corrupt, "{name}");
    }
}

#[test]
fn the_history_counts_its_layers() {
    let count =
        |history: Value| config(&changed(good_config(), |c| c["history"] = history.clone())).unwrap().history_layers();
    assert_eq!(count(json!([{}, { "empty_layer": true }, { "empty_layer": false }])), Some(2));
    assert_eq!((count(json!([])), count(json!(null))), (None, None));
}
