//! The security database of distributions that use apk: for each package, the versions that fix something.
//!
//! Alpine publishes one document for each release and repository, in YAML up to 3.11 and in JSON since; Wolfi,
//! Chainguard and MinimOS one for all they have. The version `0` says that no version ever had the vulnerability. An
//! entry may name several things (`CVE-2019-17349 XSA-295`), and carry remarks in parentheses. Source: the
//! documents themselves; apk's build recipes (`secfixes` in APKBUILD), which they are made of.

use std::{collections::BTreeMap, io::Read};

use patchkit_core::{AdvisoryId, PackageName};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    Advisory, AdvisoryError, End, Scope, Status,
    input::{MAX_RECORD, broken},
    json,
};

#[derive(Deserialize)]
struct Entry {
    pkg: Package,
}

#[derive(Deserialize)]
struct Package {
    name: PackageName,
    /// The ids by the version that fixes them; `null` for a version without any.
    #[serde(default)]
    secfixes: Option<BTreeMap<String, Option<Vec<String>>>>,
}

#[derive(Deserialize)]
struct Document {
    #[serde(flatten)]
    header: Map<String, Value>,
    packages: Option<Vec<Entry>>,
}

/// Reads the JSON form piece by piece and gives out an advisory for each id in each version of each package.
///
/// # Errors
/// [`AdvisoryError`] with the line; also where the distribution is not told before the packages.
pub fn read(input: impl Read, sink: &mut dyn FnMut(Advisory)) -> Result<(), AdvisoryError> {
    let mut scope = None;
    json::elements(input, "packages", |header, entry: Entry| {
        let scope = match &scope {
            Some(scope) => scope,
            None => scope.insert(distribution(header)?),
        };
        entry.pkg.give(scope, sink)
    })
}

/// Reads the YAML form, whose documents are small.
///
/// # Errors
/// As [`read`].
pub fn read_yaml(input: impl Read, sink: &mut dyn FnMut(Advisory)) -> Result<(), AdvisoryError> {
    let mut text = String::new();
    input.take(MAX_RECORD).read_to_string(&mut text).map_err(broken)?;
    let document: Document = serde_saphyr::from_str(&text).map_err(|error| {
        let line = error.location().and_then(|at| usize::try_from(at.line()).ok());
        AdvisoryError::syntax(line.unwrap_or(1), error.without_snippet())
    })?;
    let fail = |message: String| AdvisoryError::syntax(1, message);
    let scope = distribution(&document.header).map_err(fail)?;
    document.packages.unwrap_or_default().iter().try_for_each(|entry| entry.pkg.give(&scope, sink)).map_err(fail)
}

/// Whether bytes start with the YAML form.
pub(super) fn is_yaml(start: &[u8]) -> bool {
    let mut lines = start.split(|byte| *byte == b'\n').take(8);
    lines.any(|line| line.starts_with(b"distroversion:"))
}

/// Whose database it is. Only Alpine's has releases; the others are told apart by where their packages are.
fn distribution(header: &Map<String, Value>) -> Result<Scope, String> {
    let text = |key: &str| header.get(key).and_then(Value::as_str).unwrap_or_default();
    if let release @ [_, ..] = text("distroversion").as_bytes() {
        let release = std::str::from_utf8(release).unwrap_or_default();
        return Ok(Scope::new("alpine", Some(release.strip_prefix('v').unwrap_or(release))));
    }
    let places = text("urlprefix").split(['/', '.', ':']).chain([text("reponame")]);
    let known = |word: &str| match word {
        "cgr" | "chainguard" => Some("chainguard"),
        "mini" | "minimos" => Some("minimos"),
        "wolfi" => Some("wolfi"),
        _ => None,
    };
    let id = places.filter_map(known).next().ok_or("what distribution it is of is not told before the packages")?;
    Ok(Scope::new(id, None))
}

impl Package {
    fn give(&self, scope: &Scope, sink: &mut dyn FnMut(Advisory)) -> Result<(), String> {
        let source = format!("{}-secdb", scope.ecosystem());
        for (version, lines) in self.secfixes.iter().flatten() {
            let status = status(version).map_err(|error| format!("{}: {error}", self.name))?;
            for line in lines.iter().flatten() {
                for (id, bulletins) in ids(line) {
                    let advisory = Advisory::new(id, scope.clone(), self.name.clone(), status.clone(), &source);
                    sink(Advisory { bulletins, ..advisory });
                }
            }
        }
        Ok(())
    }
}

fn status(version: &str) -> Result<Status, String> {
    let version = version.trim();
    match version {
        "0" => Ok(Status::NotAffected),
        "" => Err("a fixed version is empty".into()),
        _ if version.contains(char::is_whitespace) => Err(format!("version {version:?} has a space in it")),
        _ => Ok(Status::up_to(End::Fixed(version.into()))),
    }
}

