//! Packages of programming languages, from lock files and from what is installed: one module an ecosystem.
//!
//! A lock file says what was asked for, so its packages are [`Declared`](patchkit_core::Presence::Declared); metadata
//! that lies with a package's files makes it installed. What a lock file marks as for development only is left out: an
//! image is not where it is used, and if it was installed after all, the installed metadata says so. Left out, too, are
//! links, workspaces and folders beside the project: they are no published packages. The project itself is added where
//! it has a version.

mod binary;
mod cocoapods;
mod conan;
mod dart;
mod dotnet;
mod files;
mod golang;
mod hex;
mod java;
mod npm;
#[cfg(test)]
mod oracle;
mod package;
mod php;
mod python;
mod ruby;
mod rust;
mod swift;
mod text;

use std::io::Read;

use patchkit_core::{Package, image::FilePath};

use self::files::LanguageFiles;
use crate::inventory::{Candidate, Content, Detector, HEAD, Problem};

/// The ecosystems whose files are known by their names.
static LANGUAGES: [&LanguageFiles; 10] = [
    &cocoapods::FILES,
    &conan::FILES,
    &dart::FILES,
    &dotnet::FILES,
    &hex::FILES,
    &npm::FILES,
    &php::FILES,
    &python::FILES,
    &ruby::FILES,
    &swift::FILES,
];

/// A detector for each kind of file that is known.
pub(crate) fn detectors() -> Vec<Box<dyn Detector>> {
    let mut detectors: Vec<Box<dyn Detector>> = vec![
        Box::new(binary::Executables),
        Box::new(golang::GoMod),
        Box::new(java::GradleLockfile),
        Box::new(java::Archives),
        Box::new(java::Runtimes),
        Box::new(rust::CargoLock),
    ];
    detectors.extend(LANGUAGES.into_iter().map(|files| Box::new(files) as Box<dyn Detector>));
    detectors
}

/// The packages that all detectors find in one file of the given length.
pub(crate) fn detect(path: &FilePath, content: impl Read, size: u64) -> Result<Vec<Package>, Problem> {
    let content = Content::read(content, size)?;
    let mut head = Vec::new();
    content.reader()?.take(HEAD as u64).read_to_end(&mut head)?;
    let file = Candidate { path, size, head: &head };
    let mut packages = Vec::new();
    for detector in detectors().iter().filter(|detector| detector.wants(&file)) {
        packages.extend(detector.detect(&file, &content)?);
    }
    Ok(packages)
}

/// Reads content as a file of one of the kinds: the first byte tells which. What a fuzz target calls.
pub(crate) fn read_any(data: &[u8]) {
    let kinds: Vec<_> =
        LANGUAGES.into_iter().flat_map(|files| files.kinds.iter().map(move |kind| (files, kind))).collect();
    if let Some((first, content)) = data.split_first() {
        let (files, kind) = kinds[usize::from(*first) % kinds.len()];
        let _ = files.read(kind, content);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    /// Lock files in short, to be broken.
    const SAMPLES: [&str; 6] = [
        "{\"packages\": {\"node_modules/a\": {\"version\": \"1.0.0\"}, \"\": [{}], \"requires\": [\"a/1@b\"]}}",
        "packages:\n  '/@a/b@1.0.0(c@1)': {version: \"1\"}\n  a: &a [*a]\n---\nx: |\n  y\n",
        "[[package]]\nname = \"a\"\nversion = \"1\"\nsource = { editable = \".\" }\n[package.x]\ny.z = [1, '']\n",
        "\"a@npm:b@^1\", c@2:\n  version \"1.0\"\n? x\n:\n  resolution: \"@é@npm:1\"\n",
        "PODS:\n  - a/b (1)\n  specs:\n    a (1-x)\nName: a\nVersion: 1\na[b]==1 \\\n",
        "{:hex, :\"a\", \"1\"}{pkg,<<\"a\">>,<<\"1\">>}\n s.name = 'a'\n s.version = Gem::Version.new('1')\n",
    ];

    proptest! {
        #[test]
        fn broken_files_are_never_a_panic(
            kind in 0_u8..64,
            sample in proptest::sample::select(&SAMPLES[..]),
            edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_usize..3), 0..8),
        ) {
            let mut data = sample.as_bytes().to_vec();
            for (at, byte, how) in edits {
                let at = at.index(data.len() + 1);
                match how {
                    0 => data.insert(at, byte),
                    1 => data.truncate(at),
                    _ => data[at..].iter_mut().take(1).for_each(|old| *old = byte),
                }
            }
            data.insert(0, kind);
            super::read_any(&data);
        }
    }
}
