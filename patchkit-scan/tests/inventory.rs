//! What is installed, and which layer brought it: in images made here, in the real ones, and against syft.

#![allow(clippy::unwrap_used)]

mod scan_support;

use std::collections::{BTreeMap, BTreeSet};

use patchkit_core::{BaseLayers, Context, Digest, ErrorKind, Image, image::FilePath};
use patchkit_scan::{Inventory, InventoryOptions, LayerCache};
use scan_support::{Item, debian_11, image, layer, layout_image, shared_data, stanza, stanza_in};

const STATUS: &str = "var/lib/dpkg/status";

async fn inventory(image: &Image) -> Inventory {
    Inventory::of(image, &Context::new()).await.unwrap()
}

/// Name and version of each package, with the index of the layer that brought it.
async fn brought(image: &Image) -> Vec<(String, usize)> {
    let found = inventory(image).await;
    let index =
        |diff_id: &patchkit_core::Digest| image.layers().iter().position(|layer| layer.diff_id() == diff_id).unwrap();
    let show = |package: &patchkit_core::Package| {
        (format!("{} {}", package.name, package.version), index(package.layer.as_ref().unwrap()))
    };
    found.packages.iter().map(show).collect()
}

fn status(packages: &[(&str, &str)]) -> Item {
    Item::File(STATUS, packages.iter().map(|(name, version)| stanza(name, version)).collect())
}

#[tokio::test]
async fn the_layer_that_brought_a_package_is_the_first_since_which_it_is_there() {
    let image = image([
        layer([debian_11(), status(&[("curl", "1"), ("openssl", "1"), ("zlib1g", "1")])]),
        layer([Item::File("etc/motd", "hello".into())]),
        layer([status(&[("curl", "1"), ("openssl", "2")])]),
        layer([status(&[("curl", "1"), ("openssl", "2"), ("zlib1g", "1")])]),
    ]);
    let expected = [("curl 1".into(), 0), ("openssl 2".into(), 2), ("zlib1g 1".into(), 3)];
    assert_eq!(brought(&image).await, expected);
}

#[tokio::test]
async fn status_d_is_a_file_a_package() {
    let control = |name: &str, version: &str| format!("Package: {name}\nVersion: {version}\nArchitecture: amd64");
    let image = image([
        layer([
            debian_11(),
            Item::File("var/lib/dpkg/status.d/libc6", control("libc6", "2.31")),
            Item::File("var/lib/dpkg/status.d/libc6.md5sums", "no stanza".into()),
            Item::File("var/lib/dpkg/status.d/tzdata", control("tzdata", "2024a")),
        ]),
        layer([
            Item::File("var/lib/dpkg/status.d/libc6", control("libc6", "2.31-1")),
            Item::Whiteout("var/lib/dpkg/status.d/tzdata"),
        ]),
        layer([Item::File("var/lib/dpkg/status.d/b3BlbnNzbA==", control("openssl", "1.1.1w"))]),
    ]);
    assert_eq!(brought(&image).await, [("libc6 2.31-1".into(), 1), ("openssl 1.1.1w".into(), 2)]);
    let found = inventory(&image).await;
    assert_eq!(found.packages[0].purl.as_str(), "pkg:deb/debian/libc6@2.31-1?arch=amd64&distro=debian-11");
    assert_eq!(found.packages[0].locations.first().unwrap(), "var/lib/dpkg/status.d/libc6");
    assert!(found.warnings.is_empty());
}

#[tokio::test]
async fn a_package_counts_where_its_files_are_there() {
    for (state, counts) in [
        ("install ok installed", true),
        ("hold ok installed", true),
        ("deinstall ok installed", true),
        ("install ok half-configured", true),
        ("install ok unpacked", true),
        ("install ok triggers-awaited", true),
        ("install ok triggers-pending", true),
        ("deinstall ok config-files", false),
        ("purge ok not-installed", false),
    ] {
        let text = stanza("base-files", "11") + &stanza_in("curl", "1", state);
        let found = inventory(&image([layer([debian_11(), Item::File(STATUS, text)])])).await;
        assert_eq!(found.packages.len() == 2, counts, "{state}");
    }
}

#[tokio::test]
async fn what_dpkg_had_not_yet_written_counts_too() {
    let image = image([layer([
        debian_11(),
        status(&[("curl", "1"), ("openssl", "1")]),
        Item::File("var/lib/dpkg/updates/0000", stanza("curl", "2")),
        Item::File("var/lib/dpkg/updates/0001", stanza("curl", "3")),
        Item::File("var/lib/dpkg/updates/tmp.i", "half a stan".into()),
    ])]);
    assert_eq!(brought(&image).await, [("curl 3".into(), 0), ("openssl 1".into(), 0)]);
}

