//! Images made on the spot, and patched ones of them.

use std::{path::PathBuf, sync::Arc};

use jiff::Timestamp;
use patchkit_core::{
    Blob, Config, Context, Descriptor, Image, ImageSet, Layer, Manifest, ManifestBytes, MediaType, Patched, Plan,
    Planned, PutManifest, Reason, Reference, Registry, ScanReport, Scanned, Target,
    image::{Compression, FilePath, LayerWriter, Metadata, NodeKind},
    memory::MemoryRegistry,
};
use serde_json::{Value, json};

/// A file or folder of the shared data, or `None` (said on stderr) where it is absent.
///
/// # Panics
/// When it is absent and `PATCHKIT_REQUIRE_EXTERNAL=1`.
pub(crate) fn shared_data(path: &str) -> Option<PathBuf> {
    let folders = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let found = folders.map(|folder| folder.join("shared/data").join(path)).find(|candidate| candidate.exists());
    if found.is_none() {
        let required = std::env::var_os("PATCHKIT_REQUIRE_EXTERNAL").is_some_and(|value| value == "1");
        assert!(!required, "required: shared data {path}");
        eprintln!("skipped: shared data {path} is absent");
    }
    found
}

pub(crate) fn path(text: &str) -> FilePath {
    FilePath::new(text).unwrap()
}

/// A layer in the making.
pub(crate) struct Made(LayerWriter);

impl Made {
    pub(crate) fn new() -> Self {
        Self(LayerWriter::new(Compression::None, &Context::new()).unwrap())
    }

    pub(crate) fn with(mut self, name: &str, metadata: Metadata, content: impl AsRef<[u8]>) -> Self {
        let mut content = content.as_ref();
        self.0.file(&path(name), &metadata, content.len() as u64, &mut content).unwrap();
        self
    }

    pub(crate) fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        self.with(name, mode(0o644), content)
    }

    pub(crate) fn program(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        self.with(name, mode(0o755), content)
    }

    pub(crate) fn folder(mut self, name: &str, bits: u32) -> Self {
        self.0.directory(&path(name), &mode(bits)).unwrap();
        self
    }

    pub(crate) fn link(mut self, name: &str, target: &str) -> Self {
        self.0.symlink(&path(name), &mode(0o777), target.as_bytes()).unwrap();
        self
    }

    pub(crate) fn hard_link(mut self, name: &str, target: &str) -> Self {
        self.0.hardlink(&path(name), &mode(0o755), &path(target)).unwrap();
        self
    }

    pub(crate) fn device(mut self, name: &str, kind: &NodeKind) -> Self {
        self.0.device(&path(name), &mode(0o600), kind).unwrap();
        self
    }

    pub(crate) fn gone(mut self, name: &str) -> Self {
        self.0.whiteout(&path(name)).unwrap();
        self
    }

    pub(crate) fn finish(self) -> Layer {
        self.0.finish().unwrap()
    }
}

pub(crate) fn mode(mode: u32) -> Metadata {
    Metadata { mode, ..Metadata::default() }
}

pub(crate) fn image(layers: Vec<Layer>) -> Image {
    Image::of_layers(&"linux/amd64".parse().unwrap(), layers).unwrap()
}

/// A patched image with a plan that changes nothing but what the layer says.
pub(crate) async fn patched(before: &Image, after: &Image) -> Patched {
    let digest = *before.digest();
    let plan =
        Plan { subject: digest, base: digest, timestamp: Timestamp::UNIX_EPOCH, changes: vec![], unfixable: vec![] };
    planned(before, after, plan).await
}

pub(crate) async fn planned(before: &Image, after: &Image, plan: Plan) -> Patched {
    let (registry, cx): (Arc<dyn Registry>, _) = (Arc::new(MemoryRegistry::default()), Context::new());
    let reference: Reference = "example.org/app:1".parse().unwrap();
    before.push(registry.as_ref(), reference.repository(), &cx).await.unwrap();
    registry.put_manifest(&reference, before.manifest().bytes(), &PutManifest::default(), &cx).await.unwrap();
    let target = Target::open(registry.clone(), reference.clone(), &cx).await.unwrap();
    let scanned = Scanned::new(Arc::new(target), vec![ScanReport::of(before)]).unwrap();
    let planned = Planned::new(Arc::new(scanned), vec![plan]).unwrap();
    let place = (registry, reference.repository().clone());
    Patched::new(Arc::new(planned), place, ImageSet::single(after.clone()), vec![vec![]]).unwrap()
}

