//! Small programs and libraries, made by the machine's C compiler, and images of them.

use std::{path::Path, process::Command, sync::Arc};

use jiff::Timestamp;
use patchkit_core::{
    Context, Image, ImageSet, Layer, Patched, Plan, Planned, PutManifest, Registry, ScanReport, Scanned, Target,
    image::{Compression, FilePath, LayerWriter, Metadata},
    memory::MemoryRegistry,
};

/// Files and links by their paths; a link starts with `->`.
pub(crate) type Files = Vec<(&'static str, Vec<u8>)>;

/// Compiles C with some options, without the machine's own libraries; `None` where there is no compiler.
pub(crate) struct Compiler(tempfile::TempDir);

impl Compiler {
    pub(crate) fn new() -> Option<Self> {
        let found = Command::new("cc").arg("--version").output().is_ok_and(|output| output.status.success());
        if !found {
            let required = std::env::var_os("PATCHKIT_REQUIRE_EXTERNAL").is_some_and(|value| value == "1");
            assert!(!required, "required: a C compiler");
            eprintln!("skipped: no C compiler here");
        }
        found.then(|| Self(tempfile::tempdir().unwrap()))
    }

    pub(crate) fn folder(&self) -> &Path {
        self.0.path()
    }

    /// Compiles to a file of that name, which later ones can be linked with by `-l:NAME`.
    pub(crate) fn compile(&self, name: &str, source: &str, options: &[&str]) -> Vec<u8> {
        let input = self.folder().join(format!("{name}.c"));
        std::fs::write(&input, source).unwrap();
        let output = self.folder().join(name);
        let mut command = Command::new("cc");
        command.args(["-nostdlib", "-fPIC", "-fno-stack-protector", "-Wl,-z,now", "-Wl,--no-as-needed", "-L."]);
        command.current_dir(self.folder()).arg(&input).arg("-o").arg(&output).args(options);
        let done = command.output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        std::fs::read(output).unwrap()
    }

    /// A library whose symbols all have the version `version`, or none where that is empty.
    pub(crate) fn library(&self, name: &str, soname: &str, source: &str, version: &str) -> Vec<u8> {
        let soname = format!("-Wl,-soname,{soname}");
        if version.is_empty() {
            return self.compile(name, source, &["-shared", &soname]);
        }
        let script = self.folder().join("script");
        std::fs::write(&script, format!("{version} {{ global: *; }};")).unwrap();
        self.compile(name, source, &["-shared", &soname, "-Wl,--version-script=script"])
    }

    pub(crate) fn program(&self, name: &str, source: &str, options: &[&str]) -> Vec<u8> {
        let own = ["-pie", "-Wl,-dynamic-linker,/lib/ld-test.so", "-Wl,-e,main", "-Wl,--allow-shlib-undefined"];
        self.compile(name, source, &[&own[..], options].concat())
    }

    /// What stands for a dynamic linker.
    pub(crate) fn linker(&self) -> Vec<u8> {
        self.library("ld-test.so", "ld-test.so", "int linker;", "")
    }
}

pub(crate) fn layer(files: &[(&str, Vec<u8>)], gone: &[&str]) -> Layer {
    let mut writer = LayerWriter::new(Compression::Gzip(1), &Context::new()).unwrap();
    let metadata = Metadata { mode: 0o755, ..Metadata::default() };
    let mut files: Vec<_> = files.iter().map(|(name, content)| (FilePath::new(name).unwrap(), content)).collect();
    files.sort();
    for (path, content) in files {
        match content.strip_prefix(b"->") {
            Some(target) => writer.symlink(&path, &metadata, target).unwrap(),
            None => writer.file(&path, &metadata, content.len() as u64, &mut content.as_slice()).unwrap(),
        }
    }
    gone.iter().for_each(|path| writer.whiteout(&FilePath::new(path).unwrap()).unwrap());
    writer.finish().unwrap()
}

pub(crate) fn image(files: &[(&str, Vec<u8>)]) -> Image {
    Image::of_layers(&"linux/amd64".parse().unwrap(), vec![layer(files, &[])]).unwrap()
}

/// The image with one more layer.
pub(crate) fn with(image: &Image, files: &[(&str, Vec<u8>)], gone: &[&str]) -> Image {
    image.edit().append(layer(files, gone), "test").finish().unwrap()
}

pub(crate) async fn patched(before: &Image, after: &Image) -> Patched {
    let (cx, registry) = (Context::new(), Arc::new(MemoryRegistry::default()));
    let reference: patchkit_core::Reference = "example.org/app:1".parse().unwrap();
    ImageSet::single(before.clone()).push(&*registry, &reference, &PutManifest::default(), &cx).await.unwrap();
    let target = Arc::new(Target::open(registry.clone(), reference.clone(), &cx).await.unwrap());
    let report = ScanReport {
        subject: *before.digest(),
        platform: before.platform().clone(),
        distribution: None,
        packages: vec![],
        findings: vec![],
        suppressed: vec![],
        base: None,
        warnings: vec![],
    };
    let (subject, timestamp) = (*before.digest(), Timestamp::UNIX_EPOCH);
    let plan = Plan { subject, base: subject, timestamp, changes: vec![], unfixable: vec![] };
    let scanned = Arc::new(Scanned::new(target, vec![report]).unwrap());
    let planned = Arc::new(Planned::new(scanned, vec![plan]).unwrap());
    let place = (registry as Arc<dyn Registry>, reference.repository().clone());
    Patched::new(planned, place, ImageSet::single(after.clone()), vec![vec![]]).unwrap()
}
