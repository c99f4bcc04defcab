//! What holds for all containers: they show the headers that were put in, and damage is an error.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use patchkit_core::{Distribution, Purl, image::FilePath};
use proptest::prelude::*;

use super::{Container, catalog::Rpm, header::Header, pages::ByteOrder, testing};
use crate::{
    inventory::{Cataloguer, Snapshot, system::ListedFile},
    os_release,
};

fn headers() -> Vec<Vec<u8>> {
    [("one", 0), ("two", 700), ("three", 2000), ("gpg-pubkey", 10)]
        .map(|(name, filling)| testing::package(name, filling))
        .into()
}

fn all() -> [(Container, Vec<u8>); 4] {
    [
        (Container::Ndb, testing::ndb(&headers())),
        (Container::Bdb, testing::bdb(&headers(), ByteOrder::Little)),
        (Container::Bdb, testing::bdb(&headers(), ByteOrder::Big)),
        (Container::Sqlite, testing::sqlite(&headers())),
    ]
}

fn read(container: Container, bytes: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let mut found = Vec::new();
    let result = container.each(bytes, &[], &mut |header| {
        found.push(header.to_vec());
        Header::read(header).map(drop)
    });
    result.map(|()| found).map_err(|error| error.to_string())
}

#[test]
fn every_header_is_shown() {
    for (container, bytes) in all() {
        assert_eq!(read(container, &bytes), Ok(headers()), "{container:?}");
    }
}

#[test]
fn a_file_that_is_cut_off_anywhere_is_damaged() {
    for (container, bytes) in all() {
        for end in (0..bytes.len()).step_by(13).chain([bytes.len() - 1]) {
            let found = read(container, &bytes[..end]);
            assert!(found.is_err(), "{container:?} cut to {end} of {}", bytes.len());
        }
    }
}

#[test]
fn circles_end() {
    let [ndb, little, _, sqlite] = all().map(|(_, bytes)| bytes);
    // Two slots with one blob.
    let mut circle = ndb;
    circle.copy_within(32..48, 48);
    assert_eq!(read(Container::Ndb, &circle).unwrap_err(), "slot 1: an earlier slot has its package too");
    // The second overflow page of a chain leads to the first.
    let mut circle = little;
    let second = circle.chunks(512).position(|page| page[25] == 7 && page[16] != 0).unwrap();
    circle[second * 512 + 16] = second as u8;
    assert_eq!(read(Container::Bdb, &circle).unwrap_err(), format!("page {second}: two things use it"));
    // The root's first child is the root.
    let mut circle = sqlite.clone();
    circle[2 * 512 - 15..][..4].copy_from_slice(&[0, 0, 0, 2]);
    assert_eq!(read(Container::Sqlite, &circle).unwrap_err(), "page 2: two things use it");
}

#[test]
fn what_does_not_fit_together_is_named() {
    let [ndb, little, _, sqlite] = all().map(|(_, bytes)| bytes);
    let message = |container, bytes: &[u8], at: usize, byte: u8| {
        let mut bytes = bytes.to_vec();
        bytes[at] = byte;
        read(container, &bytes).unwrap_err()
    };
    assert_eq!(message(Container::Ndb, &ndb, 0, 0), "byte 0: no database of rpm's format ndb");
    assert_eq!(message(Container::Ndb, &ndb, 4100, 0xff), "slot 0: its blob's head is another");
    assert_eq!(message(Container::Ndb, &ndb, 4130, 0xff), "slot 0: its blob's checksum is another");
    assert_eq!(message(Container::Bdb, &little, 12, 0), "byte 12: no hash table of Berkeley DB");
    assert_eq!(message(Container::Bdb, &little, 512 + 25, 0), "byte 88: 5 records are counted, 0 are there");
    assert_eq!(message(Container::Bdb, &little, 1024 + 8, 7), "page 2: it says that it is another page");
    assert_eq!(message(Container::Bdb, &little, 512 + 25, 5), "page 1: its type 5 is none of a hash table's");
    assert_eq!(message(Container::Sqlite, &sqlite, 0, 0), "byte 0: no SQLite database");
    assert_eq!(message(Container::Sqlite, &sqlite, 512, 2), "page 2: no page of a table");
    let name = sqlite.windows(8).position(|text| text == b"Packages").unwrap();
    assert_eq!(message(Container::Sqlite, &sqlite, name, b'Q'), "page 1: there is no table of packages");
}

