//! What the Go linker writes into each program: the release of Go, the modules, the build settings.
//!
//! Source: `debug/buildinfo` and `runtime/debug.ParseBuildInfo` of Go. The header is 32 bytes, at a multiple of 16 in the
//! section `.go.buildinfo` or in the data segment. Since Go 1.18 two texts follow it; before, it has the addresses of two
//! Go strings.

use std::io;

use crate::language::binary::{Object, Region, Source};

const MAGIC: &[u8; 14] = b"\xff Go buildinf:";
const ALIGN: usize = 16;
const HEADER: usize = 32;
const BIG_ENDIAN: u8 = 1;
const INLINE: u8 = 2;

/// The most bytes of a section or segment in which the header is looked for. It is among the first.
const MAX_SEARCH: u64 = 1 << 20;

/// The most bytes of one text. The largest programs have some thousand modules of 100 bytes.
const MAX_TEXT: u64 = 4 << 20;

/// The bytes before and after the module text, which let it be found in a core dump.
const SENTINEL: usize = 16;

/// What a Go program says of its build.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct BuildInfo {
    /// The release of Go: `go1.22.3`.
    pub(super) go_version: String,
    /// The module that the program is part of.
    pub(super) main: Option<Module>,
    /// The modules it was built with, after replacement.
    pub(super) deps: Vec<Module>,
    /// Key and value of each build setting.
    pub(super) settings: Vec<(String, String)>,
}

/// A module at a version.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Module {
    pub(super) path: String,
    /// `v1.2.3`, `(devel)`, or empty for a folder.
    pub(super) version: String,
}

impl BuildInfo {
    /// Finds it in a program; `None` where that is not of Go.
    pub(super) fn find(object: &Object, source: &mut Source<'_>) -> io::Result<Option<Self>> {
        for region in places(object) {
            let bytes = source.read(region.offset, region.size.min(MAX_SEARCH) as usize)?;
            if let Some(at) = header(&bytes) {
                let header = &bytes[at..at + HEADER];
                let found = Texts { object, source }.read(header, region.offset + at as u64)?;
                return Ok(found.map(|(version, modules)| Self::parse(version, &modules)));
            }
        }
        Ok(None)
    }

    fn parse(go_version: String, modules: &str) -> Self {
        let mut info = Self { go_version, ..Self::default() };
        let mut replaced = Replaced::Nothing;
        for line in modules.lines() {
            let (kind, rest) = line.split_once('\t').unwrap_or((line, ""));
            match kind {
                "path" => info.main = Some(Module { path: rest.into(), version: super::version::DEVEL.into() }),
                "mod" => {
                    info.main = Some(Module::parse(rest));
                    replaced = Replaced::Main;
                }
                "dep" => {
                    info.deps.push(Module::parse(rest));
                    replaced = Replaced::Dependency;
                }
                "=>" => info.replace(&replaced, Module::parse(rest)),
                "build" => info.settings.extend(setting(rest)),
                _ => {}
            }
        }
        info
    }

    fn replace(&mut self, replaced: &Replaced, by: Module) {
        match replaced {
            Replaced::Nothing => {}
            Replaced::Main => self.main = Some(by),
            Replaced::Dependency => {
                if let Some(last) = self.deps.last_mut() {
                    *last = by;
                }
            }
        }
    }
}

/// What a line `=>` speaks of: the line before it.
enum Replaced {
    Nothing,
    Main,
    Dependency,
}

impl Module {
    /// Path, version and checksum, of which the last may be absent.
    fn parse(line: &str) -> Self {
        let mut columns = line.split('\t').map(String::from);
        Self { path: columns.next().unwrap_or_default(), version: columns.next().unwrap_or_default() }
    }
}

/// A build setting: `CGO_ENABLED=1`, or `"key"="value"` where either has unusual characters.
fn setting(text: &str) -> Option<(String, String)> {
    let (key, rest) = match text.starts_with(['"', '`']) {
        true => unquoted(text)?,
        false => {
            let (key, rest) = text.split_at(text.find('=')?);
            (key.into(), rest)
        }
    };
    let value = rest.strip_prefix('=')?;
    let value = if value.starts_with(['"', '`']) { unquoted(value)?.0 } else { value.into() };
    Some((key, value))
}

/// A Go string literal at the start of a text, and what follows it. Of the escapes only those are known that
/// `strconv.Quote` makes of characters which may stand in a flag.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next()?;
    let mut value = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            _ if c == quote => return Some((value, &text[at + 1..])),
            '\\' if quote == '"' => value.push(match chars.next()?.1 {
                'n' => '\n',
                't' => '\t',
                other => other,
            }),
            _ => value.push(c),
        }
    }
    None
}

/// Where the header may be, likeliest first.
fn places(object: &Object) -> impl Iterator<Item = &Region> {
    let named = [".go.buildinfo", "__go_buildinfo"].into_iter().filter_map(|name| object.section(name));
    named.chain(object.segments.iter().filter(|segment| segment.is_data).take(4))
}

/// Where the header starts.
fn header(bytes: &[u8]) -> Option<usize> {
    let found = memchr::memmem::find_iter(bytes, MAGIC);
    found.into_iter().find(|at| at % ALIGN == 0 && bytes.len() - at >= HEADER)
}

/// Reads the two texts that the header leads to.
struct Texts<'a, 'b> {
    object: &'a Object,
    source: &'a mut Source<'b>,
}

