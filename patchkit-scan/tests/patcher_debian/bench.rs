//! An archive, images that use it, and what is asked of the patcher.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use patchkit_core::{
    Application, Blob, Change, Config, Context, Finding, FindingKey, FixState, Image, Manifest, ManifestBytes,
    MediaType, Patcher, Plan, Result, ScanReport, Severity, Version,
    image::{Compression, FilePath, LayerWriter, Metadata},
};
use patchkit_scan::{
    DebianPatcher, Inventory, PatchOptions,
    debian::apt::{
        cache::Cache,
        client::ArchiveClient,
        fetch::MemoryFetch,
        publish::{ArchiveBuilder, ArchiveKey, DebBuilder},
    },
};
use serde_json::json;

/// An archive that can be filled with other packages, and a patcher that reads it.
pub(crate) struct Bench {
    pub(crate) key: ArchiveKey,
    pub(crate) fetch: MemoryFetch,
    pub(crate) cache: tempfile::TempDir,
    pub(crate) cx: Context,
    /// Files that every image has beside its packages, by their paths.
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    /// The root of the archive.
    pub(crate) address: &'static str,
}

pub(crate) fn date() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

pub(crate) const SOURCES: &str = "deb http://archive.example.org/debian stable main\n";

impl Bench {
    pub(crate) fn new() -> Self {
        let key = ArchiveKey::generate("Archive <archive@example.org>", date()).unwrap();
        let (fetch, cache, cx) = (MemoryFetch::new(), tempfile::tempdir().unwrap(), Context::new());
        let files = BTreeMap::from([
            ("etc/apt/sources.list".to_owned(), SOURCES.as_bytes().to_vec()),
            ("etc/apt/trusted.gpg.d/archive.gpg".into(), key.public_keyring().unwrap()),
            ("etc/os-release".into(), b"ID=debian\nVERSION_ID=12\nVERSION_CODENAME=bookworm\n".to_vec()),
        ]);
        Self { key, fetch, cache, cx, files, address: "http://archive.example.org/debian" }
    }

    /// The same, with a file in every image.
    pub(crate) fn with(mut self, path: &str, text: impl Into<Vec<u8>>) -> Self {
        self.files.insert(path.to_owned(), text.into());
        self
    }

    /// The same, with the archive at another address, which every image names.
    pub(crate) fn at(mut self, address: &'static str) -> Self {
        self.address = address;
        self.with("etc/apt/sources.list", format!("deb {address} stable main\n"))
    }

    pub(crate) fn publish(&self, day: i64, packages: impl IntoIterator<Item = DebBuilder>) {
        let dated = Timestamp::from_second(date().as_second() + 86_400 * day).unwrap();
        let archive = ArchiveBuilder::new("stable", dated);
        let archive = packages.into_iter().fold(archive, |archive, deb| archive.with_package(deb.build().unwrap()));
        for (path, bytes) in archive.build(&self.key).unwrap() {
            self.fetch.insert(format!("{}/{path}", self.address), bytes);
        }
    }

    pub(crate) fn patcher(&self, options: PatchOptions) -> DebianPatcher {
        let client = ArchiveClient::new(Arc::new(self.fetch.clone()), Cache::open(self.cache.path()).unwrap());
        DebianPatcher::new(client, options.with_timestamp(date()))
    }

