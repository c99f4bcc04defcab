use patchkit_core::ErrorKind;

use super::*;

/// What runs these tests: a real file, which the machine's linker has just loaded.
fn own() -> Vec<u8> {
    let path = std::env::current_exe().unwrap();
    std::fs::read(path).unwrap()
}

#[test]
fn reads_itself() {
    let elf = Elf::parse(&own()).unwrap();
    assert_eq!(elf.kind, ElfKind::Program);
    assert!(elf.interpreter.unwrap().contains("/ld-"));
    assert!(elf.needed.iter().any(|name| name.starts_with("libc.so")), "{:?}", elf.needed);
    assert!(elf.symbols.iter(&elf.versions).any(|symbol| !symbol.defined && symbol.name == "malloc"));
}

/// Only the part of the file that a linker reads, so that every byte of it matters.
fn dynamic_part() -> Vec<u8> {
    let mut file = own();
    let elf = parse(&file).unwrap();
    assert!(elf.imports().count() > 10);
    // Without code and debug information: what is read lies in the first pages and in the dynamic section.
    file.truncate(file.len().min(64 << 20));
    file
}

#[test]
fn no_damage_is_a_crash() {
    let file = dynamic_part();
    for length in (0..file.len().min(4096)).step_by(7) {
        let _ = parse(&file[..length]);
    }
    let mut damaged = file;
    // The program headers, and what follows them.
    for at in 0..2048.min(damaged.len()) {
        for bit in [0x01, 0x80] {
            damaged[at] ^= bit;
            let _ = header(&damaged).and_then(|(bytes, header)| segments(&bytes, &header).map(drop));
            if at % 61 == 0 || at < 64 {
                let _ = parse(&damaged);
            }
            damaged[at] ^= bit;
        }
    }
}

#[test]
fn a_fault_has_its_place() {
    let file = own();
    let error = Elf::parse(&file[..100]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.message().contains(" at 0x"), "{error}");
    let mut other = file[..64].to_vec();
    other[4] = 9;
    assert_eq!(Elf::parse(&other).unwrap_err().message(), "the class at 0x4 makes no sense");
}

/// An object file and a core dump have nothing for a linker.
#[test]
fn what_is_not_loaded_is_static() {
    let mut file = own();
    file[16] = if file[5] == 1 { 1 } else { 0 };
    file[17] = if file[5] == 1 { 0 } else { 1 };
    assert_eq!(Elf::parse(&file).unwrap().kind, ElfKind::Static);
}

/// The header of a 32-bit file with the most significant byte first, and its one segment, the interpreter's name.
#[test]
fn other_widths_and_orders() {
    let mut file = b"\x7fELF\x01\x02\x01".to_vec();
    file.resize(16, 0);
    for half in [2_u16, 20] {
        file.extend(half.to_be_bytes());
    }
    for word in [1_u32, 0, 52, 0, 0] {
        file.extend(word.to_be_bytes());
    }
    for half in [52_u16, 32, 1, 0, 0, 0] {
        file.extend(half.to_be_bytes());
    }
    for word in [INTERP, 84, 0, 0, 9, 9, 0, 0] {
        file.extend(word.to_be_bytes());
    }
    file.extend(b"/lib/a.1\0");
    let elf = Elf::parse(&file).unwrap();
    assert_eq!(elf.interpreter.as_deref(), Some("/lib/a.1"));
    assert_eq!(elf.abi, Abi { machine: 20, class: Class::Bits32, order: Order::Big });
    assert_eq!(parse(&file[..90]).unwrap_err(), Fault::Outside("the interpreter's name", 84));
}
