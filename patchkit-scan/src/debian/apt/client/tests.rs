use jiff::Timestamp;
use patchkit_core::memory::ManualClock;

use super::*;
use crate::debian::{
    apt::{
        fetch::MemoryFetch,
        publish::{ArchiveBuilder, ArchiveKey, DebBuilder},
        sources::parse_sources,
    },
    deb::Compression,
};

const ROOT: &str = "http://deb.example.org/debian/";
const INDEX: &str = "dists/stable/main/binary-amd64/Packages";

fn time(text: &str) -> Timestamp {
    text.parse().expect(text)
}

fn made() -> Timestamp {
    time("2026-01-01T00:00:00Z")
}

/// An archive of one package behind addresses in memory, and a client that reads it with the clock at 2026-01-02.
struct World {
    key: ArchiveKey,
    fetch: MemoryFetch,
    client: ArchiveClient,
    cx: Context,
    _folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        Self::of(&archive())
    }

    fn of(archive: &ArchiveBuilder) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let fetch = MemoryFetch::new();
        let client = ArchiveClient::new(Arc::new(fetch.clone()), Cache::open(folder.path()).expect("a cache"));
        let cx = Context::new().with_clock(Arc::new(ManualClock::at(time("2026-01-02T00:00:00Z"))));
        let key = ArchiveKey::generate("archive", time("2025-01-01T00:00:00Z")).expect("a key");
        let world = Self { key, fetch, client, cx, _folder: folder };
        world.publish(archive);
        world
    }

    fn publish(&self, archive: &ArchiveBuilder) {
        for (path, bytes) in archive.build(&self.key).expect("made") {
            self.fetch.insert(format!("{ROOT}{path}"), bytes);
        }
    }

    fn trust(&self) -> TrustStore {
        TrustStore::new().trusting("archive.gpg", self.key.public_keyring().expect("public"))
    }

    async fn update_from(&self, line: &str) -> Result<Archive> {
        let sources = parse_sources("s.list", line.as_bytes()).expect(line);
        self.client.update(&sources, &self.trust(), "amd64", &self.cx).await
    }

    async fn update(&self) -> Result<Archive> {
        self.update_from("deb http://deb.example.org/debian stable main\n").await
    }

    async fn refusal(&self) -> (ErrorKind, String) {
        let error = self.update().await.expect_err("refused");
        (error.kind(), error.to_string())
    }

    /// Changes what is served behind a path.
    fn change(&self, path: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let url = format!("{ROOT}{path}");
        let mut bytes = self.fetch.content(&url).expect(path).to_vec();
        change(&mut bytes);
        self.fetch.insert(url, bytes);
    }

    fn remove(&self, path: &str) -> Vec<u8> {
        self.fetch.remove(&format!("{ROOT}{path}")).expect(path).to_vec()
    }

    fn without_by_hash() -> Self {
        Self::of(&archive().with_by_hash(false))
    }

    /// The paths asked for, without the root.
    fn asked(&self) -> Vec<String> {
        self.fetch.take_asked().iter().map(|url| url.replace(ROOT, "")).collect()
    }
}

fn hello(version: &str) -> DebBuilder {
    DebBuilder::new("hello", version, "amd64").with_file("usr/bin/hello", 0o755, version.as_bytes())
}

fn archive() -> ArchiveBuilder {
    ArchiveBuilder::new("stable", made()).with_package(hello("1.0").build().expect("built"))
}

#[tokio::test]
async fn from_the_signature_to_the_package() {
    let world = World::new();
    let archive = world.update().await.expect("verified");
    let package = archive.named("hello").next().expect("there");
    assert_eq!((package.version(), package.origin().component.as_str()), ("1.0", "main"));
    let asked = world.asked();
    assert_eq!(asked.len(), 2);
    assert!(asked[0] == "dists/stable/InRelease" && asked[1].contains("/by-hash/SHA256/"), "{asked:?}");

    let path = world.client.download(&package, &world.cx).await.expect("verified");
    assert_eq!(std::fs::read(path).expect("a file"), hello("1.0").build().expect("built").bytes);
    assert_eq!(world.asked(), ["pool/main/h/hello/hello_1.0_amd64.deb"]);

    world.update().await.expect("again");
    world.client.download(&package, &world.cx).await.expect("again");
    assert_eq!(world.asked(), ["dists/stable/InRelease"], "everything else is cached");
}

