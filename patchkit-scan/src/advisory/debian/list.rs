//! The security tracker's own lists, as its people edit them: `CVE/list`, `DSA/list`, `DLA/list`.
//!
//! A record is a header line and indented lines below it:
//!
//! ```text
//! CVE-2023-27534 (A path traversal vulnerability exists in …)
//!     - curl 7.88.1-7
//!     [bullseye] - curl 7.74.0-1.3+deb11u8
//!     [buster] - curl <no-dsa> (Minor issue)
//! ```
//!
//! A package line without a release is about unstable and says, for every release without a line of its own, from
//! which version on the package is free of it. Source: the security tracker's introduction, "Structure of the lists".

use std::io::BufRead;

use jiff::civil::{Date, date};
use md5::{Digest as _, Md5};
use patchkit_core::{AdvisoryId, PackageName, Severity};

use super::{BULLETINS, TRACKER, announcement_title, urgency, version};
use crate::advisory::{Advisory, AdvisoryError, End, Scope, Status, input::Lines, title};

/// Reads a list and gives out an advisory for each package line (of an announcement: for each of its CVEs too).
///
/// # Errors
/// [`AdvisoryError`] with the line that does not follow the lists' syntax.
pub fn read(input: impl BufRead, sink: &mut dyn FnMut(Advisory)) -> Result<(), AdvisoryError> {
    let mut lines = Lines::new(input);
    let mut record: Option<Record> = None;
    while let Some((number, line)) = lines.next()? {
        let fail = |message| AdvisoryError::syntax(number, message);
        if line.trim_ascii().is_empty() || is_editors(line) {
            continue;
        }
        if line.starts_with([' ', '\t']) {
            let Some(record) = &mut record else { return Err(fail("an indented line before the first record".into())) };
            record.annotate(line.trim_ascii()).map_err(fail)?;
            continue;
        }
        if let Some(done) = record.replace(Record::parse(line).map_err(fail)?) {
            done.give(sink);
        }
    }
    if let Some(last) = record {
        last.give(sink);
    }
    Ok(())
}

/// Whether bytes start with a record of a list.
pub(in crate::advisory) fn is_header(bytes: &[u8]) -> bool {
    let lines = bytes.split(|byte| *byte == b'\n').take(MAX_MARKS).map(String::from_utf8_lossy);
    let mut records = lines.filter(|line| !line.trim_ascii().is_empty() && !is_editors(line));
    records.next().is_some_and(|line| Record::parse(line.trim_end()).is_ok())
}

/// How many lines with marks of the editors may stand before the first record.
const MAX_MARKS: usize = 64;

/// Marks that the tracker's editors leave for each other.
fn is_editors(line: &str) -> bool {
    ["begin claimed by", "end claimed by", "STOP:", "--"].iter().any(|mark| line.starts_with(mark))
}

/// A header and what was noted below it.
struct Record {
    name: Name,
    description: String,
    /// The announcement's CVEs; for a CVE, the announcements that fix it.
    references: Vec<AdvisoryId>,
    notes: Vec<Note>,
    rejected: bool,
}

enum Name {
    Announcement(AdvisoryId, Date),
    Issue(AdvisoryId),
    /// A vulnerability that waits for its CVE id; the tracker's name for it depends on what is noted.
    Unnamed,
}

/// A package line.
struct Note {
    release: Option<String>,
    package: PackageName,
    state: State,
    urgency: Severity,
    bug: Option<u32>,
}

enum State {
    Fixed(std::sync::Arc<str>),
    NotAffected,
    Open,
    GivenUp,
    /// Not in the archive.
    Absent,
}

impl Record {
    fn parse(line: &str) -> Result<Self, String> {
        let (name, description) = match line.strip_prefix('[') {
            Some(rest) => announcement(rest)?,
            None => issue(line)?,
        };
        Ok(Self { name, description, references: Vec::new(), notes: Vec::new(), rejected: false })
    }

