//! `updateinfo.xml`, the list of updates in a repository of rpm packages: Amazon, AlmaLinux, Rocky, Fedora.
//!
//! Read are security updates, and others that name a CVE. Whose release an update is for is told by its own words (the
//! release, or the collection of packages), at Amazon by its id. Amazon's extras (`ALAS2POSTGRESQL14-…`) bring versions
//! of their own of what Amazon Linux 2 has as well: such an update only speaks of versions from the extra's on, where it
//! has a number. Source: the documents themselves; createrepo_c's updateinfo.

use std::{collections::BTreeSet, io::BufRead, sync::Arc};

use jiff::civil::Date;
use patchkit_core::AdvisoryId;

use super::{
    Advisory, AdvisoryError, End, Range, Scope, Status,
    budget::check_pairs,
    platform,
    rating::severity_of_word,
    rpm::{Build, Builds, evr, stream_in_title},
    title,
    xml::{Element, records},
};

/// Reads a document and gives out an advisory for each CVE and each package of each update.
///
/// # Errors
/// [`AdvisoryError`] with the line; also where no update says which distribution it is for.
pub fn read(input: impl BufRead, sink: &mut dyn FnMut(Advisory)) -> Result<(), AdvisoryError> {
    let (mut unknown, mut known) = (0_usize, 0_usize);
    records(input, 2, |_, element| {
        if element.name != "update" {
            return Ok(());
        }
        let update = Update::parse(&element)?;
        match update.scope() {
            Some(scope) => {
                known += 1;
                update.give(&scope, sink)
            }
            None => {
                unknown += usize::from(update.is_security());
                Ok(())
            }
        }
    })?;
    match (unknown, known) {
        (1.., 0) => {
            let message = format!("none of the {unknown} updates says which distribution's release it is for");
            Err(AdvisoryError::syntax(1, message))
        }
        _ => Ok(()),
    }
}

struct Update<'a> {
    element: &'a Element,
    id: AdvisoryId,
}

impl<'a> Update<'a> {
    fn parse(element: &'a Element) -> Result<Self, String> {
        let id = element.child_text("id").parse().map_err(|error| format!("{error}"))?;
        Ok(Self { element, id })
    }

    fn is_security(&self) -> bool {
        self.element.attribute("type") == Some("security")
    }

    fn scope(&self) -> Option<Scope> {
        if let Some((release, _)) = amazon(self.id.as_str()) {
            return Some(Scope::new("amzn", Some(release)));
        }
        let told =
            [self.element.child_text("release")].into_iter().chain(self.collections().map(|c| c.child_text("name")));
        let shorts = self.collections().filter_map(|collection| collection.attribute("short"));
        told.chain(shorts).find_map(platform::of_name).map(|platform| platform.scope)
    }

