use std::io::{Cursor, Seek, Write};

use patchkit_core::{Presence, image::FilePath};
use proptest::prelude::*;

use super::{super::rust::tests::section, *};

/// What a program of Go 1.18 or later has in its section.
fn go_info() -> Vec<u8> {
    let modules = "path\texample.org/a\nmod\texample.org/a\tv1.0.0\th1:x\ndep\tgithub.com/x/y\tv0.2.0\n";
    let framed = [&[b'<'; 16][..], modules.as_bytes(), &[b'>'; 16]].concat();
    let mut bytes = [&b"\xff Go buildinf:\x08\x02"[..], &[0; 16]].concat();
    for text in [b"go1.22.3", &framed[..]] {
        if text.len() > 127 {
            bytes.push((text.len() & 0x7f) as u8 | 0x80);
        }
        bytes.push((if text.len() > 127 { text.len() >> 7 } else { text.len() }) as u8);
        bytes.extend(text);
    }
    bytes
}

const GO: [&str; 3] =
    ["pkg:golang/example.org/a@v1.0.0", "pkg:golang/github.com/x/y@v0.2.0", "pkg:golang/stdlib@1.22.3"];

/// How an ELF file has its numbers.
#[derive(Clone, Copy, Debug)]
struct Order {
    is_64: bool,
    little: bool,
}

impl Order {
    fn number(self, value: u64, size: usize) -> Vec<u8> {
        let bytes = value.to_le_bytes();
        let mut bytes = bytes[..size].to_vec();
        if !self.little {
            bytes.reverse();
        }
        bytes
    }

    fn word(self, value: u64) -> Vec<u8> {
        self.number(value, if self.is_64 { 8 } else { 4 })
    }
}

/// An ELF program: one segment of data, loaded at 0x10000, which has all that follows the header, and the sections.
fn elf(order: Order, sections: &[(&str, Vec<u8>)]) -> Vec<u8> {
    const START: u64 = 128;
    let (mut body, mut names) = (Vec::new(), vec![0]);
    let (half, word) = (|value: u64| order.number(value, 2), |value: u64| order.number(value, 4));
    let mut headers = vec![0; if order.is_64 { 64 } else { 40 }];
    let mut header = |name: usize, offset: u64, size: u64| {
        let fields = [
            word(name as u64),
            word(1),
            order.word(0),
            order.word(0x10000 + offset),
            order.word(offset),
            order.word(size),
        ];
        let rest = [word(0), word(0), order.word(16), order.word(0)];
        headers.extend(fields.concat());
        headers.extend(rest.concat());
    };
    for (name, content) in sections {
        header(names.len(), START + body.len() as u64, content.len() as u64);
        names.extend([name.as_bytes(), b"\0"].concat());
        body.extend(content);
        body.resize(body.len().next_multiple_of(16), 0);
    }
    header(0, START + body.len() as u64, names.len() as u64);
    body.extend(&names);
    let (table, entry) = (START + body.len() as u64, if order.is_64 { 64 } else { 40 });
    let segments: u64 = if order.is_64 { 64 } else { 52 };
    let ident =
        [b"\x7fELF", &[if order.is_64 { 2 } else { 1 }, if order.little { 1 } else { 2 }, 1][..], &[0; 9]].concat();
    let counts = [
        half(segments),
        half(if order.is_64 { 56 } else { 32 }),
        half(1),
        half(entry),
        half(sections.len() as u64 + 2),
        half(sections.len() as u64 + 1),
    ];
    let mut bytes = [
        ident,
        half(2),
        half(62),
        word(1),
        order.word(0),
        order.word(segments),
        order.word(table),
        word(0),
        counts.concat(),
    ]
    .concat();
    let (offset, address, size) = (order.word(START), order.word(0x10000 + START), order.word(body.len() as u64));
    let places = [offset, address.clone(), address, size.clone(), size].concat();
    bytes.extend(match order.is_64 {
        true => [word(1), word(6), places, order.word(16)].concat(),
        false => [word(1), places, word(6), order.word(16)].concat(),
    });
    bytes.resize(START as usize, 0);
    [bytes, body, headers].concat()
}

const ORDERS: [Order; 4] = [
    Order { is_64: true, little: true },
    Order { is_64: true, little: false },
    Order { is_64: false, little: true },
    Order { is_64: false, little: false },
];

fn detect(path: &str, content: &Content) -> Vec<Package> {
    let path = FilePath::new(path).unwrap();
    let mut head = content.reader().unwrap();
    let head = Source::new(&mut *head, content.len()).read(0, crate::inventory::HEAD).unwrap();
    let candidate = Candidate { path: &path, size: content.len(), head: &head };
    assert!(Executables.wants(&candidate));
    Executables.detect(&candidate, content).unwrap()
}

