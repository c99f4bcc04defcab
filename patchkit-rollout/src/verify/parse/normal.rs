//! What of a name may differ between two runs of the same test, and is taken away.

/// Where temporary files are.
const TEMPORARY: [&str; 4] = ["/private/var/folders/", "/var/folders/", "/var/tmp/", "/tmp/"];

/// A test's name without terminal colours, temporary paths, addresses and a duration at its end, and with single blanks.
pub(in crate::verify) fn normal_name(name: &str) -> String {
    let plain = plain(name);
    let single: Vec<_> = plain.split_whitespace().collect();
    let name = without_duration(&single.join(" ")).to_owned();
    without_addresses(&without_temporary(&name))
}

/// A path with `/` between its parts, without `.` and empty parts, `..` resolved where it can be.
pub(in crate::verify) fn normal_path(path: &str) -> String {
    let path = path.trim().replace('\\', "/");
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let root = if path.starts_with('/') { "/" } else { "" };
    format!("{root}{}", parts.join("/"))
}

/// The text without the escape sequences of terminals.
pub(in crate::verify) fn plain(text: &str) -> std::borrow::Cow<'_, str> {
    if !text.contains('\u{1b}') {
        return text.into();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        match character {
            '\u{1b}' if rest.clone().next() == Some('[') => {
                rest.by_ref().skip(1).find(|end| ('@'..='~').contains(end));
            }
            '\u{1b}' => {}
            other => out.push(other),
        }
    }
    out.into()
}

/// Without ` (12 ms)`, ` [0.5s]` or ` <0.001s>` at the end.
fn without_duration(name: &str) -> &str {
    let Some((before, last)) = name.rsplit_once([' ', '(', '[', '<']) else { return name };
    let words = match name.strip_suffix([')', ']', '>']) {
        Some(_) => &last[..last.len() - 1],
        None => return name,
    };
    // With a blank inside, as in `(12 ms)`, the number stands before it.
    let (start, unit) = match before.rsplit_once([' ', '(', '[', '<']) {
        Some((start, number)) if is_number(number) => (start, words),
        _ => (before, words.trim_start_matches(|letter: char| letter.is_ascii_digit() || letter == '.')),
    };
    let numbered = unit.len() < words.len() || start.len() < before.len();
    let is_duration = numbered && matches!(unit, "ns" | "us" | "µs" | "ms" | "s" | "sec" | "secs" | "seconds");
    match (is_duration, start.strip_suffix([' '])) {
        (true, Some(start)) => start,
        (true, None) if name.as_bytes().get(start.len()) == Some(&b' ') => start,
        _ => name,
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

/// With `<tmp>` in place of each path of a temporary file.
fn without_temporary(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while let Some((start, length)) = first_temporary(rest) {
        out.push_str(&rest[..start]);
        out.push_str("<tmp>");
        let path = &rest[start + length..];
        let end = path.find(|end: char| end.is_whitespace() || "\"'`,;:()[]{}<>|".contains(end));
        rest = &path[end.unwrap_or(path.len())..];
    }
    out.push_str(rest);
    out
}

fn first_temporary(text: &str) -> Option<(usize, usize)> {
    let found = TEMPORARY.iter().filter_map(|prefix| Some((text.find(prefix)?, prefix.len())));
    found.filter(|(start, _)| !text[..*start].ends_with(|before: char| before.is_alphanumeric())).min()
}

/// With `<address>` in place of `0x` and six hexadecimal digits or more.
fn without_addresses(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(start) = rest.find("0x") {
        let digits = rest[start + 2..].bytes().take_while(u8::is_ascii_hexdigit).count();
        let end = start + 2 + digits;
        match digits {
            0..6 => out.push_str(&rest[..end]),
            _ => {
                out.push_str(&rest[..start]);
                out.push_str("<address>");
            }
        }
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_between_runs_is_taken_away() {
        for (name, normal) in [
            ("opens /tmp/pytest-of-root/pytest-3/a0/x.txt, then reads", "opens <tmp>, then reads"),
            ("'/var/tmp/a' and '/tmp/b'", "'<tmp>' and '<tmp>'"),
            ("reads app/tmp/a", "reads app/tmp/a"),
            ("<object at 0x7f3a12345678>", "<object at <address>>"),
            ("mask 0xff", "mask 0xff"),
            ("starts (12 ms)", "starts"),
            ("starts [0.5s]", "starts"),
            ("starts <0.001s>", "starts"),
            ("waits for 5s", "waits for 5s"),
            ("timeout[5s]", "timeout[5s]"),
            ("says (yes)", "says (yes)"),
            (" two\u{1b}[31;1m  words\u{1b}[0m", "two words"),
        ] {
            assert_eq!(normal_name(name), normal);
        }
    }

    #[test]
    fn paths_are_written_one_way() {
        for (path, normal) in [("./a//b/../c.rs", "a/c.rs"), ("/x/./y", "/x/y"), ("..\\a", "../a"), ("", "")] {
            assert_eq!(normal_path(path), normal);
        }
    }
}
