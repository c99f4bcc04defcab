//! Debian package versions, and the order that dpkg gives them.
//!
//! Source: Debian Policy 5.6.12, deb-version(7). A version is `[epoch:]upstream[-revision]`.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

/// The longest version text that is read, in bytes. Real ones are under 100.
pub const MAX_VERSION_LENGTH: usize = 4096;

/// A Debian version, ordered exactly as dpkg orders it.
///
/// Equality follows the order, as in dpkg: `1.0`, `0:1.0` and `1.0-0` are the same version. [`fmt::Display`] gives the
/// text as it was read, [`DebVersion::canonical`] the text that dpkg would write.
#[derive(Clone)]
pub struct DebVersion {
    text: Box<str>,
    epoch: u32,
    /// Where the upstream version starts in `text`.
    upstream: u32,
    /// Where the upstream version ends in `text`; the revision follows one hyphen later.
    upstream_end: u32,
}

/// Why a text is not a Debian version.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum VersionError {
    /// The epoch is not a number from 0 to 2147483647.
    #[error("the epoch is not a number from 0 to 2147483647")]
    Epoch,
    /// There is nothing to read, or nothing left after the epoch.
    #[error("the version is empty")]
    Empty,
    /// A hyphen ends the version.
    #[error("the revision after the last hyphen is empty")]
    EmptyRevision,
    /// A character that a revision may not have.
    #[error("character {0:?} is not allowed in a revision")]
    RevisionCharacter(char),
    /// White space, or a NUL, inside the version.
    #[error("the version has a space in it")]
    Space,
    /// The upstream version starts with something other than a digit.
    #[error("the version does not start with a digit")]
    Start,
    /// The text is longer than [`MAX_VERSION_LENGTH`].
    #[error("the version is longer than {MAX_VERSION_LENGTH} bytes")]
    TooLong,
    /// A character that an upstream version may not have.
    #[error("character {0:?} is not allowed in an upstream version")]
    UpstreamCharacter(char),
}

impl DebVersion {
    /// Reads a version as dpkg reads one in a package to be installed: spaces around it are dropped, all rules hold.
    ///
    /// # Errors
    /// Names the rule of deb-version(7) that is broken.
    pub fn parse(text: &str) -> Result<Self, VersionError> {
        let version = Self::parse_lenient(text)?;
        check_upstream(version.upstream())?;
        check_revision(version.revision())?;
        Ok(version)
    }

    /// Reads a version as dpkg reads one in its own database, where it only warns of odd characters.
    ///
    /// # Errors
    /// A bad epoch, an empty part or an embedded space: what dpkg refuses everywhere.
    pub fn parse_lenient(text: &str) -> Result<Self, VersionError> {
        let text = text.trim_matches([' ', '\t']);
        if text.len() > MAX_VERSION_LENGTH {
            return Err(VersionError::TooLong);
        }
        if text.contains([' ', '\t', '\n', '\r', '\0']) {
            return Err(VersionError::Space);
        }
        let (epoch, upstream) = split_epoch(text)?;
        let upstream_end = split_revision(text, upstream)?;
        let offset = |at: usize| u32::try_from(at).expect("bounded by MAX_VERSION_LENGTH");
        Ok(Self { text: text.into(), epoch, upstream: offset(upstream), upstream_end: offset(upstream_end) })
    }

    /// The epoch, 0 where none is written.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The upstream version: what is between the epoch and the last hyphen.
    #[must_use]
    pub fn upstream(&self) -> &str {
        &self.text[self.upstream as usize..self.upstream_end as usize]
    }

    /// The Debian revision, empty for a native package.
    #[must_use]
    pub fn revision(&self) -> &str {
        self.text.get(self.upstream_end as usize + 1..).unwrap_or("")
    }

    /// The version as it was read.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The version as dpkg writes it: the epoch only where it is not 0 or a colon would be misread.
    #[must_use]
    pub fn canonical(&self) -> String {
        let rest = &self.text[self.upstream as usize..];
        if self.epoch == 0 && !rest.contains(':') { rest.to_owned() } else { format!("{}:{rest}", self.epoch) }
    }
}

/// Where the upstream version starts, and the epoch before it.
fn split_epoch(text: &str) -> Result<(u32, usize), VersionError> {
    let Some((epoch, rest)) = text.split_once(':') else {
        return if text.is_empty() { Err(VersionError::Empty) } else { Ok((0, 0)) };
    };
    // dpkg reads it with strtol into an int, so a sign is allowed.
    let epoch: i64 = epoch.parse().map_err(|_| VersionError::Epoch)?;
    if !(0..=i64::from(i32::MAX)).contains(&epoch) {
        return Err(VersionError::Epoch);
    }
    if rest.is_empty() {
        return Err(VersionError::Empty);
    }
    Ok((u32::try_from(epoch).expect("checked against i32::MAX"), text.len() - rest.len()))
}

