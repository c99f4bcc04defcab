//! Go's cover profile: blocks of statements. Source: `golang.org/x/tools/cover`.
//!
//! A profile has no end mark: one that is cut between two lines is only less.

use super::Coverage;
use crate::verify::parse::{Fault, lines, normal_path, whole_lines};

/// How many lines a block may have, and a report in all: real ones are far below.
const MAX_BLOCK: u32 = 100_000;
const MAX_LINES: usize = 20_000_000;

/// Reads the report. Of several blocks on a line the one that ran most counts.
pub(super) fn read(text: &str) -> Result<Coverage, Fault> {
    whole_lines(text)?;
    let mut coverage = Coverage::default();
    let mut left = MAX_LINES;
    let mut has_mode = false;
    for (number, line) in lines(text).filter(|(_, line)| !line.is_empty()) {
        if let Some(mode) = line.strip_prefix("mode: ") {
            if !matches!(mode, "atomic" | "count" | "set") {
                return Err(Fault::at(number, format!("mode {mode:?} is not known")));
            }
            has_mode = true;
            continue;
        }
        let block = Block::parse(line).filter(|_| has_mode);
        let block = block.ok_or_else(|| Fault::at(number, format!("{line:?} is not a block")))?;
        let length = block.last - block.first + 1;
        left = usize::try_from(length)
            .ok()
            .filter(|_| length <= MAX_BLOCK)
            .and_then(|length| left.checked_sub(length))
            .ok_or_else(|| Fault::at(number, "there are too many lines"))?;
        block.add(&mut coverage);
    }
    if has_mode { Ok(coverage) } else { Err(Fault::at(1, "there is no mode")) }
}

struct Block<'a> {
    path: &'a str,
    first: u32,
    last: u32,
    statements: u64,
    runs: u64,
}

impl<'a> Block<'a> {
    /// `shop/price.go:3.23,4.13 1 1`: path, from line and column, to line and column, statements, runs.
    fn parse(line: &'a str) -> Option<Self> {
        let (path, rest) = line.rsplit_once(':')?;
        let mut parts = rest.split(' ');
        let (first, last) = parts.next()?.split_once(',')?;
        let line = |place: &str| {
            place.split_once('.').and_then(|(line, column)| column.parse::<u32>().ok().and(line.parse::<u32>().ok()))
        };
        let (first, last) = (line(first)?, line(last)?);
        let (statements, runs) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let is_whole = parts.next().is_none() && first > 0 && first <= last && !path.is_empty();
        is_whole.then_some(Self { path, first, last, statements, runs })
    }

    fn add(&self, coverage: &mut Coverage) {
        if self.statements == 0 {
            return;
        }
        let file = coverage.file(&normal_path(self.path));
        for line in self.first..=self.last {
            let runs = file.lines.entry(line).or_default();
            *runs = self.runs.max(*runs);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_runs_as_often_as_its_best_block() {
        let text = "mode: count\na/b.go:3.23,4.13 1 7\na/b.go:4.13,6.3 1 0\na/b.go:9.1,9.2 0 0\n";
        assert_eq!(read(text).unwrap().files["a/b.go"].lines, [(3, 7), (4, 7), (5, 0), (6, 0)].into());
    }

    #[test]
    fn damage_is_named_with_its_line() {
        for line in ["a.go:1.1,2.2 1", "a.go:3.1,2.2 1 1\n", "x\n", "a.go:1.1,999999999.1 1 1\n", "mode: x\n"] {
            assert_eq!(read(&format!("mode: set\n{line}")).unwrap_err().line, 2, "{line}");
        }
        assert!(read("").is_err() && read("a.go:1.1,2.2 1 1\n").is_err());
    }
}
