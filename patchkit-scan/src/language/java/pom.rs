//! What Maven puts into an archive: `pom.properties` and `pom.xml` in `META-INF/maven/<group>/<artifact>`.
//!
//! Of `pom.xml` only the project's own coordinates are read, which it may have from its parent; one that needs more than
//! that (a property, a parent that is not there) gives nothing.

use std::collections::BTreeMap;

/// The coordinates of an artifact; what is not known is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Coordinates {
    pub(super) group: String,
    pub(super) artifact: String,
    pub(super) version: String,
}

impl Coordinates {
    /// Whether artifact and version are known, without which there is no package.
    pub(super) fn is_whole(&self) -> bool {
        !self.artifact.is_empty() && !self.version.is_empty()
    }
}

/// Reads a `pom.properties`: lines `key=value`, or with a colon.
pub(super) fn properties(text: &str) -> Coordinates {
    let mut found = Coordinates::default();
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with(['#', '!'])) {
        let Some((key, value)) = line.split_once(['=', ':']) else { continue };
        let value = value.trim().trim_start_matches(['=', ':']).trim();
        match key.trim() {
            "artifactId" => found.artifact = value.into(),
            "groupId" => found.group = value.into(),
            "version" => found.version = value.into(),
            _ => {}
        }
    }
    found
}

/// Reads the coordinates of a `pom.xml`.
pub(super) fn project(text: &str) -> Coordinates {
    let values = Values::read(text);
    let own = |name: &str| values.resolved(&format!("project/{name}"));
    let inherited = |name: &str| match values.0.contains_key(&format!("project/{name}")) {
        true => own(name),
        false => values.resolved(&format!("project/parent/{name}")),
    };
    Coordinates {
        group: inherited("groupId").unwrap_or_default(),
        artifact: own("artifactId").unwrap_or_default(),
        version: inherited("version").unwrap_or_default(),
    }
}

/// The texts of the elements that matter, by their path.
struct Values(BTreeMap<String, String>);

/// How deep elements are that matter, and how deep a document may be.
const DEEPEST: usize = 3;
const MAX_DEPTH: usize = 1024;

impl Values {
    /// A document that is not well-formed is read up to there.
    fn read(text: &str) -> Self {
        let (mut values, mut path) = (BTreeMap::new(), Vec::<&str>::new());
        let mut rest = text;
        while let Some((content, after)) = rest.split_once('<') {
            if (2..=DEEPEST).contains(&path.len()) && !content.trim().is_empty() {
                values.entry(path.join("/")).or_insert_with(|| content.trim().to_owned());
            }
            let Some((tag, after)) = markup(after) else { break };
            rest = after;
            match tag {
                Tag::Close => {
                    path.pop();
                }
                Tag::Open(name) if path.len() < MAX_DEPTH => path.push(name),
                Tag::Open(_) => break,
                Tag::Other => {}
            }
        }
        Self(values)
    }

    /// A text, where it has no property but a project's own of `properties`, or its version.
    fn resolved(&self, path: &str) -> Option<String> {
        let text = self.0.get(path)?;
        let Some(name) = text.strip_prefix("${").and_then(|text| text.strip_suffix('}')) else {
            return (!text.contains("${")).then(|| text.clone());
        };
        let known = match name {
            "project.groupId" | "pom.groupId" => "project/groupId".into(),
            "project.parent.groupId" => "project/parent/groupId".into(),
            "project.parent.version" => "project/parent/version".into(),
            "project.version" | "pom.version" => "project/version".into(),
            _ => format!("project/properties/{name}"),
        };
        self.0.get(&known).filter(|text| !text.contains("${")).cloned()
    }
}

enum Tag<'a> {
    Close,
    Open(&'a str),
    /// A comment, a declaration, an element without content.
    Other,
}

/// What follows a `<`, and the rest of the text.
fn markup(text: &str) -> Option<(Tag<'_>, &str)> {
    for (start, end) in [("!--", "-->"), ("![CDATA[", "]]>"), ("?", "?>"), ("!", ">")] {
        if let Some(inner) = text.strip_prefix(start) {
            return inner.split_once(end).map(|(_, rest)| (Tag::Other, rest));
        }
    }
    let (inner, rest) = text.split_once('>')?;
    let name = inner.split(|c: char| c.is_whitespace() || c == '/').next().unwrap_or_default();
    let tag = match () {
        () if inner.starts_with('/') => Tag::Close,
        () if inner.ends_with('/') => Tag::Other,
        () => Tag::Open(name),
    };
    Some((tag, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn coordinates(group: &str, artifact: &str, version: &str) -> Coordinates {
        Coordinates { group: group.into(), artifact: artifact.into(), version: version.into() }
    }

    #[test]
    fn properties_with_equals_and_colons() {
        let expected = coordinates("org.a", "b", "1.0");
        assert_eq!(properties("#Created by Maven\r\nversion=1.0\r\ngroupId=org.a\r\nartifactId=b\r\n"), expected);
        assert_eq!(properties("version:1.0\ngroupId: org.a\nartifactId := b\nother=x"), expected);
        assert_eq!(properties(""), Coordinates::default());
    }

    #[test]
    fn a_project_inherits_from_its_parent() {
        let text = "<?xml version=\"1.0\"?>\n<!-- <project><version>0</version> -->\n<project xmlns=\"x\">\n<parent>\
                    <groupId>org.a</groupId><artifactId>parent</artifactId><version>3</version></parent>\
                    <artifactId> b </artifactId><dependencies><dependency><artifactId>no</artifactId>\
                    <version>9</version></dependency></dependencies><packaging/></project>";
        assert_eq!(project(text), coordinates("org.a", "b", "3"));
    }

    #[test]
    fn only_simple_properties_are_resolved() {
        let pom = |version: &str| {
            let text = format!(
                "<project><groupId>g</groupId><artifactId>a</artifactId><version>{version}</version>\
                 <properties><revision>1.5</revision><deep>${{x}}</deep></properties></project>"
            );
            project(&text).version
        };
        assert_eq!(pom("1"), "1");
        assert_eq!(pom("${revision}"), "1.5");
        assert_eq!(pom("${revision}${changelist}"), "");
        assert_eq!(pom("${deep}"), "");
        assert_eq!(pom("${none}"), "");
        let parent = "<project><parent><version>3</version></parent><version>${none}</version></project>";
        assert_eq!(project(parent).version, "");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(<|>|/|project|version|!--|--|[?]|[$][{]|[}]|ä| )*") {
            let _ = (project(&text), properties(&text));
        }
    }
}
