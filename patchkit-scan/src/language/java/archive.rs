//! Archives of Java: what is in them by Maven's files, by their manifest, and by their name; and the archives in them.
//!
//! An archive is the artifact whose `pom.properties` matches its file name; others beside it were shaded into it and are
//! listed too. The location of one in another is `app/x.jar:BOOT-INF/lib/y.jar`.

use std::{collections::BTreeMap, io::Read};

use patchkit_core::{Package, Presence};

use super::{
    artifact, group,
    identity::{self, FileName},
    manifest::Manifest,
    pom::{self, Coordinates},
    zip::{self, Entry, Opened, ZipError},
};
use crate::inventory::{Candidate, Content, Detector, Problem, ReadSeek};

/// The endings of Java's archives.
const ENDINGS: [&str; 10] = ["ear", "hpi", "jar", "jpi", "kar", "lpkg", "nar", "par", "sar", "war"];

const MANIFEST: &str = "META-INF/MANIFEST.MF";
const MAVEN: &str = "META-INF/maven/";

/// How deep archives are in one another: a jar in a war in an ear is the third.
const MAX_DEPTH: usize = 5;

/// The most bytes that are unpacked of one file of an image, all archives in it together.
const MAX_UNPACKED: u64 = 2 << 30;

/// What an entry costs at least of those, so that a million empty ones are too many.
const MIN_COST: u64 = 4 << 10;

/// The most bytes of a manifest or of one of Maven's files.
const MAX_TEXT: u64 = 1 << 20;

/// The detector of what is in Java's archives.
///
/// A damaged archive in a sound one is passed over, with a message in the log: it is not what the image runs, or would
/// not run.
#[derive(Debug)]
pub(in crate::language) struct Archives;

impl Detector for Archives {
    fn name(&self) -> &'static str {
        "java-archive"
    }

    fn wants(&self, file: &Candidate<'_>) -> bool {
        // One that starts itself has a script before the archive.
        let is_archive = file.head.starts_with(b"PK") || file.head.starts_with(b"#!");
        is_archive && file.path.to_str().is_some_and(has_ending)
    }

    fn detect(&self, file: &Candidate<'_>, content: &Content) -> Result<Vec<Package>, Problem> {
        let mut survey = Survey { packages: Vec::new(), budget: MAX_UNPACKED };
        let path = file.path.to_string();
        survey.archive(&mut *content.reader()?, &path, 1)?;
        Ok(survey.packages)
    }
}

fn has_ending(name: &str) -> bool {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    ENDINGS.iter().any(|known| known.eq_ignore_ascii_case(ending))
}

/// What was found so far in a file of the image.
struct Survey {
    packages: Vec<Package>,
    /// How many bytes may still be unpacked.
    budget: u64,
}

impl Survey {
    /// Looks into an archive at a location, and into those in it.
    fn archive(&mut self, reader: &mut dyn ReadSeek, location: &str, depth: usize) -> Result<(), ZipError> {
        let entries = zip::entries(reader, is_wanted)?;
        let own = self.own(reader, &entries)?;
        for mut package in own.packages(&FileName::of(location)) {
            package.locations.insert(location.into());
            self.packages.push(package);
        }
        let nested = entries.iter().filter(|entry| has_ending(&entry.name));
        for entry in nested.filter(|_| depth < MAX_DEPTH) {
            let location = format!("{location}:{}", entry.name);
            if let Err(error) = self.nested(reader, entry, &location, depth) {
                tracing::warn!(location, %error, "an archive in an archive cannot be read");
            }
        }
        Ok(())
    }

    /// The texts that say what the archive itself is.
    fn own(&mut self, reader: &mut dyn ReadSeek, entries: &[Entry]) -> Result<Description, ZipError> {
        let mut description = Description::default();
        for entry in entries.iter().filter(|entry| !has_ending(&entry.name)) {
            self.spend(entry.cost().max(MIN_COST))?;
            let bytes = entry.read(reader, MAX_TEXT)?;
            description.add(&entry.name, &String::from_utf8_lossy(&bytes));
        }
        Ok(description)
    }

    /// Looks into an archive in another: a stored one where it lies, a compressed one after unpacking it.
    fn nested(
        &mut self,
        outer: &mut dyn ReadSeek,
        entry: &Entry,
        location: &str,
        depth: usize,
    ) -> Result<(), ZipError> {
        self.spend(entry.cost().max(MIN_COST))?;
        entry.open(outer, |opened| match opened {
            Opened::Stored(mut window) => self.archive(&mut window, location, depth + 1),
            Opened::Inflating(content) => {
                let content = Content::read(content.take(entry.size), entry.size)?;
                self.archive(&mut *content.reader()?, location, depth + 1)
            }
        })?
    }

