//! The package databases of operating systems, real ones, as syft and the systems' own tools list them.

#![allow(clippy::unwrap_used)]

mod scan_support;

use std::{
    collections::BTreeSet,
    fs,
    io::Read,
    path::Path,
    process::{Command, Stdio},
};

use patchkit_core::{
    Blob, Config, Context, Descriptor, Digest, ErrorKind, Image, Manifest, ManifestBytes, MediaType, Package, Purl,
};
use patchkit_scan::Inventory;
use scan_support::{Item, image, layer, shared_data};
use serde_json::json;

const SQLITE: &str = "var/lib/rpm/rpmdb.sqlite";
const WAL: &str = "var/lib/rpm/rpmdb.sqlite-wal";
const NDB: &str = "var/lib/rpm/Packages.db";
const BDB: &str = "var/lib/rpm/Packages";

async fn packages(items: impl IntoIterator<Item = Item>) -> Vec<Package> {
    Inventory::of(&image([layer(items)]), &Context::new()).await.unwrap().packages
}

/// An image whose only layer is an archive that lies on disk.
fn root_image(archive: &Path) -> Image {
    let bytes = fs::read(archive).unwrap();
    let mut tar = Vec::new();
    flate2::read::MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut tar).unwrap();
    let rootfs = json!({"type": "layers", "diff_ids": [Digest::of(&tar)]});
    let config = json!({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": rootfs});
    let config = Config::parse(config.to_string().into()).unwrap();
    let blob = Blob::of(MediaType::OCI_LAYER_GZIP, bytes);
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST,
        "config": Descriptor::of(MediaType::OCI_CONFIG, config.bytes()),
        "layers": [blob.descriptor()],
    });
    let bytes = ManifestBytes { media_type: MediaType::OCI_MANIFEST, bytes: manifest.to_string().into() };
    Image::assemble(Manifest::parse(&bytes).unwrap(), config, vec![blob]).unwrap()
}

/// A list of syft's: package URL, name, version and location of each, as this crate writes them.
fn syft(list: &Path) -> BTreeSet<[String; 4]> {
    let text = fs::read_to_string(list).unwrap();
    let row = |line: &str| {
        let fields: Vec<_> = line.split('\t').collect();
        let purl: Purl = fields[3].parse().unwrap();
        [purl.to_string(), fields[1].into(), fields[2].into(), fields[5].trim_start_matches('/').into()]
    };
    text.lines().map(row).collect()
}

fn shown(packages: &[Package]) -> BTreeSet<[String; 4]> {
    let row = |package: &Package| {
        let location = package.locations.first().unwrap().clone();
        [package.purl.to_string(), package.name.to_string(), package.version.to_string(), location]
    };
    packages.iter().map(row).collect()
}

/// A list of `rpm -qa`: name, epoch (zero where there is none), version, release, architecture, source file.
fn rpm_row(line: &str) -> String {
    line.split('\t').take(6).collect::<Vec<_>>().join("\t")
}

fn rpm_rows(packages: &[Package]) -> BTreeSet<String> {
    let row = |package: &Package| {
        let (epoch, evr) = package.version.as_str().split_once(':').unwrap_or(("0", package.version.as_str()));
        let (version, release) = evr.rsplit_once('-').unwrap();
        let source = package.purl.parts().qualifiers.get("upstream").cloned().unwrap();
        let architecture = package.architecture.as_deref().unwrap();
        format!("{}\t{epoch}\t{version}\t{release}\t{architecture}\t{source}", package.name)
    };
    packages.iter().map(row).collect()
}

#[tokio::test]
async fn alpine_roots_have_what_syft_lists() {
    let (Some(roots), Some(lists)) = (shared_data("images/alpine-minirootfs"), shared_data("pkgdb/syft-oracle")) else {
        return;
    };
    for name in ["3.10.9-x86_64", "3.17.10-x86_64", "3.20.3-x86_64", "3.20.3-aarch64"] {
        let name = format!("alpine-minirootfs-{name}");
        let found = Inventory::of(&root_image(&roots.join(format!("{name}.tar.gz"))), &Context::new()).await.unwrap();
        assert_eq!(shown(&found.packages), syft(&lists.join(format!("{name}.tsv"))), "{name}");
        for package in &found.packages {
            let source = package.source.as_ref().unwrap();
            assert_eq!(source.version, package.version);
        }
        assert!(found.warnings.is_empty(), "{:?}", found.warnings);
    }
}

