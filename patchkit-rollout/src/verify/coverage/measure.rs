use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    ops::{Add, AddAssign},
};

use serde::{Deserialize, Serialize};

/// Which lines of which files were run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// The files, by path: relative to the root that the report names, where it names one.
    pub files: BTreeMap<String, FileCoverage>,
}

/// Which lines of a file were run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileCoverage {
    /// The lines that can be run, from 1, and how often each was. Where a format only says whether, once.
    pub lines: BTreeMap<u32, u64>,
    /// Its branches, where the report counts them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branches: Option<Branches>,
}

/// Branches of the program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Branches {
    /// How many were taken.
    pub covered: u64,
    /// How many there are.
    pub total: u64,
}

impl AddAssign for Branches {
    fn add_assign(&mut self, other: Self) {
        self.covered = self.covered.saturating_add(other.covered);
        self.total = self.total.saturating_add(other.total);
    }
}

/// How much was run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Lines that were run.
    pub covered: u64,
    /// Lines that can be run.
    pub coverable: u64,
    /// Branches, where they are counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branches: Option<Branches>,
}

impl Totals {
    /// Lines run, in percent of those that can be; `None` where there are none.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // Exact below 2^53 lines.
    pub fn percent(self) -> Option<f64> {
        (self.coverable > 0).then(|| self.covered as f64 * 100.0 / self.coverable as f64)
    }
}

impl Add for Totals {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let branches = match (self.branches, other.branches) {
            (Some(mut one), Some(two)) => {
                one += two;
                Some(one)
            }
            (one, two) => one.or(two),
        };
        Self { covered: self.covered + other.covered, coverable: self.coverable + other.coverable, branches }
    }
}

/// `80.00 % (8 of 10 lines)`
impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.percent() {
            Some(percent) => write!(f, "{percent:.2} % ({} of {} lines)", self.covered, self.coverable),
            None => f.write_str("no lines"),
        }
    }
}

impl FileCoverage {
    /// How much of the file was run.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let covered = self.lines.values().filter(|hits| **hits > 0).count();
        Totals { covered: covered as u64, coverable: self.lines.len() as u64, branches: self.branches }
    }

    /// The lines that were run.
    pub fn covered(&self) -> impl Iterator<Item = u32> {
        self.lines.iter().filter(|(_, hits)| **hits > 0).map(|(line, _)| *line)
    }

    /// Notes that a line can be run and was, so many times more.
    pub(super) fn hit(&mut self, line: u32, hits: u64) {
        let sum = self.lines.entry(line).or_default();
        *sum = sum.saturating_add(hits);
    }

    fn merge(&mut self, other: Self) {
        let Self { lines, branches } = other;
        lines.into_iter().for_each(|(line, hits)| self.hit(line, hits));
        // Which branches were taken is not known, so the better of two counts is the most that is sure.
        self.branches = match (self.branches, branches) {
            (Some(one), Some(two)) => {
                Some(Branches { covered: one.covered.max(two.covered), total: one.total.max(two.total) })
            }
            (one, two) => one.or(two),
        };
    }
}

impl Coverage {
    /// How much was run in all files.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.files.values().map(FileCoverage::totals).fold(Totals::default(), Add::add)
    }

    /// What several reports of the same program show together: the sum of each line's runs. Of branches, which reports
    /// only count, the highest count of a file is kept.
    #[must_use]
    pub fn merged(reports: impl IntoIterator<Item = Self>) -> Self {
        let mut all = Self::default();
        for (path, file) in reports.into_iter().flat_map(|report| report.files) {
            all.files.entry(path).or_default().merge(file);
        }
        all
    }

    /// The lines of each file that were run before and are not run after, or are not there any more.
    #[must_use]
    pub fn lost(before: &Self, after: &Self) -> BTreeMap<String, BTreeSet<u32>> {
        let none = FileCoverage::default();
        let lost = before.files.iter().map(|(path, file)| {
            let now = after.files.get(path).unwrap_or(&none);
            let is_run = |line: &u32| now.lines.get(line).is_some_and(|hits| *hits > 0);
            (path.clone(), file.covered().filter(|line| !is_run(line)).collect::<BTreeSet<_>>())
        });
        lost.filter(|(_, lines)| !lines.is_empty()).collect()
    }

    pub(super) fn file(&mut self, path: &str) -> &mut FileCoverage {
        if !self.files.contains_key(path) {
            self.files.insert(path.to_owned(), FileCoverage::default());
        }
        self.files.get_mut(path).expect("it was put there")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coverage(files: &[(&str, &[(u32, u64)])]) -> Coverage {
        let file = |lines: &[(u32, u64)]| FileCoverage { lines: lines.iter().copied().collect(), branches: None };
        Coverage { files: files.iter().map(|(path, lines)| ((*path).to_owned(), file(lines))).collect() }
    }

    #[test]
    fn lines_not_run_any_more_are_lost() {
        let before = coverage(&[("a", &[(1, 1), (2, 5), (3, 0)]), ("b", &[(1, 1)]), ("c", &[(1, 1)])]);
        let after = coverage(&[("a", &[(1, 1), (2, 0), (3, 1)]), ("c", &[(1, 9)])]);
        let lost = Coverage::lost(&before, &after);
        assert_eq!(lost, BTreeMap::from([("a".into(), BTreeSet::from([2])), ("b".into(), BTreeSet::from([1]))]));
        assert!(Coverage::lost(&after, &after).is_empty());
    }

    #[test]
    fn totals_are_of_all_files_and_reports_add_up() {
        let one = coverage(&[("a", &[(1, 1), (2, 0)])]);
        let two = coverage(&[("a", &[(2, 3)]), ("b", &[(7, 0)])]);
        assert_eq!(one.totals().to_string(), "50.00 % (1 of 2 lines)");
        let both = Coverage::merged([one, two]);
        assert_eq!(both.files["a"].lines, BTreeMap::from([(1, 1), (2, 3)]));
        assert_eq!(both.totals(), Totals { covered: 2, coverable: 3, branches: None });
        assert_eq!(Coverage::default().totals().percent(), None);
    }
}
