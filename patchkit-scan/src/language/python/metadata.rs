//! Core metadata of installed packages: `METADATA`, `PKG-INFO`, and files that are called `*.egg-info`.
//!
//! It is a head of fields as in mail, a blank line, then a text to read.

use super::super::files::Found;
use crate::inventory::Problem;

/// Adds the package that the metadata describes. Old files need not be UTF-8; name and version are ASCII.
pub(super) fn read(content: &[u8], found: &mut Found) -> Result<(), Problem> {
    let text = String::from_utf8_lossy(head(content));
    let field = |key: &str| {
        let fields = text.lines().filter_map(|line| line.split_once(':'));
        fields.filter(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value.trim()).next()
    };
    if let (Some(name), Some(version)) = (field("Name"), field("Version"))
        && name != "Python"
    {
        found.add(name, version);
    }
    Ok(())
}

/// What comes before the first blank line.
fn head(content: &[u8]) -> &[u8] {
    let end = memchr::memchr_iter(b'\n', content).find(|at| {
        let next = &content[at + 1..];
        next.starts_with(b"\n") || next.starts_with(b"\r\n")
    });
    &content[..end.unwrap_or(content.len())]
}

#[cfg(test)]
mod tests {
    use super::super::{super::files::try_packages_in, FILES};

    #[test]
    fn the_head_names_the_package() {
        for (content, packages) in [
            (
                &b"Metadata-Version: 2.1\nName: Pygments\nVersion: 2.6.1\n\nName: x\nVersion: 1\n"[..],
                &["pygments 2.6.1"][..],
            ),
            (b"Metadata-Version: 2.1\r\nName: a.b\r\nVersion: 1 \r\n\r\nx", &["a-b 1"]),
            (b"Author: Andr\xe9\nname: a\nversion: 1", &["a 1"]),
            (b"Name: a\n\nVersion: 1\n", &[]),
            (b"Name: Python\nVersion: 2.7.13\n", &[]),
            (b"", &[]),
        ] {
            let found = try_packages_in(&FILES, "a-1.dist-info/METADATA", content).expect("any text is metadata");
            assert_eq!(found, packages);
        }
    }
}
