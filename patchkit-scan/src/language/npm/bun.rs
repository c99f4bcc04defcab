//! `bun.lock` of Bun: JSON with comments and trailing commas.
//!
//! `packages` maps a path in the tree to a list that begins with `name@reference`. The reference is a version, or says
//! that it is from Git, a workspace, a link or a folder: those have no version here and are left out.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{
    super::{
        files::Found,
        text::{Lenient, json},
    },
    is_version, split_locator,
};
use crate::inventory::Problem;

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    packages: BTreeMap<String, Vec<Lenient<String>>>,
}

/// Adds the packages of a lock file.
pub(super) fn read(content: &[u8], found: &mut Found) -> Result<(), Problem> {
    let lock: Lock = json(&strict(content))?;
    for locator in lock.packages.values().filter_map(|package| package.first()) {
        if let Some((name, version)) = split_locator(locator.text())
            && is_version(version)
        {
            found.add(name, version);
        }
    }
    Ok(())
}

/// The same with blanks for comments and trailing commas, so that a place in it is the place in the file.
fn strict(content: &[u8]) -> Vec<u8> {
    let mut strict = content.to_vec();
    let (mut at, mut comma) = (0, None);
    while at < content.len() {
        let end = match &content[at..] {
            [b'"', rest @ ..] => at + 1 + string_end(rest),
            [b'/', b'/', rest @ ..] => at + 2 + memchr::memchr(b'\n', rest).unwrap_or(rest.len()),
            [b'/', b'*', rest @ ..] => at + 2 + memchr::memmem::find(rest, b"*/").map_or(rest.len(), |end| end + 2),
            _ => at + 1,
        };
        match content[at] {
            b'/' if end > at + 1 => strict[at..end].iter_mut().filter(|byte| **byte != b'\n').for_each(|b| *b = b' '),
            b',' => comma = Some(at),
            b']' | b'}' => comma.take().into_iter().for_each(|comma: usize| strict[comma] = b' '),
            byte if byte.is_ascii_whitespace() => {}
            _ => comma = None,
        }
        at = end;
    }
    strict
}

/// How long a string is that has begun, with its closing quote.
fn string_end(text: &[u8]) -> usize {
    let mut escaped = false;
    let end = text.iter().position(|byte| {
        let closes = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        closes
    });
    end.map_or(text.len(), |end| end + 1)
}

#[cfg(test)]
mod tests {
    use super::super::{
        super::files::{packages_in, try_packages_in},
        FILES,
    };

    #[test]
    fn packages_are_read() {
        let lock = r#"{
  // a comment, with "quotes", and a comma
  "lockfileVersion": 1,
  "workspaces": { "": { "name": "app", "dependencies": { "left-pad": "^1", }, }, },
  "packages": {
    "left-pad": ["left-pad@1.3.0", "", {}, "sha512-,]\"}"],
    "a/@s/b": ["@s/b@2.0.0", "", { "dependencies": {}, }, "sha512-x",], /* so
      long */
    "ws": ["ws@workspace:packages/ws"],
    "git": ["git@github:a/git#0123", {}, "a-git-0123"],
  },
}"#;
        assert_eq!(packages_in(&FILES, "bun.lock", lock), ["@s/b 2.0.0", "left-pad 1.3.0"]);
    }

    #[test]
    fn places_are_those_of_the_file() {
        let error = try_packages_in(&FILES, "bun.lock", b"{ /* a\nb */ \"a\": [1,], ? }").unwrap_err();
        assert!(error.to_string().contains("line 2 column 17"), "{error}");
    }
}