/// The only image of an OCI layout.
pub(crate) async fn layout_image(layout: &std::path::Path) -> Image {
    let read = |digest: &str| std::fs::read(layout.join("blobs").join(digest.replace(':', "/"))).unwrap();
    let index: Value = serde_json::from_slice(&std::fs::read(layout.join("index.json")).unwrap()).unwrap();
    let bytes = read(index["manifests"][0]["digest"].as_str().unwrap());
    let manifest =
        Manifest::parse(&ManifestBytes { media_type: MediaType::OCI_MANIFEST, bytes: bytes.into() }).unwrap();
    let blob = |descriptor: &Descriptor| {
        let bytes = read(&descriptor.digest.to_string());
        Blob::of(descriptor.media_type.clone(), bytes).described(descriptor.clone())
    };
    let config = Config::parse(blob(manifest.config()).read(&Context::new()).await.unwrap()).unwrap();
    let layers = manifest.layers().iter().map(blob).collect();
    Image::assemble(manifest, config, layers).unwrap()
}

/// An Alpine root file system as an image.
pub(crate) fn alpine(archive: &std::path::Path) -> Image {
    let packed = std::fs::read(archive).unwrap();
    let blob = Blob::of(MediaType::OCI_LAYER_GZIP, packed.clone());
    let limits = patchkit_core::image::ReadLimits::default();
    let raw = patchkit_core::image::decompress(&MediaType::OCI_LAYER_GZIP, packed, &limits).unwrap();
    image(vec![Layer::new(blob, patchkit_core::Digest::of(&raw))])
}

pub(crate) fn with_config(image: &Image, fields: Value) -> Image {
    let fields = fields.as_object().unwrap().clone();
    fields.into_iter().fold(image.edit(), |edit, (name, value)| edit.config(name, value)).finish().unwrap()
}

/// The messages of all that does not hold and rests on nothing else.
pub(crate) fn faults(reasons: &[Reason]) -> Vec<String> {
    let mut found = Vec::new();
    for reason in reasons.iter().filter(|reason| !reason.holds) {
        let below = faults(&reason.because);
        if below.is_empty() { found.push(reason.message.clone()) } else { found.extend(below) }
    }
    found
}

/// Whether a message is among the reasons, at any depth.
pub(crate) fn says(reasons: &[Reason], message: &str) -> bool {
    reasons.iter().any(|reason| reason.message.contains(message) || says(&reason.because, message))
}

/// An image that has nothing wrong: a system of one program, with accounts.
pub(crate) fn plain() -> Image {
    let layer = Made::new()
        .file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/srv:/bin/sh\n")
        .file("etc/group", "root:x:0:\napp:x:1000:\n")
        .with("etc/shadow", mode(0o640), "root:*:1::::::\napp:!:1::::::\n")
        .folder("srv", 0o755)
        .program("usr/bin/env", "\x7fELF env")
        .program("usr/bin/app", "\x7fELF app")
        .program("usr/bin/sh", "\x7fELF sh")
        .link("bin", "usr/bin");
    let config = json!({"Entrypoint": ["app"], "Cmd": ["serve"], "User": "app", "WorkingDir": "/srv",
        "Env": ["PATH=/usr/local/bin:/usr/bin", "MODE=fast"], "ExposedPorts": {"80/tcp": {}},
        "Volumes": {"/srv": {}}, "StopSignal": "SIGTERM", "Labels": {"a": "1"},
        "Healthcheck": {"Test": ["CMD", "app", "ok"]}, "Shell": ["/bin/sh", "-c"], "OnBuild": ["RUN true"]});
    with_config(&image(vec![layer.finish()]), config)
}

/// The image with one layer more.
pub(crate) fn over(image: &Image, layer: Made) -> Image {
    image.edit().append(layer.finish(), "a test").finish().unwrap()
}
