//! Hand-made archives: every compression, and every kind of damage.

use std::io::{Cursor, Read, Write};

use ::tar::{Builder, EntryType, Header};
use proptest::prelude::*;

use super::*;

/// An `ar` file of these members.
fn ar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = b"!<arch>\n".to_vec();
    for (name, content) in members {
        writeln!(bytes, "{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`", 0, 0, 0, "100644", content.len()).expect("memory");
        bytes.extend_from_slice(content);
        if content.len() % 2 == 1 {
            bytes.push(b'\n');
        }
    }
    bytes
}

fn header(kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(0o4755);
    header.set_uid(1);
    header.set_gid(2);
    header.set_mtime(1_700_000_000);
    header.set_size(size);
    header
}

/// A header with a name that no careful writer would put there.
fn raw_entry(name: &[u8], kind: EntryType, content: &[u8]) -> Vec<u8> {
    let mut header = header(kind, content.len() as u64);
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn tar_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (name, content) in files {
        builder.append_data(&mut header(EntryType::Regular, content.len() as u64), name, *content).expect("memory");
    }
    builder.into_inner().expect("memory")
}

fn ended(mut entries: Vec<u8>) -> Vec<u8> {
    entries.resize(entries.len() + 1024, 0);
    entries
}

fn control() -> Vec<u8> {
    tar_of(&[("control", b"Package: a\n"), ("postinst", b"#!/bin/sh\n")])
}

fn deb_with_data(data: &[u8]) -> Vec<u8> {
    ar(&[("debian-binary", b"2.0\n"), ("control.tar", &control()), ("data.tar", data)])
}

/// Reads everything there is: what a fuzz target calls.
fn read_all(bytes: &[u8]) -> Result<Vec<String>, DebError> {
    let mut deb = Deb::open(Cursor::new(bytes))?;
    deb.control_files()?;
    let mut data = deb.data()?;
    let mut seen = Vec::new();
    while let Some(mut entry) = data.next_entry()? {
        let mut content = Vec::new();
        let description = format!("{} {:?} {:o}", entry.path, entry.kind, entry.mode);
        if entry.read_to_end(&mut content).is_ok() {
            seen.push(format!("{description} {}", content.escape_ascii()));
        }
    }
    Ok(seen)
}

fn error_of(bytes: &[u8]) -> String {
    let error = read_all(bytes).expect_err("damaged");
    assert!(error.is_damage() || matches!(error.kind, DebErrorKind::Unsupported(_)), "{error}");
    error.to_string()
}

#[test]
fn every_compression() {
    let data = tar_of(&[("./usr/bin/x", b"content")]);
    for (extension, compressed) in [
        ("", data.clone()),
        (".gz", gzip(&data)),
        (".zst", zstd::encode_all(&data[..], 3).expect("memory")),
        (".xz", xz(&data, liblzma::stream::Stream::new_easy_encoder(6, liblzma::stream::Check::Crc64))),
        (
            ".lzma",
            xz(
                &data,
                liblzma::stream::Stream::new_lzma_encoder(&liblzma::stream::LzmaOptions::new_preset(6).expect("6")),
            ),
        ),
        (".bz2", bzip2(&data)),
    ] {
        let name = format!("data.tar{extension}");
        let deb = ar(&[("debian-binary", b"2.0\n"), ("control.tar", &control()), (&name, &compressed)]);
        assert_eq!(read_all(&deb).expect(extension), ["/usr/bin/x File { size: 7 } 4755 content"], "{name}");
        // Cut short, it must not read as a smaller package.
        let cut = ar(&[
            ("debian-binary", b"2.0\n"),
            ("control.tar", &control()),
            (&name, &compressed[..compressed.len() - 9]),
        ]);
        assert!(extension.is_empty() || read_all(&cut).is_err(), "{name}");
    }
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).and_then(|()| encoder.finish()).expect("memory")
}

fn bzip2(data: &[u8]) -> Vec<u8> {
    let mut encoder = ::bzip2::write::BzEncoder::new(Vec::new(), ::bzip2::Compression::fast());
    encoder.write_all(data).and_then(|()| encoder.finish()).expect("memory")
}

fn xz(data: &[u8], stream: Result<liblzma::stream::Stream, liblzma::stream::Error>) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new_stream(Vec::new(), stream.expect("sound options"));
    encoder.write_all(data).and_then(|()| encoder.finish()).expect("memory")
}