    fn collections(&self) -> impl Iterator<Item = &'a Element> {
        self.element.children_of("pkglist").flat_map(|list| list.children_of("collection"))
    }

    fn give(&self, scope: &Scope, sink: &mut dyn FnMut(Advisory)) -> Result<(), String> {
        let cves = self.cves();
        let ids: Vec<AdvisoryId> = match cves.is_empty() {
            true if self.is_security() => vec![self.id.clone()],
            _ => cves.into_iter().collect(),
        };
        if ids.is_empty() {
            return Ok(());
        }
        let source: Arc<str> = format!("{}-updateinfo", scope.ecosystem()).into();
        let urgency = severity_of_word(self.element.child_text("severity"));
        let date = self.element.child("issued").and_then(|issued| issued.attribute("date")).and_then(date);
        let told = [self.element.child_text("summary"), self.element.child_text("title")];
        let heading = told.into_iter().find_map(title).filter(|_| ids.len() == 1);
        check_pairs(ids.len(), self.collections().map(|collection| collection.children.len()).sum())?;
        for (build, architectures) in self.builds(scope)?.finish() {
            for id in &ids {
                let advisory = Advisory::new(
                    id.clone(),
                    build.scope.clone(),
                    build.package.clone(),
                    build.status.clone(),
                    &source,
                );
                sink(Advisory {
                    bulletins: Some(&self.id).filter(|own| *own != id).cloned().into_iter().collect(),
                    urgency,
                    architectures: architectures.clone(),
                    module: build.module.clone(),
                    title: heading.clone(),
                    date,
                    ..advisory
                });
            }
        }
        Ok(())
    }

    /// The CVEs that the references name; where none does, those that the description names.
    fn cves(&self) -> BTreeSet<AdvisoryId> {
        let references = self.element.children_of("references").flat_map(|list| list.children_of("reference"));
        let words = references.flat_map(|reference| [reference.attribute("id"), reference.attribute("title")]);
        let named: BTreeSet<_> = words.flatten().flat_map(cves_in).collect();
        match named.is_empty() {
            true => cves_in(self.element.child_text("description")).collect(),
            false => named,
        }
    }

    fn builds(&self, scope: &Scope) -> Result<Builds, String> {
        let extra = amazon(self.id.as_str()).map_or("", |(_, extra)| extra);
        let mut builds = Builds::default();
        for collection in self.collections() {
            let module = collection.child("module").and_then(|module| {
                Some(Arc::from(format!("{}:{}", module.attribute("name")?, module.attribute("stream")?)))
            });
            for package in collection.children_of("package") {
                let get = |name: &str| package.attribute(name).unwrap_or_default();
                let fixed = evr(get("epoch"), get("version"), get("release"));
                let stream = module.clone().or_else(|| stream_in_title(self.element.child_text("title"), &fixed));
                let name = get("name").parse().map_err(|error| format!("{}: {error}", self.id))?;
                if get("version").is_empty() || fixed.contains(char::is_whitespace) {
                    return Err(format!("{}: {name} has no version", self.id));
                }
                let from = start_of_extra(extra, get("version"));
                let status = Status::Affected(vec![Range { from, end: End::Fixed(fixed) }]);
                let build = Build { scope: scope.clone(), module: stream, package: name, status };
                builds.add(build, package.attribute("arch"));
            }
        }
        Ok(builds)
    }
}

/// The release of Amazon Linux that an id is of, and the extra: of `ALAS2KERNEL-5.15-2022-001` `2` and `KERNEL-5.15`.
fn amazon(id: &str) -> Option<(&'static str, &str)> {
    let rest = id.strip_prefix("ALAS")?;
    let (release, rest) = match rest {
        _ if rest.starts_with("2022") => ("2022", &rest[4..]),
        _ if rest.starts_with("2023") => ("2023", &rest[4..]),
        _ if rest.starts_with('2') => ("2", &rest[1..]),
        _ if rest.starts_with('-') => ("2018.03", rest),
        _ => return None,
    };
    // The year and the number come last.
    let extra = rest.rsplitn(3, '-').nth(2).unwrap_or_default();
    Some((release, extra))
}

/// The first version that an extra brings, where its name says so: of `POSTGRESQL14` it is `14`.
fn start_of_extra(extra: &str, version: &str) -> Option<Arc<str>> {
    let at = extra.rfind(|c: char| !c.is_ascii_digit() && c != '.').map_or(0, |at| at + 1);
    let number = extra[at..].trim_matches('.');
    let rest = version.strip_prefix(number).filter(|_| !number.is_empty())?;
    (rest.is_empty() || rest.starts_with('.')).then(|| number.into())
}

/// The ids of CVEs in a text.
pub(super) fn cves_in(text: &str) -> impl Iterator<Item = AdvisoryId> + '_ {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    words.filter(|word| word.starts_with("CVE-")).filter_map(|word| word.parse().ok()).filter(AdvisoryId::is_cve)
}

