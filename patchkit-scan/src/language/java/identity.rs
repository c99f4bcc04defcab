//! What an archive is, by its file's name and its manifest, when Maven's files do not say.
//!
//! The order of what is asked is syft's, so that both name the same thing alike.

use std::sync::LazyLock;

use regex::Regex;

use super::manifest::Manifest;

/// Name and version in a file name without its ending; what is not there is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FileName {
    pub(super) name: String,
    pub(super) version: String,
}

/// What a version starts with: a digit, `build` and a digit, or it is `r` or `rc` and digits and no more.
const VERSION: &str = r"(?:[0-9].*|build[0-9]+.*|rc?[0-9]+)";

/// `name-1.2.3`, where each part of the name starts with a letter; and `name_1.2.3` or `name.1.2.3`.
static DASHED: LazyLock<Regex> = LazyLock::new(|| pattern(&format!("^(?<name>{NAME}?)(?:-(?<version>{VERSION}))?$")));
static JOINED: LazyLock<Regex> = LazyLock::new(|| pattern(&format!("[._-](?<version>{VERSION})$")));
const NAME: &str = r"[[:alpha:]][[:word:].]*(?:-[[:alpha:]][[:word:].]*)*-?";

fn pattern(text: &str) -> Regex {
    Regex::new(&format!("(?is){text}")).expect("a constant pattern")
}

impl FileName {
    /// Takes the name of a file, with the folders and archives before it.
    pub(super) fn of(path: &str) -> Self {
        let file = path.rsplit_once(['/', ':']).map_or(path, |(_, file)| file);
        let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
        let Some((name, version)) = dashed(stem) else { return Self::default() };
        if version.is_empty()
            && let Some(found) = JOINED.captures(name).and_then(|captures| captures.name("version"))
        {
            return Self { name: name[..found.start() - 1].into(), version: found.as_str().into() };
        }
        Self { name: name.into(), version: version.into() }
    }

    /// The artifact: where the name looks like group and artifact with points between them, its last part.
    fn artifact(&self) -> &str {
        let is_identifier = |part: &str| part.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '$');
        match self.name.rsplit_once('.') {
            Some((_, last)) if !self.name.starts_with("org.eclipse.") && self.name.split('.').all(is_identifier) => {
                last
            }
            _ => &self.name,
        }
    }
}

fn dashed(stem: &str) -> Option<(&str, &str)> {
    let captures = DASHED.captures(stem)?;
    let part = |name| captures.name(name).map_or("", |found| found.as_str());
    Some((part("name"), part("version")))
}

/// The artifact that an archive is.
pub(super) fn artifact(manifest: &Manifest, file: &FileName) -> Option<String> {
    let of_file = Some(file.artifact()).filter(|name| !name.is_empty());
    let keys = ["Name", "Bundle-Name", "Short-Name", "Extension-Name", "Implementation-Title"];
    let found = bundle(manifest).or(of_file).or_else(|| keys.iter().find_map(|key| manifest.main(key)))?;
    Some(found.to_owned())
}

/// The last part of the symbolic name that the Maven plugin for OSGi bundles makes of group and artifact, unless it is
/// the group alone.
fn bundle(manifest: &Manifest) -> Option<&str> {
    manifest.main("Created-By").filter(|tool| tool.contains("Apache Maven Bundle Plugin"))?;
    let name = manifest.main("Bundle-SymbolicName")?;
    let is_group = manifest.main("Implementation-Vendor-Id") == Some(name);
    (!is_group).then(|| name.rsplit_once('.').map_or(name, |(_, last)| last)).filter(|last| !last.is_empty())
}

/// The version that an archive has.
pub(super) fn version(manifest: &Manifest, file: &FileName) -> Option<String> {
    let keys = ["Implementation-Version", "Specification-Version", "Plugin-Version", "Bundle-Version"];
    let of_file = Some(file.version.as_str()).filter(|version| !version.is_empty());
    let found = of_file.or_else(|| keys.iter().find_map(|key| manifest.any(key)))?;
    Some(found.to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn name_and_version_of_a_file() {
        for (path, name, version) in [
            ("lib/commons-lang3-3.12.0.jar", "commons-lang3", "3.12.0"),
            ("my-http2-server-5.jar", "my-http2-server", "5"),
            ("wagon-webdav-1.0.2-rc1-hudson.jar", "wagon-webdav", "1.0.2-rc1-hudson"),
            ("guava-31.1-jre.jar", "guava", "31.1-jre"),
            ("jetpack-build235-rc5.jar", "jetpack", "build235-rc5"),
            ("ironman-r4.jar", "ironman", "r4"),
            ("activation-api.jar", "activation-api", ""),
            ("some_1.2.3.jar", "some", "1.2.3"),
            ("prefix.thing-4.jar", "prefix.thing", "4"),
            (
                "netty-transport-native-epoll-4.1.100.Final-linux-x86_64.jar",
                "netty-transport-native-epoll",
                "4.1.100.Final-linux-x86_64",
            ),
            ("app.war:lib.jar:core-1.jar", "core", "1"),
            ("0.jar", "", ""),
            ("a+b.jar", "", ""),
            ("", "", ""),
        ] {
            let expected = FileName { name: name.into(), version: version.into() };
            assert_eq!(FileName::of(path), expected, "{path}");
        }
    }

    #[test]
    fn an_artifact_among_points() {
        let artifact = |path| FileName::of(path).artifact().to_owned();
        assert_eq!(artifact("javax.json-1.1.jar"), "json");
        assert_eq!(artifact("org.eclipse.core.runtime-3.0.jar"), "org.eclipse.core.runtime");
        assert_eq!(artifact("scala_2.13.jar"), "scala");
        assert_eq!(artifact("jackson-core-2.15.2.jar"), "jackson-core");
    }

    #[test]
    fn the_manifest_has_what_the_file_name_does_not() {
        let bundle = "Created-By: Apache Maven Bundle Plugin\nBundle-SymbolicName: org.a.b\n";
        let other = "Bundle-Name: The B\nPlugin-Version: 3\nBundle-Version: 4\n";
        for (text, path, name, found) in [
            (bundle, "c-1.jar", Some("b"), Some("1")),
            (&*format!("{bundle}Implementation-Vendor-Id: org.a.b\n"), "c-1.jar", Some("c"), Some("1")),
            (other, "c.jar", Some("c"), Some("3")),
            (other, "+.jar", Some("The B"), Some("3")),
            ("", "+.jar", None, None),
        ] {
            let (manifest, file) = (Manifest::parse(text), FileName::of(path));
            assert_eq!(artifact(&manifest, &file).as_deref(), name, "{text} {path}");
            assert_eq!(version(&manifest, &file).as_deref(), found, "{text} {path}");
        }
    }
}
