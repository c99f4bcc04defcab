//! `gradle.lockfile`: the artifacts that a Gradle build resolved to.
//!
//! Source: Gradle's manual, "Locking versions": a line `group:artifact:version=configuration,configuration` each, comments
//! with `#`, and `empty=` for the configurations without any.

use patchkit_core::{Package, Presence};
use thiserror::Error;

use super::artifact;
use crate::inventory::{Candidate, Content, Detector, Problem};

/// The detector of `gradle.lockfile`, and of `buildscript-gradle.lockfile`, which has the build's own plugins.
#[derive(Debug)]
pub(in crate::language) struct GradleLockfile;

impl Detector for GradleLockfile {
    fn name(&self) -> &'static str {
        "gradle.lockfile"
    }

    fn wants(&self, file: &Candidate<'_>) -> bool {
        file.path.file_name().is_some_and(|name| name.ends_with(b"gradle.lockfile"))
    }

    fn detect(&self, _: &Candidate<'_>, content: &Content) -> Result<Vec<Package>, Problem> {
        Ok(parse(content.text()?)?)
    }
}

/// A line of a lock file that names no artifact.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("line {line}: not group:artifact:version=configurations")]
struct ParseGradleError {
    line: usize,
}

fn parse(text: &str) -> Result<Vec<Package>, ParseGradleError> {
    let mut packages = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') || line.starts_with("empty=") {
            continue;
        }
        packages.push(locked(line).ok_or(ParseGradleError { line: index + 1 })?);
    }
    Ok(packages)
}

fn locked(line: &str) -> Option<Package> {
    let coordinates = line.split('=').next()?;
    let mut parts = coordinates.split(':');
    let (group, name, version) = (parts.next()?, parts.next()?, parts.next()?);
    parts.next().is_none().then(|| artifact(group, name, version, Presence::Declared))?
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_line_an_artifact() {
        let text = "# This is a Gradle generated file.\njoda-time:joda-time:2.2=compileClasspath,runtimeClasspath\n\
                    \norg.apache.commons:commons-text:1.8=compileClasspath\r\nempty=annotationProcessor\n";
        let found = parse(text).unwrap();
        let shown: Vec<_> = found.iter().map(|package| (package.purl.as_str(), package.name.as_str())).collect();
        let expected = [
            ("pkg:maven/joda-time/joda-time@2.2", "joda-time:joda-time"),
            ("pkg:maven/org.apache.commons/commons-text@1.8", "org.apache.commons:commons-text"),
        ];
        assert_eq!(shown, expected);
        assert!(found.iter().all(|package| package.presence == Presence::Declared));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for text in ["\na:b=c", "# x\na:b:1:2=c", "\nwhat", "\na:b:=c"] {
            assert_eq!(parse(text), Err(ParseGradleError { line: 2 }), "{text}");
        }
    }
}