#[tokio::test]
async fn release_with_a_detached_signature() {
    let world = World::new();
    world.remove("dists/stable/InRelease");
    world.update().await.expect("verified");
    world.change("dists/stable/Release", |bytes| bytes.push(b'\n'));
    assert!(world.refusal().await.1.contains("bad signature"));
    world.remove("dists/stable/Release.gpg");
    let (kind, message) = world.refusal().await;
    assert_eq!(kind, ErrorKind::Corrupt);
    assert!(message.contains("the repository is not signed"), "{message}");
}

#[tokio::test]
async fn a_bad_inline_signature_is_not_passed_over_for_a_good_detached_one() {
    let world = World::new();
    world.change("dists/stable/InRelease", |bytes| {
        let at = bytes.windows(7).position(|window| window == b"Example").expect("there");
        bytes[at] = b'e';
    });
    let (kind, message) = world.refusal().await;
    assert_eq!(kind, ErrorKind::Corrupt);
    let wanted = format!(
        "read deb {ROOT} stable main: {ROOT}dists/stable/InRelease: no valid signature: key {}",
        world.key.fingerprint()
    );
    assert!(message.starts_with(&wanted) && message.contains("archive.gpg"), "{message}");
    assert_eq!(world.asked(), ["dists/stable/InRelease"]);
}

#[tokio::test]
async fn whoever_is_not_trusted_is_refused() {
    let world = World::new();
    let stranger = ArchiveKey::generate("stranger", time("2025-01-01T00:00:00Z")).expect("a key");
    for (path, bytes) in archive().build(&stranger).expect("made") {
        world.fetch.insert(format!("{ROOT}{path}"), bytes);
    }
    assert!(world.refusal().await.1.contains("is not among the trusted keys"));
    let unchecked = world.update_from("deb [trusted=yes] http://deb.example.org/debian stable main\n").await;
    assert_eq!(unchecked.expect("the user said so").package_count(), 1);
    let refused = world.update_from("deb [trusted=no] http://deb.example.org/debian stable main\n").await;
    assert_eq!(refused.expect_err("the user said so").kind(), ErrorKind::Denied);
}

#[tokio::test]
async fn a_signature_over_another_file_is_refused() {
    let world = World::new();
    world.remove("dists/stable/InRelease");
    let other = ArchiveBuilder::new("other", made()).build(&world.key).expect("made");
    world.fetch.insert(format!("{ROOT}dists/stable/Release.gpg"), other["dists/other/Release.gpg"].clone());
    assert!(world.refusal().await.1.contains("bad signature"));
}

#[tokio::test]
async fn expired_archives_are_refused_with_their_dates() {
    let world = World::of(&archive().with_valid_until(time("2026-01-01T12:00:00Z")));
    let (kind, message) = world.refusal().await;
    assert_eq!(kind, ErrorKind::Invalid);
    for part in ["2026-01-01T00:00:00Z", "2026-01-01T12:00:00Z", "2026-01-02T00:00:00Z", "check-valid-until=no"] {
        assert!(message.contains(part), "{message}");
    }
    world.update_from("deb [check-valid-until=no] http://deb.example.org/debian stable main\n").await.expect("frozen");
    let client = world.client.clone().accepting_expired(true);
    World { client, ..world }.update().await.expect("frozen");
}

#[tokio::test]
async fn an_older_archive_is_refused_after_a_newer_one() {
    let world = World::new();
    let newer =
        ArchiveBuilder::new("stable", time("2026-01-01T06:00:00Z")).with_package(hello("1.1").build().expect("built"));
    world.publish(&newer);
    world.update().await.expect("newer");
    world.publish(&archive());
    let (kind, message) = world.refusal().await;
    assert_eq!(kind, ErrorKind::Corrupt);
    assert!(
        message.contains("made on 2026-01-01T00:00:00Z, but one made on 2026-01-01T06:00:00Z has been seen before"),
        "{message}"
    );
}

