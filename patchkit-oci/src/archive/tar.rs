//! Where the members of a tar archive are, found in one pass over its headers (POSIX.1-2001 pax, with GNU long names).
//!
//! Nothing is unpacked. What readers of tar archives understand differently is refused, so that nobody can show one
//! content to us and another to the next.

use std::{collections::HashMap, io};

use tar::{EntryType, Header, PaxExtensions};
use thiserror::Error;

use crate::file::FilePart;

const BLOCK: u64 = 512;

/// The most members of an archive of images.
const MAX_MEMBERS: usize = 200_000;

/// The most bytes of a header's extension.
const MAX_EXTENSION: u64 = 1 << 20;

/// The most bytes of a name.
const MAX_NAME: usize = 4096;

/// The most bytes of all names.
const MAX_NAMES: usize = 32 << 20;

/// How many links are followed from one to the next.
const MAX_LINKS: usize = 8;

/// Why a file is no tar archive of images.
#[derive(Debug, Error)]
#[error("at byte {at}: {fault}")]
pub struct ParseTarError {
    /// Where the header is that is wrong.
    pub at: u64,
    /// What is wrong with it.
    pub fault: TarFault,
}

/// What is wrong with a tar archive.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TarFault {
    /// Readers would not agree on what it means.
    #[error("ambiguous: {0}")]
    Ambiguous(&'static str),
    /// The header's checksum is wrong, or a number in it is none.
    #[error("damaged header")]
    Header,
    /// A file is there twice.
    #[error("{0:?} is there twice")]
    Duplicate(String),
    /// Reading failed.
    #[error("cannot read: {0}")]
    Io(#[from] io::Error),
    /// Something that no archive of images has: a device, a sparse file.
    #[error("{0:?} is neither file, folder nor link")]
    Kind(String),
    /// There is more than is read: members, or bytes of a name.
    #[error("too large: {0}")]
    Limit(&'static str),
    /// A name or a link's target that is absolute, leads out of the archive, or is not UTF-8.
    #[error("hostile name {0:?}")]
    Name(String),
    /// The file ends in the midst of a member.
    #[error("the file ends early")]
    Truncated,
}

/// Bytes that can be read anywhere.
pub(crate) trait ReadAt {
    fn len(&self) -> u64;
    /// Fills the buffer; it must lie inside.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
}

impl ReadAt for [u8] {
    fn len(&self) -> u64 {
        <[u8]>::len(self) as u64
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.get(offset..)?.get(..buffer.len()));
        buffer.copy_from_slice(rest.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

impl ReadAt for FilePart {
    fn len(&self) -> u64 {
        self.len()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.fill(buffer, offset)
    }
}

/// The members of an archive by name.
#[derive(Debug, Default)]
pub(crate) struct Members(HashMap<String, Member>);

#[derive(Debug)]
enum Member {
    File {
        start: u64,
        len: u64,
    },
    /// To a member, by its name.
    Link(String),
}

/// Finds the members of a tar archive; how many files and links there are.
///
/// # Errors
/// [`ParseTarError`].
pub fn index_archive(bytes: &[u8]) -> Result<usize, ParseTarError> {
    Members::of(bytes).map(|members| members.0.len())
}

impl Members {
    pub(crate) fn of(archive: &(impl ReadAt + ?Sized)) -> Result<Self, ParseTarError> {
        let mut walk = Walk { archive, at: 0, names: 0, members: Self::default() };
        loop {
            let at = walk.at;
            match walk.member() {
                Ok(true) => {}
                Ok(false) => return Ok(walk.members),
                Err(fault) => return Err(ParseTarError { at, fault }),
            }
        }
    }

    /// Start and length of a file, through links.
    pub(crate) fn get(&self, name: &str) -> Option<(u64, u64)> {
        let mut name = name.strip_prefix("./").unwrap_or(name);
        for _ in 0..MAX_LINKS {
            match self.0.get(name)? {
                Member::File { start, len } => return Some((*start, *len)),
                Member::Link(target) => name = target,
            }
        }
        None
    }
}

struct Walk<'a, A: ?Sized> {
    archive: &'a A,
    at: u64,
    /// How many bytes all names have.
    names: usize,
    members: Members,
}

/// What the extensions before a header say instead of it.
#[derive(Debug, Default)]
struct Extension {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
}

impl<A: ReadAt + ?Sized> Walk<'_, A> {
    /// Reads one member with its extensions. Says whether there was one.
    fn member(&mut self) -> Result<bool, TarFault> {
        let mut extension = Extension::default();
        loop {
            let Some(header) = self.header()? else {
                return match extension {
                    Extension { path: None, link: None, size: None } => Ok(false),
                    _ => Err(TarFault::Truncated),
                };
            };
            let size = header.entry_size().map_err(|_| TarFault::Header)?;
            match header.entry_type() {
                EntryType::GNULongName => set(&mut extension.path, self.long(size)?)?,
                EntryType::GNULongLink => set(&mut extension.link, self.long(size)?)?,
                EntryType::XHeader => extension.read_pax(&self.extension(size)?)?,
                EntryType::XGlobalHeader => refuse_global(&self.extension(size)?)?,
                _ => return self.enter(&header, size, extension).map(|()| true),
            }
        }
    }

    /// The next header; `None` at the archive's end.
    fn header(&mut self) -> Result<Option<Header>, TarFault> {
        if self.at == self.archive.len() {
            return Ok(None);
        }
        let block = self.block()?;
        if block == [0; BLOCK as usize] {
            if self.at < self.archive.len() && self.block()? != [0; BLOCK as usize] {
                return Err(TarFault::Ambiguous("something follows an empty block"));
            }
            return Ok(None);
        }
        let header = Header::from_byte_slice(&block).clone();
        // The checksum counts its own field as eight spaces.
        let sum = block.iter().map(|byte| u32::from(*byte)).sum::<u32>();
        let own = block[148..156].iter().map(|byte| u32::from(*byte)).sum::<u32>();
        match header.cksum() {
            Ok(expected) if expected == sum - own + 8 * 32 => Ok(Some(header)),
            _ => Err(TarFault::Header),
        }
    }

    fn block(&mut self) -> Result<[u8; BLOCK as usize], TarFault> {
        let mut block = [0; BLOCK as usize];
        if self.archive.len() - self.at < BLOCK {
            return Err(TarFault::Truncated);
        }
        self.archive.read_at(&mut block, self.at)?;
        self.at += BLOCK;
        Ok(block)
    }

    /// Steps over content and its padding; where it begins.
    fn skip(&mut self, size: u64) -> Result<u64, TarFault> {
        let start = self.at;
        let padded = size.checked_next_multiple_of(BLOCK).and_then(|size| start.checked_add(size));
        // Some writers leave out the padding of the last member.
        if start.checked_add(size).is_none_or(|end| end > self.archive.len()) {
            return Err(TarFault::Truncated);
        }
        self.at = padded.ok_or(TarFault::Truncated)?.min(self.archive.len());
        Ok(start)
    }

    fn extension(&mut self, size: u64) -> Result<Vec<u8>, TarFault> {
        if size > MAX_EXTENSION {
            return Err(TarFault::Limit("a header's extension"));
        }
        let start = self.skip(size)?;
        let mut bytes = vec![0; usize::try_from(size).expect("it is at most 1 MiB")];
        self.archive.read_at(&mut bytes, start)?;
        Ok(bytes)
    }

    fn long(&mut self, size: u64) -> Result<Vec<u8>, TarFault> {
        let mut name = self.extension(size)?;
        name.truncate(name.iter().position(|byte| *byte == 0).unwrap_or(name.len()));
        Ok(name)
    }

    fn enter(&mut self, header: &Header, size: u64, extension: Extension) -> Result<(), TarFault> {
        let path = extension.path.unwrap_or_else(|| header.path_bytes().into_owned());
        let name = member_name(&path)?;
        let size = agreed(size, extension.size)?;
        let link = extension.link.or_else(|| header.link_name_bytes().map(Into::into)).unwrap_or_default();
        let member = match header.entry_type() {
            EntryType::Directory => return self.folder(size),
            EntryType::Regular | EntryType::Continuous if path.ends_with(b"/") => return self.folder(size),
            EntryType::Regular | EntryType::Continuous => Member::File { start: self.skip(size)?, len: size },
            EntryType::Link if size == 0 => Member::Link(member_name(&link)?),
            EntryType::Symlink if size == 0 => Member::Link(plain(&link, parents(&name))?),
            EntryType::Link | EntryType::Symlink => return Err(TarFault::Ambiguous("a link with content")),
            _ => return Err(TarFault::Kind(name)),
        };
        self.names += name.len() + link.len();
        if self.members.0.len() == MAX_MEMBERS || self.names > MAX_NAMES {
            return Err(TarFault::Limit("too many members"));
        }
        match self.members.0.insert(name.clone(), member) {
            Some(_) => Err(TarFault::Duplicate(name)),
            None => Ok(()),
        }
    }

    fn folder(&mut self, size: u64) -> Result<(), TarFault> {
        if size == 0 { Ok(()) } else { Err(TarFault::Ambiguous("a folder with content")) }
    }
}

impl Extension {
    fn read_pax(&mut self, bytes: &[u8]) -> Result<(), TarFault> {
        for record in PaxExtensions::new(bytes) {
            let record = record.map_err(|_| TarFault::Header)?;
            match record.key_bytes() {
                b"path" => set(&mut self.path, record.value_bytes().into())?,
                b"linkpath" => set(&mut self.link, record.value_bytes().into())?,
                b"size" => {
                    let size = record.value().ok().and_then(|size| size.parse().ok());
                    set(&mut self.size, size.ok_or(TarFault::Header)?)?;
                }
                key if key.starts_with(b"GNU.sparse.") => return Err(TarFault::Kind("a sparse file".into())),
                _ => {}
            }
        }
        Ok(())
    }
}

fn set<T>(field: &mut Option<T>, value: T) -> Result<(), TarFault> {
    match field.replace(value) {
        Some(_) => Err(TarFault::Ambiguous("a header is extended twice")),
        None => Ok(()),
    }
}

fn refuse_global(bytes: &[u8]) -> Result<(), TarFault> {
    for record in PaxExtensions::new(bytes) {
        let record = record.map_err(|_| TarFault::Header)?;
        if matches!(record.key_bytes(), b"path" | b"linkpath" | b"size") {
            return Err(TarFault::Ambiguous("a name or size for all members"));
        }
    }
    Ok(())
}

/// The size that header and extension agree on: the extension's where the header has no room for it.
fn agreed(header: u64, extension: Option<u64>) -> Result<u64, TarFault> {
    const LARGEST_OCTAL: u64 = 0o777_7777_7777;
    match extension {
        Some(size) if size != header && size <= LARGEST_OCTAL => Err(TarFault::Ambiguous("two sizes")),
        Some(size) => Ok(size),
        None => Ok(header),
    }
}

/// The name of a member: below the archive's root without any detour.
fn member_name(path: &[u8]) -> Result<String, TarFault> {
    let detour = path.split(|byte| *byte == b'/').any(|component| component == b"..");
    let name = plain(path, &[])?;
    if detour { Err(TarFault::Name(name)) } else { Ok(name) }
}

fn parents(name: &str) -> &[u8] {
    name.rsplit_once('/').map_or(&[], |(folder, _)| folder.as_bytes())
}

/// A path below a folder without `.` and `..`, which must not lead out of the archive.
fn plain(path: &[u8], below: &[u8]) -> Result<String, TarFault> {
    let hostile = || TarFault::Name(String::from_utf8_lossy(&path[..path.len().min(200)]).into_owned());
    let (path, below) = (std::str::from_utf8(path).map_err(|_| hostile())?, std::str::from_utf8(below));
    if path.len() > MAX_NAME || path.starts_with('/') || path.contains('\0') {
        return Err(hostile());
    }
    let below = below.map_err(|_| hostile())?;
    let mut components: Vec<&str> = below.split('/').filter(|component| !component.is_empty()).collect();
    for component in path.split('/') {
        match component {
            "" | "." => {}
            ".." => drop(components.pop().ok_or_else(hostile)?),
            name => components.push(name),
        }
    }
    Ok(components.join("/"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tar::Builder;

    use super::*;

    fn header(kind: EntryType, size: u64) -> Header {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(0o644);
        header
    }

    /// A header whose name is not looked at before it is written.
    fn named(name: &[u8], kind: EntryType, link: &[u8]) -> Vec<u8> {
        let mut header = header(kind, 0);
        header.as_mut_bytes()[..name.len()].copy_from_slice(name);
        header.as_mut_bytes()[157..157 + link.len()].copy_from_slice(link);
        header.set_cksum();
        [header.as_bytes().as_slice(), &[0; 1024]].concat()
    }

    fn pax(records: &str) -> Vec<u8> {
        let mut header = header(EntryType::XHeader, records.len() as u64);
        header.set_path("pax").unwrap();
        header.set_cksum();
        let padding = records.len().next_multiple_of(512) - records.len();
        [header.as_bytes().as_slice(), records.as_bytes(), &vec![0; padding]].concat()
    }

    fn fault(archive: &[u8]) -> String {
        Members::of(archive).expect_err("it is refused").fault.to_string()
    }

    #[test]
    fn finds_files_behind_long_names_and_links() {
        let long = format!("{}/layer.tar", "d".repeat(150));
        let mut builder = Builder::new(Vec::new());
        builder.append_data(&mut header(EntryType::Regular, 5), &long, b"hello".as_slice()).unwrap();
        builder.append_data(&mut header(EntryType::Regular, 3), "./b", b"two".as_slice()).unwrap();
        builder.append_link(&mut header(EntryType::Symlink, 0), "x/layer.tar", format!("../{long}")).unwrap();
        builder.append_link(&mut header(EntryType::Link, 0), "c", "b").unwrap();
        builder.append_link(&mut header(EntryType::Symlink, 0), "loop", "loop").unwrap();
        let archive = builder.into_inner().unwrap();
        let members = Members::of(archive.as_slice()).unwrap();
        let read = |name: &str| {
            let (start, len) = members.get(name)?;
            let range = usize::try_from(start).unwrap()..usize::try_from(start + len).unwrap();
            Some(&archive[range])
        };
        assert_eq!(read(&long), Some(b"hello".as_slice()));
        assert_eq!(read("x/layer.tar"), read(&long));
        assert_eq!((read("c"), read("./b")), (read("b"), Some(b"two".as_slice())));
        assert_eq!((read("loop"), read("none")), (None, None));
    }

    #[test]
    fn hostile_archives_are_refused() {
        let file = named(b"a", EntryType::Regular, b"");
        let one = &file[..512];
        for (archive, why) in [
            (named(b"/etc/passwd", EntryType::Regular, b""), "hostile name"),
            (named(b"../a", EntryType::Regular, b""), "hostile name"),
            (named(b"a/../b", EntryType::Regular, b""), "hostile name"),
            (named(b"\xff", EntryType::Regular, b""), "hostile name"),
            (named(b"a", EntryType::Symlink, b"../../b"), "hostile name"),
            (named(b"a", EntryType::Symlink, b"/b"), "hostile name"),
            (named(b"a", EntryType::Link, b"x/../b"), "hostile name"),
            (named(b"a", EntryType::Char, b""), "neither"),
            (named(b"a", EntryType::GNUSparse, b""), "neither"),
            ([one, &file].concat(), "twice"),
            ([&file[..1024], &file].concat(), "empty block"),
            ([&pax("9 size=1\n"), one].concat(), "two sizes"),
            ([pax("8 path=\n"), pax("8 path=\n"), file.clone()].concat(), "extended twice"),
            ([pax("22 GNU.sparse.major=1\n"), file.clone()].concat(), "neither"),
            (pax("8 path=\n"), "ends early"),
            (file[..600].to_vec(), "ends early"),
            (vec![1; 512], "damaged"),
        ] {
            let found = fault(&archive);
            assert!(found.contains(why), "{why}: {found}");
        }
    }

    #[test]
    fn a_size_beyond_the_end_is_refused() {
        for size in [1, 1 << 40, u64::MAX] {
            let mut header = header(EntryType::Regular, size);
            header.set_path("a").unwrap();
            header.set_cksum();
            assert!(Members::of(header.as_bytes().as_slice()).is_err());
        }
    }

    proptest! {
        #[test]
        fn never_panics(mut bytes in prop::collection::vec(any::<u8>(), 512..2048), kind in prop::sample::select(b"0125xgLKS7".as_slice())) {
            // A right checksum leads further in.
            bytes[156] = kind;
            let mut header = Header::from_byte_slice(&bytes[..512]).clone();
            header.set_cksum();
            bytes[..512].copy_from_slice(header.as_bytes());
            let _ = index_archive(&bytes);
        }
    }
}
