//! The smallest programs that greet: static ELF files for Linux, without a library or a linker.
//!
//! Source: the ELF-64 object file format; the system calls of Linux on x86-64 and arm64.

/// Header and the one program header.
const HEADERS: usize = 64 + 56;
/// Where the file is loaded.
const BASE: u64 = 0x40_0000;
/// The largest page of any kernel for these architectures.
const PAGE: u64 = 0x1_0000;

/// A program for `amd64` or `arm64` that prints a text of less than 64 KiB, and ends with status 0.
pub(super) fn printing(text: &str, architecture: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).expect("a short text");
    let (machine, code) = match architecture {
        "arm64" => (183, arm64(length)),
        _ => (62, amd64(length)),
    };
    let mut file = headers(machine, (HEADERS + code.len() + text.len()) as u64);
    file.extend(code);
    file.extend(text.bytes());
    file
}

/// `write(1, text, length); exit(0)`, the text right behind the code.
fn amd64(length: u16) -> Vec<u8> {
    let [low, high] = length.to_le_bytes();
    #[rustfmt::skip]
    let code = vec![
        0xb8, 1, 0, 0, 0,             // mov eax, 1 (write)
        0xbf, 1, 0, 0, 0,             // mov edi, 1 (standard output)
        0x48, 0x8d, 0x35, 16, 0, 0, 0, // lea rsi, [rip + 16] (the text)
        0xba, low, high, 0, 0,        // mov edx, length
        0x0f, 0x05,                   // syscall
        0xb8, 60, 0, 0, 0,            // mov eax, 60 (exit)
        0x31, 0xff,                   // xor edi, edi
        0x0f, 0x05,                   // syscall
    ];
    code
}

/// As [`amd64`].
fn arm64(length: u16) -> Vec<u8> {
    let code: [u32; 8] = [
        0xd280_0020,                            // mov x0, 1 (standard output)
        0x1000_00e1,                            // adr x1, 28 bytes on (the text)
        0xd280_0002 | (u32::from(length) << 5), // mov x2, length
        0xd280_0808,                            // mov x8, 64 (write)
        0xd400_0001,                            // svc 0
        0xd280_0000,                            // mov x0, 0
        0xd280_0ba8,                            // mov x8, 93 (exit)
        0xd400_0001,                            // svc 0
    ];
    code.iter().flat_map(|instruction| instruction.to_le_bytes()).collect()
}

/// The file's header, and one segment that is all of it, readable and executable.
fn headers(machine: u16, size: u64) -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    let half = |value: u16, bytes: &mut Vec<u8>| bytes.extend(value.to_le_bytes());
    half(2, &mut bytes); // an executable
    half(machine, &mut bytes);
    bytes.extend(1_u32.to_le_bytes());
    for word in [BASE + HEADERS as u64, 64, 0] {
        bytes.extend(word.to_le_bytes()); // entry, program headers, section headers
    }
    bytes.extend(0_u32.to_le_bytes());
    for value in [64, 56, 1, 64, 0, 0] {
        half(value, &mut bytes); // sizes and numbers of the headers
    }
    bytes.extend(1_u32.to_le_bytes()); // loaded
    bytes.extend(5_u32.to_le_bytes()); // readable, executable
    for word in [0, BASE, BASE, size, size, PAGE] {
        bytes.extend(word.to_le_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_have_their_lengths() {
        assert_eq!(headers(62, 200).len(), HEADERS);
        assert_eq!((amd64(1).len(), arm64(1).len()), (33, 32));
    }

    #[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
    #[test]
    fn the_program_greets() {
        use std::os::unix::fs::PermissionsExt;

        let architecture = if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        std::fs::write(&path, printing("hello there\n", architecture)).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let output = std::process::Command::new(path).output().unwrap();
        assert!(output.status.success());
        assert_eq!(output.stdout, b"hello there\n");
    }
}
