//! Conditions: `test`, `[`, and `dpkg --compare-versions`, as far as their words are known.

use std::cmp::Ordering;

use crate::debian::version::DebVersion;

use super::environment::Field;
use super::{PathFacts, TargetFacts, TargetKind, Tree};

/// Whether `test` with these words holds; `None` where that is not known.
pub(super) fn test(fields: &[Field], tree: &Tree<'_>) -> Option<bool> {
    if fields.contains(&Field::Unknown { splits: true }) {
        return None;
    }
    let words: Vec<Option<&str>> = fields.iter().map(Field::known).collect();
    expression(&words, tree)
}

fn expression(words: &[Option<&str>], tree: &Tree<'_>) -> Option<bool> {
    match words {
        [] => Some(false),
        [word] => word.map(|word| !word.is_empty()),
        [Some("!"), word] => expression(&[*word], tree).map(|holds| !holds),
        [operator, operand] => unary((*operator)?, *operand, tree),
        [left, operator, right] if is_binary(*operator) => binary(*left, (*operator)?, *right),
        _ => compound(words, tree),
    }
}

/// `-o` binds weaker than `-a`, and that weaker than `!`. A word that is not known could be an operator.
fn compound(words: &[Option<&str>], tree: &Tree<'_>) -> Option<bool> {
    for (operator, joins) in [("-o", or as fn(_, _) -> _), ("-a", and)] {
        if let Some(at) = words.iter().position(|word| *word == Some(operator)).filter(|at| *at > 0) {
            return joins(expression(&words[..at], tree), expression(&words[at + 1..], tree));
        }
    }
    match words {
        [Some("!"), rest @ ..] => expression(rest, tree).map(|holds| !holds),
        _ => None,
    }
}

fn or(left: Option<bool>, right: Option<bool>) -> Option<bool> {
    match (left, right) {
        (Some(true), _) | (_, Some(true)) => Some(true),
        (Some(false), Some(false)) => Some(false),
        _ => None,
    }
}

fn and(left: Option<bool>, right: Option<bool>) -> Option<bool> {
    or(left.map(|holds| !holds), right.map(|holds| !holds)).map(|holds| !holds)
}

fn unary(operator: &str, operand: Option<&str>, tree: &Tree<'_>) -> Option<bool> {
    match (operator, operand?) {
        ("-n", text) => Some(!text.is_empty()),
        ("-z", text) => Some(text.is_empty()),
        // An image is not running, so systemd is not either (sd_booted(3)).
        ("-d" | "-e", "/run/systemd/system") => Some(false),
        (_, path) if path.starts_with('/') => file_test(operator, tree(path)?),
        _ => None,
    }
}

/// A test of a file, made by root.
fn file_test(operator: &str, facts: PathFacts) -> Option<bool> {
    let found = |holds: fn(&TargetFacts) -> bool| Some(facts.target.as_ref().is_some_and(holds));
    match operator {
        "-d" => found(|target| target.kind == TargetKind::Directory),
        "-e" | "-r" => found(|_| true),
        "-f" => found(|target| target.kind == TargetKind::File),
        "-h" | "-L" => Some(facts.is_symlink),
        "-s" => found(|target| !target.is_empty),
        "-x" => found(|target| target.is_executable),
        _ => None,
    }
}

fn is_binary(operator: Option<&str>) -> bool {
    matches!(operator, Some("=" | "==" | "!=" | "-eq" | "-ne" | "-lt" | "-le" | "-gt" | "-ge"))
}

fn binary(left: Option<&str>, operator: &str, right: Option<&str>) -> Option<bool> {
    let (left, right) = (left?, right?);
    let order = || Some(left.parse::<i64>().ok()?.cmp(&right.parse().ok()?));
    match operator {
        "=" | "==" => Some(left == right),
        "!=" => Some(left != right),
        "-eq" => order().map(Ordering::is_eq),
        "-ne" => order().map(Ordering::is_ne),
        "-lt" => order().map(Ordering::is_lt),
        "-le" => order().map(Ordering::is_le),
        "-gt" => order().map(Ordering::is_gt),
        "-ge" => order().map(Ordering::is_ge),
        _ => None,
    }
}

