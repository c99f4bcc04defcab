use std::io::{Cursor, Write};

use flate2::{Compression, write::DeflateEncoder};
use proptest::prelude::*;

use super::*;

/// An archive of the given entries, deflated where it is said.
pub(in super::super) fn archive<'a>(entries: impl IntoIterator<Item = (&'a str, Vec<u8>, bool)>) -> Vec<u8> {
    let (mut bytes, mut directory, mut count) = (Vec::new(), Vec::new(), 0_u16);
    for (name, content, deflate) in entries {
        let packed = if deflate { deflated(&content) } else { content.clone() };
        let header = bytes.len() as u32;
        let mut common = vec![20, 0, 0, 0, if deflate { 8 } else { 0 }, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        common.extend((packed.len() as u32).to_le_bytes());
        common.extend((content.len() as u32).to_le_bytes());
        common.extend((name.len() as u16).to_le_bytes());
        common.extend([0, 0]);
        bytes.extend([&LOCAL[..], &common, name.as_bytes(), &packed].concat());
        let place = [&[0; 10][..], &header.to_le_bytes()].concat();
        directory.extend([&ENTRY[..], &[20, 0], &common, &place, name.as_bytes()].concat());
        count += 1;
    }
    let (start, size) = (bytes.len() as u32, directory.len() as u32);
    bytes.extend(directory);
    bytes.extend([&END[..], &[0; 4], &count.to_le_bytes(), &count.to_le_bytes()].concat());
    bytes.extend([&size.to_le_bytes()[..], &start.to_le_bytes(), &[0, 0]].concat());
    bytes
}

fn deflated(content: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn contents(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, ZipError> {
    let mut reader = Cursor::new(bytes);
    let found = entries(&mut reader, |name| !name.ends_with(".class"))?;
    found.iter().map(|entry| Ok((entry.name.clone(), entry.read(&mut reader, 64)?))).collect()
}

fn sample() -> Vec<u8> {
    archive([("a.txt", b"stored".into(), false), ("b.class", b"no".into(), false), ("d/c", vec![b'x'; 60], true)])
}

#[test]
fn stored_and_deflated_entries() {
    let expected = vec![("a.txt".to_owned(), b"stored".to_vec()), ("d/c".to_owned(), vec![b'x'; 60])];
    assert_eq!(contents(&sample()).unwrap(), expected);
    let with_script = [b"#!/bin/sh\nexec java -jar $0\n", &sample()[..]].concat();
    assert_eq!(contents(&with_script).unwrap(), expected);
    assert_eq!(contents(&archive([])).unwrap(), []);
}

#[test]
fn numbers_of_64_bits() {
    let mut plain = sample();
    let end = plain.len() - END_SIZE as usize;
    let record = plain.split_off(end);
    let mut large = [&END_64[..], &[0; 36]].concat();
    large.extend(number(&record[12..16]).to_le_bytes());
    large.extend(number(&record[16..20]).to_le_bytes());
    let locator = [&LOCATOR_64[..], &[0; 4], &(end as u64).to_le_bytes(), &[0; 4]].concat();
    let unknown = [&record[..12], &[0xff; 8], &record[20..]].concat();
    let bytes = [&plain[..], &large, &locator, &unknown].concat();
    assert_eq!(contents(&bytes).unwrap().len(), 2);
    let with_script = [&b"#!/bin/sh\n"[..], &bytes].concat();
    assert_eq!(contents(&with_script).unwrap().len(), 2);
}

#[test]
fn the_field_of_large_entries() {
    let field = [&[9, 0, 1, 0, 7][..], &[1, 0, 16, 0], &5_u64.to_le_bytes(), &6_u64.to_le_bytes()].concat();
    assert_eq!(wide(&field), &field[9..]);
    assert_eq!(wide(&field[..20]), b"");
    let mut record = Record { fixed: [0; ENTRY_SIZE], variable: field };
    record.fixed[20..28].copy_from_slice(&[0xff; 8]);
    record.fixed[30] = 25;
    let entry = record.entry("a", 3).unwrap();
    assert_eq!((entry.size, entry.compressed, entry.header), (5, 6, 3));
    record.fixed[42..46].copy_from_slice(&[0xff; 4]);
    assert_eq!(record.entry("a", 0), None);
}

#[test]
fn what_is_no_archive_or_damaged_is_refused() {
    assert!(matches!(contents(b""), Err(ZipError::NoEnd)));
    assert!(matches!(contents(&[b'x'; 100]), Err(ZipError::NoEnd)));
    let mut damaged = sample();
    let at = memchr::memmem::find(&damaged, ENTRY).unwrap();
    damaged[at] = b'X';
    assert!(matches!(contents(&damaged), Err(ZipError::Directory(place)) if place == at as u64));
    let mut encrypted = sample();
    encrypted[at + 8] = 1;
    assert!(matches!(contents(&encrypted), Err(ZipError::Method(name)) if name == "a.txt"));
    let too_long = archive([("bomb", vec![0; 65], true)]);
    assert!(matches!(contents(&too_long), Err(ZipError::Entry(name)) if name == "bomb"));
}

proptest! {
    #[test]
    fn no_byte_makes_it_panic(at in 0..200_usize, byte: u8, cut in 0..200_usize) {
        let mut bytes = sample();
        let length = bytes.len();
        bytes[at % length] = byte;
        let _ = contents(&bytes);
        let _ = contents(&bytes[..length - cut % length]);
    }
}
