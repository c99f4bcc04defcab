//! The form of the cache file: `glibc-ld.so.cache1.1`, with and without extensions.

use std::{cmp::Ordering, collections::BTreeMap};

/// The magic of the new form, the only one since glibc 2.32 and Debian's before that.
const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
/// The magic of the directory of extensions.
const EXTENSION_MAGIC: u32 = 0xeaa4_2174;
const HEADER: usize = 48;
const ENTRY: usize = 24;

/// What differs between versions of `ldconfig`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// Which form of the file it writes.
    pub format: Format,
    /// Whether it enters the kernel version that a library asks for (until glibc 2.35).
    pub os_version: bool,
    /// The byte that tells the byte order, or 0 where it is not told (before glibc 2.33, except in Debian).
    pub endian: bool,
}

/// The form of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// With a directory of extensions, the name of the generator in it, and shared strings (from glibc 2.33 on).
    Extended {
        /// How the generator names itself.
        generator: String,
    },
    /// The entries and their strings.
    Plain,
}

impl Dialect {
    /// What a given `ldconfig` program writes, by the strings in it.
    #[must_use]
    pub fn of_program(bytes: &[u8]) -> Option<Self> {
        find(bytes, MAGIC).or_else(|| find(bytes, b"glibc-ld.so.cache"))?;
        if let Some(at) = find(bytes, b"ldconfig (").filter(|at| printed(&bytes[*at..]).contains(" release version ")) {
            return Some(Self::extended(printed(&bytes[at..])));
        }
        Some(Self { format: Format::Plain, os_version: true, endian: true })
    }

    /// What wrote a given cache.
    #[must_use]
    pub fn of_cache(bytes: &[u8]) -> Option<Self> {
        if !bytes.starts_with(MAGIC) {
            return None;
        }
        let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let directory = word(32)? as usize;
        if directory == 0 {
            return Some(Self { format: Format::Plain, os_version: true, endian: bytes.get(28) != Some(&0) });
        }
        let (offset, size) = (word(directory + 16)? as usize, word(directory + 20)? as usize);
        let generator = bytes.get(offset..offset.checked_add(size)?)?;
        (word(directory)? == EXTENSION_MAGIC).then(|| Self::extended(printed(generator)))
    }

    pub(super) fn extended(generator: String) -> Self {
        let release = generator.rsplit(' ').next().unwrap_or_default().split_once('.');
        let minor = release.and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
        let os_version = minor.is_some_and(|release: (u32, u32)| release < (2, 36));
        Self { format: Format::Extended { generator }, os_version, endian: true }
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, wanted)
}

/// The printable text that some bytes start with.
fn printed(bytes: &[u8]) -> String {
    bytes.iter().take_while(|byte| matches!(byte, b' '..=b'~')).map(|byte| char::from(*byte)).collect()
}

/// One library in the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Library {
    /// The name that programs ask for.
    pub(super) soname: Vec<u8>,
    /// The absolute path.
    pub(super) path: Vec<u8>,
    /// The ABI.
    pub(super) flags: u32,
    pub(super) os_version: u32,
    /// The hardware that a folder of the old kind stands for, as bits.
    pub(super) hwcap: u64,
    /// The folder of `glibc-hwcaps` it is in, and the ISA level it asks for.
    pub(super) subdirectory: Option<(Vec<u8>, u32)>,
}

/// The cache while it is being made.
#[derive(Debug)]
pub(super) struct Cache {
    dialect: Dialect,
    libraries: Vec<Library>,
}