#[tokio::test]
async fn apk_databases_of_others_are_read() {
    let Some(folder) = shared_data("pkgdb/syft/alpine-debian-redhat/alpine/testdata") else { return };
    for name in ["multiple-1/lib/apk/db/installed", "multiple-2/lib/apk/db/installed", "extra-file-attributes"] {
        let text = fs::read_to_string(folder.join(name)).unwrap();
        let expected: BTreeSet<_> = text.lines().filter_map(|line| line.strip_prefix("P:")).collect();
        let found = packages([Item::Bytes("usr/lib/apk/db/installed", text.clone().into_bytes())]).await;
        assert_eq!(found.iter().map(|package| package.name.as_str()).collect::<BTreeSet<_>>(), expected, "{name}");
    }
    for (name, problem) in [
        ("corrupt/lib/apk/db/installed", "line 1: no field: a letter and a colon are expected"),
        ("glob-paths/lib/apk/db/installed", "line 1: the file is cut off here"),
    ] {
        let damaged = image([layer([Item::Bytes("lib/apk/db/installed", fs::read(folder.join(name)).unwrap())])]);
        let error = Inventory::of(&damaged, &Context::new()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains(problem), "{error}");
        assert!(error.to_string().contains("lib/apk/db/installed of layer sha256:"), "{error}");
    }
}

#[tokio::test]
async fn rpm_databases_have_what_syft_lists() {
    let (Some(databases), Some(lists)) = (shared_data("pkgdb/rpm/go-rpmdb"), shared_data("pkgdb/syft-oracle")) else {
        return;
    };
    for (file, place, list, count) in [
        ("cbl-mariner-2.0/rpmdb.sqlite", SQLITE, "rpm-cbl-mariner-2.0.tsv", 129),
        ("sle15-bci/Packages.db", NDB, "rpm-sle15-bci.tsv", 35),
        ("libuuid/Packages", BDB, "rpm-libuuid.tsv", 1),
    ] {
        let found = packages([Item::Bytes(place, fs::read(databases.join(file)).unwrap())]).await;
        assert_eq!(found.len(), count, "{file}");
        assert_eq!(shown(&found), syft(&lists.join(list)), "{file}");
    }
}

#[tokio::test]
async fn rpm_databases_have_what_rpm_listed() {
    for (file, place, list) in [
        ("pkgdb/rpm/go-rpmdb/cbl-mariner-2.0/rpmdb.sqlite", SQLITE, "EXPECTED.rpm-4.18-qa.tsv"),
        ("pkgdb/rpm/go-rpmdb/libuuid/Packages", BDB, "EXPECTED.rpm-4.18-qa.tsv"),
        ("e2e/rpm-sqlite/before.rpmdb.sqlite", SQLITE, "before.qa.tsv"),
        ("e2e/rpm-sqlite/after.rpmdb.sqlite", SQLITE, "after.qa.tsv"),
    ] {
        let Some(file) = shared_data(file) else { return };
        let list = fs::read_to_string(file.parent().unwrap().join(list)).unwrap();
        let found = packages([Item::Bytes(place, fs::read(&file).unwrap())]).await;
        assert_eq!(rpm_rows(&found), list.lines().map(rpm_row).collect(), "{}", file.display());
    }
}

