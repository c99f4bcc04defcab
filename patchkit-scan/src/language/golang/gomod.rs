//! `go.mod`: the modules that a module asks for.
//!
//! Source: the Go modules reference, "go.mod files". Only what it asks for is read, not what those ask for: since Go 1.17
//! a `go.mod` has the whole list.

use std::collections::{BTreeMap, BTreeSet};

use patchkit_core::{Package, Presence};
use thiserror::Error;

use super::{Module, module};
use crate::inventory::{Candidate, Content, Detector, Problem};

/// The detector of `go.mod`.
///
/// A module that is replaced is what it is replaced by; one that is excluded at the very version that is asked for is left
/// out, since Go takes another.
#[derive(Debug)]
pub(in crate::language) struct GoMod;

impl Detector for GoMod {
    fn name(&self) -> &'static str {
        "go.mod"
    }

    fn wants(&self, file: &Candidate<'_>) -> bool {
        file.path.file_name() == Some(b"go.mod")
    }

    fn detect(&self, _: &Candidate<'_>, content: &Content) -> Result<Vec<Package>, Problem> {
        Ok(parse(content.text()?)?)
    }
}

/// A line of a `go.mod` that cannot be read.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("line {line}: {reason}")]
struct ParseGoModError {
    line: usize,
    reason: &'static str,
}

/// The modules that a `go.mod` asks for, by their path.
fn parse(text: &str) -> Result<Vec<Package>, ParseGoModError> {
    let mut file = File::default();
    for (index, line) in text.lines().enumerate() {
        file.line(line).map_err(|reason| ParseGoModError { line: index + 1, reason })?;
    }
    let File { required, replaced, excluded, block } = file;
    if block.is_some() {
        return Err(ParseGoModError { line: text.lines().count(), reason: "a block is not closed" });
    }
    let required = required.into_iter().map(|(path, version)| Module { path, version });
    let modules = required.filter(|asked| !excluded.contains(asked)).map(|asked| {
        let any = Module { path: asked.path.clone(), version: String::new() };
        replaced.get(&asked).or_else(|| replaced.get(&any)).cloned().unwrap_or(asked)
    });
    let declared = modules.filter_map(|Module { path, version }| module(&path, &version));
    Ok(declared.map(|package| Package { presence: Presence::Declared, ..package }).collect())
}

/// What was read so far.
#[derive(Default)]
struct File {
    required: BTreeMap<String, String>,
    /// What replaces a module at a version, or (with an empty one) at any.
    replaced: BTreeMap<Module, Module>,
    excluded: BTreeSet<Module>,
    /// The directive of the block we are in.
    block: Option<String>,
}

impl File {
    fn line(&mut self, line: &str) -> Result<(), &'static str> {
        let words = words(line)?;
        let Some((first, rest)) = words.split_first() else { return Ok(()) };
        if let Some(directive) = self.block.clone() {
            return match first.as_str() {
                ")" => {
                    self.block = None;
                    Ok(())
                }
                _ => self.directive(&directive, &words),
            };
        }
        if rest.first().is_some_and(|word| word == "(") {
            self.block = Some(first.clone());
            return Ok(());
        }
        self.directive(first, rest)
    }

    fn directive(&mut self, directive: &str, words: &[String]) -> Result<(), &'static str> {
        match directive {
            "require" => {
                let [path, version] = words else { return Err("require takes a module and a version") };
                self.required.insert(path.clone(), version.clone());
            }
            "exclude" => {
                let [path, version] = words else { return Err("exclude takes a module and a version") };
                self.excluded.insert(Module { path: path.clone(), version: version.clone() });
            }
            "replace" => {
                let (from, to) = replacement(words).ok_or("replace takes a module, => and what replaces it")?;
                self.replaced.insert(from, to);
            }
            _ => {}
        }
        Ok(())
    }
}

fn replacement(words: &[String]) -> Option<(Module, Module)> {
    let arrow = words.iter().position(|word| word == "=>")?;
    let named = |words: &[String]| match words {
        [path] => Some(Module { path: path.clone(), version: String::new() }),
        [path, version] => Some(Module { path: path.clone(), version: version.clone() }),
        _ => None,
    };
    Some((named(&words[..arrow])?, named(&words[arrow + 1..])?))
}

/// The words of a line: bare, or in double quotes or backquotes. `(` and `)` are words of their own, and a comment ends
/// the line.
fn words(line: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() && !rest.starts_with("//") {
        let (word, after) = match rest.as_bytes()[0] {
            quote @ (b'"' | b'`') => {
                let end = rest[1..].find(char::from(quote)).ok_or("a quote is not closed")?;
                (&rest[1..=end], &rest[end + 2..])
            }
            b'(' | b')' => rest.split_at(1),
            _ => rest.split_at(rest.find(|c: char| c.is_whitespace() || "()".contains(c)).unwrap_or(rest.len())),
        };
        words.push(word.into());
        rest = after.trim_start();
    }
    Ok(words)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn purls(text: &str) -> Vec<String> {
        parse(text).unwrap().into_iter().map(|package| package.purl.into()).collect()
    }

    #[test]
    fn requirements_single_and_in_blocks() {
        let text = "module example.org/a // of ours\n\ngo 1.22\n\nrequire rsc.io/quote v1.5.2\n\nrequire (\n\
                    \tgithub.com/x/y/v2 v2.0.1 // indirect\n\t\"gopkg.in/z.v3\" v3.0.0-20210107192922-496545a6307b\n)\n\
                    exclude github.com/x/y/v2 v2.0.0\nexclude b.org/b v1.0.0\nrequire b.org/b v1.0.0\nretract v1.0.0\n";
        let expected = [
            "pkg:golang/github.com/x/y/v2@v2.0.1",
            "pkg:golang/gopkg.in/z.v3@v3.0.0-20210107192922-496545a6307b",
            "pkg:golang/rsc.io/quote@v1.5.2",
        ];
        assert_eq!(purls(text), expected);
        assert!(parse(text).unwrap().iter().all(|package| package.presence == Presence::Declared));
    }

    #[test]
    fn what_is_replaced_is_another_module() {
        let text = "require (\n a.org/a v1.0.0\n b.org/b v1.0.0\n c.org/c v1.0.0\n d.org/d v1.0.0\n)\n\
                    replace a.org/a => fork.org/a v1.0.1\nreplace (\n b.org/b v1.0.0 => b.org/b v1.0.9\n\
                    c.org/c v9.0.0 => never.org/c v1.0.0\n)\nreplace d.org/d => ../d\n";
        let expected = ["pkg:golang/fork.org/a@v1.0.1", "pkg:golang/b.org/b@v1.0.9", "pkg:golang/c.org/c@v1.0.0"];
        assert_eq!(purls(text), expected);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, line) in [
            ("module a\nrequire b", 2),
            ("require (\n a v1\n", 2),
            ("\n\nreplace a b", 3),
            ("replace a => b c d", 1),
            ("require \"a v1", 1),
        ] {
            assert_eq!(parse(text).unwrap_err().line, line, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(require|replace|=>|[ab]|v1|[(]|[)]|\"|//| |\n|ä)*") {
            let _ = parse(&text);
        }
    }
}
