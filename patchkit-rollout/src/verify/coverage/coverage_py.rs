//! The JSON of coverage.py: `coverage json`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Branches, Coverage, FileCoverage};
use crate::verify::parse::{Fault, normal_path};

#[derive(Deserialize)]
struct Report {
    files: BTreeMap<String, File>,
}

#[derive(Deserialize)]
struct File {
    executed_lines: Vec<u32>,
    missing_lines: Vec<u32>,
    summary: Summary,
}

#[derive(Deserialize)]
struct Summary {
    num_statements: usize,
    num_branches: Option<u64>,
    covered_branches: Option<u64>,
}

/// Reads the report. It says whether a line was run, not how often.
pub(super) fn read(text: &str) -> Result<Coverage, Fault> {
    let report: Report =
        serde_json::from_str(text).map_err(|error| Fault::at(error.line().max(1), error.to_string()))?;
    let mut coverage = Coverage::default();
    for (path, File { executed_lines, missing_lines, summary }) in report.files {
        let mut file = FileCoverage::default();
        missing_lines.into_iter().for_each(|line| file.hit(line, 0));
        executed_lines.into_iter().for_each(|line| file.hit(line, 1));
        if file.lines.len() < summary.num_statements {
            let (said, found) = (summary.num_statements, file.lines.len());
            return Err(Fault::at(1, format!("{path} says that it has {said} lines, and has {found}")));
        }
        let total = summary.num_branches.zip(summary.covered_branches);
        file.branches = total.map(|(total, covered)| Branches { covered, total });
        *coverage.file(&normal_path(&path)) = file;
    }
    Ok(coverage)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_named_with_its_line() {
        let text = r#"{"files":{"a.py":{"executed_lines":[1],"missing_lines":[3],"summary":{"num_statements":2}}}}"#;
        assert_eq!(read(text).unwrap().files["a.py"].lines, [(1, 1), (3, 0)].into());
        assert!(read(&text.replace(":2}", ":3}")).is_err());
        assert_eq!(read(&format!("\n{}", &text[..40])).unwrap_err().line, 2);
    }
}