/// Where the upstream version ends.
fn split_revision(text: &str, upstream: usize) -> Result<usize, VersionError> {
    let end = text[upstream..].rfind('-').map_or(text.len(), |hyphen| upstream + hyphen);
    if end + 1 == text.len() && text.ends_with('-') {
        return Err(VersionError::EmptyRevision);
    }
    if end == upstream { Err(VersionError::Empty) } else { Ok(end) }
}

fn check_upstream(upstream: &str) -> Result<(), VersionError> {
    if !upstream.starts_with(|first: char| first.is_ascii_digit()) {
        return Err(VersionError::Start);
    }
    match upstream.chars().find(|c| !c.is_ascii_alphanumeric() && !".-+~:".contains(*c)) {
        Some(odd) => Err(VersionError::UpstreamCharacter(odd)),
        None => Ok(()),
    }
}

fn check_revision(revision: &str) -> Result<(), VersionError> {
    match revision.chars().find(|c| !c.is_ascii_alphanumeric() && !".+~".contains(*c)) {
        Some(odd) => Err(VersionError::RevisionCharacter(odd)),
        None => Ok(()),
    }
}

impl FromStr for DebVersion {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        Self::parse(text)
    }
}

impl fmt::Display for DebVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for DebVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DebVersion({})", self.text)
    }
}

impl Ord for DebVersion {
    fn cmp(&self, other: &Self) -> Ordering {
        self.epoch
            .cmp(&other.epoch)
            .then_with(|| compare_part(self.upstream().as_bytes(), other.upstream().as_bytes()))
            .then_with(|| compare_part(self.revision().as_bytes(), other.revision().as_bytes()))
    }
}

impl PartialOrd for DebVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for DebVersion {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for DebVersion {}

impl Hash for DebVersion {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.epoch.hash(state);
        hash_part(self.upstream().as_bytes(), state);
        hash_part(self.revision().as_bytes(), state);
    }
}

/// Compares two upstream versions, or two revisions: stretches of non-digits by [`weight`], stretches of digits as
/// numbers, in turn (deb-version(7), "Sorting algorithm"; dpkg calls it `verrevcmp`).
fn compare_part(mut a: &[u8], mut b: &[u8]) -> Ordering {
    while !a.is_empty() || !b.is_empty() {
        let (a_word, a_number, a_rest) = next_pair(a);
        let (b_word, b_number, b_rest) = next_pair(b);
        let order = compare_words(a_word, b_word).then_with(|| compare_numbers(a_number, b_number));
        if order.is_ne() {
            return order;
        }
        (a, b) = (a_rest, b_rest);
    }
    Ordering::Equal
}

/// Splits off the leading non-digits, the digits after them without their leading zeros, and the rest.
fn next_pair(part: &[u8]) -> (&[u8], &[u8], &[u8]) {
    let word = part.iter().position(u8::is_ascii_digit).unwrap_or(part.len());
    let (word, tail) = part.split_at(word);
    let number = tail.iter().position(|c| !c.is_ascii_digit()).unwrap_or(tail.len());
    let (number, rest) = tail.split_at(number);
    let zeros = number.iter().position(|c| *c != b'0').unwrap_or(number.len());
    (word, &number[zeros..], rest)
}

fn compare_words(a: &[u8], b: &[u8]) -> Ordering {
    let weight_at = |word: &[u8], at: usize| word.get(at).map_or(0, |c| weight(*c));
    (0..a.len().max(b.len()))
        .map(|at| weight_at(a, at).cmp(&weight_at(b, at)))
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

/// Compares numbers of any length, written without leading zeros.
fn compare_numbers(a: &[u8], b: &[u8]) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// `~` before the end, the end before letters, letters before everything else. A byte above ASCII weighs as a signed
/// C `char` does on amd64.
fn weight(c: u8) -> i32 {
    match c {
        b'~' => -1,
        c if c.is_ascii_alphabetic() => i32::from(c),
        c => i32::from(c.cast_signed()) + 256,
    }
}

/// Feeds `part` so that parts that compare equal hash equal.
fn hash_part<H: Hasher>(mut part: &[u8], state: &mut H) {
    while !part.is_empty() {
        let (word, number, rest) = next_pair(part);
        if !(word.is_empty() && number.is_empty() && rest.is_empty()) {
            (word, number).hash(state);
        }
        part = rest;
    }
    state.write_u8(b'-');
}

/// How a version must stand to another: the operators of a dependency (Debian Policy 7.1).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Relation {
    /// `=`
    Equal,
    /// `>>`
    Later,
    /// `>=`
    LaterOrEqual,
    /// `<<`
    Earlier,
    /// `<=`
    EarlierOrEqual,
}

