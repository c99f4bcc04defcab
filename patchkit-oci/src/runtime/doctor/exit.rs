//! The smallest image that can be run: a program of a few instructions, made here, that ends with status 42.

use patchkit_core::{
    Context, Error, Image, Result,
    image::{Compression, FilePath, LayerWriter, Metadata},
};

/// Where the program is in the image.
pub(super) const PROGRAM: &str = "/exit";

/// What it ends with.
pub(super) const STATUS: i32 = 42;

/// `exit(42)`: the number of the system call and its argument in registers, and the call.
const X86_64: &[u8] = &[0xbf, 42, 0, 0, 0, 0xb8, 60, 0, 0, 0, 0x0f, 0x05];
const AARCH64: &[u8] = &[0x40, 0x05, 0x80, 0xd2, 0xa8, 0x0b, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4];

/// Where the program is in memory.
const ADDRESS: u64 = 0x40_0000;

/// The image, for the machine that this runs on.
///
/// # Errors
/// [`Unsupported`](patchkit_core::ErrorKind::Unsupported) where the program is not known for it.
pub(super) fn image(cx: &Context) -> Result<Image> {
    let (platform, machine, code) = match std::env::consts::ARCH {
        "aarch64" => ("linux/arm64", 183, AARCH64),
        "x86_64" => ("linux/amd64", 62, X86_64),
        other => return Err(Error::unsupported(format!("no program to try on {other}"))),
    };
    let program = elf(machine, code);
    let path = FilePath::new(PROGRAM).expect("it has no odd component");
    let mut layer = LayerWriter::new(Compression::default(), cx)?;
    layer.file(&path, &Metadata { mode: 0o755, ..Metadata::default() }, program.len() as u64, &mut &program[..])?;
    Image::of_layers(&platform.parse().expect("it is a platform"), vec![layer.finish()?])
}

/// An executable of one segment (ELF-64, System V gABI chapters 4 and 5).
fn elf(machine: u16, code: &[u8]) -> Vec<u8> {
    const HEADER: u16 = 64;
    const SEGMENT: u16 = 56;
    let start = u64::from(HEADER + SEGMENT);
    let size = start + code.len() as u64;
    let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    let half = |elf: &mut Vec<u8>, values: &[u16]| values.iter().for_each(|value| elf.extend(value.to_le_bytes()));
    let word = |elf: &mut Vec<u8>, values: &[u32]| values.iter().for_each(|value| elf.extend(value.to_le_bytes()));
    let long = |elf: &mut Vec<u8>, values: &[u64]| values.iter().for_each(|value| elf.extend(value.to_le_bytes()));
    // An executable; where it begins, where its segments are listed, and that it has no sections.
    half(&mut elf, &[2, machine]);
    word(&mut elf, &[1]);
    long(&mut elf, &[ADDRESS + start, HEADER.into(), 0]);
    word(&mut elf, &[0]);
    half(&mut elf, &[HEADER, SEGMENT, 1, 0, 0, 0]);
    // All of the file is loaded, to be read and executed.
    word(&mut elf, &[1, 5]);
    long(&mut elf, &[0, ADDRESS, ADDRESS, size, size, 0x1000]);
    elf.extend_from_slice(code);
    elf
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_program_runs_and_ends_as_it_says() {
        let (machine, code) = if cfg!(target_arch = "aarch64") { (183, AARCH64) } else { (62, X86_64) };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("exit");
        std::fs::write(&path, elf(machine, code)).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(std::process::Command::new(&path).status().unwrap().code(), Some(STATUS));
    }
}