/// The day that a time starts with: `2011-09-27 22:46`.
pub(super) fn date(text: &str) -> Option<Date> {
    text.trim().get(..10)?.parse().ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn update(head: &str, packages: &str) -> String {
        format!(
            "<updates><update type='security'>{head}<pkglist><collection short='x'><name>x</name>{packages}</collection></pkglist></update></updates>"
        )
    }

    fn shown(text: &str) -> Result<Vec<String>, AdvisoryError> {
        let mut found = Vec::new();
        read(text.as_bytes(), &mut |a| {
            let module = a.module.as_deref().unwrap_or("-");
            let Status::Affected(ranges) = &a.status else { unreachable!() };
            let end = ranges[0].end.version().unwrap();
            let from = ranges[0].from.as_deref().unwrap_or("");
            let archs = a.architectures.join(",");
            found.push(format!("{} {} {} {from}..{end} {module} [{archs}] {}", a.scope, a.id, a.package, a.urgency));
        })?;
        Ok(found)
    }

    #[test]
    fn an_update_is_for_its_release() {
        let package = "<package name='nodejs' epoch='1' version='18.1' release='2.module+el9' arch='x86_64'/>";
        let cve = "<references><reference id='CVE-2024-1001' type='cve'/></references>";
        for (head, expected) in [
            (
                "<id>RLSA-2024:1</id><release>Rocky Linux 9</release><title>Moderate: nodejs:18 security update</title>",
                "rocky 9 CVE-2024-1001 nodejs ..1:18.1-2.module+el9 nodejs:18 [] unknown",
            ),
            (
                "<id>ALAS2-2024-1</id><severity>important</severity>",
                "amzn 2 CVE-2024-1001 nodejs ..1:18.1-2.module+el9 - [] high",
            ),
            ("<id>ALAS2NODEJS18-2024-1</id>", "amzn 2 CVE-2024-1001 nodejs 18..1:18.1-2.module+el9 - [] unknown"),
            ("<id>ALAS2023-2024-1</id>", "amzn 2023 CVE-2024-1001 nodejs ..1:18.1-2.module+el9 - [] unknown"),
            ("<id>ALAS-2024-1</id>", "amzn 1 CVE-2024-1001 nodejs ..1:18.1-2.module+el9 - [] unknown"),
        ] {
            assert_eq!(shown(&update(&format!("{head}{cve}"), package)).unwrap(), [expected]);
        }
    }

    #[test]
    fn extras_start_with_their_number() {
        assert_eq!(start_of_extra("KERNEL-5.15", "5.15.57").as_deref(), Some("5.15"));
        assert_eq!(start_of_extra("POSTGRESQL14", "14.5").as_deref(), Some("14"));
        assert_eq!(start_of_extra("POSTGRESQL14", "1.2").as_deref(), None);
        assert_eq!(start_of_extra("DOCKER", "20.10").as_deref(), None);
        assert_eq!(amazon("ALAS2KERNEL-5.15-2022-001"), Some(("2", "KERNEL-5.15")));
        assert_eq!(amazon("ALAS2LIVEPATCH-2022-001"), Some(("2", "LIVEPATCH")));
        assert_eq!(amazon("ALSA-2022:1"), None);
    }

    #[test]
    fn cves_are_also_found_in_words() {
        let head = "<id>FEDORA-2024-1</id><release>Fedora 40</release><description>Fixes (CVE-2024-1001, CVE-2024-1002).</description>";
        let package = "<package name='a' version='1' release='1' arch='noarch'/>";
        assert_eq!(shown(&update(head, package)).unwrap().len(), 2);
        let head = "<id>FEDORA-2024-1</id><release>Fedora 40</release>";
        assert_eq!(shown(&update(head, package)).unwrap(), ["fedora 40 FEDORA-2024-1 a ..1-1 - [] unknown"]);
    }

    #[test]
    fn damage_is_named() {
        let fail = |text: &str| shown(text).unwrap_err().to_string();
        assert!(fail(&update("<id>X-1</id>", "")).contains("none of the 1 updates says which distribution"));
        assert!(fail(&update("<id>a b</id>", "")).contains("advisory id"));
        assert!(fail(&update("<id>ALAS2-2024-1</id>", "<package name='a'/>")).contains("a has no version"));
        assert!(fail("<updates><update>").contains("the input ends within <update>"));
    }
}
