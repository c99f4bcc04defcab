//! The smallest program there is, to see whether a runtime runs anything.

use std::time::Duration;

use patchkit_core::{
    Command, Context, Error, Exit, Image, Layer, Limits, Result, RuntimeExt,
    image::{Compression, FilePath, LayerWriter, Metadata},
};

use super::oci::OciRuntime;

/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) async fn run(runtime: &OciRuntime, cx: &Context) -> Result<()> {
    let limits = Limits { time: Some(PATIENCE), ..Limits::default() };
    let command = Command { args: vec!["/true".into()], limits, ..Command::default() };
    let outcome = runtime.run(&image(cx)?, &command, cx).await?;
    match outcome.exit {
        Exit::Code(0) => Ok(()),
        exit => {
            let said = String::from_utf8_lossy(&outcome.stderr).trim().to_owned();
            Err(Error::unexpected(format!("a program that does nothing ended with {exit:?}: {said}")))
        }
    }
}

/// An image of this machine's kind with a program that ends at once, with status 0.
fn image(cx: &Context) -> Result<Image> {
    let (architecture, machine, code): (_, u16, &[u8]) = match std::env::consts::ARCH {
        // mov $231, %eax (exit_group); xor %edi, %edi; syscall
        "x86_64" => ("amd64", 62, &[0xb8, 0xe7, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05]),
        // mov x0, #0; mov x8, #94 (exit_group); svc #0
        "aarch64" => ("arm64", 183, &[0, 0, 0x80, 0xd2, 0xc8, 0x0b, 0x80, 0xd2, 1, 0, 0, 0xd4]),
        other => return Err(Error::unsupported(format!("there is no program to probe with for {other}"))),
    };
    let platform = format!("linux/{architecture}").parse().expect("both are names");
    Image::of_layers(&platform, vec![layer(&program(machine, code), cx)?])
}

fn layer(program: &[u8], cx: &Context) -> Result<Layer> {
    let mut layer = LayerWriter::new(Compression::None, cx)?;
    let metadata = Metadata { mode: 0o755, ..Metadata::default() };
    let path = FilePath::new("true").expect("it is a name");
    layer.file(&path, &metadata, program.len() as u64, &mut &program[..])?;
    layer.finish()
}

/// A static program: a header, one segment, and the code (System V ABI, "ELF header", "Program header").
fn program(machine: u16, code: &[u8]) -> Vec<u8> {
    const BASE: u64 = 0x40_0000;
    const HEADERS: u64 = 64 + 56;
    let size = HEADERS + code.len() as u64;
    let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    // Executable, machine, version.
    elf.extend([&2_u16.to_le_bytes()[..], &machine.to_le_bytes(), &1_u32.to_le_bytes()].concat());
    // Entry, segments at 64, no sections, no flags.
    [BASE + HEADERS, 64, 0].iter().for_each(|number| elf.extend(number.to_le_bytes()));
    elf.extend([0; 4]);
    [64_u16, 56, 1, 64, 0, 0].iter().for_each(|number| elf.extend(number.to_le_bytes()));
    // Loaded, to be read and executed: all of the file.
    [1_u32, 5].iter().for_each(|number| elf.extend(number.to_le_bytes()));
    [0, BASE, BASE, size, size, 0x1000].iter().for_each(|number: &u64| elf.extend(number.to_le_bytes()));
    elf.extend(code);
    elf
}