/// The databases of other scanners' own tests: one package each, and the list of a distroless image.
#[tokio::test]
async fn rpm_databases_of_others_are_read() {
    let Some(folder) = shared_data("pkgdb") else { return };
    for (file, expected) in [
        ("grype/test/integration/testdata/image-centos-match-coverage/var/lib/rpm/Packages", "0.9.2-1"),
        ("grype/test/integration/testdata/image-sles-match-coverage/var/lib/rpm/Packages", "0.9.2-1"),
        ("syft/alpine-debian-redhat/redhat/testdata/Packages", "0.9.2-1"),
    ] {
        let found = packages([Item::Bytes(BDB, fs::read(folder.join(file)).unwrap())]).await;
        assert_eq!((found.len(), found[0].name.as_str(), found[0].version.as_str()), (1, "dive", expected), "{file}");
    }
    let manifest = fs::read(folder.join("syft/alpine-debian-redhat/redhat/testdata/container-manifest-2")).unwrap();
    let found = packages([Item::Bytes("var/lib/rpmmanifest/container-manifest-2", manifest)]).await;
    let purls: Vec<_> = found.iter().map(|package| package.purl.as_str()).collect();
    let expected = [
        "pkg:rpm/filesystem@1.1-9.cm2?arch=x86_64&upstream=filesystem-1.1-9.cm2.src.rpm",
        "pkg:rpm/glibc@2.35-2.cm2?arch=x86_64&upstream=glibc-2.35-2.cm2.src.rpm",
        "pkg:rpm/mariner-release@2.0-12.cm2?arch=noarch&upstream=mariner-release-2.0-12.cm2.src.rpm",
        "pkg:rpm/openssl-libs@1.1.1k-15.cm2?arch=x86_64&upstream=openssl-1.1.1k-15.cm2.src.rpm",
        "pkg:rpm/vim@9.0-1.cm2?arch=x86_64&epoch=2&upstream=vim-9.0-1.cm2.src.rpm",
    ];
    assert_eq!(purls, expected);
}

/// A real database that is cut anywhere is an error that names file and layer.
#[tokio::test]
async fn a_truncated_rpm_database_is_an_error() {
    let Some(databases) = shared_data("pkgdb/rpm/go-rpmdb") else { return };
    for (file, place) in
        [("cbl-mariner-2.0/rpmdb.sqlite", SQLITE), ("sle15-bci/Packages.db", NDB), ("libuuid/Packages", BDB)]
    {
        let bytes = fs::read(databases.join(file)).unwrap();
        for end in [0, 10, 100, 5000, bytes.len() / 2, bytes.len() - 1] {
            let damaged = image([layer([Item::Bytes(place, bytes[..end].to_vec())])]);
            let error = Inventory::of(&damaged, &Context::new()).await.expect_err(file);
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{file} {end}");
            assert!(error.to_string().contains(&format!("{place} of layer sha256:")), "{error}");
        }
    }
}

/// The root folders of other scanners' tests, by the file that says which distribution it is.
#[tokio::test]
async fn distributions_are_told_as_others_tell_them() {
    let Some(folder) = shared_data("pkgdb/grype/grype/distro/testdata/os") else { return };
    for (root, file, id, version) in DISTRIBUTIONS {
        let bytes = fs::read(folder.join(root).join(file)).unwrap();
        let found = Inventory::of(&image([layer([Item::Bytes(file, bytes)])]), &Context::new()).await.unwrap();
        let found = found.distribution.expect(root);
        assert_eq!((found.id.as_str(), found.version_id.as_deref()), (id, version), "{root}");
    }
    let roots: BTreeSet<_> = DISTRIBUTIONS.iter().map(|row| row.0.to_owned()).collect();
    let there = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let others: Vec<_> = there.filter(|root| !roots.contains(root)).collect();
    assert_eq!(others, ["busybox"], "a distribution without an expectation");
}

