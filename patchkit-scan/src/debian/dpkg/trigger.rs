//! Triggers: what packages want to hear of (deb-triggers(5), and `/var/lib/dpkg/triggers`).

use super::lines::lines;
use super::{DatabaseError, DatabaseErrorKind};

/// A line of a package's `triggers` file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Directive {
    /// What the package does with the trigger.
    pub kind: DirectiveKind,
    /// Whether the package that activates the trigger waits until it has been processed.
    pub awaits: bool,
    /// The trigger: a name, or an absolute path that stands for everything at and below it.
    pub trigger: Box<str>,
}

/// What a package does with a trigger.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DirectiveKind {
    /// It activates the trigger whenever its own state changes.
    Activate,
    /// It is told when the trigger is activated.
    Interest,
}

/// A package's interest in a path, a line of `/var/lib/dpkg/triggers/File`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FileInterest {
    /// The absolute path; also everything below it counts.
    pub path: Box<str>,
    /// The package, with its architecture where it can have several.
    pub package: Box<str>,
    /// Whether the package that activates the trigger waits.
    pub awaits: bool,
}

/// A trigger that was activated and not yet passed on, a line of `/var/lib/dpkg/triggers/Unincorp`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unincorporated {
    /// The trigger.
    pub trigger: Box<str>,
    /// The packages that wait for it, `-` for none.
    pub awaiters: Vec<Box<str>>,
}

/// Reads a package's `triggers` file. Comments and empty lines are passed over.
///
/// # Errors
/// An unknown directive, a trigger that is neither a name nor an absolute path.
pub fn read_directives(file: &str, bytes: &[u8]) -> Result<Vec<Directive>, DatabaseError> {
    let mut all = Vec::new();
    for (number, line) in lines(file, bytes)? {
        let line = line.split(|byte| *byte == b'#').next().unwrap_or_default().trim_ascii();
        if !line.is_empty() {
            all.push(read_directive(line).map_err(|kind| DatabaseError::new(file, number, kind))?);
        }
    }
    Ok(all)
}

fn read_directive(line: &[u8]) -> Result<Directive, DatabaseErrorKind> {
    let line = std::str::from_utf8(line).map_err(|_| DatabaseErrorKind::Line("a trigger that is not UTF-8"))?;
    let (directive, trigger) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let (kind, awaits) = match directive {
        "activate" | "activate-await" => (DirectiveKind::Activate, true),
        "activate-noawait" => (DirectiveKind::Activate, false),
        "interest" | "interest-await" => (DirectiveKind::Interest, true),
        "interest-noawait" => (DirectiveKind::Interest, false),
        _ => return Err(DatabaseErrorKind::Line("an unknown trigger directive")),
    };
    Ok(Directive { kind, awaits, trigger: trigger_name(trigger.trim())?.into() })
}

/// A trigger's name: the characters of a package's name, or an absolute path without empty parts.
fn trigger_name(name: &str) -> Result<&str, DatabaseErrorKind> {
    let is_path = name.strip_prefix('/').is_some_and(|rest| rest.split('/').all(|part| !part.is_empty()));
    let is_name = crate::debian::control::dependency::is_package_name(name) && !name.contains('_');
    let printable = name.bytes().all(|byte| byte.is_ascii_graphic());
    if printable && (is_path || is_name) { Ok(name) } else { Err(DatabaseErrorKind::Line("not the name of a trigger")) }
}

/// Reads `/var/lib/dpkg/triggers/File`: a path and a package a line.
///
/// # Errors
/// A line of another form.
pub fn read_file_interests(file: &str, bytes: &[u8]) -> Result<Vec<FileInterest>, DatabaseError> {
    let interests = lines(file, bytes)?.map(|(number, line)| {
        let interest = std::str::from_utf8(line).ok().and_then(file_interest);
        let malformed = DatabaseErrorKind::Line("not a path and an interested package");
        interest.ok_or_else(|| DatabaseError::new(file, number, malformed))
    });
    interests.collect()
}