#[tokio::test]
async fn links_are_followed_and_hiding_is_seen() {
    let db = |text: &'static str| [("curl", text)];
    for (what, layers, expected) in [
        (
            "a link to os-release, a folder behind a link",
            vec![layer([
                Item::File("usr/lib/os-release", "ID=debian\nVERSION_ID=11\n".into()),
                Item::Symlink("etc/os-release", "../usr/lib/os-release"),
                Item::Symlink("var", "/data/var"),
                Item::File("data/var/lib/dpkg/status", stanza("curl", "1")),
            ])],
            vec![("curl 1", 0)],
        ),
        (
            "written through a link in a later layer",
            vec![
                layer([debian_11(), status(&db("1")), Item::Symlink("db", "var/lib/dpkg")]),
                layer([Item::File("db/status", stanza("curl", "2"))]),
            ],
            vec![("curl 2", 1)],
        ),
        (
            "a hard link to a file elsewhere",
            vec![layer([debian_11(), Item::File("a/copy", stanza("curl", "1")), Item::Hardlink(STATUS, "a/copy")])],
            vec![("curl 1", 0)],
        ),
        (
            "the whole folder hidden and made anew",
            vec![
                layer([debian_11(), status(&[("curl", "1"), ("zlib1g", "1")])]),
                layer([Item::Directory("var/lib/dpkg"), Item::Opaque("var/lib/dpkg"), status(&db("1"))]),
            ],
            vec![("curl 1", 0)],
        ),
        (
            "a link is replaced by a folder",
            vec![
                layer([
                    debian_11(),
                    Item::Symlink("var/lib/dpkg", "/old"),
                    Item::File("old/status", stanza("curl", "1")),
                ]),
                layer([Item::Directory("var/lib/dpkg"), status(&db("2"))]),
            ],
            vec![("curl 2", 1)],
        ),
    ] {
        let expected: Vec<_> = expected.into_iter().map(|(name, layer)| (name.to_owned(), layer)).collect();
        assert_eq!(brought(&image(layers)).await, expected, "{what}");
    }
}

#[tokio::test]
async fn what_is_not_known_is_said() {
    let bare = inventory(&image([layer([Item::File("app", "x".into())])])).await;
    assert_eq!((bare.packages.len(), bare.warnings.len()), (0, 2));
    assert!(bare.warnings[1].contains("no package database"), "{:?}", bare.warnings);
    let gone = inventory(&image([layer([debian_11(), status(&[("a", "1")])]), layer([Item::Whiteout(STATUS)])])).await;
    assert_eq!((gone.packages.len(), gone.warnings.len()), (0, 1));
    let empty = inventory(&image([layer([debian_11(), status(&[])])])).await;
    assert!(empty.warnings[0].contains("lists no installed package"), "{:?}", empty.warnings);
}

#[tokio::test]
async fn a_damaged_database_is_an_error_that_names_file_line_and_layer() {
    let good = || layer([debian_11(), status(&[("curl", "1")])]);
    for text in [
        stanza("curl", "1").trim_end().to_owned(),
        stanza("curl", "1 2"),
        "Package: curl\nStatus: install ok installed\nArchitecture: amd64\n\n".to_owned(),
        "Package: cu".to_owned(),
        "\u{0}\n".to_owned(),
    ] {
        let image = image([good(), layer([Item::File(STATUS, text.clone())])]);
        let error = Inventory::of(&image, &Context::new()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{text:?}: {error}");
        let shown = error.to_string();
        let layer = image.layers()[1].digest().to_string();
        assert!(shown.contains(STATUS) && shown.contains("line ") && shown.contains(&layer), "{text:?}: {shown}");
    }
    // Damage that a later layer has put right does not matter.
    let mended = image([layer([debian_11(), Item::File(STATUS, "x".into())]), layer([status(&[("curl", "1")])])]);
    assert_eq!(brought(&mended).await, [("curl 1".into(), 1)]);
}

#[tokio::test]
async fn a_damaged_layer_is_an_error() {
    let good = image([layer([debian_11(), status(&[("curl", "1")])])]);
    let blob = good.layers()[0].blob();
    let mut bytes = blob.read(&Context::new()).await.unwrap().to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let bad = patchkit_core::Blob::new(blob.descriptor().clone(), std::sync::Arc::new(bytes::Bytes::from(bytes)));
    let bad = Image::assemble(good.manifest().clone(), good.config().clone(), vec![bad]).unwrap();
    assert_eq!(Inventory::of(&bad, &Context::new()).await.unwrap_err().kind(), ErrorKind::Corrupt);
}

/// The inventories that Trivy and we make of the same image: names, versions, sources, layers.
#[tokio::test]
async fn the_distroless_image_has_what_trivy_lists() {
    let (Some(layout), Some(report)) = (
        shared_data("images/debian-11.11-distroless"),
        shared_data("e2e/debian-11.11-distroless/trivy-0.76.0.before.json.json"),
    ) else {
        return;
    };
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let expected: BTreeMap<_, _> = report["Results"][0]["Packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| {
            let source = (text(&package["SrcName"]), full_version(package, "Src"));
            (text(&package["Name"]), (full_version(package, ""), source, text(&package["Layer"]["DiffID"])))
        })
        .collect();
    let found: BTreeMap<_, _> = inventory(&layout_image(&layout).await)
        .await
        .packages
        .into_iter()
        .map(|package| {
            let source = package.source.unwrap();
            let source = (source.name.to_string(), source.version.to_string());
            (package.name.to_string(), (package.version.to_string(), source, package.layer.unwrap().to_string()))
        })
        .collect();
    assert_eq!(found.len(), 11);
    assert_eq!(found, expected);
}

