//! Patterns of file names, as the shell and `glob(3)` have them: `*`, `?` and `[…]`.

use patchkit_core::{Error, Result, image::FilePath};

use super::tree::{Tree, child};

/// The most paths that a pattern may stand for. Folders that link to themselves make any number of them.
const MAX_PATHS: usize = 10_000;

/// All paths of a tree that an absolute pattern stands for, sorted. `*` stays within one name and does not match a
/// leading dot.
///
/// # Errors
/// [`Unsupported`](patchkit_core::ErrorKind::Unsupported) beyond [`MAX_PATHS`].
pub(super) fn expand(tree: &Tree, pattern: &[u8]) -> Result<Vec<FilePath>> {
    let mut found = vec![FilePath::ROOT];
    for part in pattern.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".") {
        found = found.iter().flat_map(|folder| step(tree, folder, part)).take(MAX_PATHS + 1).collect();
        if found.len() > MAX_PATHS {
            let pattern = String::from_utf8_lossy(pattern);
            return Err(Error::unsupported(format!("the pattern stands for more than {MAX_PATHS} paths")).on(pattern));
        }
    }
    found.sort();
    Ok(found)
}

fn step(tree: &Tree, folder: &FilePath, part: &[u8]) -> Vec<FilePath> {
    if !part.iter().any(|byte| matches!(byte, b'*' | b'?' | b'[')) {
        let next = folder.join(part).ok();
        return next.filter(|next| tree.lstat(next).is_some()).into_iter().collect();
    }
    let Some(place) = tree.resolve(folder) else {
        return Vec::new();
    };
    let names = tree.names(&place).into_iter();
    let fitting = names.filter(|name| (!name.starts_with(b".") || part.starts_with(b".")) && matches(part, name));
    fitting.map(|name| child(folder, &name)).collect()
}

/// Whether a text fits a pattern, in which `*` stands for anything, slashes included: `fnmatch(3)` without flags.
pub(super) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        match one(&pattern[p..], text[t]) {
            Step::Star => {
                retry = Some((p, t));
                p += 1;
            }
            Step::Fits(length) => (p, t) = (p + length, t + 1),
            Step::Fails => match &mut retry {
                Some((star, from)) => {
                    *from += 1;
                    (p, t) = (*star + 1, *from);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

enum Step {
    Star,
    /// The byte fits, and so much of the pattern is used up.
    Fits(usize),
    Fails,
}

fn one(pattern: &[u8], byte: u8) -> Step {
    let fits = |fits: bool, length: usize| {
        if fits { Step::Fits(length) } else { Step::Fails }
    };
    match pattern {
        [] => Step::Fails,
        [b'*', ..] => Step::Star,
        [b'?', ..] => Step::Fits(1),
        [b'[', rest @ ..] => match class(rest, byte) {
            Some((inside, length)) => fits(inside, length + 1),
            None => fits(byte == b'[', 1),
        },
        [b'\\', escaped, ..] => fits(*escaped == byte, 2),
        [literal, ..] => fits(*literal == byte, 1),
    }
}

/// Whether a byte is in a class whose `[` has been read, and how long the rest of the class is; `None` where it is not
/// closed.
fn class(pattern: &[u8], byte: u8) -> Option<(bool, usize)> {
    let negated = matches!(pattern.first(), Some(b'!' | b'^'));
    let start = usize::from(negated);
    let end = start + 1 + pattern.get(start + 1..)?.iter().position(|byte| *byte == b']')?;
    let (mut inside, mut at) = (false, start);
    while at < end {
        match pattern[at..end] {
            [low, b'-', high, ..] => {
                inside |= (low..=high).contains(&byte);
                at += 3;
            }
            [literal, ..] => {
                inside |= literal == byte;
                at += 1;
            }
            [] => break,
        }
    }
    Some((inside != negated, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::debian::install::tree::tests::{MemoryBase, path};

    #[test]
    fn patterns_fit_as_fnmatch_has_it() {
        for (pattern, text, fits) in [
            ("/usr/share/doc/*", "/usr/share/doc/a/b", true),
            ("*.conf", "a.conf", true),
            ("*.conf", "a.conf.d", false),
            ("a?c", "abc", true),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[]]", "]", true),
            ("[a", "[a", true),
            (r"\*", "*", true),
            ("a*b*c", "axxbyybc", true),
            ("a*b*c", "axxbyy", false),
            ("", "", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn patterns_stand_for_paths() {
        let tree =
            MemoryBase::default().file("etc/d/b.conf", "").file("etc/d/a.conf", "").file("etc/d/.c.conf", "").tree();
        assert_eq!(expand(&tree, b"/etc/*/*.conf").unwrap(), [path("etc/d/a.conf"), path("etc/d/b.conf")]);
        assert_eq!(expand(&tree, b"/etc/d/none").unwrap(), []);
    }

    #[test]
    fn folders_that_link_to_themselves_make_no_end_of_paths() {
        let tree = MemoryBase::default().link("a", "/").link("b", "/").link("c", "/").tree();
        let error = expand(&tree, b"/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*").unwrap_err();
        assert_eq!(error.kind(), patchkit_core::ErrorKind::Unsupported);
    }
}
