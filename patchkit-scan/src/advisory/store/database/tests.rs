#![allow(clippy::unwrap_used)]

use std::{fmt::Write as _, os::unix::fs::FileExt, sync::LazyLock};

use patchkit_core::ErrorKind;
use proptest::prelude::*;

use super::*;

/// Values from nothing to several blocks, which do not compress.
fn entries() -> Vec<(String, Vec<u8>)> {
    let lengths = [0, 1, 10_000, 3 * BLOCK, 20_000, BLOCK, 5];
    let noise = |n: usize, length: usize| {
        let blocks = (0..length.div_ceil(32)).flat_map(|part| Digest::of(format!("{n} {part}")).bytes().to_vec());
        blocks.take(length).collect()
    };
    lengths.into_iter().enumerate().map(|(n, length)| (format!("key {n}"), noise(n, length))).collect()
}

fn bytes_of(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut writer = Writer::new();
    entries.iter().for_each(|(key, value)| writer.put(key.as_bytes(), value));
    writer.finish(b"head", b"facts")
}

fn walked(table: &Table) -> Result<Vec<(String, Vec<u8>)>> {
    let mut found = Vec::new();
    table.walk(|key, value| {
        found.push((String::from_utf8(key.to_vec()).unwrap(), value.to_vec()));
        Ok(())
    })?;
    Ok(found)
}

fn written(bytes: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("the.db");
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

#[test]
fn every_value_is_found_however_long() {
    let entries = entries();
    let (_folder, path) = written(&bytes_of(&entries));
    for table in [Table::open(&path).unwrap(), Table::of_bytes(bytes_of(&entries)).unwrap()] {
        assert!(table.index.blocks.len() > 4 && table.index.blocks.iter().all(|block| block.raw as usize <= BLOCK));
        for (key, value) in &entries {
            assert_eq!(table.find(key.as_bytes()).unwrap().as_ref(), Some(value), "{key}");
        }
        for absent in ["", "key", "key 3 ", "key 30", "zzz"] {
            assert_eq!(table.find(absent.as_bytes()).unwrap(), None);
        }
        assert_eq!(walked(&table).unwrap(), entries);
        assert_eq!((table.head(), table.facts()), (&b"head"[..], &b"facts"[..]));
    }
    let empty = Table::of_bytes(bytes_of(&[])).unwrap();
    assert_eq!((empty.find(b"x").unwrap(), walked(&empty).unwrap()), (None, vec![]));
}

#[test]
fn a_key_may_be_longer_than_a_block() {
    let entries = vec![("a".repeat(3 * BLOCK), vec![7; 2 * BLOCK]), ("b".into(), vec![8])];
    let table = Table::of_bytes(bytes_of(&entries)).unwrap();
    assert_eq!(walked(&table).unwrap(), entries);
    assert_eq!(table.find(entries[0].0.as_bytes()).unwrap().as_ref(), Some(&entries[0].1));
}

#[test]
fn facts_do_not_count_for_the_digest() {
    let digest = |head: &[u8], facts: &[u8]| Table::of_bytes(Writer::new().finish(head, facts)).unwrap().digest();
    assert_eq!(digest(b"a", b"b"), digest(b"a", b"c"));
    assert_ne!(digest(b"a", b"b"), digest(b"b", b"b"));
}

/// What is said of a file that has become other bytes, and what kind of error it is.
fn refused(bytes: &[u8]) -> (ErrorKind, String) {
    let (_folder, path) = written(bytes);
    let error = Table::open(&path).and_then(|table| walked(&table)).unwrap_err();
    let text = error.to_string();
    let name = format!("read advisory database: {}: ", path.display());
    (error.kind(), text.strip_prefix(&name).unwrap_or_else(|| panic!("{text}")).to_owned())
}

#[test]
fn damage_is_named() {
    let good = bytes_of(&entries());
    let table = Table::of_bytes(good.clone()).unwrap();
    let changed = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        refused(&bytes)
    };
    let block = usize::try_from(table.index.blocks[2].offset).unwrap();
    let index = good.len() - TRAILER - 20;
    let corrupt = |text: &str| (ErrorKind::Corrupt, text.to_owned());
    assert_eq!(changed(block), corrupt("block 2 is not what was written: its hash differs"));
    for at in [index, good.len() - TRAILER, good.len() - TRAILER + 8, good.len() - 16] {
        assert_eq!(changed(at), corrupt("the index is not what was written: its hash differs"), "{at}");
    }
    let unsupported = "it has version 0 of the format, and this program reads version 1: build it again";
    assert_eq!(changed(8), (ErrorKind::Unsupported, unsupported.to_owned()));
    assert_eq!(changed(0), (ErrorKind::Unsupported, "it is no advisory database".to_owned()));
    for length in [9, HEADER, HEADER + TRAILER, good.len() / 2, good.len() - 1] {
        let mut text = String::new();
        write!(text, "it is cut off: {length} bytes, and what every advisory database ends with is missing").unwrap();
        assert_eq!(refused(&good[..length]), corrupt(&text));
    }
    assert_eq!(refused(&[&good[..], b"x"].concat()).0, ErrorKind::Corrupt);
}