    fn spend(&mut self, cost: u64) -> Result<(), ZipError> {
        self.budget = self.budget.checked_sub(cost).ok_or(ZipError::TooLarge)?;
        Ok(())
    }
}

/// Whether an entry matters: `pom.properties` wherever it lies, as in the classes of a web application, but `pom.xml` only
/// where Maven puts it: elsewhere it is an example or a template.
fn is_wanted(name: &str) -> bool {
    let is_project = name.starts_with(MAVEN) && name.ends_with("/pom.xml");
    is_project || name.ends_with("/pom.properties") || name.eq_ignore_ascii_case(MANIFEST) || has_ending(name)
}

/// What an archive says of itself.
#[derive(Debug, Default)]
struct Description {
    manifest: Option<Manifest>,
    /// Maven's files by their folder: `pom.properties` and `pom.xml`.
    poms: BTreeMap<String, (Coordinates, Coordinates)>,
}

impl Description {
    fn add(&mut self, name: &str, text: &str) {
        let Some((folder, file)) = name.rsplit_once('/') else { return };
        match file {
            "pom.properties" => self.poms.entry(folder.into()).or_default().0 = pom::properties(text),
            "pom.xml" => self.poms.entry(folder.into()).or_default().1 = pom::project(text),
            _ => self.manifest = Some(Manifest::parse(text)),
        }
    }

    /// The packages: the archive's own, and those that were shaded into it.
    fn packages(&self, file: &FileName) -> Vec<Package> {
        // An agent's instrumentation of a library has the library's coordinates, but not the library.
        if self.manifest.as_ref().is_some_and(|manifest| manifest.main("Weave-Classes").is_some()) {
            return Vec::new();
        }
        let coordinates: Vec<Coordinates> = self.poms.values().map(joined).filter(Coordinates::is_whole).collect();
        let main = coordinates.iter().position(|found| is_main(found, file, &coordinates));
        let shaded = coordinates.iter().filter_map(|found| {
            let group = if found.group.is_empty() { &found.artifact } else { &found.group };
            artifact(&group::clean(group), &found.artifact, &found.version, Presence::Installed)
        });
        let mut packages: Vec<Package> = shaded.collect();
        if main.is_none() {
            packages.extend(self.guess(file).filter(|guess| !is_among(guess, &coordinates)));
        }
        packages
    }

    /// What the archive is by its manifest and file name.
    fn guess(&self, file: &FileName) -> Option<Package> {
        let none = Manifest::default();
        let manifest = self.manifest.as_ref().unwrap_or(&none);
        let name = identity::artifact(manifest, file)?;
        let version = identity::version(manifest, file)?;
        let named = self.poms.values().map(joined).find(|found| found.artifact == name && !found.group.is_empty());
        match named.map(|found| found.group).or_else(|| group::of(&name, manifest)) {
            Some(group) => artifact(&group, &name, &version, Presence::Installed),
            None => artifact(&name, &name, &version, Presence::Guessed),
        }
    }
}

/// The coordinates of `pom.properties`, or, where it lacks some, of the `pom.xml` beside it.
fn joined((properties, project): &(Coordinates, Coordinates)) -> Coordinates {
    let or = |own: &str, other: &str| if own.is_empty() { other.to_owned() } else { own.to_owned() };
    Coordinates {
        group: or(&properties.group, &project.group),
        artifact: or(&properties.artifact, &project.artifact),
        version: or(&properties.version, &project.version),
    }
}

/// Whether these are the coordinates of the archive itself: the artifact that its file is called after or, where there is
/// none, one that the name is part of.
fn is_main(found: &Coordinates, file: &FileName, all: &[Coordinates]) -> bool {
    let (name, artifact) = (file.name.as_str(), found.artifact.as_str());
    match all.iter().any(|other| other.artifact == name) {
        true => artifact == name,
        false => !name.is_empty() && (artifact.starts_with(name) || name.ends_with(artifact)),
    }
}

/// Whether an artifact of the same name is already known by better evidence.
fn is_among(guess: &Package, known: &[Coordinates]) -> bool {
    let name = guess.name.as_str().rsplit_once(':').map_or("", |(_, name)| name);
    known.iter().any(|found| found.artifact == name)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
