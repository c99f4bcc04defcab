//! Extended headers: POSIX.1-2001 ("pax Header Block").

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{Reason, printable};

/// What an extended header says that this library listens to.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Pax {
    pub(super) path: Option<Bytes>,
    pub(super) link: Option<Bytes>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u64>,
    pub(super) gid: Option<u64>,
    pub(super) mtime: Option<i64>,
    pub(super) xattrs: BTreeMap<String, Bytes>,
}

impl Pax {
    /// Reads the records of one member. A keyword that comes twice must say the same twice: readers differ in which of
    /// the two they take.
    pub(super) fn parse(content: &Bytes) -> Result<Self, Reason> {
        let mut pax = Self::default();
        let mut seen: BTreeMap<Bytes, Bytes> = BTreeMap::new();
        for record in records(content) {
            let (key, value) = record?;
            if seen.get(&key).is_some_and(|before| *before != value) {
                return Err(Reason::corrupt(format!("extended header: two different {:?}", printable(&key))));
            }
            pax.set(&key, &value)?;
            seen.insert(key, value);
        }
        Ok(pax)
    }

    fn set(&mut self, key: &[u8], value: &Bytes) -> Result<(), Reason> {
        if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
            let name = std::str::from_utf8(name).ok().filter(|name| !name.is_empty() && !name.contains('\0'));
            let name = name.ok_or_else(|| Reason::corrupt(format!("extended attribute {:?}", printable(key))))?;
            self.xattrs.insert(name.into(), value.clone());
            return Ok(());
        }
        if key.starts_with(b"GNU.sparse.") || key == b"SCHILY.realsize" {
            return Err(Reason::unsupported("it is a sparse file"));
        }
        // An empty value takes a record back.
        let value = Some(value).filter(|value| !value.is_empty());
        match key {
            b"path" => self.path = value.cloned(),
            b"linkpath" => self.link = value.cloned(),
            b"size" => self.size = value.map(|value| decimal("size", value)).transpose()?,
            b"uid" => self.uid = value.map(|value| decimal("uid", value)).transpose()?,
            b"gid" => self.gid = value.map(|value| decimal("gid", value)).transpose()?,
            b"mtime" => self.mtime = value.map(|value| seconds(value)).transpose()?,
            b"hdrcharset" => check_charset(value)?,
            _ => {}
        }
        Ok(())
    }
}

/// Checks the header for all members that follow: what readers disagree about must not be in it.
///
/// GNU tar and bsdtar apply it, Go's reader (Docker, containerd) does not, so only a comment or the like is safe.
pub(super) fn check_global(content: &Bytes) -> Result<(), Reason> {
    const HEEDED: [&[u8]; 8] =
        [b"gid", b"hdrcharset", b"linkpath", b"mtime", b"path", b"size", b"uid", b"SCHILY.realsize"];
    for record in records(content) {
        let (key, _) = record?;
        let heeded = HEEDED.contains(&&*key) || key.starts_with(b"SCHILY.xattr.") || key.starts_with(b"GNU.sparse.");
        if heeded {
            let key = printable(&key);
            return Err(Reason::unsupported(format!("a global header sets {key:?}, which readers treat differently")));
        }
    }
    Ok(())
}

/// The records `length key=value\n`, where the length is of all of it.
fn records(content: &Bytes) -> impl Iterator<Item = Result<(Bytes, Bytes), Reason>> {
    let mut rest = content.clone();
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let record = record(&rest);
        match &record {
            Ok((length, ..)) => drop(rest.split_to(*length)),
            Err(_) => rest.clear(),
        }
        Some(record.map(|(_, key, value)| (key, value)))
    })
}

fn record(rest: &Bytes) -> Result<(usize, Bytes, Bytes), Reason> {
    let bad =
        |why: &str| Reason::corrupt(format!("extended header: {why} at {:?}", printable(&rest[..rest.len().min(40)])));
    let space = rest.iter().take(8).position(|byte| *byte == b' ').ok_or_else(|| bad("no length"))?;
    let length: usize = decimal("length", &rest[..space])?;
    if length <= space + 1 || length > rest.len() || rest[length - 1] != b'\n' {
        return Err(bad("a wrong length"));
    }
    let equals = rest[space..length].iter().position(|byte| *byte == b'=').ok_or_else(|| bad("no ="))? + space;
    let key = rest.slice(space + 1..equals);
    if key.is_empty() || key.contains(&0) {
        return Err(bad("a bad keyword"));
    }
    Ok((length, key, rest.slice(equals + 1..length - 1)))
}

fn decimal<T: std::str::FromStr>(what: &str, value: &[u8]) -> Result<T, Reason> {
    let digits = value.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(value).ok().filter(|_| digits).and_then(|text| text.parse().ok());
    number.ok_or_else(|| Reason::corrupt(format!("extended header: {what} is no number: {:?}", printable(value))))
}

/// The whole seconds of a decimal fraction, rounded down: `-1.5` is -2.
fn seconds(value: &[u8]) -> Result<i64, Reason> {
    let (negative, digits) = match value.strip_prefix(b"-") {
        Some(digits) => (true, digits),
        None => (false, value),
    };
    let dot = digits.iter().position(|byte| *byte == b'.').unwrap_or(digits.len());
    let fraction = digits.get(dot + 1..).unwrap_or_default();
    let whole: i64 = decimal("mtime", &digits[..dot])?;
    if !fraction.iter().all(u8::is_ascii_digit) {
        return decimal("mtime", fraction);
    }
    let below = fraction.iter().any(|digit| *digit != b'0');
    Ok(if negative { -whole - i64::from(below) } else { whole })
}

fn check_charset(value: Option<&Bytes>) -> Result<(), Reason> {
    match value.map(|value| &**value) {
        None | Some(b"BINARY" | b"ISO-IR 10646 2000 UTF-8") => Ok(()),
        Some(other) => Err(Reason::unsupported(format!("names in the character set {:?}", printable(other)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(content: &'static [u8]) -> Result<Pax, Reason> {
        Pax::parse(&Bytes::from_static(content))
    }

    #[test]
    fn reads_records() {
        let pax = parse(b"12 path=a/b\n19 mtime=-1.500000\n11 size=10\n30 SCHILY.xattr.user.a=x=y\nz\0\n").unwrap();
        assert_eq!(pax.path.unwrap(), "a/b");
        assert_eq!((pax.mtime, pax.size), (Some(-2), Some(10)));
        assert_eq!(pax.xattrs["user.a"], &b"x=y\nz\0"[..]);
    }

    #[test]
    fn an_empty_value_takes_back() {
        assert_eq!(parse(b"8 path=\n").unwrap(), Pax::default());
    }

    #[test]
    fn refuses_what_readers_differ_in() {
        let bad: [&[u8]; 10] = [
            b"12 path=a/b\n12 path=a/c\n",
            b"13 path=a/b\n",
            b"11 path=a/b\n",
            b"12path=a/b\n",
            b"012345678 path=a\n",
            b"6 =ab\n",
            b"6 path\n",
            b"11 size=-1\n",
            b"12 mtime=1.x\n",
            b"22 GNU.sparse.major=1\n",
        ];
        for content in bad {
            assert!(parse(content).is_err(), "{:?}", printable(content));
        }
        assert!(parse(b"12 path=a/b\n12 path=a/b\n").is_ok());
        assert!(check_global(&Bytes::from_static(b"11 path=ab\n")).is_err());
        assert!(check_global(&Bytes::from_static(b"14 comment=ab\n")).is_ok());
    }
}
