//! Where Python looks for modules (the module `site`, PEP 370, PEP 405), and what it finds there.

use std::collections::{BTreeMap, BTreeSet};

use patchkit_core::{
    Result,
    image::{FilePath, FileTree},
};

use super::{below, descendants, folder, interpreters};

/// What each Python of an image finds: the packages at any depth, the modules at the top, and every extension.
pub(super) fn modules(tree: &FileTree) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let mut found = BTreeMap::new();
    for (path, end) in interpreters(tree, is_python) {
        let Some(version) = version(tree, &end) else { continue };
        let mut modules = BTreeSet::new();
        for place in places(tree, &path, &end, &version)? {
            collect(tree, &place, &version, &mut modules);
        }
        found.insert(format!("/{path}"), modules);
    }
    Ok(found)
}

fn is_python(name: &str) -> bool {
    name.strip_prefix("python").is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'))
}

/// `3.11`, by the name of the file that is run in the end, or by the only library beside it.
fn version(tree: &FileTree, end: &FilePath) -> Option<String> {
    let name = end.to_str()?.rsplit('/').next()?;
    let named = name.strip_prefix("python")?;
    if named.contains('.') {
        return Some(named.split('.').take(2).collect::<Vec<_>>().join("."));
    }
    let library = folder(tree, &prefix(end), "lib")?;
    let versions = tree.children(&library).filter_map(|(path, _)| {
        let version = path.to_str()?.rsplit('/').next()?.strip_prefix("python")?;
        version.contains('.').then(|| version.to_owned())
    });
    let versions: Vec<_> = versions.collect();
    if let [only] = &versions[..] { Some(only.clone()) } else { None }
}

/// The folder that has the `bin` of a program.
fn prefix(program: &FilePath) -> FilePath {
    program.parent().and_then(|bin| bin.parent()).unwrap_or_default()
}

/// The folders that are looked into.
fn places(tree: &FileTree, path: &FilePath, end: &FilePath, version: &str) -> Result<BTreeSet<FilePath>> {
    let (own, real) = (prefix(path), prefix(end));
    let mut places = BTreeSet::new();
    let shares = own == real || sees_the_system(tree, &own)?;
    for base in bases(&real) {
        places.extend(standard(tree, &base, version));
        if shares {
            places.extend(sites(tree, &base, version));
        }
    }
    places.extend(sites(tree, &own, version));
    let linked: Vec<_> = places.iter().map(|place| linked(tree, place)).collect::<Result<_>>()?;
    places.extend(linked.into_iter().flatten());
    Ok(places)
}

/// A Python below `/usr` also looks below `/usr/local`; where `/bin` is a link, it is below `/usr` already.
fn bases(real: &FilePath) -> Vec<FilePath> {
    let usr = FilePath::new("usr").expect("a good path");
    let local = FilePath::new("usr/local").expect("a good path");
    if *real == usr || real.is_root() { vec![real.clone(), usr, local] } else { vec![real.clone()] }
}

/// Whether an environment shows what the system has (`pyvenv.cfg`); what is no environment does.
fn sees_the_system(tree: &FileTree, environment: &FilePath) -> Result<bool> {
    let path = environment.join("pyvenv.cfg").expect("a good name");
    if !is_kept(tree, &path) {
        return Ok(true);
    }
    let text = tree.read(&path)?.unwrap_or_default();
    let text = String::from_utf8_lossy(&text).to_lowercase();
    let says = |line: &str| {
        line.split_once('=')
            .is_some_and(|(name, value)| name.trim() == "include-system-site-packages" && value.trim() == "true")
    };
    Ok(text.lines().any(says))
}

fn is_kept(tree: &FileTree, path: &FilePath) -> bool {
    let size = tree.resolve(path).and_then(|end| tree.get(&end)?.size());
    size.is_some_and(|size| size <= super::MAX_PATH_FILE)
}

fn standard(tree: &FileTree, base: &FilePath, version: &str) -> Vec<FilePath> {
    let names = ["lib", "lib64"]
        .into_iter()
        .flat_map(|library| [format!("{library}/python{version}"), format!("{library}/python{version}/lib-dynload")]);
    names.filter_map(|name| folder(tree, base, &name)).collect()
}

fn sites(tree: &FileTree, base: &FilePath, version: &str) -> Vec<FilePath> {
    let major = version.split('.').next().unwrap_or(version);
    let names = ["lib", "lib64"].into_iter().flat_map(|library| {
        let at = |version: &str, site| format!("{library}/python{version}/{site}");
        [
            at(version, "site-packages"),
            at(version, "dist-packages"),
            at(major, "dist-packages"),
            at(major, "site-packages"),
        ]
    });
    names.filter_map(|name| folder(tree, base, &name)).collect()
}

/// The folders that the `.pth` and `.egg-link` files of a folder name.
fn linked(tree: &FileTree, place: &FilePath) -> Result<Vec<FilePath>> {
    let mut found = Vec::new();
    for (path, _) in tree.children(place) {
        let Some(name) = path.to_str() else { continue };
        let only_first = name.ends_with(".egg-link");
        if !(only_first || name.ends_with(".pth")) || !is_kept(tree, path) {
            continue;
        }
        let content = tree.read(path)?.unwrap_or_default();
        let text = String::from_utf8_lossy(&content);
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let lines = lines.filter(|line| !line.starts_with("import ") && !line.starts_with("import\t"));
        let most = if only_first { 1 } else { usize::MAX };
        found.extend(lines.take(most).filter_map(|line| match line.strip_prefix('/') {
            Some(line) => folder(tree, &FilePath::ROOT, line),
            None => folder(tree, place, line),
        }));
    }
    Ok(found)
}

/// The names of what is in a folder.
fn collect(tree: &FileTree, place: &FilePath, version: &str, modules: &mut BTreeSet<String>) {
    for (path, node) in descendants(tree, place) {
        let Some(rest) = below(path, place) else { continue };
        let (folders, file) = rest.rsplit_once('/').unwrap_or(("", rest));
        if node.is_directory() || !folders.split('/').all(|name| folders.is_empty() || is_identifier(name)) {
            continue;
        }
        let Some(module) = module(file, version) else { continue };
        if !folders.is_empty() {
            modules.insert(folders.replace('/', "."));
        }
        let is_extension = file.ends_with(".so");
        if module != "__init__" && (folders.is_empty() || is_extension) {
            modules.insert(format!("{folders}/{module}").trim_start_matches('/').replace('/', "."));
        }
    }
}

/// The name of the module that a file is for this version.
fn module<'a>(file: &'a str, version: &str) -> Option<&'a str> {
    if let Some(name) = file.strip_suffix(".py") {
        return is_module(name).then_some(name);
    }
    let name = file.strip_suffix(".so")?;
    let (name, tag) = name.split_once('.').unwrap_or((name, ""));
    let digits: String = version.chars().filter(|c| *c != '.').collect();
    let fits = match tag.strip_prefix("cpython-") {
        Some(built) => {
            built.split('-').next().is_some_and(|built| built.trim_end_matches(char::is_alphabetic) == digits)
        }
        None => true,
    };
    (fits && is_module(name)).then_some(name)
}

/// A module of its own may have a hyphen: Python's own build has one, which is imported by its name as a text.
fn is_module(name: &str) -> bool {
    is_identifier(&name.replace('-', "_"))
}

fn is_identifier(name: &str) -> bool {
    !name.is_empty() && name != "__pycache__" && name.chars().all(|c| c.is_alphanumeric() || c == '_')
}
