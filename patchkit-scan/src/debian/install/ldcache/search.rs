//! Looking for shared libraries where `ldconfig` looks, and making the links that it makes.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;
use patchkit_core::{Result, image::FilePath};

use super::{
    Libraries,
    format::{Cache, Format, Library, compare_names},
};
use crate::debian::install::{
    elf::Elf,
    glob,
    tree::{Entry, Kind, Tree, child},
};

/// How deep `include` lines of `ld.so.conf` may nest. glibc has no limit and fails by running out of files.
const MAX_INCLUDES: usize = 16;

/// `FLAG_ELF` and `FLAG_ELF_LIBC6`.
const ELF: u32 = 1;
const LIBC6: u32 = 3;

/// The machines' numbers (`e_machine`).
mod machine {
    pub(super) const I386: u16 = 3;
    pub(super) const MIPS: u16 = 8;
    pub(super) const POWERPC64: u16 = 21;
    pub(super) const S390: u16 = 22;
    pub(super) const ARM: u16 = 40;
    pub(super) const X86_64: u16 = 62;
    pub(super) const AARCH64: u16 = 183;
    pub(super) const RISCV: u16 = 243;
}

/// A folder to search.
struct Folder {
    /// The path as it was asked for, absolute.
    path: Vec<u8>,
    /// The same without symbolic links.
    place: FilePath,
    hwcap: u64,
    /// The name below `glibc-hwcaps`.
    subdirectory: Option<Vec<u8>>,
}

/// A library of a folder: one for each `SONAME`.
struct Candidate {
    name: Vec<u8>,
    is_link: bool,
    elf: Arc<Elf>,
    flags: u32,
}

/// Enters everything that `ldconfig` would find in a tree of the given Debian architecture, and makes missing links.
pub(super) fn search(tree: &mut Tree, libraries: &dyn Libraries, architecture: &str, cache: &mut Cache) -> Result<()> {
    let extended = cache.dialect().format != Format::Plain;
    let mut folders = Folders { found: Vec::new(), read: BTreeSet::new(), extended };
    folders.configured(tree, &path("etc/ld.so.conf"), 0)?;
    let tuple = multiarch_tuple(architecture);
    for builtin in [format!("/lib/{tuple}"), format!("/usr/lib/{tuple}"), "/lib".into(), "/usr/lib".into()] {
        folders.add(tree, builtin.as_bytes());
    }
    let mut next = 0;
    while next < folders.found.len() {
        folders.legacy_subdirectories(tree, next);
        let folder = &folders.found[next];
        search_folder(tree, libraries, folder, cache)?;
        next += 1;
    }
    Ok(())
}

struct Folders {
    found: Vec<Folder>,
    /// The configuration files that were read, by where they are: a second time one adds nothing, and files may
    /// include each other.
    read: BTreeSet<FilePath>,
    extended: bool,
}

impl Folders {
    /// Reads a configuration file and what it includes.
    fn configured(&mut self, tree: &Tree, file: &FilePath, depth: usize) -> Result<()> {
        let new = tree.resolve(file).is_some_and(|place| self.read.insert(place));
        let Some(text) = (if new { tree.read(file)? } else { None }) else {
            return Ok(());
        };
        for line in text.split(|byte| *byte == b'\n') {
            let line = line.split(|byte| *byte == b'#').next().unwrap_or_default().trim_ascii_start();
            match line.strip_prefix(b"include").filter(|rest| rest.starts_with(b" ") || rest.starts_with(b"\t")) {
                Some(patterns) if depth < MAX_INCLUDES => self.include(tree, file, patterns, depth)?,
                Some(_) => {}
                None if is_hwcap_line(line) => {}
                None => self.add(tree, line),
            }
        }
        Ok(())
    }

    fn include(&mut self, tree: &Tree, file: &FilePath, patterns: &[u8], depth: usize) -> Result<()> {
        let patterns = patterns.split(|byte| matches!(byte, b' ' | b'\t')).filter(|pattern| !pattern.is_empty());
        for pattern in patterns {
            let beside = file.parent().unwrap_or_default();
            let pattern = match pattern.starts_with(b"/") {
                true => pattern.to_vec(),
                false => [beside.as_bytes(), b"/", pattern].concat(),
            };
            for file in glob::expand(tree, &pattern)? {
                self.configured(tree, &file, depth + 1)?;
            }
        }
        Ok(())
    }

