//! Which sed scripts only print (POSIX.1-2017, sed): those without `w`, `r`, GNU's `e`, and editing in place.

/// Whether `sed` with these words only reads its input and prints.
pub(super) fn only_prints(words: &[&str]) -> bool {
    let (mut scripts, mut others) = (Vec::new(), Vec::new());
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "-n" | "-r" | "-E" | "-u" => {}
            "-e" | "-ne" | "-re" => match words.next() {
                Some(script) => scripts.push(*script),
                None => return false,
            },
            _ => match word.strip_prefix("-e") {
                Some(script) => scripts.push(script),
                None if word.starts_with('-') => return false,
                None => others.push(*word),
            },
        }
    }
    if scripts.is_empty() {
        scripts.extend(others.first());
    }
    !scripts.is_empty() && scripts.iter().all(|script| commands(script).is_some())
}

/// Reads a script; `None` where it has anything that is not known to only print.
fn commands(script: &str) -> Option<()> {
    let mut rest = script;
    loop {
        rest = rest.trim_start_matches([' ', '\t', '\n', ';', '{', '}']);
        if rest.is_empty() {
            return Some(());
        }
        rest = addresses(rest)?;
        let command = rest.chars().next()?;
        rest = &rest[command.len_utf8()..];
        rest = match command {
            '{' => rest,
            'd' | 'D' | 'g' | 'G' | 'h' | 'H' | 'l' | 'n' | 'N' | 'p' | 'P' | 'q' | 'x' | '=' => rest,
            's' => flags(delimited(rest, 2)?),
            'y' => delimited(rest, 2)?,
            _ => return None,
        };
        let after = rest.trim_start_matches([' ', '\t']);
        if command != '{' && !after.is_empty() && !after.starts_with(['\n', ';', '}']) {
            return None;
        }
    }
}

/// Passes over the lines that a command is for: numbers, `$`, `/…/`, two of them, and `!`.
fn addresses(mut rest: &str) -> Option<&str> {
    loop {
        rest = match rest.chars().next()? {
            '/' => delimited(rest, 1)?,
            '0'..='9' | '$' | ',' | '!' | ' ' => &rest[1..],
            _ => return Some(rest),
        };
    }
}

/// Passes over text between delimiters of its own choice: `parts` of them, sharing the delimiters between.
fn delimited(text: &str, parts: usize) -> Option<&str> {
    let delimiter = text.chars().next().filter(|delimiter| !matches!(delimiter, '\\' | '\n'))?;
    let (mut left, mut escaped) = (parts, false);
    for (at, character) in text.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            // In a bracket expression a delimiter may be plain text; which one ends is not worked out.
            '[' if text[at..].find(']').is_some_and(|end| text[at..at + end].contains(delimiter)) => {
                return None;
            }
            _ if character == delimiter => left -= 1,
            _ => {}
        }
        if left == 0 {
            return Some(&text[at + character.len_utf8()..]);
        }
    }
    None
}

fn flags(rest: &str) -> &str {
    rest.trim_start_matches(|flag: char| "gpiI".contains(flag) || flag.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts() {
        for words in [
            &["s/a/b/"][..],
            &["-e", "s/^Status: \\(.*\\)$/\\1/g"],
            &["-n", "/^\\/usr\\/lib\\/.*\\.py$/p", "/etc/x"],
            &["-es/a/b/", "-e", "2,$d"],
            &["/^[a-z][a-z]\\s/!d;/^.[nc]/d;"],
            &["s,a/w,b,; s|x|y|p"],
            &["-n", "/a/{s/b/c/;p}"],
            &["y/abc/def/"],
            &["$!N"],
        ] {
            assert!(only_prints(words), "{words:?}");
        }
        for words in [
            &["-i", "s/a/b/"][..],
            &["-n", "-i.bak", "p", "x"],
            &["--in-place", "p"],
            &["s/a/b/w /etc/x"],
            &["s/a/b/e"],
            &["s/a/b/\nw /etc/x"],
            &["w /etc/x"],
            &["/a/w /etc/x"],
            &["1e rm"],
            &["p;e"],
            &["s/a"],
            &["-f", "x"],
            &["-e"],
            &[],
            &["s/[/]/b/w x/"],
            &["a\\\ntext"],
            &["pw x"],
        ] {
            assert!(!only_prints(words), "{words:?}");
        }
    }
}