#[tokio::test]
async fn every_compression_is_read_and_others_are_tried_where_one_is_absent() {
    for compression in [Compression::Xz, Compression::Gzip, Compression::Zstd, Compression::None] {
        let world = World::of(&archive().with_by_hash(false).with_compressions([compression]));
        if compression != Compression::None {
            world.remove(INDEX);
        }
        assert_eq!(world.update().await.expect("read").package_count(), 1, "{compression}");
    }
    let world = World::without_by_hash();
    world.remove(&format!("{INDEX}.xz"));
    assert_eq!(world.update().await.expect("plain").package_count(), 1);
    assert_eq!(world.asked()[1..], [format!("{INDEX}.xz"), INDEX.to_owned()]);
}

#[tokio::test]
async fn an_index_that_is_not_as_listed_is_corrupt() {
    type Change = fn(&mut Vec<u8>);
    let cases: [(Change, &str); 4] = [
        (|bytes| bytes.truncate(bytes.len() / 2), "has "),
        (|bytes| bytes.push(0), "more than "),
        (|bytes| bytes[40] ^= 1, "has the digest sha256:"),
        (Vec::clear, "has 0 bytes, not "),
    ];
    for (change, expected) in cases {
        let world = World::without_by_hash();
        world.change(&format!("{INDEX}.xz"), change);
        let (kind, message) = world.refusal().await;
        assert_eq!(kind, ErrorKind::Corrupt);
        assert!(message.contains(&format!("{ROOT}{INDEX}.xz: {expected}")), "{message}");
    }
}

/// What a signed `Release` file lists may still be damaged, or a bomb.
#[tokio::test]
async fn a_listed_index_that_does_not_decompress_is_corrupt() {
    let plain = |world: &World| world.fetch.content(&format!("{ROOT}{INDEX}")).expect("there").to_vec();
    type Change = fn(Vec<u8>) -> Vec<u8>;
    let cases: [(Change, &str); 3] = [
        (|xz| xz[..xz.len() - 30].to_vec(), "cannot be decompressed"),
        (|_| b"no xz at all".to_vec(), "cannot be decompressed"),
        (|_| bomb(), "when decompressed"),
    ];
    for (change, expected) in cases {
        let world = World::without_by_hash();
        let xz = change(world.remove(&format!("{INDEX}.xz")));
        let release = format!(
            "Date: Thu, 01 Jan 2026 00:00:00 UTC\nSHA256:\n {} {} main/binary-amd64/Packages.xz\n {} {} main/binary-amd64/Packages\n",
            Digest::of(&xz).hex(),
            xz.len(),
            Digest::of(plain(&world)).hex(),
            plain(&world).len()
        );
        world.fetch.insert(format!("{ROOT}{INDEX}.xz"), xz);
        world
            .fetch
            .insert(format!("{ROOT}dists/stable/InRelease"), world.key.clear_sign(&release, made()).expect("signed"));
        let (kind, message) = world.refusal().await;
        assert_eq!(kind, ErrorKind::Corrupt);
        assert!(message.contains("main/binary-amd64/Packages.xz: ") && message.contains(expected), "{message}");
    }
}

/// A hundred megabytes of nothing in some kilobytes.
fn bomb() -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 0);
    for _ in 0..100 {
        std::io::Write::write_all(&mut encoder, &[0; 1 << 20]).expect("compressed");
    }
    encoder.finish().expect("compressed")
}

#[tokio::test]
async fn a_package_that_is_not_as_listed_is_corrupt_and_not_kept() {
    type Change = fn(&mut Vec<u8>);
    let cases: [(Change, &str); 3] = [
        (|bytes| bytes[100] ^= 1, "has the digest"),
        (|bytes| bytes.push(0), "has more than"),
        (|bytes| bytes.truncate(10), "has 10 bytes"),
    ];
    for (change, expected) in cases {
        let world = World::new();
        let package = world.update().await.expect("verified").named("hello").next().expect("there");
        let sound = world.fetch.content(&format!("{ROOT}pool/main/h/hello/hello_1.0_amd64.deb")).expect("there");
        world.change("pool/main/h/hello/hello_1.0_amd64.deb", change);
        let error = world.client.download(&package, &world.cx).await.expect_err("damaged");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(
            error.to_string().starts_with(&format!("{ROOT}pool/main/h/hello/hello_1.0_amd64.deb: {expected}")),
            "{error}"
        );
        world.fetch.insert(format!("{ROOT}pool/main/h/hello/hello_1.0_amd64.deb"), sound);
        world.client.download(&package, &world.cx).await.expect("sound again");
    }
}

