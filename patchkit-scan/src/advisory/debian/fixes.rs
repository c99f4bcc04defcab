//! Debian's fixes as a table: one line for each suite, source package and CVE.

use std::{io::BufRead, sync::Arc};

use jiff::civil::Date;
use patchkit_core::AdvisoryId;

use super::{BULLETINS, version};
use crate::advisory::{Advisory, AdvisoryError, End, Scope, Status, input::Lines};

/// The first line of the table: the names of its columns, with tabs between them.
pub const HEADER: &str = "suite\tsource\tcve\tfixed_version\tadvisory\tdate";

/// Reads the table and gives out an advisory for each line; one without a CVE (`-`) has the announcement's id.
///
/// # Errors
/// [`AdvisoryError`] with the line that has other columns, or a value that is none.
pub fn read(input: impl BufRead, sink: &mut dyn FnMut(Advisory)) -> Result<(), AdvisoryError> {
    let mut lines = Lines::new(input);
    // Lines of one suite stand together, so its scope is made once.
    let mut last: Option<(String, Scope)> = None;
    while let Some((number, line)) = lines.next()? {
        if line.is_empty() || number == 1 && line == HEADER {
            continue;
        }
        let row = Row::parse(line).map_err(|message| AdvisoryError::syntax(number, message))?;
        let known = last.take().filter(|(suite, _)| suite == row.suite);
        let (suite, scope) = known.unwrap_or_else(|| (row.suite.into(), Scope::new("debian", Some(row.suite))));
        let advisory = row.advisory(scope.clone());
        sink(advisory.map_err(|message| AdvisoryError::syntax(number, message))?);
        last = Some((suite, scope));
    }
    Ok(())
}

struct Row<'a> {
    suite: &'a str,
    source: &'a str,
    cve: &'a str,
    fixed: Arc<str>,
    advisory: &'a str,
    date: &'a str,
}

impl<'a> Row<'a> {
    fn parse(line: &'a str) -> Result<Self, String> {
        let mut columns = line.split('\t');
        let mut next = || columns.next().ok_or_else(|| "a line has six columns, with tabs between them".to_owned());
        let (suite, source, cve) = (next()?, next()?, next()?);
        let (fixed, advisory, date) = (version(next()?)?, next()?, next()?);
        match columns.next() {
            Some(more) => Err(format!("a seventh column, {more:?}")),
            None => Ok(Self { suite, source, cve, fixed, advisory, date }),
        }
    }

    fn advisory(self, scope: Scope) -> Result<Advisory, String> {
        let date: Date = self.date.parse().map_err(|_| format!("date {:?}: expected YYYY-MM-DD", self.date))?;
        let bulletin: AdvisoryId = self.advisory.parse().map_err(|error| format!("{error}"))?;
        let id = if self.cve == "-" { Ok(bulletin.clone()) } else { self.cve.parse() };
        let id = id.map_err(|error| format!("{error}"))?;
        let package = self.source.parse().map_err(|error| format!("{error}"))?;
        let advisory = Advisory::new(id, scope, package, Status::up_to(End::Fixed(self.fixed)), BULLETINS);
        Ok(Advisory { bulletins: vec![bulletin], date: Some(date), ..advisory })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn parse(row: &str) -> Result<Vec<Advisory>, AdvisoryError> {
        let mut found = Vec::new();
        read(format!("{HEADER}\n{row}\n").as_bytes(), &mut |advisory| found.push(advisory)).map(|()| found)
    }

    #[test]
    fn a_row_is_an_advisory() {
        let found = parse("bullseye\topenssl\tCVE-2024-5535\t1.1.1w-0+deb11u2\tDLA-3942-2\t2024-11-01").unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].scope, Scope::new("debian", Some("11")));
        assert_eq!(found[0].bulletins[0].as_str(), "DLA-3942-2");
        assert_eq!(found[0].status, Status::up_to(End::Fixed("1.1.1w-0+deb11u2".into())));
        assert_eq!(found[0].date, Some(jiff::civil::date(2024, 11, 1)));
    }

    #[test]
    fn a_row_without_a_cve_has_the_announcements_id() {
        let found = parse("bullseye\ttzdata\t-\t2024b-0+deb11u1\tDLA-3972-1\t2024-11-28").unwrap();
        assert_eq!(found[0].id, found[0].bulletins[0]);
    }

    #[test]
    fn what_is_no_row_is_named_with_its_line() {
        for (row, message) in [
            ("bullseye\topenssl", "line 2: a line has six columns, with tabs between them"),
            ("a\tb\tCVE-2024-5535\t1 2\tDSA-1\t2024-11-01", "line 2: version \"1 2\": the version has a space in it"),
            ("a\tb\tCVE-2024-5535\t1\tDSA-1\t1.11.2024", "line 2: date \"1.11.2024\": expected YYYY-MM-DD"),
            ("a\tb\tCVE-2024-5535\t1\tDSA-1\t2024-11-01\tx", "line 2: a seventh column, \"x\""),
        ] {
            let error = parse(row).unwrap_err();
            assert_eq!(error.to_string().trim_start_matches(": "), message, "{row}");
        }
    }
}