fn file_interest(line: &str) -> Option<FileInterest> {
    let (path, package) = line.rsplit_once(' ').filter(|(path, _)| path.starts_with('/'))?;
    let (package, option) = package.split_once('/').unwrap_or((package, ""));
    Some(FileInterest { path: path.into(), package: package.into(), awaits: option != "noawait" })
}

/// Writes `/var/lib/dpkg/triggers/File`.
#[must_use]
pub fn write_file_interests(interests: &[FileInterest]) -> Vec<u8> {
    let line = |FileInterest { path, package, awaits }: &FileInterest| {
        format!("{path} {package}{}\n", if *awaits { "" } else { "/noawait" })
    };
    interests.iter().map(line).collect::<String>().into_bytes()
}

/// The interests after `package` (as dpkg names it in the file) has come with new `directives` in the place of all
/// its old ones. dpkg appends the new ones.
#[must_use]
pub fn replace_file_interests(old: &[FileInterest], package: &str, directives: &[Directive]) -> Vec<FileInterest> {
    let kept = old.iter().filter(|interest| &*interest.package != package).cloned();
    let new = directives.iter().filter(|d| d.kind == DirectiveKind::Interest && d.trigger.starts_with('/'));
    let new = new.map(|directive| FileInterest {
        path: directive.trigger.clone(),
        package: package.into(),
        awaits: directive.awaits,
    });
    kept.chain(new).collect()
}

/// Reads `/var/lib/dpkg/triggers/Unincorp`.
///
/// # Errors
/// A line without a trigger and a package.
pub fn read_unincorporated(file: &str, bytes: &[u8]) -> Result<Vec<Unincorporated>, DatabaseError> {
    let mut all = Vec::new();
    for (number, line) in lines(file, bytes)? {
        let line = String::from_utf8_lossy(line);
        let mut words = line.split('#').next().unwrap_or_default().split_ascii_whitespace();
        let Some(trigger) = words.next() else {
            continue;
        };
        let awaiters: Vec<Box<str>> = words.map(Into::into).collect();
        if awaiters.is_empty() {
            let kind = DatabaseErrorKind::Line("a trigger without a package");
            return Err(DatabaseError::new(file, number, kind));
        }
        all.push(Unincorporated { trigger: trigger.into(), awaiters });
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_of_a_package() {
        let bytes =
            b"# Triggers added by dh_makeshlibs\nactivate-noawait ldconfig\n\ninterest /usr/share/man # pages\n";
        let directives = read_directives("triggers", bytes).expect("sound");
        let expected = [
            Directive { kind: DirectiveKind::Activate, awaits: false, trigger: "ldconfig".into() },
            Directive { kind: DirectiveKind::Interest, awaits: true, trigger: "/usr/share/man".into() },
        ];
        assert_eq!(directives, expected);
        for line in ["listen a\n", "interest\n", "interest a b\n", "interest /a//b\n", "interest a_b\n", "interest a"] {
            assert!(read_directives("triggers", line.as_bytes()).is_err(), "{line}");
        }
    }

    #[test]
    fn interests_in_files() {
        let bytes = b"/usr/share/a b man-db/noawait\n/usr/lib gdk:amd64\n";
        let interests = read_file_interests("File", bytes).expect("sound");
        assert_eq!(write_file_interests(&interests), bytes);
        let new =
            read_directives("triggers", b"interest /usr/man\ninterest-noawait /opt\ninterest x\n").expect("sound");
        let replaced = replace_file_interests(&interests, "man-db", &new);
        let expected = b"/usr/lib gdk:amd64\n/usr/man man-db\n/opt man-db/noawait\n";
        assert_eq!(write_file_interests(&replaced), expected);
        assert!(read_file_interests("File", b"usr man-db\n").is_err());
    }

    #[test]
    fn triggers_left_over() {
        let left = read_unincorporated("Unincorp", b"ldconfig libc6:amd64 -\n").expect("sound");
        assert_eq!(left[0].awaiters, ["libc6:amd64".into(), Box::from("-")]);
        assert_eq!(read_unincorporated("Unincorp", b"# nothing\nldconfig\n").expect_err("damaged").line, 2);
    }
}
