//! The file `/var/lib/dpkg/statoverride`: owners and modes the administrator wants (dpkg-statoverride(1)).

use std::collections::HashSet;

use crate::debian::path::PackagePath;

use super::lines::lines;
use super::{DatabaseError, DatabaseErrorKind};

/// The owner and mode of a path, whatever the package says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StatOverride {
    /// The owner.
    pub user: Owner,
    /// The group.
    pub group: Owner,
    /// The permission bits, 12 of them.
    pub mode: u32,
    /// The path.
    pub path: PackagePath,
}

/// A user or group as the file names it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Owner {
    /// By name.
    Name(Box<str>),
    /// By number, written `#1000`.
    Number(u32),
}

/// Reads the file: user, group, mode and path, one override a line.
///
/// # Errors
/// A line of another form, a path with two overrides, no final line feed.
pub fn read(file: &str, bytes: &[u8]) -> Result<Vec<StatOverride>, DatabaseError> {
    let mut all: Vec<StatOverride> = Vec::new();
    let mut taken = HashSet::new();
    for (number, line) in lines(file, bytes)? {
        let fail = |kind| DatabaseError::new(file, number, kind);
        let new = read_line(line).map_err(fail)?;
        if !taken.insert(new.path.clone()) {
            return Err(fail(DatabaseErrorKind::Line("a second override of the path")));
        }
        all.push(new);
    }
    Ok(all)
}

fn read_line(line: &[u8]) -> Result<StatOverride, DatabaseErrorKind> {
    let mut words = line.splitn(4, |byte| *byte == b' ');
    let mut word = || words.next().filter(|word| !word.is_empty());
    let (Some(user), Some(group), Some(mode), Some(path)) = (word(), word(), word(), word()) else {
        return Err(DatabaseErrorKind::Line("not a user, group, mode and path"));
    };
    let mode = std::str::from_utf8(mode).ok().and_then(|mode| u32::from_str_radix(mode, 8).ok());
    let mode = mode.filter(|mode| *mode <= 0o7777).ok_or(DatabaseErrorKind::Line("not an octal mode"))?;
    Ok(StatOverride { user: owner(user)?, group: owner(group)?, mode, path: PackagePath::from_absolute(path)? })
}

fn owner(word: &[u8]) -> Result<Owner, DatabaseErrorKind> {
    let malformed = DatabaseErrorKind::Line("not a name or number of a user or group");
    let Ok(word) = std::str::from_utf8(word) else {
        return Err(malformed);
    };
    match word.strip_prefix('#') {
        None => Ok(Owner::Name(word.into())),
        Some(number) => number.parse().map(Owner::Number).map_err(|_| malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overrides_are_read() {
        let read = read("statoverride", b"root #101 4754 /usr/lib/a b\n").expect("sound");
        assert_eq!((&read[0].user, &read[0].group), (&Owner::Name("root".into()), &Owner::Number(101)));
        assert_eq!((read[0].mode, read[0].path.as_bytes()), (0o4754, &b"usr/lib/a b"[..]));
    }

    #[test]
    fn damage() {
        for line in ["root root 755\n", "root root 99 /a\n", "root root 17777 /a\n", "#x root 755 /a\n", "\n"] {
            assert!(read("statoverride", line.as_bytes()).is_err(), "{line}");
        }
        assert_eq!(read("statoverride", b"a b 7 /a\na b 5 /a\n").expect_err("twice").line, 2);
    }
}