/// Trivy splits a version into epoch, version and release.
fn full_version(package: &serde_json::Value, prefix: &str) -> String {
    let part = |name: &str| package[format!("{prefix}{name}")].as_str().unwrap_or_default().to_owned();
    let epoch = package[format!("{prefix}Epoch")].as_u64().map(|epoch| format!("{epoch}:")).unwrap_or_default();
    let (version, release) = (part("Version"), part("Release"));
    if release.is_empty() { format!("{epoch}{version}") } else { format!("{epoch}{version}-{release}") }
}

/// A real image's layers agree with core's merged view of its files.
#[tokio::test]
async fn the_layer_of_a_package_is_the_one_of_its_file() {
    let Some(layout) = shared_data("images/debian-12.15-distroless") else { return };
    let image = layout_image(&layout).await;
    let files = image.files(|_, _| false, &Context::new()).await.unwrap();
    let found = inventory(&image).await;
    assert_eq!(found.packages.len(), 10);
    for package in &found.packages {
        let path = FilePath::new(package.locations.first().unwrap()).unwrap();
        let layer = image.layers()[files.get(&path).unwrap().layer].diff_id();
        assert_eq!(package.layer.as_ref(), Some(layer), "{path}");
    }
}

/// Real databases of dpkg: every stanza of an installed package is a package.
#[tokio::test]
async fn real_databases_are_read_whole() {
    let Some(folder) = shared_data("pkgdb/dpkg/claircore/dpkg/testdata") else { return };
    for (name, count) in [("texlive.status", 357), ("postgresql.status", 3), ("debian-only.status", 1)] {
        let text = std::fs::read_to_string(folder.join(name)).unwrap();
        let found = inventory(&image([layer([debian_11(), Item::File(STATUS, text)])])).await;
        assert_eq!(found.packages.len(), count, "{name}");
    }
    let text = std::fs::read_to_string(folder.join("postgresql.status")).unwrap();
    let found = inventory(&image([layer([debian_11(), Item::File(STATUS, text)])])).await;
    let client = found.packages.iter().find(|package| package.name.as_str() == "postgresql-client").unwrap();
    let source = client.source.as_ref().unwrap();
    assert_eq!((source.name.as_str(), source.version.as_str()), ("postgresql-common", "200+deb10u5"));
}

/// This machine's own database, as dpkg-query tells it: package, version, architecture, source.
#[tokio::test]
async fn dpkg_query_says_the_same() {
    let format = "${db:Status-Status}\t${Package}\t${Version}\t${Architecture}\t${source:Package}\t${source:Version}\n";
    let output = std::process::Command::new("dpkg-query").args(["--show", "--showformat", format]).output();
    let (Ok(output), Ok(status)) = (output, std::fs::read("/var/lib/dpkg/status")) else {
        let required = std::env::var_os("PATCHKIT_REQUIRE_EXTERNAL").is_some_and(|value| value == "1");
        assert!(!required, "required: dpkg-query and its database");
        return eprintln!("skipped: there is no dpkg-query here");
    };
    let text = String::from_utf8(output.stdout).unwrap();
    let rows = text.lines().filter_map(|line| line.split_once('\t'));
    let rows = rows.filter(|(state, _)| !["config-files", "not-installed"].contains(state));
    let expected: Vec<String> = rows.map(|(_, row)| row.to_owned()).collect();
    assert!(expected.len() > 50);
    let status = Item::File(STATUS, String::from_utf8(status).unwrap());
    let found = inventory(&image([layer([debian_11(), status])])).await;
    let show = |package: &patchkit_core::Package| {
        let source = package.source.as_ref().unwrap();
        let architecture = package.architecture.as_deref().unwrap();
        format!("{}\t{}\t{architecture}\t{}\t{}", package.name, package.version, source.name, source.version)
    };
    let found: BTreeSet<_> = found.packages.iter().map(show).collect();
    assert_eq!(found, expected.into_iter().collect());
}

