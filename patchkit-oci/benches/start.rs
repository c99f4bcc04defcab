//! What a start costs beside the runtime program's own: `/bin/true` in an unpacked image, started by us in runc and in
//! the built-in program, against `runc run` alone on a bundle that is ready.
//!
//! `cargo bench -p patchkit-oci --bench start`, as root, on a calm machine. Both are run in turn, pair by pair; the
//! figures are medians. What is compared does less: it makes no root of its own to write to and collects nothing.
#![allow(clippy::unwrap_used, reason = "a benchmark may panic")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use patchkit_core::{
    Blob, Command, Context, Digest, Exit, Image, Layer, MediaType, RuntimeExt as _, image::ReadLimits,
};
use patchkit_oci::runtime::{LayerStore, OciRuntime};
use support::{has, shared};

const ALPINE: &str = "images/alpine-minirootfs/alpine-minirootfs-3.20.3-x86_64.tar.gz";
const PAIRS: usize = 61;

#[tokio::main]
async fn main() {
    // `cargo test --benches` only wants to know that it starts.
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    let (Some(image), true) = (alpine(), has("runc")) else { return };
    let folder = tempfile::tempdir().unwrap();
    let store = LayerStore::open(folder.path().join("store")).unwrap();
    let built_in = OciRuntime::new(env!("CARGO_BIN_EXE_patchkit-container"), store.clone()).with_overlays_by_program();
    let runc = OciRuntime::new("runc", store);
    start(&runc, &image).await;
    let bundle = bundle(folder.path());
    for (name, runtime) in [("runc", runc), ("built-in", built_in)] {
        compare(name, &runtime, &image, &bundle).await;
    }
}

fn alpine() -> Option<Image> {
    let bytes = bytes::Bytes::from(fs::read(shared(ALPINE)?).unwrap());
    let blob = Blob::of(MediaType::OCI_LAYER_GZIP, bytes.clone());
    let content = patchkit_core::image::decompress(&MediaType::OCI_LAYER_GZIP, bytes, &ReadLimits::default()).unwrap();
    let layer = Layer::new(blob, Digest::of(content));
    Some(Image::of_layers(&"linux/amd64".parse().unwrap(), vec![layer]).unwrap())
}

/// A bundle of the layer that was unpacked in the folder's store.
fn bundle(folder: &Path) -> PathBuf {
    let bundle = folder.join("bundle");
    fs::create_dir(&bundle).unwrap();
    let spec = std::process::Command::new("runc").arg("spec").current_dir(&bundle).status().unwrap();
    assert!(spec.success());
    let mut layers = fs::read_dir(folder.join("store/layers")).unwrap().map(|layer| layer.unwrap().path().join("fs"));
    let root = layers.find(|root| root.join("bin/busybox").exists()).unwrap();
    let mut config: serde_json::Value = serde_json::from_slice(&fs::read(bundle.join("config.json")).unwrap()).unwrap();
    config["process"]["terminal"] = false.into();
    config["process"]["args"] = serde_json::json!(["/bin/true"]);
    config["process"]["rlimits"] = serde_json::json!([]);
    config["root"] = serde_json::json!({ "path": root, "readonly": true });
    fs::write(bundle.join("config.json"), config.to_string()).unwrap();
    bundle
}

async fn compare(name: &str, runtime: &OciRuntime, image: &Image, bundle: &Path) {
    start(runtime, image).await;
    let (mut ours, mut alone, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..PAIRS {
        let pair = (start(runtime, image).await, run(bundle).await);
        ratios.push(pair.0.div_duration_f64(pair.1));
        ours.push(pair.0);
        alone.push(pair.1);
    }
    ratios.sort_by(f64::total_cmp);
    let (ours, alone, ratio) = (median(ours), median(alone), ratios[PAIRS / 2]);
    println!("{name}: {ours:.1?}, runc run alone {alone:.1?}, ratio of pairs {ratio:.2}");
}

/// How long we take, from an image to an outcome.
async fn start(runtime: &OciRuntime, image: &Image) -> Duration {
    let command = Command { args: vec!["/bin/true".into()], ..Command::default() };
    let began = Instant::now();
    let outcome = runtime.run(image, &command, &Context::new()).await.unwrap();
    assert_eq!(outcome.exit, Exit::Code(0));
    began.elapsed()
}

/// How long runc takes.
async fn run(bundle: &Path) -> Duration {
    let mut runc = tokio::process::Command::new("runc");
    runc.args(["run", "--bundle"]).arg(bundle).arg(format!("patchkit-alone-{}", std::process::id()));
    runc.stdin(Stdio::null());
    let began = Instant::now();
    let output = runc.output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    began.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
