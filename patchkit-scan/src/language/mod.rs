//! Packages of programming languages, from lock files and from what is installed: one module an ecosystem.

mod binary;
mod golang;
mod java;
mod package;
mod rust;

use std::io::Read;

use patchkit_core::{Package, image::FilePath};

use crate::inventory::{Candidate, Content, Detector, HEAD, Problem};

/// A detector for each kind of file that is known.
pub(crate) fn detectors() -> Vec<Box<dyn Detector>> {
    vec![
        Box::new(binary::Executables),
        Box::new(golang::GoMod),
        Box::new(java::GradleLockfile),
        Box::new(java::Archives),
        Box::new(java::Runtimes),
        Box::new(rust::CargoLock),
    ]
}

/// The packages that all detectors find in one file of the given length.
pub(crate) fn detect(path: &FilePath, content: impl Read, size: u64) -> Result<Vec<Package>, Problem> {
    let content = Content::read(content, size)?;
    let mut head = Vec::new();
    content.reader()?.take(HEAD as u64).read_to_end(&mut head)?;
    let file = Candidate { path, size, mode: 0o644, head: &head };
    let mut packages = Vec::new();
    for detector in detectors().iter().filter(|detector| detector.wants(&file)) {
        packages.extend(detector.detect(&file, &content)?);
    }
    Ok(packages)
}
