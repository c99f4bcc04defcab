use std::collections::BTreeSet;

use patchkit_core::{Context, Reason, Severity};
use serde::Serialize;

use super::{Check, Weakness};
use crate::verify::Exception;

/// Which checks count, which must find nothing at all, and what is excepted.
///
/// By default every check counts and none is required: a patch must not weaken an image, however weak that is.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Profile {
    ignored: BTreeSet<Check>,
    required: BTreeSet<Check>,
    exceptions: Vec<(Check, Exception)>,
}

impl Profile {
    /// The same, without some checks: what they find is listed, but holds.
    #[must_use]
    pub fn ignoring(mut self, checks: impl IntoIterator<Item = Check>) -> Self {
        self.ignored.extend(checks);
        self
    }

    /// The same, requiring that some checks find nothing in the patched image, whatever the original has.
    #[must_use]
    pub fn requiring(mut self, checks: impl IntoIterator<Item = Check>) -> Self {
        self.required.extend(checks);
        self
    }

    /// The same, requiring it of all checks of a severity or worse.
    #[must_use]
    pub fn requiring_from(self, severity: Severity) -> Self {
        self.requiring(Check::ALL.iter().copied().filter(|check| check.severity() >= severity))
    }

    /// The same, with what somebody answers for: what a check finds in subjects of the pattern.
    #[must_use]
    pub fn excepting(mut self, check: Check, exception: Exception) -> Self {
        self.exceptions.push((check, exception));
        self
    }

    /// Whether a check must find nothing at all.
    #[must_use]
    pub fn requires(&self, check: Check) -> bool {
        self.required.contains(&check)
    }

    pub(super) fn requires_any(&self) -> bool {
        !self.required.is_empty()
    }

    /// What a weakness comes to.
    pub(super) fn judge(&self, weakness: &Weakness, word: &str, cx: &Context) -> Reason {
        let said = format!("{weakness} {word}");
        if self.ignored.contains(&weakness.check) {
            return Reason::yes(format!("{said}; not checked"));
        }
        let mine = self.exceptions.iter().filter(|(check, _)| *check == weakness.check);
        let excepted = Exception::judge(mine.map(|(_, exception)| exception), &weakness.subject, &said, cx.now());
        excepted.unwrap_or_else(|| Reason::no(said).with(Reason::no(weakness.check.reason())))
    }
}