#[test]
fn what_is_lost_under_an_open_table_is_an_error() {
    let entries = entries();
    let (_folder, path) = written(&bytes_of(&entries));
    let table = Table::open(&path).unwrap();
    let file = File::options().write(true).open(&path).unwrap();
    file.write_all_at(b"changed", table.index.blocks[1].offset).unwrap();
    assert_eq!(table.find(b"key 0").unwrap(), Some(vec![]));
    assert_eq!(table.find(b"key 3").unwrap_err().kind(), ErrorKind::Corrupt);
    file.set_len(100).unwrap();
    let error = table.find(b"key 6").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
}

#[test]
fn a_replaced_file_stays_readable() {
    let entries = entries();
    let (folder, path) = written(&bytes_of(&entries));
    let old = Table::open(&path).unwrap();
    Table::of_bytes(bytes_of(&[])).unwrap().write(&path).unwrap();
    assert_eq!(walked(&old).unwrap(), entries);
    assert_eq!(walked(&Table::open(&path).unwrap()).unwrap(), vec![]);
    old.write(&folder.path().join("copy.db")).unwrap();
    assert_eq!(std::fs::read(folder.path().join("copy.db")).unwrap(), bytes_of(&entries));
    let error = old.write(&folder.path().join("absent/copy.db")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

/// An index that is well hashed and lies.
fn forged(change: impl FnOnce(&mut Vec<index::Block>)) -> Result<Table> {
    let good = bytes_of(&entries());
    let mut blocks = Table::of_bytes(good.clone()).unwrap().index.blocks;
    let end = blocks.iter().map(|block| u64::from(block.stored)).sum::<u64>() + HEADER as u64;
    change(&mut blocks);
    let index = Index::encode(b"head", &blocks, b"facts", end);
    Table::of_bytes([&good[..usize::try_from(end).unwrap()], &index].concat())
}

#[test]
fn an_index_that_lies_is_refused() {
    assert!(forged(|_| ()).is_ok());
    let opened: [fn(&mut Vec<index::Block>); 4] = [
        |blocks| blocks.swap(0, 1),
        |blocks| blocks[0].stored += 1,
        |blocks| blocks[1].raw = u32::MAX,
        |blocks| blocks[2].first = b"a".as_slice().into(),
    ];
    for change in opened {
        let error = forged(change).unwrap_err();
        assert!(error.to_string().contains("index: byte"), "{error}");
    }
    for raw in [1, 100_000] {
        let table = forged(|blocks| blocks[0].raw = raw).unwrap();
        assert_eq!(table.find(b"key 0").unwrap_err().kind(), ErrorKind::Corrupt);
    }
}

#[test]
fn numbers_have_one_size() {
    for number in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
        let mut out = Vec::new();
        put_number(&mut out, number);
        let mut decoder = Decoder::new(&out);
        assert_eq!((decoder.number("it"), decoder.end()), (Ok(number), Ok(())));
    }
    let too_large = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    assert!(Decoder::new(&too_large).number("it").is_err() && Decoder::new(&[0x80]).number("it").is_err());
    assert_eq!(Decoder::new(&[5, 1]).bytes("a text"), Err(Malformed { at: 1, what: "a text" }));
}

proptest! {
    /// No byte of a table can change without its being noticed.
    #[test]
    fn every_change_is_noticed(at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        static GOOD: LazyLock<Vec<u8>> = LazyLock::new(|| bytes_of(&entries()));
        let mut bytes = GOOD.clone();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(Table::of_bytes(bytes).and_then(|table| walked(&table)).is_err(), "byte {}", at);
    }
}
