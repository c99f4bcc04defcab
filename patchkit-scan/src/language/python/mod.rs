//! Packages of Python: what is installed (`*.dist-info`, `*.egg-info`), the lock files of Poetry, uv, PDM, Pipenv and of
//! PEP 751, and the pins in requirements files.
//!
//! Names are normalised as PEP 503 says, which is how advisories have them. The folder of metadata may also be called
//! just `dist-info`, in any case, as other scanners take it. Python itself, which registers as a package of its own in
//! old versions, is left out: its advisories go by another name.

mod lock;
mod metadata;
mod pipfile;
mod requirements;

use patchkit_core::Presence;

use super::files::{Ecosystem, FileKind, FileName, LanguageFiles};

/// Finds Python packages.
pub(super) static FILES: LanguageFiles = LanguageFiles {
    name: "python",
    ecosystem: Ecosystem { kind: "pypi", scheme: "pypi", normalize },
    kinds: &[
        FileKind { is: is_metadata, presence: Presence::Installed, read: metadata::read },
        FileKind { is: is_requirements, presence: Presence::Declared, read: requirements::read },
        FileKind { is: is_lock, presence: Presence::Declared, read: lock::read },
        FileKind { is: |file| file.name == "Pipfile.lock", presence: Presence::Declared, read: pipfile::read },
    ],
};

fn is_metadata(file: FileName<'_>) -> bool {
    match file.name {
        "METADATA" => ends_with(file.folder(), "dist-info"),
        "PKG-INFO" => ends_with(file.folder(), "egg-info"),
        name => ends_with(name, ".egg-info"),
    }
}

/// As `str::ends_with`, in any case.
fn ends_with(text: &str, end: &str) -> bool {
    let start = text.len().checked_sub(end.len());
    start.is_some_and(|start| text.as_bytes()[start..].eq_ignore_ascii_case(end.as_bytes()))
}

fn is_requirements(file: FileName<'_>) -> bool {
    file.name.ends_with(".txt") && file.name.contains("requirements")
}

fn is_lock(file: FileName<'_>) -> bool {
    let standard = |name: &str| name.starts_with("pylock.") && name.ends_with(".toml");
    // uv locks a script beside it: `script.py.lock`.
    let of_script = file.name.ends_with(".py.lock");
    matches!(file.name, "poetry.lock" | "uv.lock" | "pdm.lock") || of_script || standard(file.name)
}

/// The one spelling of a name: lower case, with one `-` for every run of `-`, `_` and `.`.
fn normalize(name: &str) -> String {
    let mut normal = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '-' | '_' | '.' if normal.ends_with('-') => {}
            '-' | '_' | '.' => normal.push('-'),
            c => normal.push(c.to_ascii_lowercase()),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use patchkit_core::image::FilePath;

    use super::*;

    #[test]
    fn names_have_one_spelling() {
        for (name, normal) in [("Friendly-Bard", "friendly-bard"), ("FrIeNdLy-._.-bArD", "friendly-bard"), ("a", "a")] {
            assert_eq!(normalize(name), normal);
        }
    }

    #[test]
    fn files_are_known_by_name() {
        let is = |path: &str| {
            let path = FilePath::new(path).expect("a constant");
            FILES.kinds.iter().position(|kind| FileName::of(&path).is_some_and(kind.is))
        };
        for (path, kind) in [
            ("usr/lib/python3/dist-packages/six-1.16.0.dist-info/METADATA", Some(0)),
            ("a/six.egg-info/PKG-INFO", Some(0)),
            ("a/SIX.EGG-INFO", Some(0)),
            ("a/six.egg/EGG-INFO/PKG-INFO", Some(0)),
            ("a/METADATA", None),
            ("a/PKG-INFO", None),
            ("requirements.txt", Some(1)),
            ("a/dev-requirements-ci.txt", Some(1)),
            ("a/requirements.in", None),
            ("uv.lock", Some(2)),
            ("pylock.toml", Some(2)),
            ("pylock.dev.toml", Some(2)),
            ("a/script.py.lock", Some(2)),
            ("Cargo.lock", None),
            ("Pipfile.lock", Some(3)),
        ] {
            assert_eq!(is(path), kind, "{path}");
        }
    }
}