impl Cache {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self { dialect, libraries: Vec::new() }
    }

    pub(super) fn dialect(&self) -> &Dialect {
        &self.dialect
    }

    pub(super) fn add(&mut self, library: Library) {
        let os_version = if self.dialect.os_version { library.os_version } else { 0 };
        self.libraries.push(Library { os_version, ..library });
    }

    /// The file. Entries that compare equal stay in the order in which they were added.
    pub(super) fn to_bytes(mut self, little_endian: bool) -> Vec<u8> {
        let plain = self.dialect.format == Format::Plain;
        self.libraries.sort_by(|a, b| if plain { compare_plain(a, b) } else { compare_extended(a, b) });
        let strings = if plain { Strings::listed(&self.libraries) } else { Strings::shared(&self.libraries) };
        let mut out = Out { bytes: Vec::new(), little_endian };
        self.write_entries(&strings, &mut out);
        out.bytes.extend_from_slice(&strings.bytes);
        if let Format::Extended { generator } = &self.dialect.format {
            self.write_extensions(generator, &strings, &mut out);
        }
        out.bytes
    }

    fn write_entries(&self, strings: &Strings, out: &mut Out) {
        let start = HEADER + self.libraries.len() * ENTRY;
        out.bytes.extend_from_slice(MAGIC);
        out.word(self.libraries.len());
        out.word(strings.bytes.len());
        let order = if out.little_endian { 2 } else { 3 };
        out.bytes.extend_from_slice(&[if self.dialect.endian { order } else { 0 }, 0, 0, 0]);
        let extension = (start + strings.bytes.len()).next_multiple_of(4);
        out.word(if self.dialect.format == Format::Plain { 0 } else { extension });
        out.bytes.extend_from_slice(&[0; 12]);
        let subdirectories = self.subdirectories();
        for (library, (soname, path)) in self.libraries.iter().zip(&strings.offsets) {
            out.word(library.flags as usize);
            out.word(start + soname);
            out.word(start + path);
            out.word(library.os_version as usize);
            out.long(library.hwcap(&subdirectories));
        }
    }

    fn write_extensions(&self, generator: &str, strings: &Strings, out: &mut Out) {
        let start = HEADER + self.libraries.len() * ENTRY;
        out.bytes.resize(out.bytes.len().next_multiple_of(4), 0);
        let subdirectories = self.subdirectories();
        let sections = 1 + usize::from(!subdirectories.is_empty());
        let content = out.bytes.len() + 8 + 16 * sections;
        out.word(EXTENSION_MAGIC as usize);
        out.word(sections);
        let section = |out: &mut Out, tag: usize, offset: usize, size: usize| {
            for word in [tag, 0, offset, size] {
                out.word(word);
            }
        };
        section(out, 0, content + 4 * subdirectories.len(), generator.len());
        if !subdirectories.is_empty() {
            section(out, 1, content, 4 * subdirectories.len());
        }
        for name in subdirectories.keys() {
            out.word(start + strings.names[*name]);
        }
        out.bytes.extend_from_slice(generator.as_bytes());
    }

    /// The folders of `glibc-hwcaps` that are used, with their indices, which are in the order of their names.
    fn subdirectories(&self) -> BTreeMap<&[u8], u64> {
        let used = self.libraries.iter().filter_map(|library| library.subdirectory.as_ref());
        let names: BTreeMap<&[u8], u64> = used.map(|(name, _)| (&name[..], 0)).collect();
        names.into_keys().zip(0..).collect()
    }
}

impl Library {
    fn hwcap(&self, subdirectories: &BTreeMap<&[u8], u64>) -> u64 {
        match &self.subdirectory {
            Some((name, isa_level)) => 1 << 62 | u64::from(*isa_level) << 32 | subdirectories[&name[..]],
            None => self.hwcap,
        }
    }
}

/// Writes numbers in the byte order of the machine that the cache is for.
struct Out {
    bytes: Vec<u8>,
    little_endian: bool,
}

impl Out {
    #[allow(clippy::cast_possible_truncation)] // The file has 32-bit offsets: 4 GiB of library names are not to be had.
    fn word(&mut self, word: usize) {
        let word = word as u32;
        self.bytes.extend_from_slice(&if self.little_endian { word.to_le_bytes() } else { word.to_be_bytes() });
    }

    fn long(&mut self, long: u64) {
        self.bytes.extend_from_slice(&if self.little_endian { long.to_le_bytes() } else { long.to_be_bytes() });
    }
}

/// The table of strings, and for each library the offsets of its name and path in it.
struct Strings {
    bytes: Vec<u8>,
    offsets: Vec<(usize, usize)>,
    names: BTreeMap<Vec<u8>, usize>,
}

impl Strings {
    /// Name and path of each library, one after the other.
    fn listed(libraries: &[Library]) -> Self {
        let (mut bytes, mut offsets) = (Vec::new(), Vec::new());
        for library in libraries {
            let soname = bytes.len();
            bytes.extend_from_slice(&library.soname);
            bytes.push(0);
            offsets.push((soname, bytes.len()));
            bytes.extend_from_slice(&library.path);
            bytes.push(0);
        }
        Self { bytes, offsets, names: BTreeMap::new() }
    }