fn purls(path: &str, bytes: &[u8]) -> Vec<String> {
    let found = detect(path, &Content::Memory(bytes.to_vec().into()));
    found.into_iter().map(|package| package.purl.into()).collect()
}

#[test]
fn elf_of_every_kind() {
    let crates = section(r#"{"packages":[{"name":"a","version":"1.0.0"}]}"#);
    for order in ORDERS {
        let program =
            elf(order, &[(".text", vec![0xcc; 40]), (".go.buildinfo", go_info()), (".dep-v0", crates.clone())]);
        let expected = [&["pkg:cargo/a@1.0.0"], &GO[..]].concat();
        assert_eq!(purls("app", &program), expected, "{order:?}");
    }
}

#[test]
fn without_sections_the_data_is_searched() {
    for order in ORDERS {
        let program = elf(order, &[(".data", [vec![0; 64], go_info()].concat())]);
        assert_eq!(purls("app", &program), GO, "{order:?}");
        let unaligned = elf(order, &[(".data", [vec![0; 63], go_info()].concat())]);
        assert!(purls("app", &unaligned).is_empty());
    }
}

#[test]
fn before_go_1_18_it_has_addresses() {
    for order in ORDERS {
        let size = if order.is_64 { 8 } else { 4 };
        let at = 0x10000 + 128_u64;
        let modules = "path\texample.org/a\nmod\texample.org/a\tv1.0.0\ndep\tgithub.com/x/y\tv0.2.0\n";
        let framed = [&[b'<'; 16][..], modules.as_bytes(), &[b'>'; 16]].concat();
        let strings =
            [order.word(at + 64), order.word(7), order.word(at + 80), order.word(framed.len() as u64)].concat();
        let header = [&b"\xff Go buildinf:"[..], &[size, u8::from(!order.little)]].concat();
        let mut data = [header, order.word(at + 32), order.word(at + 32 + 2 * u64::from(size))].concat();
        data.resize(32, 0);
        data.extend(strings);
        data.resize(64, 0);
        data.extend(b"go1.17.\0\0\0\0\0\0\0\0\0");
        data.extend(framed);
        let expected = [GO[0], GO[1], "pkg:golang/stdlib@1.17."];
        assert_eq!(purls("app", &elf(order, &[(".go.buildinfo", data)])), expected, "{order:?}");
    }
}

#[test]
fn a_large_program_is_read_from_its_file() {
    let mut program = elf(ORDERS[0], &[(".go.buildinfo", go_info())]);
    program.resize(4 << 20, 0);
    program.extend(b"\0BusyBox v1.36.1 (x)\0");
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&program).unwrap();
    file.rewind().unwrap();
    let found = detect("bin/busybox", &Content::Spooled(file, program.len() as u64));
    let shown: Vec<_> = found.iter().map(|package| (package.purl.as_str(), package.presence)).collect();
    assert_eq!(shown[0], ("pkg:generic/busybox@1.36.1", Presence::Guessed));
    assert_eq!(shown[1], (GO[0], Presence::Installed));
    assert_eq!(shown.len(), 4);
}

#[test]
fn what_is_no_program_is_not_looked_at() {
    let java_class = b"\xca\xfe\xba\xbe\0\0\0\x34\0\x1d";
    let relocatable = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x01\0";
    for head in [&java_class[..], relocatable, b"#!/bin/sh\n", b"MZ", b"\x7fELF", b""] {
        assert_eq!(Format::of(head), None, "{head:?}");
    }
    assert_eq!(Format::of(b"\xca\xfe\xba\xbe\0\0\0\x02"), Some(Format::Universal));
}

proptest! {
    #[test]
    fn no_byte_makes_it_panic(at in 0..2000_usize, bytes in prop::collection::vec(any::<u8>(), 1..9), kind in 0..4_usize) {
        let mut program = elf(ORDERS[kind], &[(".go.buildinfo", go_info()), (".dep-v0", section("{}"))]);
        let at = 18 + at % (program.len() - 18);
        let length = bytes.len().min(program.len() - at);
        program[at..at + length].copy_from_slice(&bytes[..length]);
        let _ = purls("busybox", &program);
    }

    #[test]
    fn no_other_format_makes_it_panic(magic in 0..4_usize, rest in prop::collection::vec(prop_oneof![0..64_u8, any::<u8>()], 64..600)) {
        let magic: &[u8] = [&b"MZ"[..], b"\xcf\xfa\xed\xfe", b"\xfe\xed\xfa\xce", b"\xca\xfe\xba\xbe\0\0\0\x02"][magic];
        let program = [magic, &rest].concat();
        let _ = object::read(&mut Source::new(&mut Cursor::new(&program), program.len() as u64)).unwrap();
    }
}