/// What syft lists of a Debian 12.15 minbase image. The image is made by `.ci/oracle/make-image.sh bookworm` in the folder
/// that `PATCHKIT_ORACLE_IMAGES` names, perhaps with more packages.
#[tokio::test]
async fn a_minbase_image_has_what_syft_lists() {
    let Some(folder) = std::env::var_os("PATCHKIT_ORACLE_IMAGES") else {
        return eprintln!("skipped: PATCHKIT_ORACLE_IMAGES names no folder of images");
    };
    let Some(list) = shared_data("pkgdb/syft-oracle/debian-12.15-minbase.tsv") else { return };
    let layout = std::path::Path::new(&folder).join("bookworm");
    let found = inventory(&layout_image(&layout).await).await.packages;
    let mut absent = Vec::new();
    for line in std::fs::read_to_string(list).unwrap().lines() {
        let [_, name, version, purl, source, _] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let Some(package) = found.iter().find(|package| package.name.as_str() == name) else {
            absent.push(name.to_owned());
            continue;
        };
        assert_eq!(package.version.as_str(), version, "{line}");
        // Syft names the source only where it differs, in a qualifier of its own.
        let purl = purl.split_once("&upstream=").map_or(purl, |(purl, _)| purl);
        assert_eq!(package.purl, purl.parse().unwrap(), "{line}");
        let ours = package.source.as_ref().unwrap().name.as_str();
        assert_eq!(ours, if source.is_empty() { name } else { source }, "{line}");
    }
    // Syft's image had these two more than mmdebstrap's minbase has.
    assert_eq!(absent, ["ca-certificates", "openssl"]);
}

#[tokio::test]
async fn a_layer_seen_before_is_not_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let options = InventoryOptions::default().with_cache(LayerCache::open(folder.path()).unwrap());
    let layers = || [layer([debian_11(), status(&[("curl", "1")])]), layer([status(&[("curl", "2")])])];
    let found = Inventory::with(&image(layers()), &options, &Context::new()).await.unwrap();
    assert_eq!(found, inventory(&image(layers())).await);

    let damaged = unreadable(&image(layers()));
    assert_eq!(Inventory::with(&damaged, &options, &Context::new()).await.unwrap(), found);
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(path, bytes).unwrap();
    }
    let error = Inventory::with(&damaged, &options, &Context::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "a damaged entry counts as absent: {error}");
    assert_eq!(Inventory::with(&image(layers()), &options, &Context::new()).await.unwrap(), found);
}

/// The same image, with layers whose bytes are others than they should be.
fn unreadable(image: &Image) -> Image {
    let blob = |layer: &patchkit_core::Layer| {
        let descriptor = layer.blob().descriptor();
        let bytes = bytes::Bytes::from(vec![0; descriptor.size as usize]);
        patchkit_core::Blob::new(descriptor.clone(), std::sync::Arc::new(bytes))
    };
    let layers = image.layers().iter().map(blob).collect();
    Image::assemble(image.manifest().clone(), image.config().clone(), layers).unwrap()
}

#[tokio::test]
async fn the_base_is_the_known_image_with_the_most_layers() {
    let layers = [layer([debian_11()]), layer([status(&[("curl", "1")])]), layer([Item::File("etc/motd", "x".into())])];
    let image = image(layers);
    let base =
        |name: &str, layers: &[Digest]| BaseLayers { name: Some(name.into()), digest: None, layers: layers.into() };
    let ids = image.config().diff_ids();
    let known = [base("small", &ids[..1]), base("large", &ids[..2]), base("other", &ids[1..])];
    let options = InventoryOptions::default().with_bases(known.clone());
    let found = Inventory::with(&image, &options, &Context::new()).await.unwrap();
    assert_eq!(found.base, Some(known[1].clone()));
    assert_eq!(inventory(&image).await.base, None);
}
