//! LCOV's tracefile. Source: `man geninfo`.

use super::{Branches, Coverage, FileCoverage};
use crate::verify::parse::{Fault, last_line, lines, normal_path, whole_lines};

/// Reads the report. Of several records of one file the runs of a line add up.
pub(super) fn read(text: &str) -> Result<Coverage, Fault> {
    whole_lines(text)?;
    let mut reports = Vec::new();
    let mut open: Option<Record> = None;
    for (number, line) in lines(text).map(|(number, line)| (number, line.trim())) {
        match (line.split_once(':').unwrap_or((line, "")), &mut open) {
            (("", _) | ("TN" | "VER", _), _) => {}
            (("SF", path), None) => open = Some(Record::new(path)),
            (("end_of_record", _), Some(record)) => {
                reports.push(std::mem::take(record).finish(number)?);
                open = None;
            }
            ((key, value), Some(record)) => record.take(key, value, number)?,
            _ if line.starts_with('#') => {}
            _ => return Err(Fault::at(number, format!("{line:?} is in no record"))),
        }
    }
    match open {
        Some(_) => Err(Fault::at(last_line(text), "the report ends within a record")),
        None => Ok(Coverage::merged(reports)),
    }
}

#[derive(Default)]
struct Record {
    path: String,
    file: FileCoverage,
    /// How many lines it says it has.
    lines: Option<usize>,
    /// Branches as it counts them, and as they are listed.
    summed: Branches,
    listed: Branches,
}

impl Record {
    fn new(path: &str) -> Self {
        Self { path: normal_path(path), ..Self::default() }
    }

    fn take(&mut self, key: &str, value: &str, number: usize) -> Result<(), Fault> {
        let count =
            |value: &str| value.trim().parse().map_err(|_| Fault::at(number, format!("{value:?} is not a number")));
        match key {
            "DA" => {
                let mut parts = value.split(',');
                let line = parts.next().and_then(|line| line.trim().parse().ok());
                // gcov writes negative numbers where its counters are damaged.
                let hits = parts.next().and_then(|hits| hits.trim().parse::<i128>().ok());
                let (Some(line), Some(hits)) = (line, hits) else {
                    return Err(Fault::at(number, format!("{value:?} is not a line and its runs")));
                };
                self.file.hit(line, u64::try_from(hits.max(0)).unwrap_or(u64::MAX));
            }
            "BRDA" => {
                let taken = value.rsplit(',').next().unwrap_or("-");
                self.listed += Branches { covered: u64::from(!matches!(taken, "-" | "0")), total: 1 };
            }
            "BRF" => self.summed.total = count(value)?,
            "BRH" => self.summed.covered = count(value)?,
            "LF" => self.lines = usize::try_from(count(value)?).ok(),
            _ => {}
        }
        Ok(())
    }

    fn finish(mut self, number: usize) -> Result<Coverage, Fault> {
        let found = self.file.lines.len();
        if let Some(said) = self.lines.filter(|said| *said > found) {
            return Err(Fault::at(number, format!("the record says that it has {said} lines, and has {found}")));
        }
        let branches = if self.summed.total > 0 { self.summed } else { self.listed };
        self.file.branches = (branches.total > 0).then_some(branches);
        Ok(Coverage { files: [(self.path, self.file)].into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_add_up() {
        let text = "TN:\nSF:./a.c\nDA:1,2\nDA:2,0,abc\nBRDA:1,0,0,-\nBRDA:1,0,1,3\nLF:2\nend_of_record\nSF:a.c\nDA:2,-1\nDA:3,7\nend_of_record\n";
        let coverage = read(text).unwrap();
        let file = &coverage.files["a.c"];
        assert_eq!(file.lines, [(1, 2), (2, 0), (3, 7)].into());
        assert_eq!(file.branches, Some(Branches { covered: 1, total: 2 }));
    }

    #[test]
    fn damage_is_named_with_its_line() {
        for text in ["SF:a\nDA:1,1\n", "SF:a\nDA:1\nend_of_record\n", "TN:\nDA:1,1\n", "TN:\nSF:a", "SF:a\nDA:1,x\n"] {
            assert_eq!(read(text).unwrap_err().line, 2, "{text}");
        }
        assert!(read("SF:a\nLF:1\nend_of_record\n").is_err());
    }
}
