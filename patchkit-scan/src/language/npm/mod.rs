//! Packages of Node.js: the `package.json` of each that is installed, and the lock files of npm, Yarn, pnpm, Bun and Deno.
//!
//! A `package.json` with a name and a version is taken wherever it lies, also the project's own: that is what other
//! scanners do, and how programs are found that are unpacked by hand (Yarn in `/opt`). Lock files below `node_modules`
//! are of no consequence to npm, Yarn and pnpm, and are left out.

mod bun;
mod deno;
mod package_json;
mod package_lock;
mod pnpm;
mod yarn;

use patchkit_core::Presence;

use super::files::{Ecosystem, FileKind, FileName, LanguageFiles};

/// Finds Node.js packages.
pub(super) static FILES: LanguageFiles = LanguageFiles {
    name: "npm",
    ecosystem: Ecosystem { kind: "npm", scheme: "npm", normalize: str::to_owned },
    kinds: &[
        FileKind { is: |file| file.name == "package.json", presence: Presence::Installed, read: package_json::read },
        FileKind {
            is: |file| is_lock(file, &["package-lock.json", "npm-shrinkwrap.json"]),
            presence: Presence::Declared,
            read: package_lock::read,
        },
        FileKind { is: |file| is_lock(file, &["yarn.lock"]), presence: Presence::Declared, read: yarn::read },
        FileKind { is: |file| is_lock(file, &["pnpm-lock.yaml"]), presence: Presence::Declared, read: pnpm::read },
        FileKind { is: |file| is_lock(file, &["bun.lock"]), presence: Presence::Declared, read: bun::read },
        FileKind { is: |file| is_lock(file, &["deno.lock"]), presence: Presence::Declared, read: deno::read },
    ],
};

fn is_lock(file: FileName<'_>, names: &[&str]) -> bool {
    names.contains(&file.name) && !file.is_below("node_modules")
}

/// Splits `@babel/core@7.0.0` into the name and what follows; `None` where it has no such form.
fn split_locator(text: &str) -> Option<(&str, &str)> {
    let at = 1 + text.get(1..)?.find('@')?;
    let (name, rest) = (&text[..at], &text[at + 1..]);
    is_name(name).then_some((name, rest))
}

/// Whether it is a name with or without a scope: `core`, `@babel/core`.
fn is_name(text: &str) -> bool {
    let bare = match text.strip_prefix('@') {
        Some(scoped) => scoped.split_once('/').filter(|(scope, _)| !scope.is_empty()).map(|(_, name)| name),
        None => Some(text),
    };
    bare.is_some_and(|name| !name.is_empty() && !name.contains(['/', ':', '@']))
}

/// The name and version that an alias stands for: `npm:left-pad@1.3.0`.
fn aliased(reference: &str) -> Option<(&str, &str)> {
    split_locator(reference.strip_prefix("npm:")?)
}

/// Whether it is a version rather than where a package was taken from: a Git repository, a folder, a link.
fn is_version(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit()) && text.contains('.') && !text.contains([':', '/'])
}

/// A version without the peers that it was installed with: `1.0.0_peer@2.0.0`, `1.0.0(peer@2.0.0)`.
fn without_peers(version: &str) -> &str {
    version.split(['(', '_']).next().unwrap_or(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locator_is_a_name_and_a_reference() {
        assert_eq!(split_locator("left-pad@1.3.0"), Some(("left-pad", "1.3.0")));
        assert_eq!(split_locator("@babel/core@npm:7.0.0"), Some(("@babel/core", "npm:7.0.0")));
        for text in ["", "@", "left-pad", "@babel/core", "@/core@1", "a/b@1", "é", "@é"] {
            assert_eq!(split_locator(text), None, "{text}");
        }
        assert_eq!(aliased("npm:@babel/core@^7"), Some(("@babel/core", "^7")));
        assert_eq!(aliased("npm:^7"), None);
    }
}