#[test]
fn members_that_are_skipped_and_names_with_a_slash() {
    let deb = ar(&[
        ("debian-binary/", b"2.1\nmore\n"),
        ("_gpgorigin", b"odd"),
        ("control.tar/", &control()),
        ("_x", b""),
        ("data.tar", &ended(Vec::new())),
        ("later", b""),
    ]);
    assert_eq!(read_all(&deb).expect("sound"), [""; 0]);
}

#[test]
fn layouts_that_are_refused() {
    let (control, data) = (control(), ended(Vec::new()));
    let version: (&str, &[u8]) = ("debian-binary", b"2.0\n");
    for (members, error) in [
        (vec![], "debian-binary is not the first member"),
        (vec![("control.tar", &control[..]), version], "debian-binary is not the first member"),
        (vec![version], "control.tar is missing"),
        (vec![version, ("control.tar", &control)], "data.tar is missing"),
        (vec![version, ("data.tar", &data)], "control.tar is not the first member"),
        (vec![version, ("control.tar", &control), ("x", b"")], "data.tar does not follow"),
        (vec![version, ("control.tar.rar", &control)], "member \"control.tar.rar\" is not supported"),
        (vec![("debian-binary", b"3.0\n")], "format version \"3.0\" is not supported"),
        (vec![("debian-binary", b"2.0")], "format version \"2.0\" is not supported"),
    ] {
        let found = error_of(&ar(&members));
        assert!(found.contains(error), "{found} instead of {error}");
    }
    assert!(error_of(b"#!/bin/sh\necho\n").contains("magic number is missing"));
}

#[test]
fn sizes_that_lie() {
    let sound = deb_with_data(&ended(Vec::new()));
    let field = 8 + 60 + 4 + 48;
    for (size, error) in [("9999999999", "runs past the end"), ("-1        ", "no number"), ("          ", "no number")]
    {
        let mut deb = sound.clone();
        deb[field..field + 10].copy_from_slice(size.as_bytes());
        assert!(error_of(&deb).contains(error));
    }
}

#[test]
fn every_truncation_is_noticed() {
    let deb = deb_with_data(&tar_of(&[("./a", b"content")]));
    for length in 0..deb.len() {
        assert!(read_all(&deb[..length]).is_err(), "cut to {length} of {}", deb.len());
    }
}

#[test]
fn paths_that_lead_elsewhere() {
    for (name, error) in [(&b"/etc/passwd"[..], "absolute"), (b"./../x", "\"..\""), (b"a\nb", "line feed")] {
        let data = ended(raw_entry(name, EntryType::Regular, b""));
        assert!(error_of(&deb_with_data(&data)).contains(error));
    }
}

#[test]
fn kinds_of_entries() {
    let mut builder = Builder::new(Vec::new());
    let long = format!("./usr/{}", "long/".repeat(60));
    for (kind, name, target) in [
        (EntryType::Directory, "./", ""),
        (EntryType::Symlink, "./s", "../anywhere"),
        (EntryType::Link, "./h", "./usr/f"),
        (EntryType::Symlink, &format!("{long}s"), &*long),
        (EntryType::Fifo, "./p", ""),
    ] {
        let mut header = header(kind, 0);
        if target.is_empty() {
            builder.append_data(&mut header, name, std::io::empty()).expect("memory");
        } else {
            builder.append_link(&mut header, name, target).expect("memory");
        }
    }
    let mut device = header(EntryType::Char, 0);
    device.set_device_major(1).and_then(|()| device.set_device_minor(3)).expect("gnu");
    builder.append_data(&mut device, "./null", std::io::empty()).expect("memory");
    let seen = read_all(&deb_with_data(&builder.into_inner().expect("memory"))).expect("sound");
    assert_eq!(seen.len(), 6);
    assert_eq!(seen[0], "/ Directory 4755 ");
    assert!(seen[1].starts_with("/s Symlink { target: [46, 46,"));
    assert_eq!(seen[2], "/h HardLink { target: /usr/f } 4755 ");
    assert!(seen[3].starts_with(&format!("/{}s Symlink", &long[2..])));
    assert_eq!(seen[5], "/null CharacterDevice { major: 1, minor: 3 } 4755 ");
}