    fn annotate(&mut self, line: &str) -> Result<(), String> {
        if let Some(inner) = line.strip_prefix('{') {
            let inner = inner.strip_suffix('}').ok_or("the braces of the references are not closed")?;
            let ids = inner.split_ascii_whitespace().map(|id| id.parse().map_err(|error| format!("{error}")));
            self.references.extend(ids.collect::<Result<Vec<_>, _>>()?);
        } else if line.starts_with(['-', '[']) {
            self.notes.push(Note::parse(line)?);
        } else if line.starts_with("REJECTED") {
            self.rejected = true;
        } else if !["NOTE:", "TODO:", "NOT-FOR-US:", "RESERVED"].iter().any(|word| line.starts_with(word)) {
            return Err(format!("{line:?} is neither a package line, references nor a note"));
        }
        Ok(())
    }

    fn give(self, sink: &mut dyn FnMut(Advisory)) {
        if self.rejected {
            return;
        }
        for note in &self.notes {
            match &self.name {
                Name::Announcement(id, date) => self.give_announced(id, *date, note, sink),
                Name::Issue(id) => self.give_tracked(id, note, sink),
                Name::Unnamed => self.give_tracked(&self.temporary_name(), note, sink),
            }
        }
    }

    fn give_announced(&self, id: &AdvisoryId, date: Date, note: &Note, sink: &mut dyn FnMut(Advisory)) {
        let Some(status) = note.status(End::Fixed) else { return };
        let alone = [id.clone()];
        let ids = if self.references.is_empty() { &alone[..] } else { &self.references };
        for cve in ids {
            let scope = Scope::new("debian", note.release.as_deref());
            sink(Advisory {
                bulletins: vec![id.clone()],
                urgency: note.urgency,
                title: announcement_title(&self.description),
                date: Some(date),
                ..Advisory::new(cve.clone(), scope, note.package.clone(), status.clone(), BULLETINS)
            });
        }
    }

    fn give_tracked(&self, id: &AdvisoryId, note: &Note, sink: &mut dyn FnMut(Advisory)) {
        let mut give = |release: Option<&str>, status: Option<Status>| {
            let Some(status) = status else { return };
            let scope = Scope::new("debian", release);
            sink(Advisory {
                urgency: self.urgency(note),
                title: title(&self.description),
                ..Advisory::new(id.clone(), scope, note.package.clone(), status, TRACKER)
            });
        };
        match &note.release {
            Some(release) => give(Some(release), note.status(End::Fixed)),
            None => {
                give(Some("sid"), note.status(End::Fixed));
                give(None, note.status(End::FixedElsewhere));
            }
        }
    }

    /// How urgent a package line is; a line about a release that does not say is as urgent as the one about unstable.
    fn urgency(&self, note: &Note) -> Severity {
        let general = self.notes.iter().find(|other| other.release.is_none() && other.package == note.package);
        match (note.urgency, general) {
            (Severity::Unknown, Some(general)) => general.urgency,
            (own, _) => own,
        }
    }

    /// The name that the tracker gives: `TEMP-`, the first bug's number and the start of a hash of the description.
    fn temporary_name(&self) -> AdvisoryId {
        let bug = self.notes.iter().find_map(|note| note.bug).unwrap_or(0);
        let hash = Md5::digest(self.description.as_bytes());
        let name = format!("TEMP-{bug:07}-{:02X}{:02X}{:02X}", hash[0], hash[1], hash[2]);
        name.parse().expect("it is short and printable")
    }
}

/// `02 Nov 2023] DSA-5546-1 chromium - security update`
fn announcement(rest: &str) -> Result<(Name, String), String> {
    let shape = || "an announcement starts with [DD Mon YYYY] and its id".to_owned();
    let (day, rest) = rest.split_once("] ").ok_or_else(shape)?;
    let (id, description) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let known = ["DSA-", "DLA-", "DTSA-", "ELA-"].iter().any(|kind| id.starts_with(kind));
    let id = id.parse().ok().filter(|_| known).ok_or_else(shape)?;
    let date = parse_date(day).ok_or_else(|| format!("date {day:?}: expected DD Mon YYYY"))?;
    Ok((Name::Announcement(id, date), description.trim_ascii().into()))
}

fn parse_date(text: &str) -> Option<Date> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut parts = text.split(' ');
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    Date::new(year.parse().ok()?, i8::try_from(month).ok()?, day.parse().ok()?)
        .ok()
        .filter(|day| *day > date(1990, 1, 1))
}

