//! Requirements files of pip: only what is pinned to one version says what will be there.
//!
//! The format is pip's own, a requirement of PEP 508 a line. Ranges, wildcards, URLs and options are passed over.

use std::borrow::Cow;

use super::super::files::Found;
use crate::inventory::Problem;

/// Adds the pinned packages of a file.
pub(super) fn read(content: &[u8], found: &mut Found) -> Result<(), Problem> {
    let mut pending = String::new();
    for line in std::str::from_utf8(content)?.lines() {
        if let Some(begun) = line.strip_suffix('\\') {
            pending.push_str(begun);
            continue;
        }
        let whole = match pending.is_empty() {
            true => Cow::Borrowed(line),
            false => Cow::Owned(std::mem::take(&mut pending) + line),
        };
        add(&whole, found);
    }
    add(&pending, found);
    Ok(())
}

fn add(requirement: &str, found: &mut Found) {
    if let Some((name, version)) = pin(requirement) {
        found.add(name, version);
    }
}

/// The name and the version that a line pins it to.
fn pin(line: &str) -> Option<(&str, &str)> {
    let line = line.split('#').next()?.split(';').next()?.trim();
    let end = line.find(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c))).unwrap_or(line.len());
    let (name, rest) = line.split_at(end);
    if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    let rest = rest.trim_start();
    let rest = match rest.strip_prefix('[') {
        Some(extras) => extras.split_once(']')?.1,
        None => rest,
    };
    let clauses = rest.trim_start().trim_start_matches('(').split([',', ')']);
    let version = clauses.filter_map(|clause| clause.trim().strip_prefix("==")).next()?;
    let version = version.trim_start_matches('=').split_whitespace().next()?;
    (!version.contains('*')).then_some((name, version))
}

#[cfg(test)]
mod tests {
    use super::super::{super::files::packages_in, FILES};

    #[test]
    fn pins_are_read() {
        for (line, package) in [
            (" flask == 4.0.0", Some("flask 4.0.0")),
            ("urllib3===1.26.20", Some("urllib3 1.26.20")),
            ("foo == 1.0.0 # comment", Some("foo 1.0.0")),
            ("SomeProject ==5.4 ; python_version < '3.8'", Some("someproject 5.4")),
            ("argh==0.26.2 --hash=sha256:00", Some("argh 0.26.2")),
            ("celery[redis, pytest] == 4.4.7", Some("celery 4.4.7")),
            ("dots-._allowed (==1.0.0)", Some("dots-allowed 1.0.0")),
            ("a>=1.0,==1.2", Some("a 1.2")),
            ("a == 1.2.3+local.1", Some("a 1.2.3+local.1")),
            ("a==2.8.*", None),
            ("a>=1.0", None),
            ("a", None),
            ("==2.3.4", None),
            ("# a==1.0", None),
            ("-e https://example.org/a.git", None),
            ("--requirement other==1.txt", None),
            ("a @ https://example.org/a==1.whl", None),
        ] {
            let packages = packages_in(&FILES, "requirements.txt", line);
            assert_eq!(packages.first().map(String::as_str), package, "{line}");
        }
    }

    #[test]
    fn lines_go_on_behind_a_backslash() {
        let content = "a==1.0 \\\n  --hash=x \\\n  --hash=y\nb>=1, \\\n  ==2.0\nc==3 \\\n";
        assert_eq!(packages_in(&FILES, "requirements.txt", content), ["a 1.0", "b 2.0", "c 3"]);
    }
}