    /// Adds a folder and the folders of its `glibc-hwcaps`, unless it is there already under some name.
    fn add(&mut self, tree: &Tree, line: &[u8]) {
        let path = line.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii_end();
        let path = &path[..path.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1)];
        let Some(place) = FilePath::new(path).ok().filter(|_| !path.is_empty()).and_then(|path| tree.resolve(&path))
        else {
            return;
        };
        if self.push(tree, Folder { path: path.to_vec(), place: place.clone(), hwcap: 0, subdirectory: None })
            && self.extended
        {
            self.hwcaps_subdirectories(tree, path, &place);
        }
    }

    fn push(&mut self, tree: &Tree, folder: Folder) -> bool {
        let known = self.found.iter().any(|other| other.place == folder.place);
        let new = !known && tree.entry(&folder.place).is_some_and(|entry| entry.is_directory());
        if new {
            self.found.push(folder);
        }
        new
    }

    fn hwcaps_subdirectories(&mut self, tree: &Tree, path: &[u8], place: &FilePath) {
        let Some(above) = tree.resolve(&child(place, b"glibc-hwcaps")) else {
            return;
        };
        for name in tree.names(&above) {
            if name.starts_with(b".") || name.contains(&b':') {
                continue;
            }
            let Some(place) = tree.resolve(&child(&above, &name)) else {
                continue;
            };
            let path = [path, b"/glibc-hwcaps/", &name].concat();
            self.push(tree, Folder { path, place, hwcap: 0, subdirectory: Some(name) });
        }
    }

    /// Adds the folders for special hardware as they were before `glibc-hwcaps`.
    fn legacy_subdirectories(&mut self, tree: &Tree, index: usize) {
        let Folder { path, place, hwcap, subdirectory } = &self.found[index];
        if subdirectory.is_some() {
            return;
        }
        let (path, place, hwcap) = (path.clone(), place.clone(), *hwcap);
        for name in tree.names(&place) {
            let Some(bit) = legacy_hwcap(&name) else {
                continue;
            };
            let Some(place) = tree.resolve(&child(&place, &name)) else {
                continue;
            };
            let path = [&path, b"/".as_slice(), &name].concat();
            self.push(tree, Folder { path, place, hwcap: hwcap | bit, subdirectory: None });
        }
    }
}

fn is_hwcap_line(line: &[u8]) -> bool {
    let word = line.get(..5).is_some_and(|word| word.eq_ignore_ascii_case(b"hwcap"));
    word && matches!(line.get(5), Some(b' ' | b'\t'))
}

/// The bit of a folder for special hardware, of those that x86 and all machines know.
fn legacy_hwcap(name: &[u8]) -> Option<u64> {
    Some(match name {
        b"sse2" => 1,
        b"x86_64" => 1 << 1,
        b"avx512_1" => 1 << 2,
        b"i586" => 1 << 48,
        b"i686" => 1 << 49,
        b"haswell" => 1 << 50,
        b"xeon_phi" => 1 << 51,
        b"tls" => 1 << 63,
        _ => return None,
    })
}

fn search_folder(tree: &mut Tree, libraries: &dyn Libraries, folder: &Folder, cache: &mut Cache) -> Result<()> {
    let candidates = candidates(tree, libraries, folder)?;
    for (soname, candidate) in candidates {
        let special = folder.subdirectory.clone().map(|name| (name, candidate.elf.isa_level));
        if special.is_none() && !candidate.is_link {
            link(tree, &folder.place, &candidate.name, &soname);
        }
        let file = if special.is_some() { &candidate.name } else { &soname };
        cache.add(Library {
            path: [&folder.path, b"/".as_slice(), file].concat(),
            flags: candidate.flags,
            os_version: candidate.elf.os_version,
            hwcap: folder.hwcap,
            subdirectory: special,
            soname,
        });
    }
    Ok(())
}

