//! The built-in container runtime as a program of its own.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    patchkit_oci::runtime::builtin::main(std::env::args_os().skip(1))
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    eprintln!("patchkit-container: containers need Linux");
    ExitCode::from(125)
}