    /// An image with some packages of one architecture installed, each `NAME VERSION` with a file of its own.
    pub(crate) fn image(&self, architecture: &str, packages: &[(&str, &str)]) -> Image {
        let words: Vec<String> = packages.iter().map(|(name, version)| format!("{name} {version}")).collect();
        self.image_of(architecture, &words.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// An image with packages in few words: `curl 1-1; Source: x (1); Status: hold ok installed`.
    pub(crate) fn image_of(&self, architecture: &str, packages: &[&str]) -> Image {
        let mut files: Vec<(String, Vec<u8>)> = self.files.clone().into_iter().collect();
        let mut status = String::new();
        for text in packages {
            let (name, version, _) = words(text);
            status += &stanza(text, architecture);
            let list = format!("/.\n/usr\n/usr/bin\n/usr/bin/{name}\n");
            files.push((format!("var/lib/dpkg/info/{name}.list"), list.into_bytes()));
            files.push((format!("usr/bin/{name}"), version.as_bytes().to_vec()));
        }
        files.push(("var/lib/dpkg/status".into(), status.into_bytes()));
        image(architecture, &files, &self.cx)
    }

    /// Makes the archive of packages in few words.
    pub(crate) fn offer(&self, architecture: &str, packages: &[&str]) {
        let packages = packages.iter().map(|text| {
            let (name, version, mut fields) = words(text);
            let architecture = fields.remove("Architecture").unwrap_or(architecture);
            fields.iter().fold(deb(name, version, architecture), |deb, (name, value)| deb.with_field(name, value))
        });
        self.publish(0, packages.collect::<Vec<_>>());
    }

    /// Plans for findings in few words: `CVE-2026-0001 curl 1-2`, the last of which may be `open` or `wontfix`.
    pub(crate) async fn plan(&self, image: &Image, findings: &[&str], options: PatchOptions) -> Result<Plan> {
        let findings: Vec<(&str, &str, FixState)> = findings.iter().map(|text| finding(text)).collect();
        let report = self.report(image, &findings).await;
        let plan = self.patcher(options).plan(image, &report, &self.cx).await?;
        assert!(plan.changes.is_sorted_by_key(|change| (&change.package, &change.architecture)));
        assert!(plan.unfixable.is_sorted());
        let mut spoken: Vec<FindingKey> = plan.fixes().into_iter().cloned().collect();
        spoken.extend(plan.unfixable.iter().map(|left| left.finding.clone()));
        spoken.sort();
        let mut found: Vec<FindingKey> = report.findings.iter().map(Finding::key).collect();
        found.sort();
        assert_eq!(spoken, found, "every finding once");
        Ok(plan)
    }

    pub(crate) async fn report(&self, image: &Image, findings: &[(&str, &str, FixState)]) -> ScanReport {
        let Inventory { distribution, packages, warnings, .. } = Inventory::of(image, &self.cx).await.unwrap();
        let findings = findings.iter().map(|(id, name, fix)| {
            let package = packages.iter().find(|package| package.name.as_str() == *name);
            let purl = package.map_or_else(|| name.parse().unwrap(), |package| package.purl.clone());
            Finding::new(id.parse().unwrap(), purl, Severity::High, fix.clone(), "test")
        });
        let findings = findings.collect();
        ScanReport { distribution, packages, findings, warnings, ..ScanReport::of(image) }.sorted()
    }

    pub(crate) async fn patch(&self, image: &Image, plan: &Plan) -> Image {
        match self.patcher(PatchOptions::default()).apply(image, plan, &self.cx).await.unwrap() {
            Application::Patched { image, .. } => image,
            Application::Refused(notes) => panic!("{notes:?}"),
        }
    }

    pub(crate) async fn text(&self, image: &Image, path: &str) -> Option<String> {
        let files = image.files(|_, _| true, &self.cx).await.unwrap();
        let bytes = files.read(&FilePath::new(path).unwrap()).unwrap();
        bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }
}

pub(crate) fn image(architecture: &str, files: &[(String, Vec<u8>)], cx: &Context) -> Image {
    let mut writer = LayerWriter::new(Compression::Gzip(6), cx).unwrap();
    let mut files = files.to_vec();
    files.sort();
    for (path, bytes) in &files {
        let metadata = Metadata { mode: 0o644, ..Metadata::default() };
        writer.file(&FilePath::new(path).unwrap(), &metadata, bytes.len() as u64, &mut &bytes[..]).unwrap();
    }
    let layer = writer.finish().unwrap();
    let config = json!({"architecture": architecture, "os": "linux", "config": {"Cmd": ["sh"]},
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id()]}});
    let config = Config::parse(serde_json::to_vec_pretty(&config).unwrap().into()).unwrap();
    let named = json!({"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config.digest(),
        "size": config.bytes().len()});
    let manifest = json!({"schemaVersion": 2, "config": named, "layers": [layer.blob().descriptor()]});
    let bytes = serde_json::to_vec_pretty(&manifest).unwrap().into();
    let manifest = ManifestBytes { media_type: MediaType::OCI_MANIFEST, bytes };
    let blobs: Vec<Blob> = vec![layer.blob().clone()];
    Image::assemble(Manifest::parse(&manifest).unwrap(), config, blobs).unwrap()
}

pub(crate) fn deb(name: &str, version: &str, architecture: &str) -> DebBuilder {
    DebBuilder::new(name, version, architecture).with_file(&format!("usr/bin/{name}"), 0o755, version.as_bytes())
}

pub(crate) fn fixed(version: &str) -> FixState {
    FixState::Fixed(Version::new("deb", version).unwrap())
}

/// The fields of a package in few words: `name version; Depends: a, b; Source: c`.
fn words(words: &str) -> (&str, &str, BTreeMap<&str, &str>) {
    let mut parts = words.split("; ");
    let (name, version) = parts.next().and_then(|first| first.split_once(' ')).expect(words);
    (name, version, parts.map(|field| field.split_once(": ").expect(words)).collect())
}

/// What dpkg's status says of a package.
fn stanza(text: &str, architecture: &str) -> String {
    let (name, version, mut fields) = words(text);
    let status = fields.remove("Status").unwrap_or("install ok installed");
    let architecture = fields.remove("Architecture").unwrap_or(architecture);
    let others: String = fields.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
    format!(
        "Package: {name}\nStatus: {status}\nMaintainer: A <a@example.org>\nArchitecture: {architecture}\n\
         Version: {version}\n{others}Description: a test\n\n"
    )
}

fn finding(text: &str) -> (&str, &str, FixState) {
    let parts: Vec<&str> = text.split(' ').collect();
    let [id, package, fix] = parts[..] else { panic!("{text}") };
    let fix = match fix {
        "open" => FixState::NotFixed,
        "unaffected" => FixState::NotAffected,
        "wontfix" => FixState::WillNotFix,
        npm if npm.starts_with("npm:") => FixState::Fixed(Version::new("npm", &npm[4..]).unwrap()),
        version => fixed(version),
    };
    (id, package, fix)
}

/// `name:architecture from -> to (reason) [ids]`
pub(crate) fn changes(plan: &Plan) -> Vec<String> {
    let text = |change: &Change| {
        let from = change.from.as_ref().map_or("new".to_owned(), ToString::to_string);
        let to = change.to.as_ref().expect("none goes");
        let ids: Vec<&str> = change.fixes.iter().map(|key| key.id.as_str()).collect();
        let architecture = change.architecture.as_deref().unwrap();
        format!("{}:{architecture} {from} -> {to} ({}) [{}]", change.package, change.reason, ids.join(" "))
    };
    plan.changes.iter().map(text).collect()
}

pub(crate) fn unfixable(plan: &Plan) -> Vec<String> {
    plan.unfixable.iter().map(|left| format!("{}: {}", left.finding.id, left.reason)).collect()
}