#[test]
fn a_damaged_header_is_named_with_its_package() {
    let mut broken = testing::package("two", 0);
    broken[4..8].fill(0xff);
    let headers = [testing::package("one", 0), broken];
    let expected = "header byte 4: the lengths of index and data are not that of the header";
    for (container, bytes, place) in [
        (Container::Ndb, testing::ndb(&headers), "package 2"),
        (Container::Bdb, testing::bdb(&headers, ByteOrder::Big), "page 1"),
        (Container::Sqlite, testing::sqlite(&headers), "page 4: row 2"),
    ] {
        assert_eq!(read(container, &bytes).unwrap_err(), format!("{place}: {expected}"), "{container:?}");
    }
}

fn rhel() -> Distribution {
    os_release::parse(b"ID=rhel\nVERSION_ID=9.4\n").unwrap()
}

#[test]
fn packages_have_source_module_and_epoch() {
    let files = Snapshot::of([("var/lib/rpm/Packages.db", testing::ndb(&headers()))], []);
    let packages = Rpm.catalog(&files, Some(&rhel())).unwrap().unwrap();
    let names: Vec<_> = packages.iter().map(|package| package.name.as_str()).collect();
    assert_eq!(names, ["one", "three", "two"]);
    let purl = "pkg:rpm/redhat/one@1.2-3.el9?arch=x86_64&distro=rhel-9.4&epoch=1&upstream=source-1.2-3.el9.src.rpm";
    assert_eq!(packages[0].purl.as_str(), purl);
    assert_eq!((packages[0].version.as_str(), packages[0].version.scheme()), ("1:1.2-3.el9", "rpm"));
    let source = packages[0].source.as_ref().unwrap();
    assert_eq!((source.name.as_str(), source.version.as_str()), ("source", "1:1.2-3.el9"));
    assert_eq!(packages[0].module.as_deref(), Some("stream:9"));
    assert_eq!(Vec::from_iter(&packages[0].locations), ["var/lib/rpm/Packages.db"]);
}

#[test]
fn one_database_a_folder_counts_and_one_folder_has_two_names() {
    let database = |name| testing::ndb(&[testing::package(name, 0)]);
    let old = testing::bdb(&[testing::package("old", 0)], ByteOrder::Little);
    let folder = "usr/lib/sysimage/rpm";
    let files = Snapshot::of(
        [("usr/lib/sysimage/rpm/Packages.db", database("new")), ("usr/lib/sysimage/rpm/Packages", old)],
        [("var/lib/rpm", "../../usr/lib/sysimage/rpm")],
    );
    let packages = Rpm.catalog(&files, None).unwrap().unwrap();
    assert_eq!(packages.len(), 1);
    assert_eq!(Vec::from_iter(&packages[0].locations), [&format!("{folder}/Packages.db")]);
    assert!(packages[0].purl.as_str().starts_with("pkg:rpm/new@"));
    assert_eq!(Rpm.catalog(&Snapshot::of([("etc/motd", vec![])], []), None).unwrap(), None);
}

