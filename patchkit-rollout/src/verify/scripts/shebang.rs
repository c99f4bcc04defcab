use std::{
    collections::{BTreeMap, HashMap},
    io::Read,
};

use patchkit_core::{
    Context, Error, Image, Result,
    image::{Entry, FileTree, LayerVisitor},
};

use super::super::programs::Programs;

/// The most bytes of a script's first line that count, as Linux has it (`BINPRM_BUF_SIZE`).
const MAX_LINE: u64 = 256;

/// What the first line of a script names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shebang {
    /// The interpreter, as it stands there.
    pub interpreter: String,
    /// The program that `env` is to look for.
    pub program: Option<String>,
}

/// Reads the first line of a script (`execve(2)`); `None` for what is none.
///
/// For `env` the program is found behind its options, `-S` and variables (GNU coreutils).
#[must_use]
pub fn parse(start: &[u8]) -> Option<Shebang> {
    let line = start.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let line = String::from_utf8_lossy(line);
    let line = line.trim_matches([' ', '\t', '\r', '\0']);
    let (interpreter, argument) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    if interpreter.is_empty() {
        return None;
    }
    let is_env = interpreter.rsplit('/').next() == Some("env");
    let program = if is_env { env_program(argument) } else { None };
    Some(Shebang { interpreter: interpreter.into(), program })
}

/// The program among the arguments of `env`.
fn env_program(arguments: &str) -> Option<String> {
    let arguments = arguments.replace("--split-string=", " ");
    let mut words = arguments.split([' ', '\t']).filter(|word| !word.is_empty());
    while let Some(word) = words.next() {
        match word {
            "-u" | "-C" | "--unset" | "--chdir" => drop(words.next()),
            _ if word.starts_with("-S") && word.len() > 2 => return Some(word[2..].into()),
            _ if word.starts_with('-') || word.contains('=') => {}
            _ => return Some(word.into()),
        }
    }
    None
}

/// The executable scripts of an image, by path, with what is wrong with their interpreter.
pub(super) async fn scripts(image: &Image, tree: &FileTree, cx: &Context) -> Result<BTreeMap<String, Option<String>>> {
    let mut lines = Vec::new();
    for layer in image.layers() {
        lines.push(layer.visit(FirstLines::default(), cx).await?.0);
    }
    let programs = Programs::of(image.config(), tree);
    let mut scripts = BTreeMap::new();
    for (path, node) in tree.iter() {
        let line = node.entry().and_then(|entry| lines[node.layer].get(&entry));
        if let (Some(line), Some(_)) = (line, node.size()) {
            scripts.insert(path.to_string(), fault(&programs, line));
        }
    }
    Ok(scripts)
}

fn fault(programs: &Programs<'_>, line: &Shebang) -> Option<String> {
    let names = [Some(&line.interpreter), line.program.as_ref()];
    let mut faults = names.into_iter().flatten().filter_map(|name| Some((name, programs.find(name).err()?)));
    faults.next().map(|(name, why)| format!("its interpreter {name} {why}"))
}

/// The first lines of a layer's executable scripts, by the index of their entries.
#[derive(Default)]
struct FirstLines(HashMap<usize, Shebang>);

impl LayerVisitor for FirstLines {
    fn entry(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<()> {
        if entry.size() < 3 || entry.metadata.mode & 0o111 == 0 {
            return Ok(());
        }
        let mut start = Vec::new();
        let read = content.take(MAX_LINE).read_to_end(&mut start);
        read.map_err(|error| Error::unexpected("a layer cannot be read").because(error))?;
        if let Some(line) = parse(&start) {
            self.0.insert(entry.index, line);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_first_lines() {
        for (line, interpreter, program) in [
            ("#!/bin/sh\n", "/bin/sh", None),
            ("#! /usr/bin/perl -w\nx", "/usr/bin/perl", None),
            ("#!/usr/bin/env python3", "/usr/bin/env", Some("python3")),
            ("#!/usr/bin/env -S python3 -u\n", "/usr/bin/env", Some("python3")),
            ("#!/usr/bin/env -Snode --x\n", "/usr/bin/env", Some("node")),
            ("#!/usr/bin/env --split-string=node --x\n", "/usr/bin/env", Some("node")),
            ("#!/usr/bin/env -i -u HOME A=b bash\r\n", "/usr/bin/env", Some("bash")),
            ("#!/usr/bin/env\n", "/usr/bin/env", None),
        ] {
            let expected = Shebang { interpreter: interpreter.into(), program: program.map(Into::into) };
            assert_eq!(parse(line.as_bytes()), Some(expected), "{line:?}");
        }
        for line in ["", "#!", "#! \n/bin/sh", "\x7fELF", "# !/bin/sh"] {
            assert_eq!(parse(line.as_bytes()), None, "{line:?}");
        }
    }
}