#[test]
fn pax_records_are_read() {
    let mut builder = Builder::new(Vec::new());
    let records: [(&str, &[u8]); 4] = [
        ("SCHILY.xattr.security.capability", b"\x01\x00\n="),
        ("mtime", b"-1.5"),
        ("uid", b"3000000"),
        ("uname", b"you"),
    ];
    builder.append_pax_extensions(records).expect("memory");
    builder.append_data(&mut header(EntryType::Regular, 0), "ping", &b""[..]).expect("memory");
    let deb = deb_with_data(&builder.into_inner().expect("memory"));
    let mut deb = Deb::open(Cursor::new(deb)).expect("sound");
    let mut data = deb.data().expect("sound");
    let entry = data.next_entry().expect("sound").expect("one");
    assert_eq!((entry.uid, entry.gid, entry.mtime, &entry.user[..]), (3_000_000, 2, -2, &b"you"[..]));
    let xattr = Xattr { name: b"security.capability".to_vec(), value: b"\x01\x00\n=".to_vec() };
    assert_eq!(entry.xattrs, [xattr]);
}

#[test]
fn ambiguous_archives_are_refused() {
    let long = |name: &[u8]| raw_entry(b"././@LongLink", EntryType::GNULongName, name);
    let pax = |records: &[u8]| raw_entry(b"pax", EntryType::XHeader, records);
    let file = || raw_entry(b"a", EntryType::Regular, b"content");
    for (entries, error) in [
        (vec![long(b"b\0"), pax(b"10 path=c\n"), file()], "both the GNU and the PAX way"),
        (vec![long(b"b\0"), long(b"c\0"), file()], "two long names"),
        (vec![long(b"b\0c\0"), file()], "only NUL"),
        (vec![long(b"b\0")], "ends after a long name"),
        (vec![pax(b"10 path=b\n10 path=c\n"), file()], "given twice"),
        (vec![pax(b"10 path=b\n"), pax(b"10 path=c\n"), file()], "two PAX headers"),
        (vec![pax(b"10 size=0\n"), file()], "PAX size differs"),
        (vec![pax(b"99 path=b\n"), file()], "malformed"),
        (vec![raw_entry(b"g", EntryType::XGlobalHeader, b"10 path=b\n"), file()], "global PAX header is not supported"),
        (vec![raw_entry(b"a", EntryType::GNUSparse, b"")], "type \"S\" is not supported"),
        (vec![file(), vec![0; 1024], file()], "bytes follow the end"),
    ] {
        let found = error_of(&deb_with_data(&ended(entries.concat())));
        assert!(found.contains(error), "{found} instead of {error}");
    }
    let mut wrong = file();
    wrong[0] = b'b';
    assert!(error_of(&deb_with_data(&ended(wrong))).contains("checksum"));
    let huge = raw_entry(b"././@LongLink", EntryType::GNULongName, &vec![b'a'; 2 << 20]);
    assert!(error_of(&deb_with_data(&ended(huge))).contains("more than 1048576 bytes"));
}

#[test]
fn control_archives_that_are_refused() {
    for (control, error) in [
        (tar_of(&[("postinst", b"")]), "no file named control"),
        (tar_of(&[("control", b""), ("./control", b"")]), "given twice"),
        (tar_of(&[("control", b""), ("a/b", b"")]), "not a plain file at the top"),
    ] {
        let deb = ar(&[("debian-binary", b"2.0\n"), ("control.tar", &control), ("data.tar", &ended(Vec::new()))]);
        let found = error_of(&deb);
        assert!(found.starts_with("control.tar at byte") && found.contains(error), "{found}");
    }
}

#[test]
fn a_bomb_in_the_control_archive_is_bounded() {
    let zeros = vec![0; usize::try_from(MAX_CONTROL_LENGTH).expect("small") + 4096];
    let compressed = zstd::encode_all(&*ended(raw_entry(b"control", EntryType::Regular, &zeros)), 1).expect("memory");
    let deb = ar(&[("debian-binary", b"2.0\n"), ("control.tar.zst", &compressed), ("data.tar", b"")]);
    assert!(compressed.len() < 100_000);
    assert!(error_of(&deb).contains("longer than the limit"));
}

proptest! {
    #[test]
    fn changed_bytes_never_panic(at in 0usize..4000, byte: u8) {
        let mut deb = deb_with_data(&tar_of(&[("./a", b"content"), ("./b", b"")]));
        let at = at % deb.len();
        deb[at] = byte;
        let _ = read_all(&deb);
    }
}
