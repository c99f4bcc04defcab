//! Where Perl looks for modules (`perlrun(1)`, `@INC` as Debian, Alpine and Red Hat build it), and what it finds there.

use std::collections::{BTreeMap, BTreeSet};

use patchkit_core::image::{FilePath, FileTree};

use super::{below, descendants, folder, interpreters};

/// What each Perl of an image finds: modules, and the libraries of those that have some.
pub(super) fn modules(tree: &FileTree) -> BTreeMap<String, BTreeSet<String>> {
    let mut found = BTreeMap::new();
    for (path, _) in interpreters(tree, is_perl) {
        let version = version(tree, &path);
        let mut modules = BTreeSet::new();
        for place in places(tree, version.as_deref()) {
            let files = descendants(tree, &place).into_iter().filter(|(_, node)| !node.is_directory());
            modules.extend(files.filter_map(|(path, _)| module(below(path, &place)?)));
        }
        found.insert(format!("/{path}"), modules);
    }
    found
}

fn is_perl(name: &str) -> bool {
    name == "perl"
        || name.strip_prefix("perl5.").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit() || b == b'.'))
}

/// `5.36`, by its own name, or by the name with the version that lies beside it.
fn version(tree: &FileTree, program: &FilePath) -> Option<String> {
    let short = |path: &FilePath| {
        let version = path.to_str()?.rsplit('/').next()?.strip_prefix("perl")?.to_owned();
        is_version(&version).then(|| version.split('.').take(2).collect::<Vec<_>>().join("."))
    };
    let beside = tree.children(&program.parent()?).filter_map(|(path, _)| short(path)).last();
    short(program).or(beside)
}

fn is_version(name: &str) -> bool {
    name.starts_with("5.") && name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

/// The folders of `@INC`, links followed.
fn places(tree: &FileTree, version: Option<&str>) -> BTreeSet<FilePath> {
    const PLAIN: [&str; 14] = [
        "etc/perl",
        "usr/local/lib/site_perl",
        "usr/local/lib/perl5/site_perl",
        "usr/local/lib64/perl5",
        "usr/local/share/perl5",
        "usr/local/share/perl5/site_perl",
        "usr/lib/perl5/core_perl",
        "usr/lib/perl5/vendor_perl",
        "usr/lib64/perl5",
        "usr/lib64/perl5/vendor_perl",
        "usr/share/perl5",
        "usr/share/perl5/core_perl",
        "usr/share/perl5/vendor_perl",
        "usr/lib/perl5",
    ];
    let mut places: BTreeSet<_> = PLAIN.iter().filter_map(|name| folder(tree, &FilePath::ROOT, name)).collect();
    for base in [
        "usr/share/perl",
        "usr/local/share/perl",
        "usr/share/perl5",
        "usr/local/lib/perl5",
        "usr/local/lib/perl5/site_perl",
    ] {
        places.extend(versioned(tree, base, version));
    }
    for library in ["usr/lib", "usr/local/lib"].iter().filter_map(|name| folder(tree, &FilePath::ROOT, name)) {
        let triplets: Vec<_> =
            tree.children(&library).filter(|(path, _)| is_triplet(path)).map(|(path, _)| path.clone()).collect();
        for triplet in triplets {
            places.extend(folder(tree, &triplet, "perl-base"));
            for name in ["perl", "perl5"] {
                places.extend(
                    triplet
                        .join(name)
                        .iter()
                        .filter_map(|path| path.to_str())
                        .flat_map(|base| versioned(tree, base, version)),
                );
            }
        }
    }
    places
}

/// The folders below a base that are of this version: `5.36` and `5.36.0`; of every one where it is not known.
fn versioned(tree: &FileTree, base: &str, version: Option<&str>) -> Vec<FilePath> {
    let Some(base) = folder(tree, &FilePath::ROOT, base) else { return Vec::new() };
    let fits = |name: &str| match version {
        Some(version) => name == version || name.strip_prefix(version).is_some_and(|rest| rest.starts_with('.')),
        None => true,
    };
    let named = tree.children(&base).filter_map(|(path, _)| path.to_str()?.rsplit('/').next());
    named.filter(|name| is_version(name) && fits(name)).filter_map(|name| folder(tree, &base, name)).collect()
}

fn is_triplet(path: &FilePath) -> bool {
    path.file_name().is_some_and(|name| name.windows(7).any(|part| part == b"-linux-"))
}

/// `Foo::Bar` of `Foo/Bar.pm`, and the name of an extension's library: `auto/Foo/Bar/Bar.so`.
fn module(rest: &str) -> Option<String> {
    // Folders of versions lie in each other's: what is in one is found there.
    if rest.split('/').any(is_version) {
        return None;
    }
    match rest.strip_suffix(".pm") {
        Some(name) => Some(name.replace('/', "::")),
        None => (rest.starts_with("auto/") && rest.ends_with(".so")).then(|| rest.to_owned()),
    }
}
