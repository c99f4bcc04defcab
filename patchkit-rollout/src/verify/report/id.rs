use std::fmt;

use serde::{Deserialize, Serialize};

use crate::verify::{matches, parse::normal_name};

/// Which test it is: the same in every run of the same suite.
///
/// What may differ between two runs of one test is taken out of the names: terminal colours, paths of temporary files,
/// addresses in memory, and a duration at the end.
///
/// ```
/// use patchkit_rollout::verify::report::TestId;
///
/// let id = TestId::new("tests/test_tls.py", "test_reads[/tmp/pytest-7/key.pem]");
/// assert_eq!(id.to_string(), "tests/test_tls.py::test_reads[<tmp>]");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TestId {
    /// The suite, class, file or package; empty where the format has none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    suite: String,
    /// The name in its suite.
    name: String,
    /// What a parametrised test was called with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parameters: Option<String>,
    /// Which of the tests with the same names, from 1.
    #[serde(default = "first", skip_serializing_if = "is_first")]
    ordinal: u32,
}

fn first() -> u32 {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref)] // As serde calls it.
fn is_first(ordinal: &u32) -> bool {
    *ordinal == 1
}

impl TestId {
    /// The first test of that name. What stands in brackets at the name's end are its parameters.
    #[must_use]
    pub fn new(suite: &str, name: &str) -> Self {
        let name = normal_name(name);
        let (name, parameters) = match name.strip_suffix(']').and_then(|rest| rest.split_once('[')) {
            Some((name, parameters)) if !name.is_empty() => (name.to_owned(), Some(parameters.to_owned())),
            _ => (name, None),
        };
        Self { suite: normal_name(suite), name, parameters, ordinal: 1 }
    }

    /// The suite, class, file or package; empty where the format has none.
    #[must_use]
    pub fn suite(&self) -> &str {
        &self.suite
    }

    /// The name in its suite, without parameters.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What a parametrised test was called with.
    #[must_use]
    pub fn parameters(&self) -> Option<&str> {
        self.parameters.as_deref()
    }

    /// Which of the tests with the same names it is, from 1.
    #[must_use]
    pub fn ordinal(&self) -> u32 {
        self.ordinal
    }

    /// The same, in a suite that is in another one.
    pub(super) fn within(self, outer: &str) -> Self {
        let suite = match self.suite.as_str() {
            "" => normal_name(outer),
            suite => format!("{}/{suite}", normal_name(outer)),
        };
        Self { suite, ..self }
    }

    pub(super) fn numbered(self, ordinal: u32) -> Self {
        Self { ordinal, ..self }
    }
}

/// `suite::name[parameters]#2`, without what is not there. This is what a [`TestPattern`] is held against.
impl fmt::Display for TestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Piece by piece: suites have tens of thousands of tests, and each is held against every pattern.
        if !self.suite.is_empty() {
            f.write_str(&self.suite)?;
            f.write_str("::")?;
        }
        f.write_str(&self.name)?;
        if let Some(parameters) = &self.parameters {
            f.write_str("[")?;
            f.write_str(parameters)?;
            f.write_str("]")?;
        }
        match self.ordinal {
            1 => Ok(()),
            ordinal => write!(f, "#{ordinal}"),
        }
    }
}

/// Names tests, as they print: `*` stands for any characters, `?` for one, all others for themselves.
///
/// ```
/// use patchkit_rollout::verify::report::{TestId, TestPattern};
///
/// let pattern = TestPattern::new("tests/*::test_login*");
/// assert!(pattern.matches(&TestId::new("tests/test_web.py", "test_login[admin]")));
/// assert!(!pattern.matches(&TestId::new("tests/test_web.py", "test_logout")));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TestPattern(String);

impl TestPattern {
    /// The pattern.
    #[must_use]
    pub fn new(pattern: impl Into<String>) -> Self {
        Self(pattern.into())
    }

    /// Whether it names the test.
    #[must_use]
    pub fn matches(&self, id: &TestId) -> bool {
        self.matches_text(&id.to_string())
    }

    /// Whether it names what prints so: the path of a file, for instance.
    #[must_use]
    pub fn matches_text(&self, text: &str) -> bool {
        matches(&self.0, text)
    }
}

impl fmt::Display for TestPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_the_same_in_two_runs() {
        let [one, two] = ["/tmp/a1", "/tmp/b2"].map(|path| TestId::new("x.py", &format!("test_open[{path}] (3 ms)")));
        assert_eq!(one, two);
        assert_eq!((one.name(), one.parameters()), ("test_open", Some("<tmp>")));
        assert_eq!(one.numbered(2).to_string(), "x.py::test_open[<tmp>]#2");
        assert_eq!(TestId::new("", "[odd]").to_string(), "[odd]");
    }

    #[test]
    fn patterns_match_as_a_shell_does() {
        for (pattern, text, expected) in [
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b-c-", false),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a?c", "aéc", true),
            ("a?c", "ac", false),
            ("a*", "a", true),
            ("*a", "ba", true),
            ("x[1]", "x[1]", true),
        ] {
            assert_eq!(TestPattern::new(pattern).matches_text(text), expected, "{pattern} {text}");
        }
    }
}