/// The libraries of a folder by `SONAME`; of several, a file before a link, and the newest by name.
fn candidates(tree: &mut Tree, libraries: &dyn Libraries, folder: &Folder) -> Result<BTreeMap<Vec<u8>, Candidate>> {
    let mut found: BTreeMap<Vec<u8>, Candidate> = BTreeMap::new();
    for name in tree.names(&folder.place) {
        if !looks_like_library(&name) {
            continue;
        }
        let path = child(&folder.place, &name);
        let Some((elf, link)) = library(tree, libraries, &path, &name)? else {
            continue;
        };
        let soname = elf.soname.clone().unwrap_or_else(|| name.clone());
        let is_link = link && (name == soname || (name.ends_with(b".so") && soname.starts_with(&name)));
        let soname = if is_link { name.clone() } else { soname };
        let Some(flags) = flags(&elf) else { continue };
        let better = found.get(&soname).is_none_or(|old| match (is_link, old.is_link) {
            (false, true) => true,
            (true, false) => false,
            _ => compare_names(&old.name, &name).is_lt(),
        });
        if better {
            found.insert(soname, Candidate { name, is_link, elf, flags });
        }
    }
    Ok(found)
}

/// The shared library at a path, and whether that is a link to it. A stale link to a versioned name is removed.
fn library(
    tree: &mut Tree,
    libraries: &dyn Libraries,
    path: &FilePath,
    name: &[u8],
) -> Result<Option<(Arc<Elf>, bool)>> {
    let is_link = match tree.entry(path).map(|entry| entry.kind) {
        Some(Kind::File(_)) => false,
        Some(Kind::Symlink(_)) => true,
        _ => return Ok(None),
    };
    let Some(target) = tree.stat(path) else {
        if memchr::memmem::find(name, b".so.").is_some() {
            tree.remove(path);
        }
        return Ok(None);
    };
    match target.content() {
        Some(content) => Ok(libraries.elf(content)?.map(|elf| (elf, is_link))),
        None => Ok(None),
    }
}

/// Whether a file's name is that of a shared library or dynamic linker.
pub(crate) fn looks_like_library(name: &[u8]) -> bool {
    let prelink = name.ends_with(b".#prelink#") || memchr::memmem::find(name, b".#prelink#.").is_some();
    let library =
        (name.starts_with(b"lib") || name.starts_with(b"ld-")) && memchr::memmem::find(name, b".so").is_some();
    (library || name.starts_with(b"ld.so.") || name.starts_with(b"ld64.so.")) && !prelink
}

/// Makes the link from the `SONAME` to a file, where it does not lead there already.
fn link(tree: &mut Tree, folder: &FilePath, name: &[u8], soname: &[u8]) {
    let Ok(at) = folder.join(soname).map(|at| tree.place(&at)) else {
        return;
    };
    let Some(at) = at else { return };
    let file = tree.resolve(&child(folder, name));
    if tree.resolve(&at) == file {
        return;
    }
    match tree.entry(&at) {
        None | Some(Entry { kind: Kind::Symlink(_), .. }) => {}
        Some(_) => return,
    }
    let mtime = file.and_then(|file| tree.entry(&file)).map_or(0, |entry| entry.mtime);
    tree.put(at, Entry::new(Kind::Symlink(Bytes::copy_from_slice(name)), 0o777, mtime));
}

