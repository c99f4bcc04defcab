//! Packages in compiled programs and libraries: what Go and Rust write into them, and version strings of known programs.
//!
//! Sections and segments of ELF, PE and Mach-O are found once for all who look into them. A program may be hundreds of
//! megabytes: it is read in pieces, and what is held of it does not grow with it.

mod known;
mod object;
mod source;

use patchkit_core::Package;

use self::object::Format;
pub(super) use self::{
    object::{Object, Region},
    source::Source,
};
use super::{golang, rust};
use crate::inventory::{Candidate, Content, Detector, Problem};

/// The detector of what is in executables and shared libraries.
///
/// A file of such a format that is damaged has no packages: programs are cut off, compressed and padded in many ways,
/// and few are of a language that says anything.
#[derive(Debug)]
pub(super) struct Executables;

impl Detector for Executables {
    fn name(&self) -> &'static str {
        "executable"
    }

    fn wants(&self, file: &Candidate<'_>) -> bool {
        Format::of(file.head).is_some()
    }

    fn detect(&self, file: &Candidate<'_>, content: &Content) -> Result<Vec<Package>, Problem> {
        let mut reader = content.reader()?;
        let mut source = Source::new(&mut *reader, content.len());
        let mut packages = Vec::new();
        for object in object::read(&mut source)? {
            packages.extend(golang::embedded(&object, &mut source)?);
            packages.extend(rust::embedded(&object, &mut source)?);
        }
        packages.extend(known::guess(file.path, &mut source)?);
        Ok(distinct(packages))
    }
}

/// Each package once: the halves of a universal binary say the same.
fn distinct(mut packages: Vec<Package>) -> Vec<Package> {
    packages.sort_by(|a, b| a.purl.cmp(&b.purl));
    packages.dedup_by(|a, b| a.purl == b.purl);
    packages
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