#[tokio::test]
async fn a_damaged_cache_is_fetched_again() {
    let world = World::new();
    let package = world.update().await.expect("verified").named("hello").next().expect("there");
    let path = world.client.download(&package, &world.cx).await.expect("verified");
    std::fs::write(&path, "damaged").expect("written");
    assert_eq!(world.client.download(&package, &world.cx).await.expect("again"), path);
    assert_eq!(std::fs::read(path).expect("a file"), hello("1.0").build().expect("built").bytes);
}

#[tokio::test]
async fn mirrors_are_asked_in_turn() {
    let world = World::new();
    let rewritten: Vec<_> =
        ["http://a.example.org/", "http://b.example.org/all"].map(|to| to.parse::<Mirror>().expect(to)).into();
    for (path, bytes) in archive().build(&world.key).expect("made") {
        let url =
            if path.ends_with(".deb") { "http://a.example.org/debian/" } else { "http://b.example.org/all/debian/" };
        world.fetch.insert(format!("{url}{path}"), bytes);
    }
    let client = world.client.clone().with_mirrors(rewritten);
    let world = World { client, ..world };
    let package = world.update().await.expect("from the second").named("hello").next().expect("there");
    world.client.download(&package, &world.cx).await.expect("from the first");
    let asked = world.fetch.take_asked();
    assert!(asked.iter().all(|url| !url.starts_with(ROOT)), "{asked:?}");
    assert_eq!(
        asked[..2],
        [
            "http://a.example.org/debian/dists/stable/InRelease",
            "http://b.example.org/all/debian/dists/stable/InRelease"
        ]
    );
}

#[tokio::test]
async fn one_source_that_fails_fails_the_update() {
    let world = World::new();
    let error = world
        .update_from("deb http://deb.example.org/debian stable main\ndeb http://gone.example.org s main\n")
        .await
        .expect_err("gone");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().starts_with("fetch: http://gone.example.org/dists/s/Release: "), "{error}");
    let archive = world
        .update_from("deb http://deb.example.org/debian stable main contrib\ndeb-src http://gone.example.org s main\n")
        .await
        .expect("read");
    assert_eq!(
        archive.missing(),
        ["deb http://deb.example.org/debian/ stable main contrib: contrib/binary-amd64/Packages"]
    );
}

#[tokio::test]
async fn a_flat_repository() {
    let world = World::new();
    let deb = hello("2.0").build().expect("built");
    let packages = format!(
        "{}Filename: ./hello.deb\nSize: {}\nSHA256: {}\n",
        deb.control,
        deb.bytes.len(),
        Digest::of(&deb.bytes).hex()
    );
    let release = format!(
        "Date: Thu, 01 Jan 2026 00:00:00 UTC\nSHA256:\n {} {} Packages\n",
        Digest::of(&packages).hex(),
        packages.len()
    );
    world.fetch.insert("http://flat.example.org/repo/Packages", packages);
    world
        .fetch
        .insert("http://flat.example.org/repo/InRelease", world.key.clear_sign(&release, made()).expect("signed"));
    world.fetch.insert("http://flat.example.org/repo/hello.deb", deb.bytes);
    let archive = world.update_from("deb http://flat.example.org/repo ./\n").await.expect("read");
    world.client.download(&archive.named("hello").next().expect("there"), &world.cx).await.expect("verified");
}

#[tokio::test]
async fn cancelling_stops_everything() {
    let world = World::new();
    world.cx.cancel();
    assert_eq!(world.update().await.expect_err("cancelled").kind(), ErrorKind::Cancel);
}