/// The flags that stand for the ABI of a library: what kind of `libc`, and the machine where that is needed.
fn flags(elf: &Elf) -> Option<u32> {
    const HARD_FLOAT: u32 = 0x400;
    const SOFT_FLOAT: u32 = 0x200;
    const EABI5: u32 = 5 << 24;
    Some(match (elf.machine, elf.is_64) {
        (machine::X86_64, true) => 0x0300 | LIBC6,
        (machine::X86_64, false) => 0x0800 | LIBC6,
        (machine::AARCH64, true) => 0x0a00 | LIBC6,
        (machine::POWERPC64, true) => 0x0500 | LIBC6,
        (machine::S390, true) => 0x0400 | LIBC6,
        (machine::MIPS, true) => 0x0700 | LIBC6,
        (machine::RISCV, true) => match elf.flags & 6 {
            4 => 0x1000 | LIBC6,
            0 => 0x0f00 | LIBC6,
            _ => return None,
        },
        (machine::ARM, false) if elf.flags & 0xff00_0000 == EABI5 => match elf.flags {
            flags if flags & HARD_FLOAT != 0 => 0x0900 | LIBC6,
            flags if flags & SOFT_FLOAT != 0 => 0x0b00 | LIBC6,
            _ => LIBC6,
        },
        (machine::I386 | machine::ARM | machine::S390 | machine::MIPS, false) => {
            if elf.needs_libc6 {
                LIBC6
            } else {
                ELF
            }
        }
        _ => return None,
    })
}

/// The name that an architecture's folders of libraries have.
pub(crate) fn multiarch_tuple(architecture: &str) -> String {
    match architecture {
        "amd64" => "x86_64-linux-gnu".into(),
        "arm64" => "aarch64-linux-gnu".into(),
        "armel" => "arm-linux-gnueabi".into(),
        "armhf" => "arm-linux-gnueabihf".into(),
        "i386" => "i386-linux-gnu".into(),
        "mips64el" => "mips64el-linux-gnuabi64".into(),
        "mipsel" => "mipsel-linux-gnu".into(),
        "ppc64el" => "powerpc64le-linux-gnu".into(),
        "x32" => "x86_64-linux-gnux32".into(),
        other => format!("{other}-linux-gnu"),
    }
}

fn path(constant: &'static str) -> FilePath {
    FilePath::new(constant).expect("a constant path")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::debian::install::{base::Answers, ldcache::Dialect, tree::tests::MemoryBase};

    #[test]
    fn every_abi_has_its_flags() {
        for (machine, is_64, flags_of_header, expected) in [
            (machine::X86_64, true, 0, Some(0x303)),
            (machine::X86_64, false, 0, Some(0x803)),
            (machine::AARCH64, true, 0, Some(0xa03)),
            (machine::ARM, false, 0x0500_0400, Some(0x903)),
            (machine::ARM, false, 0x0500_0200, Some(0xb03)),
            (machine::POWERPC64, true, 2, Some(0x503)),
            (machine::RISCV, true, 5, Some(0x1003)),
            (machine::S390, true, 0, Some(0x403)),
            (machine::I386, false, 0, Some(3)),
            (machine::I386, true, 0, None),
        ] {
            let elf = Elf {
                is_64,
                machine,
                flags: flags_of_header,
                soname: None,
                needs_libc6: true,
                os_version: 0,
                isa_level: 0,
            };
            assert_eq!(flags(&elf), expected, "{machine} {is_64}");
        }
    }

    #[test]
    fn names_of_libraries() {
        for (name, library) in [
            ("libc.so.6", true),
            ("ld-linux-aarch64.so.1", true),
            ("ld64.so.1", true),
            ("libx.so.#prelink#", false),
            ("libc.a", false),
            ("plugin.so", false),
        ] {
            assert_eq!(looks_like_library(name.as_bytes()), library, "{name}");
        }
    }

    #[test]
    fn files_that_include_each_other_are_read_once() {
        let lines = "include /etc/ld.so.conf\ninclude /etc/*.conf\n".repeat(20);
        let base = MemoryBase::default().file("etc/ld.so.conf", lines.clone() + "/opt/a\n").folder("opt/a");
        let mut tree = base.file("etc/b.conf", lines).link("etc/c.conf", "b.conf").tree();
        let mut folders = Folders { found: Vec::new(), read: BTreeSet::new(), extended: true };
        folders.configured(&tree, &path("etc/ld.so.conf"), 0).unwrap();
        assert_eq!(folders.found.iter().map(|folder| &folder.path[..]).collect::<Vec<_>>(), [b"/opt/a"]);
        let mut cache = Cache::new(Dialect::extended(String::new()));
        search(&mut tree, &Answers::default(), "amd64", &mut cache).unwrap();
    }
}