    /// Each string once, sorted from the end backwards in descending order, one that ends another being part of it.
    fn shared(libraries: &[Library]) -> Self {
        let subdirectories = libraries.iter().filter_map(|library| library.subdirectory.as_ref().map(|(name, _)| name));
        let all = libraries.iter().flat_map(|library| [&library.soname, &library.path]).chain(subdirectories);
        let mut strings: Vec<&Vec<u8>> = all.collect();
        strings.sort_by(|a, b| b.iter().rev().cmp(a.iter().rev()));
        strings.dedup();
        let (mut bytes, mut names) = (Vec::new(), BTreeMap::new());
        let (mut last, mut last_at): (&[u8], usize) = (b"", 0);
        for string in strings {
            let at = match last.ends_with(string) && !last.is_empty() {
                true => last_at + last.len() - string.len(),
                false => bytes.len(),
            };
            if at == bytes.len() {
                bytes.extend_from_slice(string);
                bytes.push(0);
            }
            names.insert(string.clone(), at);
            (last, last_at) = (string, at);
        }
        let offsets = libraries.iter().map(|library| (names[&library.soname], names[&library.path])).collect();
        Self { bytes, offsets, names }
    }
}

/// The order of glibc until 2.32: descending by name, then by ABI, then the most special hardware first.
fn compare_plain(a: &Library, b: &Library) -> Ordering {
    let key = |library: &Library| (library.flags, library.hwcap.count_ones(), library.hwcap, library.os_version);
    compare_names(&b.soname, &a.soname).then_with(|| key(b).cmp(&key(a)))
}

/// The order of glibc from 2.33 on: as before, but the folders of `glibc-hwcaps` first, ascending by name.
fn compare_extended(a: &Library, b: &Library) -> Ordering {
    let special = |library: &Library| library.subdirectory.is_none();
    let name = |library: &Library| library.subdirectory.as_ref().map(|(name, _)| name.clone());
    let key = |library: &Library| (library.hwcap.count_ones(), library.hwcap, library.os_version);
    compare_names(&b.soname, &a.soname)
        .then_with(|| b.flags.cmp(&a.flags))
        .then_with(|| special(a).cmp(&special(b)))
        .then_with(|| name(a).cmp(&name(b)))
        .then_with(|| key(b).cmp(&key(a)))
}

/// The order of library names: digits by their value, and after everything else.
pub(super) fn compare_names(mut a: &[u8], mut b: &[u8]) -> Ordering {
    loop {
        let order = match (a.first().copied(), b.first().copied()) {
            (None, None) => return Ordering::Equal,
            (Some(x), Some(y)) if x.is_ascii_digit() && y.is_ascii_digit() => leading(&mut a).cmp(&leading(&mut b)),
            (Some(x), _) if x.is_ascii_digit() => Ordering::Greater,
            (Some(_), Some(y)) if y.is_ascii_digit() => Ordering::Less,
            (x, y) => {
                (a, b) = (a.get(1..).unwrap_or_default(), b.get(1..).unwrap_or_default());
                #[allow(clippy::cast_possible_wrap)]
                // glibc compares `char`, which is signed on x86.
                let signed = |byte: Option<u8>| byte.unwrap_or_default() as i8;
                signed(x).cmp(&signed(y))
            }
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// Takes a number off the front, as C's `int` has it.
fn leading(text: &mut &[u8]) -> i32 {
    let mut value = 0_i32;
    while let [digit @ b'0'..=b'9', rest @ ..] = text {
        value = value.wrapping_mul(10).wrapping_add(i32::from(digit - b'0'));
        *text = rest;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_numbers() {
        for (less, more) in [
            ("libz.so.1", "libz.so.2"),
            ("libz.so.9", "libz.so.10"),
            ("liba.so", "libb.so"),
            ("libm.so", "libm.so.6"),
            ("libab.so", "lib1.so"),
            ("lib", "liba"),
        ] {
            assert_eq!(compare_names(less.as_bytes(), more.as_bytes()), Ordering::Less, "{less} {more}");
            assert_eq!(compare_names(more.as_bytes(), less.as_bytes()), Ordering::Greater, "{less} {more}");
        }
        assert_eq!(compare_names(b"libz.so.01", b"libz.so.1"), Ordering::Equal);
    }

    #[test]
    fn garbage_is_no_cache() {
        assert_eq!(Dialect::of_cache(b"glibc-ld.so.cache1.1"), None);
        assert_eq!(Dialect::of_cache(&[[&MAGIC[..], &[0xff; 40]].concat(), vec![0xff; 8]].concat()), None);
    }
}