/// The vulnerabilities that a line names, each with the announcements named beside it. Where there is no CVE, the
/// announcements stand for what they announce; they may be about several, so that they are no other names of one.
fn ids(line: &str) -> Vec<(AdvisoryId, Vec<AdvisoryId>)> {
    let line = line.split('(').next().unwrap_or_default();
    let words = line.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';'));
    let (cves, others): (Vec<_>, Vec<_>) = words.filter_map(id).partition(AdvisoryId::is_cve);
    match cves.is_empty() {
        true => others.into_iter().map(|id| (id, Vec::new())).collect(),
        false => cves.into_iter().map(|id| (id, others.clone())).collect(),
    }
}

/// A word as an id, some of whose mistakes are known: `CVE_2019-2426`, `CVE-2017-2616.patch`, `CVE-????-?????`.
fn id(word: &str) -> Option<AdvisoryId> {
    let word = word.trim_matches(['.', ':', '"', '\'']);
    let word = word.strip_suffix(".patch").unwrap_or(word).replacen("CVE_", "CVE-", 1);
    let named = word.contains('-') && word.contains(|c: char| c.is_ascii_digit()) && !word.contains('?');
    word.parse().ok().filter(|_| named)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn shown(read: impl FnOnce(&mut dyn FnMut(Advisory)) -> Result<(), AdvisoryError>) -> Vec<String> {
        let mut found = Vec::new();
        read(&mut |a| {
            let others: Vec<_> = a.bulletins.iter().map(AdvisoryId::as_str).collect();
            found.push(format!("{} {} {} {:?} {}", a.scope, a.package, a.id, a.status, others.join(",")));
        })
        .unwrap();
        found
    }

    const FIXES: &str = r#"{"0": ["CVE-2019-1001"], "4.10-r2": ["CVE-2019-1002  XSA-1", "XSA-2", "CVE-????-????? XSA-3"],
        "4.11-r0": ["CVE-2019-1003 (BGP)", "CVE_2019-1004", "none"], "4.12-r0": null}"#;

    #[test]
    fn json_and_yaml_say_the_same() {
        let header = r#""reponame": "main", "distroversion": "v3.10""#;
        let text = format!(r#"{{{header}, "packages": [{{"pkg": {{"name": "xen", "secfixes": {FIXES}}}}}]}}"#);
        let expected = [
            "alpine 3.10 xen CVE-2019-1001 NotAffected ",
            "alpine 3.10 xen CVE-2019-1002 Affected([Range { from: None, end: Fixed(\"4.10-r2\") }]) XSA-1",
            "alpine 3.10 xen XSA-2 Affected([Range { from: None, end: Fixed(\"4.10-r2\") }]) ",
            "alpine 3.10 xen XSA-3 Affected([Range { from: None, end: Fixed(\"4.10-r2\") }]) ",
            "alpine 3.10 xen CVE-2019-1003 Affected([Range { from: None, end: Fixed(\"4.11-r0\") }]) ",
            "alpine 3.10 xen CVE-2019-1004 Affected([Range { from: None, end: Fixed(\"4.11-r0\") }]) ",
        ];
        assert_eq!(shown(|sink| read(text.as_bytes(), sink)), expected);
        let yaml = "---\ndistroversion: v3.10\npackages:\n  - pkg:\n      name: xen\n      secfixes:\n        0:\n          \
                    - CVE-2019-1001\n        4.10-r2:\n          - CVE-2019-1002  XSA-1\n";
        assert!(is_yaml(yaml.as_bytes()));
        assert_eq!(shown(|sink| read_yaml(yaml.as_bytes(), sink)), expected[..2]);
    }

    #[test]
    fn distributions_are_told_apart() {
        for (header, scope) in [
            (r#""distroversion": "edge""#, "alpine edge"),
            (r#""reponame": "os", "urlprefix": "https://packages.wolfi.example.org""#, "wolfi"),
            (r#""reponame": "chainguard", "urlprefix": "https://example.org""#, "chainguard"),
        ] {
            let text = format!(
                r#"{{{header}, "packages": [{{"pkg": {{"name": "a", "secfixes": {{"1": ["CVE-2019-1001"]}}}}}}]}}"#
            );
            let found = shown(|sink| read(text.as_bytes(), sink));
            assert!(found[0].starts_with(&format!("{scope} a CVE-2019-1001")), "{found:?}");
        }
    }

    #[test]
    fn damage_is_named_with_its_line() {
        let fail = |text: &str| read(text.as_bytes(), &mut |_| ()).unwrap_err();
        let error = fail("{\"distroversion\": \"v3.1\",\n\"packages\": [{\"pkg\": {\"name\": \"a b\"}}]}");
        assert_eq!(error.line(), Some(2));
        assert!(fail(r#"{"packages": [{"pkg": {"name": "a"}}]}"#).to_string().contains("is not told before"));
        assert!(fail(r#"{"distroversion": "v3.1", "packages": ["#).line().is_some());
        let error = read_yaml("distroversion: v3.1\npackages:\n  - pkg:\n      name: [\n".as_bytes(), &mut |_| ());
        assert!(error.unwrap_err().line().is_some());
    }
}