impl Texts<'_, '_> {
    /// The release and the module text of the header at a place of the file.
    fn read(&mut self, header: &[u8], at: u64) -> io::Result<Option<(String, String)>> {
        if header[15] & INLINE != 0 {
            return self.inline(at + HEADER as u64);
        }
        let (size, big) = (usize::from(header[14]), header[15] & BIG_ENDIAN != 0);
        let order = Order { size, big };
        if !matches!(size, 4 | 8) {
            return Ok(None);
        }
        let version = self.pointed(order, order.number(&header[16..]))?;
        let modules = self.pointed(order, order.number(&header[16 + size..]))?;
        Ok(version.map(|version| (text(version), framed(&modules.unwrap_or_default()))))
    }

    /// The texts after the header: a length, then as many bytes, twice.
    fn inline(&mut self, at: u64) -> io::Result<Option<(String, String)>> {
        let Some((version, end)) = self.counted(at)? else { return Ok(None) };
        let modules = self.counted(end)?.map(|(modules, _)| modules);
        Ok(Some((text(version), framed(&modules.unwrap_or_default()))))
    }

    fn counted(&mut self, at: u64) -> io::Result<Option<(Vec<u8>, u64)>> {
        let head = self.source.read(at, 10)?;
        let Some((length, width)) = varint(&head).filter(|(length, _)| *length <= MAX_TEXT) else { return Ok(None) };
        let start = at + width;
        let bytes = self.source.exact(start, length as usize)?;
        Ok(bytes.map(|bytes| (bytes, start + length)))
    }

    /// The Go string at an address: the address of its bytes, and how many there are.
    fn pointed(&mut self, order: Order, address: u64) -> io::Result<Option<Vec<u8>>> {
        let Some(offset) = self.object.offset_of(address) else { return Ok(None) };
        let Some(string) = self.source.exact(offset, 2 * order.size)? else { return Ok(None) };
        let (start, length) = (order.number(&string), order.number(&string[order.size..]));
        let Some(start) = self.object.offset_of(start).filter(|_| length <= MAX_TEXT) else { return Ok(None) };
        self.source.exact(start, length as usize)
    }
}

/// How the program has addresses.
#[derive(Clone, Copy)]
struct Order {
    size: usize,
    big: bool,
}

impl Order {
    /// The address at the start of some bytes, which are long enough.
    fn number(self, bytes: &[u8]) -> u64 {
        let push = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        let bytes = &bytes[..self.size];
        if self.big { bytes.iter().fold(0, push) } else { bytes.iter().rev().fold(0, push) }
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_default()
}

/// The module text between its sentinels; empty where a program has none.
fn framed(bytes: &[u8]) -> String {
    let inner = bytes.get(SENTINEL..bytes.len().saturating_sub(SENTINEL)).unwrap_or_default();
    let inner = if inner.ends_with(b"\n") { inner } else { &[] };
    String::from_utf8_lossy(inner).into_owned()
}

/// An unsigned number of seven bits a byte, and how many bytes it takes.
fn varint(bytes: &[u8]) -> Option<(u64, u64)> {
    let mut number = 0_u64;
    for (index, byte) in bytes.iter().enumerate().take(9) {
        number |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((number, index as u64 + 1));
        }
    }
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn module(path: &str, version: &str) -> Module {
        Module { path: path.into(), version: version.into() }
    }

    #[test]
    fn replacements_are_followed() {
        let text = "path\tgithub.com/a/b/cmd/b\nmod\tgithub.com/a/b\t(devel)\t\n\
                    dep\tgithub.com/x/y\tv1.2.3\th1:abc=\ndep\tgithub.com/x/z\tv1.0.0\n=>\tgithub.com/fork/z\tv1.0.1\th1:d=\n\
                    dep\texample.org/w\tv0.1.0\n=>\t../w\t\t\nbuild\t-compiler=gc\nbuild\t-ldflags=\"-X 'main.v=\\\"1\\\"'\"\n";
        let info = BuildInfo::parse("go1.19".into(), text);
        assert_eq!(info.main, Some(module("github.com/a/b", "(devel)")));
        let deps = [module("github.com/x/y", "v1.2.3"), module("github.com/fork/z", "v1.0.1"), module("../w", "")];
        assert_eq!(info.deps, deps);
        let settings = [("-compiler", "gc"), ("-ldflags", "-X 'main.v=\"1\"'")];
        assert_eq!(info.settings, settings.map(|(key, value)| (key.into(), value.into())));
    }

    #[test]
    fn a_program_without_modules_has_its_path() {
        let info = BuildInfo::parse("go1.19".into(), "path\tcommand-line-arguments\nbuild\tGOOS=linux\n");
        assert_eq!(info.main, Some(module("command-line-arguments", "(devel)")));
        assert_eq!(BuildInfo::parse(String::new(), "=>\ta\tv1\nmod\ta\n=>\tb\tv2").main, Some(module("b", "v2")));
    }

    #[test]
    fn quoted_settings() {
        let pair = |key: &str, value: &str| Some((key.to_owned(), value.to_owned()));
        assert_eq!(setting("a=b=c"), pair("a", "b=c"));
        assert_eq!(setting("\"a b\"=`c\\d`"), pair("a b", "c\\d"));
        assert_eq!(setting("\"a"), None);
        assert_eq!(setting("a=\"\\"), None);
        assert_eq!(setting("a"), None);
    }

    #[test]
    fn numbers_of_seven_bits() {
        assert_eq!(varint(&[0x05]), Some((5, 1)));
        assert_eq!(varint(&[0x80, 0x02]), Some((256, 2)));
        assert_eq!(varint(&[0x80; 20]), None);
        assert_eq!(varint(&[]), None);
    }
}