/// Root folder, file, `ID` and `VERSION_ID`.
const DISTRIBUTIONS: [(&str, &str, &str, Option<&str>); 34] = [
    ("almalinux", "etc/os-release", "almalinux", Some("8.4")),
    ("alpine", "etc/os-release", "alpine", Some("3.11.6")),
    ("alpine-edge", "etc/os-release", "alpine", Some("3.22.0_alpha20250108")),
    ("amazon", "etc/os-release", "amzn", Some("2")),
    ("arch", "etc/os-release", "arch", None),
    ("azurelinux", "etc/os-release", "azurelinux", Some("3.0")),
    ("centos", "usr/lib/os-release", "centos", Some("8")),
    ("centos5", "etc/redhat-release", "centos", Some("5.7")),
    ("centos6", "etc/system-release-cpe", "centos", Some("6")),
    ("chainguard", "etc/os-release", "chainguard", Some("20230214")),
    ("custom", "etc/os-release", "scientific", Some("8")),
    ("debian", "usr/lib/os-release", "debian", Some("8")),
    ("debian-sid", "usr/lib/os-release", "debian", None),
    ("echo", "etc/os-release", "echo", Some("1")),
    ("empty", "etc/os-release", "linux", None),
    ("fedora", "usr/lib/os-release", "fedora", Some("31")),
    ("gentoo", "etc/os-release", "gentoo", None),
    ("hummingbird", "etc/os-release", "hummingbird", Some("20251124")),
    ("mariner", "etc/os-release", "mariner", Some("1.0")),
    ("minimos", "etc/os-release", "minimos", Some("20241031")),
    ("opensuse-leap", "etc/os-release", "opensuse-leap", Some("15.2")),
    ("oraclelinux", "etc/os-release", "ol", Some("8.3")),
    ("photon", "etc/os-release", "photon", Some("2.0")),
    ("postmarketos", "etc/os-release", "postmarketos", Some("v25.06")),
    ("postmarketos-edge", "etc/os-release", "postmarketos", Some("edge")),
    ("raspbian", "etc/os-release", "raspbian", Some("9")),
    ("redhat", "usr/lib/os-release", "rhel", Some("7.3")),
    ("rockylinux", "etc/os-release", "rocky", Some("8.4")),
    ("scientific", "etc/os-release", "scientific", Some("7.5")),
    ("scientific6", "etc/redhat-release", "scientific", Some("6.10")),
    ("secureos", "etc/os-release", "secureos", Some("2025.09.09")),
    ("sles", "etc/os-release", "sles", Some("15.2")),
    ("ubuntu", "etc/os-release", "ubuntu", Some("20.04")),
    ("wolfi", "etc/os-release", "wolfi", Some("20220914")),
];

/// Oracle Linux keeps Red Hat's file, and its own counts.
#[tokio::test]
async fn a_derivatives_own_file_counts_first() {
    let Some(folder) = shared_data("advisories/samples/claircore/rhel/testdata/releasefiles") else { return };
    for (root, version) in [("oracle-6", "6.10"), ("oracle-7", "7.9"), ("oracle-8", "8.9"), ("oracle-9", "9.3")] {
        let item = |file| Item::Bytes(file, fs::read(folder.join(root).join(file)).unwrap());
        let items = ["etc/oracle-release", "etc/redhat-release"].map(item);
        let found = Inventory::of(&image([layer(items)]), &Context::new()).await.unwrap().distribution.unwrap();
        assert_eq!((found.id.as_str(), found.version_id.as_deref()), ("ol", Some(version)));
    }
}

/// Such files are found behind links too, of which nobody knew.
#[tokio::test]
async fn a_release_file_may_be_a_link() {
    let items = [
        Item::File("usr/lib/fedora-release", "Fedora release 40 (Forty)\n".into()),
        Item::Symlink("etc/fedora-release", "../usr/lib/fedora-release"),
        Item::Symlink("etc/redhat-release", "fedora-release"),
    ];
    let found = Inventory::of(&image([layer(items)]), &Context::new()).await.unwrap().distribution.unwrap();
    assert_eq!((found.id.as_str(), found.version_id.as_deref()), ("fedora", Some("40")));
}

/// Whether a tool is missing here, after saying so.
fn is_missing(tool: &str) -> bool {
    let found = Command::new(tool).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !found {
        let required = std::env::var_os("PATCHKIT_REQUIRE_EXTERNAL").is_some_and(|value| value == "1");
        assert!(!required, "required: {tool}");
        eprintln!("skipped: there is no {tool} here");
    }
    !found
}