/// `CVE-2023-5088 (A bug in QEMU …)`, `CVE-2023-XXXX [something without an id yet]`
fn issue(line: &str) -> Result<(Name, String), String> {
    let (id, description) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let description = description.trim_ascii();
    let inner = match description.chars().next() {
        Some('(') => description[1..].strip_suffix(')'),
        Some('[') => description[1..].strip_suffix(']'),
        _ => Some(description),
    };
    let inner = inner.ok_or("the description is not closed")?.to_owned();
    if id.starts_with("CVE-") && id.ends_with("-XXXX") {
        return Ok((Name::Unnamed, inner));
    }
    match id.parse::<AdvisoryId>() {
        Ok(id) if id.is_cve() || id.as_str().starts_with("TEMP-") => Ok((Name::Issue(id), inner)),
        _ => Err("a record starts with a CVE id, or with the date of an announcement".into()),
    }
}

impl Note {
    /// `[bullseye] - curl 7.74.0-1.3+deb11u8 (low; bug #123)`, `- glibc <unfixed>`
    fn parse(line: &str) -> Result<Self, String> {
        let shape = || format!("{line:?} is no package line: [release] - package version (flags)");
        let (release, rest) = match line.strip_prefix('[') {
            Some(rest) => rest.split_once(']').map(|(name, rest)| (Some(name.to_owned()), rest)).ok_or_else(shape)?,
            None => (None, line),
        };
        let rest = rest.trim_ascii_start().strip_prefix("- ").ok_or_else(shape)?.trim_ascii();
        let (rest, flags) = match rest.split_once('(') {
            Some((rest, flags)) => (rest, flags.strip_suffix(')').ok_or_else(shape)?),
            None => (rest, ""),
        };
        let mut words = rest.split_ascii_whitespace();
        let package = words.next().ok_or_else(shape)?.parse().map_err(|error| format!("{error}"))?;
        let state = State::parse(words.next())?;
        if words.next().is_some() {
            return Err(shape());
        }
        let urgency = flags.split(';').map(|flag| urgency(flag.trim_ascii())).max().unwrap_or_default();
        Ok(Self { release, package, state, urgency, bug: bug(flags) })
    }

    /// What the line says; `fixed` says where a version it names is to be had.
    fn status(&self, fixed: impl Fn(std::sync::Arc<str>) -> End) -> Option<Status> {
        match &self.state {
            State::Absent => None,
            State::Fixed(version) => Some(Status::up_to(fixed(version.clone()))),
            State::GivenUp => Some(Status::up_to(End::WillNotFix)),
            State::NotAffected => Some(Status::NotAffected),
            State::Open => Some(Status::up_to(End::NotFixed)),
        }
    }
}

impl State {
    fn parse(word: Option<&str>) -> Result<Self, String> {
        let Some(word) = word else { return Ok(Self::Open) };
        let Some(mark) = word.strip_prefix('<').and_then(|word| word.strip_suffix('>')) else {
            return version(word).map(Self::Fixed);
        };
        match mark {
            "not-affected" => Ok(Self::NotAffected),
            "end-of-life" | "ignored" => Ok(Self::GivenUp),
            "no-dsa" | "postponed" | "removed" | "undetermined" | "unfixed" => Ok(Self::Open),
            "itp" => Ok(Self::Absent),
            _ => Err(format!("<{mark}> is no state of a package")),
        }
    }
}