impl Relation {
    /// Whether `left` stands in this relation to `right`.
    #[must_use]
    pub fn holds(self, left: &DebVersion, right: &DebVersion) -> bool {
        let order = left.cmp(right);
        match self {
            Self::Earlier => order.is_lt(),
            Self::EarlierOrEqual => order.is_le(),
            Self::Equal => order.is_eq(),
            Self::Later => order.is_gt(),
            Self::LaterOrEqual => order.is_ge(),
        }
    }

    /// The operator as Policy writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Earlier => "<<",
            Self::EarlierOrEqual => "<=",
            Self::Equal => "=",
            Self::Later => ">>",
            Self::LaterOrEqual => ">=",
        }
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::hash::DefaultHasher;

    use proptest::prelude::*;

    use super::*;

    fn version(text: &str) -> DebVersion {
        DebVersion::parse_lenient(text).expect(text)
    }

    fn hash(version: &DebVersion) -> u64 {
        let mut state = DefaultHasher::new();
        version.hash(&mut state);
        state.finish()
    }

    #[test]
    fn parts() {
        let v = version(" 2:1.0-rc1-3~deb11u2\t");
        assert_eq!((v.epoch(), v.upstream(), v.revision()), (2, "1.0-rc1", "3~deb11u2"));
        assert_eq!(v.to_string(), "2:1.0-rc1-3~deb11u2");
        assert_eq!((version("1.0").upstream(), version("1.0").revision()), ("1.0", ""));
    }

    #[test]
    fn canonical_drops_a_zero_epoch_unless_a_colon_follows() {
        assert_eq!(version("0:1.0-1").canonical(), "1.0-1");
        assert_eq!(version("00:1:0-1").canonical(), "0:1:0-1");
        assert_eq!(version("03:1.0").canonical(), "3:1.0");
    }

    #[test]
    fn refuses_what_dpkg_refuses_everywhere() {
        use VersionError::*;
        for (text, error) in [
            ("", Empty),
            ("  ", Empty),
            ("1:", Empty),
            ("-1", Empty),
            ("1:-1", Empty),
            (":1", Epoch),
            ("a:1", Epoch),
            ("-1:1", Epoch),
            ("2147483648:1", Epoch),
            ("99999999999999999999:1", Epoch),
            ("1.0-", EmptyRevision),
            ("1.0 2", Space),
        ] {
            assert_eq!(DebVersion::parse_lenient(text).expect_err("refused"), error, "{text:?}");
        }
        assert_eq!(DebVersion::parse_lenient(&"1".repeat(MAX_VERSION_LENGTH + 1)).expect_err("refused"), TooLong);
    }

    #[test]
    fn strict_also_refuses_odd_characters() {
        use VersionError::*;
        for (text, error) in [
            ("a1", Start),
            ("1_0", UpstreamCharacter('_')),
            ("1.0-1_2", RevisionCharacter('_')),
            ("1.0-1:2", Epoch),
            ("1:1.0-1:2", RevisionCharacter(':')),
            ("1.é", UpstreamCharacter('é')),
        ] {
            assert_eq!(DebVersion::parse(text).expect_err("refused"), error, "{text:?}");
        }
        assert!(DebVersion::parse("1:2:3-4").is_ok());
    }

    #[test]
    fn relations() {
        let (old, new) = (version("1.0-1"), version("1.0-1+deb12u1"));
        assert!(Relation::Earlier.holds(&old, &new) && Relation::LaterOrEqual.holds(&new, &old));
        assert!(!Relation::Equal.holds(&old, &new) && Relation::Equal.holds(&old, &version("0:1.0-01")));
        assert!(Relation::Later.holds(&new, &old) && Relation::EarlierOrEqual.holds(&old, &old));
    }

    fn any_version() -> impl Strategy<Value = DebVersion> {
        "([01]:)?[0-2a.+~][0-3ab.+~]{0,6}(-[0-2a.+~]{1,4})?".prop_map(|text| version(&text))
    }

    proptest! {
        #[test]
        fn is_a_total_order(a in any_version(), b in any_version(), c in any_version()) {
            prop_assert_eq!(a.cmp(&a), Ordering::Equal);
            prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
            if a <= b && b <= c {
                prop_assert!(a <= c);
            }
            if a == b {
                prop_assert_eq!(a.cmp(&c), b.cmp(&c));
                prop_assert_eq!(hash(&a), hash(&b));
            }
        }

        #[test]
        fn canonical_text_is_the_same_version(a in any_version()) {
            prop_assert_eq!(version(&a.canonical()), a);
        }

        #[test]
        fn never_panics(a in ".{0,20}", b in ".{0,20}") {
            if let (Ok(a), Ok(b)) = (DebVersion::parse_lenient(&a), DebVersion::parse_lenient(&b)) {
                prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
            }
            let _ = DebVersion::parse(&a);
        }
    }
}