/// What a tool writes when it is given some input.
fn output(program: &str, arguments: &[&str], input: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("input");
    fs::write(&script, input).unwrap();
    let command = Command::new(program).args(arguments).stdin(fs::File::open(script).unwrap()).output().unwrap();
    assert!(command.status.success(), "{program}: {}", String::from_utf8_lossy(&command.stderr));
    String::from_utf8(command.stdout).unwrap()
}

/// What rpm lists of the database in a folder.
fn rpm_list(folder: &Path) -> BTreeSet<String> {
    let format = "%{NAME}\\t%{EPOCHNUM}\\t%{VERSION}\\t%{RELEASE}\\t%{ARCH}\\t%{SOURCERPM}\\n";
    let rows = output("rpm", &["-qa", "--dbpath", folder.to_str().unwrap(), "--queryformat", format], "");
    rows.lines().filter(|row| !row.starts_with("gpg-pubkey\t")).map(Into::into).collect()
}

/// A log that was not yet copied into its database: what it deletes is not there, and half a log changes nothing.
#[tokio::test]
async fn rpm_lists_the_same_of_a_database_with_a_log() {
    let Some(file) = shared_data("pkgdb/rpm/go-rpmdb/cbl-mariner-2.0/rpmdb.sqlite") else { return };
    if is_missing("rpm") || is_missing("sqlite3") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rpmdb.sqlite");
    fs::write(&path, fs::read(&file).unwrap()).unwrap();
    let before = rpm_list(folder.path());
    let script = ".dbconfig no_ckpt_on_close on\nPRAGMA journal_mode=WAL;\nPRAGMA wal_autocheckpoint=0;\n\
        DELETE FROM Packages WHERE hnum % 3 = 0;\nBEGIN;\nINSERT INTO Packages SELECT hnum + 100000, blob FROM Packages\n\
        WHERE hnum % 5 = 1;\nDELETE FROM Packages WHERE hnum % 5 = 1 AND hnum < 100000;\nCOMMIT;\n";
    output("sqlite3", &[path.to_str().unwrap()], script);
    let (database, log) = (fs::read(&path).unwrap(), fs::read(path.with_extension("sqlite-wal")).unwrap());
    let found = packages([Item::Bytes(SQLITE, database.clone()), Item::Bytes(WAL, log.clone())]).await;
    assert!(found.len() < before.len() && log.len() > 4096);
    assert_eq!(rpm_rows(&found), rpm_list(folder.path()));
    let found = packages([Item::Bytes(SQLITE, database), Item::Bytes(WAL, log[..log.len() / 2].to_vec())]).await;
    assert!(!found.is_empty());
}

/// Databases that Berkeley DB's own tool writes, in both byte orders and pages of several sizes.
#[tokio::test]
async fn what_berkeley_db_writes_is_read() {
    let Some(file) = shared_data("pkgdb/rpm/go-rpmdb/cbl-mariner-2.0/rpmdb.sqlite") else { return };
    if is_missing("sqlite3") || is_missing("db5.3_load") {
        return;
    }
    let expected = packages([Item::Bytes(SQLITE, fs::read(&file).unwrap())]).await;
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("rpmdb.sqlite");
    fs::write(&copy, fs::read(&file).unwrap()).unwrap();
    let rows = output(
        "sqlite3",
        &[copy.to_str().unwrap()],
        "SELECT printf(' %08x', hnum), ' ' || lower(hex(blob)) FROM Packages;",
    );
    for (order, page) in [(1234, 4096), (4321, 4096), (1234, 512), (4321, 65536)] {
        let head =
            format!("VERSION=3\nformat=bytevalue\ntype=hash\ndb_pagesize={page}\ndb_lorder={order}\nHEADER=END\n");
        let dump = format!("{head} 00000000\n 81000000\n{}DATA=END\n", rows.replace('|', "\n"));
        let path = folder.path().join(format!("{order}.{page}"));
        output("db5.3_load", &[path.to_str().unwrap()], &dump);
        let found = packages([Item::Bytes(BDB, fs::read(path).unwrap())]).await;
        assert_eq!(rpm_rows(&found), rpm_rows(&expected), "{order} {page}");
    }
}