/// The number of the first bug among the flags: `low; bug #642480`.
fn bug(flags: &str) -> Option<u32> {
    let digits = flags.split_once("bug #")?.1;
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Vec<Advisory>, AdvisoryError> {
        let mut found = Vec::new();
        read(text.as_bytes(), &mut |advisory| found.push(advisory)).map(|()| found)
    }

    fn shown(text: &str) -> Vec<String> {
        let show = |a: Advisory| format!("{} {} {} {:?} {}", a.id, a.scope, a.package, a.status, a.urgency);
        parse(text).unwrap().into_iter().map(show).collect()
    }

    #[test]
    fn every_state_of_a_package_line() {
        for (note, status) in [
            ("7.74.0-1.3+deb11u8", Status::up_to(End::Fixed("7.74.0-1.3+deb11u8".into()))),
            ("<not-affected> (Vulnerable code introduced later)", Status::NotAffected),
            ("<no-dsa> (Minor issue)", Status::up_to(End::NotFixed)),
            ("<postponed> (Minor (issue))", Status::up_to(End::NotFixed)),
            ("<unfixed>", Status::up_to(End::NotFixed)),
            ("<undetermined>", Status::up_to(End::NotFixed)),
            ("<ignored> (Too intrusive)", Status::up_to(End::WillNotFix)),
            ("<end-of-life> (see DSA 5046)", Status::up_to(End::WillNotFix)),
        ] {
            let found = parse(&format!("CVE-2023-27534 (x)\n\t[bullseye] - curl {note}\n")).unwrap();
            assert_eq!((found.len(), &found[0].status), (1, &status), "{note}");
        }
        assert!(parse("CVE-2023-27534 (x)\n\t- foo <itp> (bug #1)\n").unwrap().is_empty());
    }

    #[test]
    fn the_line_about_unstable_is_about_every_other_release() {
        let text =
            "CVE-2011-3374 (It was found …)\n\t- apt 1.2 (unimportant; bug #642480)\n\t[buster] - apt <no-dsa> (x)\n";
        assert_eq!(
            shown(text),
            [
                r#"CVE-2011-3374 debian sid apt Affected([Range { from: None, end: Fixed("1.2") }]) negligible"#,
                r#"CVE-2011-3374 debian apt Affected([Range { from: None, end: FixedElsewhere("1.2") }]) negligible"#,
                "CVE-2011-3374 debian 10 apt Affected([Range { from: None, end: NotFixed }]) negligible",
            ]
        );
    }

    #[test]
    fn an_announcement_fixes_each_of_its_cves() {
        let text = "[02 Nov 2023] DSA-5546-1 chromium - security update\n\t{CVE-2023-5480 CVE-2023-5482}\n\
                    \t[bullseye] - chromium 119-1~deb11u1\n[02 Nov 2023] DSA-5545-1 vlc\n\t[bookworm] - vlc 3.0\n";
        let found = parse(text).unwrap();
        let ids: Vec<_> = found.iter().map(|a| (a.id.as_str(), a.bulletins[0].as_str())).collect();
        assert_eq!(
            ids,
            [("CVE-2023-5480", "DSA-5546-1"), ("CVE-2023-5482", "DSA-5546-1"), ("DSA-5545-1", "DSA-5545-1")]
        );
        assert_eq!(found[0].date, Some(date(2023, 11, 2)));
    }

    #[test]
    fn what_waits_for_its_id_has_the_trackers_name() {
        let text = "CVE-2023-XXXX [VLC: OOW in MMS URL parsing]\n\t- vlc 3.0.20-1 (bug #12)\nCVE-2023-1000\n\tREJECTED\n\t- a 1\n";
        let found = parse(text).unwrap();
        let hash = Md5::digest(b"VLC: OOW in MMS URL parsing");
        let name = format!("TEMP-0000012-{:02X}{:02X}{:02X}", hash[0], hash[1], hash[2]);
        assert!(found.len() == 2 && found.iter().all(|advisory| advisory.id.as_str() == name), "{found:?}");
    }

    #[test]
    fn damage_is_named_with_its_line() {
        for (text, message) in [
            ("\t- a 1\n", "line 1: an indented line"),
            ("CVE-2023-1000 (x\n", "line 1: the description is not closed"),
            ("CVE-2023-1000 (x)\n\tcurl 1\n", "line 2: \"curl 1\" is neither"),
            ("CVE-2023-1000 (x)\n\t- curl <later>\n", "line 2: <later> is no state"),
            ("CVE-2023-1000 (x)\n\t- curl 1 2\n", "line 2: \"- curl 1 2\" is no package line"),
            ("[31 Feb 2023] DSA-1-1 x\n", "line 1: date \"31 Feb 2023\""),
            ("hello\n", "line 1: a record starts with"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.trim_start_matches(": ").starts_with(message), "{text}: {error}");
        }
    }
}