#[test]
fn files_are_owned_where_they_really_are() {
    let files = Snapshot::of([("usr/share/rpm/rpmdb.sqlite", testing::sqlite(&headers()))], [("lib64", "usr/lib64")]);
    let packages = Rpm.catalog(&files, None).unwrap().unwrap();
    let path = |text: &str| FilePath::new(text).unwrap();
    let wanted = ["usr/lib64/libtwo.so", "usr/lib64/libother.so", "usr/bin/tool"].map(path).into();
    let owners = Rpm.owners(&files, &packages, &wanted).unwrap();
    let purl = |name: &str| &packages.iter().find(|package| package.name.as_str() == name).unwrap().purl;
    let found: Vec<(&FilePath, &Purl)> = owners.iter().collect();
    assert_eq!(found, [(&path("usr/bin/tool"), purl("three")), (&path("usr/lib64/libtwo.so"), purl("two"))]);
    assert_eq!(Rpm.owners(&files, &packages, &BTreeSet::new()).unwrap().len(), 0);
}

/// What rpm 4.18 installed: every file of its three packages but its own database.
#[test]
fn every_file_that_rpm_installed_has_an_owner() {
    let Some(folder) = testing::shared_data("e2e/rpm-sqlite") else { return };
    let database = std::fs::read(folder.join("after.rpmdb.sqlite")).unwrap();
    let files = Snapshot::of([("var/lib/rpm/rpmdb.sqlite", database)], []);
    let packages = Rpm.catalog(&files, None).unwrap().unwrap();
    let list = std::fs::read_to_string(folder.join("after.files.txt")).unwrap();
    let (own, installed): (BTreeSet<_>, BTreeSet<_>) =
        list.lines().map(|line| FilePath::new(line).unwrap()).partition(|path| path.to_string().contains(".rpmdb"));
    let owners = Rpm.owners(&files, &packages, &installed.union(&own).cloned().collect()).unwrap();
    assert_eq!(owners.keys().cloned().collect::<BTreeSet<_>>(), installed);
    let hello = &owners[&FilePath::new("usr/bin/hello").unwrap()];
    assert!(hello.as_str().starts_with("pkg:rpm/hello@2.0-1?"), "{hello}");
}

#[test]
fn packages_of_rpm_3_list_whole_paths() {
    let entries = [testing::text(1000, "old"), testing::texts(1027, &["/usr/bin/old", "/lib/old.so"])];
    let bytes = testing::header(&entries);
    let files = super::package::files(&Header::read(&bytes).unwrap()).unwrap();
    assert_eq!(files, [&b"/usr/bin/old"[..], b"/lib/old.so"].map(ListedFile::at));
    let entries = [testing::texts(1117, &["a"]), testing::numbers(1116, &[1]), testing::texts(1118, &["/"])];
    let bytes = testing::header(&entries);
    let error = super::package::files(&Header::read(&bytes).unwrap()).unwrap_err();
    assert_eq!(error.to_string(), "tag 1116: a file is in no folder");
}

#[test]
fn damage_names_the_file() {
    let files = Snapshot::of([("var/lib/rpm/rpmdb.sqlite", b"SQLite format 3\0".to_vec())], []);
    let damage = Rpm.catalog(&files, None).unwrap_err();
    assert_eq!(damage.path.to_string(), "var/lib/rpm/rpmdb.sqlite");
    assert_eq!(damage.error.to_string(), "byte 16: the file is cut off in its description");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn mutated_databases_never_panic(
        which in 0_usize..4,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        near in proptest::collection::vec((0_usize..1100, any::<u8>()), 0..4),
    ) {
        let (container, mut bytes) = all()[which].clone();
        changes.into_iter().for_each(|(at, byte)| { let at = at.index(bytes.len()); bytes[at] = byte });
        near.into_iter().for_each(|(at, byte)| bytes[at] = byte);
        if let Ok(found) = read(container, &bytes) {
            prop_assert!(found.iter().map(Vec::len).sum::<usize>() <= bytes.len());
        }
    }

    #[test]
    fn mutated_headers_never_panic(changes in proptest::collection::vec((0_usize..300, any::<u8>()), 0..6)) {
        let mut bytes = testing::package("name", 20);
        changes.into_iter().for_each(|(at, byte)| { let at = at % bytes.len(); bytes[at] = byte });
        if let Ok(header) = Header::read(&bytes) {
            let _ = (super::package::InstalledPackage::of(&header), super::package::files(&header));
        }
    }
}