/// Whether `dpkg --compare-versions` with these words holds (dpkg(1)): an empty version is earlier than any, or, with
/// `-nl`, later.
pub(super) fn compare_versions(fields: &[Field]) -> Option<bool> {
    let [left, operator, right] = fields else {
        return None;
    };
    let (left, operator, right) = (left.known()?, operator.known()?, right.known()?);
    let (operator, empty_is_later) = match operator.strip_suffix("-nl") {
        Some(operator) => (operator, true),
        None => (operator, false),
    };
    let order = match (left.is_empty(), right.is_empty()) {
        (true, true) => Ordering::Equal,
        (true, false) if empty_is_later => Ordering::Greater,
        (true, false) => Ordering::Less,
        (false, true) if empty_is_later => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => DebVersion::parse_lenient(left).ok()?.cmp(&DebVersion::parse_lenient(right).ok()?),
    };
    match operator {
        "lt" | "<<" => Some(order.is_lt()),
        "le" | "<=" | "<" => Some(order.is_le()),
        "eq" | "=" => Some(order.is_eq()),
        "ne" => Some(order.is_ne()),
        "ge" | ">=" | ">" => Some(order.is_ge()),
        "gt" | ">>" => Some(order.is_gt()),
        _ => None,
    }
}

/// Whether `text` matches a pattern of a `case`; `None` for patterns with brackets, which are not worked out.
pub(super) fn matches_pattern(text: &str, pattern: &str) -> Option<bool> {
    if pattern.contains(['[', '\\']) { None } else { Some(glob(text.as_bytes(), pattern.as_bytes())) }
}

fn glob(text: &[u8], pattern: &[u8]) -> bool {
    let (mut text_at, mut pattern_at) = (0, 0);
    // Where to go on when a star has to take one byte more.
    let mut retry: Option<(usize, usize)> = None;
    while text_at < text.len() {
        match pattern.get(pattern_at) {
            Some(b'*') => {
                retry = Some((text_at, pattern_at));
                pattern_at += 1;
            }
            Some(byte) if *byte == b'?' || *byte == text[text_at] => {
                text_at += 1;
                pattern_at += 1;
            }
            _ => {
                let Some((star_text, star)) = retry else {
                    return false;
                };
                retry = Some((star_text + 1, star));
                (text_at, pattern_at) = (star_text + 1, star + 1);
            }
        }
    }
    pattern[pattern_at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Vec<Field> {
        let field = |word| match word {
            "?" => Field::Unknown { splits: false },
            "??" => Field::Unknown { splits: true },
            "''" => Field::Known(String::new()),
            _ => Field::Known(String::from(word)),
        };
        text.split(' ').filter(|word| !word.is_empty()).map(field).collect()
    }

    #[test]
    fn tests() {
        for (text, holds) in [
            ("", Some(false)),
            ("-z", Some(true)),
            ("-z ''", Some(true)),
            ("-n ''", Some(false)),
            ("! -n ''", Some(true)),
            ("a = a", Some(true)),
            ("a != a", Some(false)),
            ("a = ?", None),
            ("? = ??", None),
            ("-f /etc/passwd", None),
            ("-d /run/systemd/system", Some(false)),
            ("a = b -o a = a", Some(true)),
            ("a = a -a ? = a", None),
            ("a = b -a ? = a", Some(false)),
            ("! a = a -a b = b", Some(false)),
            ("2 -lt 10", Some(true)),
            ("x -lt 10", None),
            ("( a = b )", None),
        ] {
            assert_eq!(test(&fields(text), &|_| None), holds, "[ {text} ]");
        }
    }

    #[test]
    fn versions() {
        for (text, holds) in [
            ("1.0-1 lt 1.0-2", Some(true)),
            ("1.0-1 lt-nl 1.0-1", Some(false)),
            ("'' lt 1", Some(true)),
            ("'' lt-nl 1", Some(false)),
            ("'' le-nl 1", Some(false)),
            ("1 gt ?", None),
            ("1 near 2", None),
            ("2 ge 1", Some(true)),
        ] {
            assert_eq!(compare_versions(&fields(text)), holds, "{text}");
        }
    }

    #[test]
    fn patterns() {
        for (text, pattern, matches) in [
            ("configure", "configure", Some(true)),
            ("configure", "*", Some(true)),
            ("abort-upgrade", "abort-*", Some(true)),
            ("upgrade", "abort-*", Some(false)),
            ("aXbXc", "a*X?", Some(true)),
            ("", "", Some(true)),
            ("a", "[a-z]", None),
        ] {
            assert_eq!(matches_pattern(text, pattern), matches, "{text} {pattern}");
        }
    }
}
