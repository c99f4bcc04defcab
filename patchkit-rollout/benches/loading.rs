//! How long it takes to find out what every program and library of an image loads.
//!
//! `PATCHKIT_BENCH_ROOT=ROOT.tar cargo bench -p patchkit-rollout --bench loading`: the archive is a root folder's. Reading
//! the archive into memory is not counted, reading it as a layer is.
#![allow(clippy::unwrap_used, missing_docs)]

use std::time::{Duration, Instant};

use patchkit_core::{Blob, Context, Digest, Image, Layer, MediaType};
use patchkit_rollout::verify::loading::{Layers, Linkage, LoadOptions, compare, interfaces};

const RUNS: usize = 5;

fn main() {
    // `cargo test --benches` only wants to know that it starts.
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    let Some(archive) = std::env::var_os("PATCHKIT_BENCH_ROOT") else {
        println!("no PATCHKIT_BENCH_ROOT: nothing to measure");
        return;
    };
    let bytes = std::fs::read(archive).unwrap();
    let diff_id = Digest::of(&bytes);
    let image = Image::of_layers(
        &"linux/amd64".parse().unwrap(),
        vec![Layer::new(Blob::of(MediaType::OCI_LAYER, bytes), diff_id)],
    )
    .unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    let read = |layers: &mut Layers| {
        let (options, cx) = (LoadOptions::default(), Context::new());
        runtime.block_on(Linkage::read(&image, layers, &options, &cx)).unwrap()
    };
    let linkage = read(&mut Layers::default());
    let files = linkage.programs().count() + linkage.libraries().count();
    println!("{files} ELF files, {} MB", image.layers()[0].blob().descriptor().size / 1_000_000);
    measure("read", || drop(read(&mut Layers::default())));
    let mut layers = Layers::default();
    let before = read(&mut layers);
    measure("read with layers known", || drop(read(&mut layers)));
    measure("compare", || {
        assert!(compare(&before, &linkage).broken.is_empty());
        assert!(interfaces(&before, &linkage).changed.is_empty());
    });
}

fn measure(what: &str, run: impl FnMut()) {
    let mut times: Vec<Duration> = std::iter::repeat_with({
        let mut run = run;
        move || {
            let start = Instant::now();
            run();
            start.elapsed()
        }
    })
    .take(RUNS)
    .collect();
    times.sort();
    println!("{what}: {:.3} s (median of {RUNS})", times[RUNS / 2].as_secs_f64());
}
