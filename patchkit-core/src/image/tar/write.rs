//! A layer that is being written, reproducibly: the same calls give the same bytes.

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, Read, Write},
};

use super::{
    header::{BLOCK, MAX_OCTAL},
    meaning::{MAX_NAME, MAX_PATH, OPAQUE, WHITEOUT},
};
use crate::{
    Blob, Context, Descriptor, Error, Hasher, Result, ScratchWriter,
    image::{Compression, FilePath, Layer, Metadata, codec::Encoder, codec::error_of},
};

/// The largest owner that seven octal digits hold.
const MAX_OWNER: u64 = 0o7_777_777;

/// The longest name and link target that fit into a header.
const MAX_SHORT: usize = 100;

/// How many bytes of a content are copied at once.
const PIECE: u64 = 64 << 10;

/// Writes a layer to scratch space, entry by entry in the order given, in little memory whatever its size.
///
/// The archive is ustar with numeric owners and whole seconds, no names of users or groups, and a POSIX extended header
/// only where something does not fit: a long name or target, a large number, extended attributes. It blocks: an
/// asynchronous caller runs it in `spawn_blocking`.
///
/// ```
/// use patchkit_core::{Context, image::{Compression, FilePath, LayerWriter, Metadata}};
///
/// let mut layer = LayerWriter::new(Compression::default(), &Context::new())?;
/// let hello = FilePath::new("etc/hello").unwrap();
/// layer.file(&hello, &Metadata { mode: 0o644, ..Metadata::default() }, 5, &mut "world".as_bytes())?;
/// let layer = layer.finish()?;
/// assert_eq!(layer.digest(), &layer.blob().descriptor().digest);
/// # Ok::<_, patchkit_core::Error>(())
/// ```
pub struct LayerWriter {
    output: Encoder<Hashing>,
    hasher: Hasher,
    compression: Compression,
    cx: Context,
    /// Whether an entry was left half-written.
    broken: bool,
}

/// Hashes and counts what goes to scratch space.
struct Hashing {
    output: Box<dyn ScratchWriter>,
    hasher: Hasher,
    size: u64,
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.output.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

impl LayerWriter {
    /// Starts a layer.
    ///
    /// # Errors
    /// Those of the scratch space; [`Invalid`](crate::ErrorKind::Invalid) for a level that the compression does not
    /// have.
    pub fn new(compression: Compression, cx: &Context) -> Result<Self> {
        let known = match compression {
            Compression::Gzip(level) => level <= 9,
            Compression::None => true,
            Compression::Zstd(level) => (1..=22).contains(&level),
        };
        if !known {
            return Err(Error::invalid(format!("{compression:?}: there is no such level")));
        }
        let output = Hashing { output: cx.scratch().create()?, hasher: Hasher::default(), size: 0 };
        let output = Encoder::new(compression, output).map_err(not_written)?;
        Ok(Self { output, hasher: Hasher::default(), compression, cx: cx.clone(), broken: false })
    }

    /// Writes a directory. The root's metadata can be written as well.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a path that Linux or the whiteout convention does not allow;
    /// [`Cancel`](crate::ErrorKind::Cancel); those of the scratch space.
    pub fn directory(&mut self, path: &FilePath, metadata: &Metadata) -> Result<()> {
        let mut name = path.as_bytes().to_vec();
        name.extend_from_slice(if path.is_root() { b"./" } else { b"/" });
        self.entry(path, &Member { name: &name, ..Member::new(b'5', metadata) })
    }

    /// Writes a regular file whose content is what the reader gives, which must be as long as said.
    ///
    /// # Errors
    /// As [`directory`](Self::directory), and [`Invalid`](crate::ErrorKind::Invalid) where the content has another
    /// length or cannot be read. Then the layer cannot be finished any more.
    pub fn file(&mut self, path: &FilePath, metadata: &Metadata, size: u64, content: &mut dyn Read) -> Result<()> {
        self.entry(path, &Member { name: path.as_bytes(), size, ..Member::new(b'0', metadata) })?;
        self.broken = true;
        self.content(size, content).map_err(|error| error.on(path))?;
        self.broken = false;
        Ok(())
    }

    /// Writes a symbolic link.
    ///
    /// # Errors
    /// As [`directory`](Self::directory), also for the target.
    pub fn symlink(&mut self, path: &FilePath, metadata: &Metadata, target: &[u8]) -> Result<()> {
        if target.is_empty() || target.contains(&0) || target.len() > MAX_PATH {
            return Err(Error::invalid(format!("a symbolic link to {:?}", super::printable(target))).on(path));
        }
        self.entry(path, &Member { name: path.as_bytes(), link: target, ..Member::new(b'2', metadata) })
    }

    /// Writes another name of a file that was written before, or that a lower layer has.
    ///
    /// The metadata should be the file's: who unpacks an archive may give a file what its last name says.
    ///
    /// # Errors
    /// As [`directory`](Self::directory).
    pub fn hardlink(&mut self, path: &FilePath, metadata: &Metadata, target: &FilePath) -> Result<()> {
        check_path(target)?;
        self.entry(path, &Member { name: path.as_bytes(), link: target.as_bytes(), ..Member::new(b'1', metadata) })
    }

    /// Writes a device or a named pipe.
    ///
    /// # Errors
    /// As [`directory`](Self::directory), and [`Invalid`](crate::ErrorKind::Invalid) for another kind of node, for a
    /// character device 0:0, which overlayfs takes for a whiteout, and for numbers that do not fit.
    pub fn device(&mut self, path: &FilePath, metadata: &Metadata, kind: &super::NodeKind) -> Result<()> {
        use super::NodeKind;
        let (flag, device) = match *kind {
            NodeKind::BlockDevice { major, minor } => (b'4', (major, minor)),
            NodeKind::CharDevice { major, minor } if (major, minor) != (0, 0) => (b'3', (major, minor)),
            NodeKind::Fifo => (b'6', (0, 0)),
            _ => return Err(Error::invalid(format!("{kind:?} is no device")).on(path)),
        };
        if u64::from(device.0.max(device.1)) > MAX_OWNER {
            return Err(Error::invalid(format!("the device {}:{}", device.0, device.1)).on(path));
        }
        self.entry(path, &Member { name: path.as_bytes(), device, ..Member::new(flag, metadata) })
    }

    /// Writes that what lower layers have here is gone.
    ///
    /// # Errors
    /// As [`directory`](Self::directory).
    pub fn whiteout(&mut self, path: &FilePath) -> Result<()> {
        check_path(path)?;
        let (parent, name) = path.split().ok_or_else(|| Error::invalid("the root cannot be removed"))?;
        let mut marker = parent.to_vec();
        if !parent.is_empty() {
            marker.push(b'/');
        }
        self.marker(path, &[&*marker, WHITEOUT, name].concat())
    }

    /// Writes that of this directory nothing shows that lower layers have in it.
    ///
    /// # Errors
    /// As [`directory`](Self::directory).
    pub fn opaque(&mut self, directory: &FilePath) -> Result<()> {
        let marker = directory.child(OPAQUE);
        self.marker(directory, marker.as_bytes())
    }

    /// Ends the layer.
    ///
    /// # Errors
    /// Those of the scratch space; [`Invalid`](crate::ErrorKind::Invalid) after a file whose content failed.
    pub fn finish(mut self) -> Result<Layer> {
        if self.broken {
            return Err(Error::invalid("a file of the layer was not written to its end"));
        }
        self.write(&[0; 2 * BLOCK])?;
        let Self { output, hasher, compression, .. } = self;
        let Hashing { output, hasher: stored, size } = output.finish().map_err(not_written)?;
        let descriptor = Descriptor::new(compression.media_type(), stored.finish(), size);
        Ok(Layer::new(Blob::new(descriptor, output.finish()?), hasher.finish()))
    }

    fn marker(&mut self, path: &FilePath, name: &[u8]) -> Result<()> {
        let metadata = Metadata::default();
        self.entry(path, &Member { name, ..Member::new(b'0', &metadata) })
    }

    fn entry(&mut self, path: &FilePath, member: &Member<'_>) -> Result<()> {
        self.cx.check()?;
        if member.name.is_empty() {
            return Err(Error::invalid("the root can only be a directory"));
        }
        check_path(path)?;
        if let Some(name) = member.metadata.xattrs.keys().find(|name| name.is_empty() || name.contains(['=', '\0'])) {
            return Err(Error::invalid(format!("an archive cannot name the attribute {name:?}")).on(path));
        }
        let records = member.records();
        if !records.is_empty() {
            self.extended(&records)?;
        }
        self.write(&member.header(&records))
    }

    fn extended(&mut self, records: &Records) -> Result<()> {
        let content: Vec<u8> = records.iter().flat_map(|(key, value)| record(key, value)).collect();
        let none = Metadata { mode: 0o644, ..Metadata::default() };
        let size = content.len() as u64;
        let header = Member { name: b"PaxHeaders/0", size, ..Member::new(b'x', &none) }.header(&Records::new());
        self.write(&header)?;
        self.write(&content)?;
        self.pad(size)
    }

    fn content(&mut self, size: u64, content: &mut dyn Read) -> Result<()> {
        let mut buffer = vec![0; size.clamp(1, PIECE) as usize];
        let mut left = size;
        while left > 0 {
            self.cx.check()?;
            let most = left.min(PIECE) as usize;
            match read(content, &mut buffer[..most])? {
                0 => return Err(Error::invalid(format!("the content ends after {} of {size} bytes", size - left))),
                read => {
                    self.write(&buffer[..read])?;
                    left -= read as u64;
                }
            }
        }
        if read(content, &mut buffer[..1])? != 0 {
            return Err(Error::invalid(format!("the content is longer than {size} bytes")));
        }
        self.pad(size)
    }

    fn pad(&mut self, size: u64) -> Result<()> {
        let padding = size.next_multiple_of(BLOCK as u64) - size;
        self.write(&[0; BLOCK][..padding as usize])
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.hasher.update(bytes);
        self.output.write_all(bytes).map_err(not_written)
    }
}

impl fmt::Debug for LayerWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LayerWriter").field("compression", &self.compression).finish_non_exhaustive()
    }
}

fn read(content: &mut dyn Read, buffer: &mut [u8]) -> Result<usize> {
    loop {
        match content.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::invalid(format!("the content cannot be read: {error}")).because(error)),
            Ok(read) => return Ok(read),
        }
    }
}

fn not_written(error: io::Error) -> Error {
    error_of(error).during("write layer")
}

fn check_path(path: &FilePath) -> Result<()> {
    let long = path.as_bytes().len() > MAX_PATH || path.components().any(|name| name.len() > MAX_NAME);
    if long || path.components().any(|name| name.starts_with(WHITEOUT)) {
        return Err(Error::invalid("a name that no file of a layer can have").on(path));
    }
    Ok(())
}

type Records = BTreeMap<String, Vec<u8>>;

/// One member of the archive.
struct Member<'a> {
    name: &'a [u8],
    flag: u8,
    metadata: &'a Metadata,
    size: u64,
    link: &'a [u8],
    device: (u32, u32),
}

impl<'a> Member<'a> {
    fn new(flag: u8, metadata: &'a Metadata) -> Self {
        Self { name: b"", flag, metadata, size: 0, link: b"", device: (0, 0) }
    }

    /// What does not fit into the header.
    fn records(&self) -> Records {
        let Metadata { mode: _, uid, gid, mtime, xattrs } = self.metadata;
        let xattrs = xattrs.iter().map(|(name, value)| (format!("SCHILY.xattr.{name}"), value.to_vec()));
        let mut records: Records = xattrs.collect();
        let mut add = |key: &str, fits: bool, value: &dyn Fn() -> Vec<u8>| {
            if !fits {
                records.insert(key.into(), value());
            }
        };
        add("path", split(self.name).is_some(), &|| self.name.to_vec());
        add("linkpath", self.link.len() <= MAX_SHORT, &|| self.link.to_vec());
        add("size", self.size <= MAX_OCTAL, &|| self.size.to_string().into());
        add("uid", *uid <= MAX_OWNER, &|| uid.to_string().into());
        add("gid", *gid <= MAX_OWNER, &|| gid.to_string().into());
        // Without it names are UTF-8.
        add("hdrcharset", self.is_text(), &|| b"BINARY".to_vec());
        add("mtime", (0..=MAX_OCTAL as i64).contains(mtime), &|| mtime.to_string().into());
        records
    }

    /// Whether what may stand in the extended header is UTF-8.
    fn is_text(&self) -> bool {
        let long = |name: &'a [u8], fits: bool| if fits { &[][..] } else { name };
        let name = long(self.name, split(self.name).is_some());
        let link = long(self.link, self.link.len() <= MAX_SHORT);
        std::str::from_utf8(name).is_ok() && std::str::from_utf8(link).is_ok()
    }

    fn header(&self, records: &Records) -> [u8; BLOCK] {
        let Metadata { mode, uid, gid, mtime, xattrs: _ } = self.metadata;
        // What stands in the extended header is 0 or cut off here.
        let or_zero = |key: &str, number: u64| if records.contains_key(key) { 0 } else { number };
        let (prefix, name) = split(self.name).unwrap_or((b"", &self.name[..self.name.len().min(MAX_SHORT)]));
        let mut block = [0; BLOCK];
        put(&mut block[..100], name);
        octal(&mut block[100..108], u64::from(mode & 0o7777));
        octal(&mut block[108..116], or_zero("uid", *uid));
        octal(&mut block[116..124], or_zero("gid", *gid));
        octal(&mut block[124..136], or_zero("size", self.size));
        octal(&mut block[136..148], or_zero("mtime", u64::try_from(*mtime).unwrap_or(0)));
        put(&mut block[148..156], b"        ");
        block[156] = self.flag;
        put(&mut block[157..257], &self.link[..self.link.len().min(MAX_SHORT)]);
        put(&mut block[257..265], b"ustar\x0000");
        octal(&mut block[329..337], u64::from(self.device.0));
        octal(&mut block[337..345], u64::from(self.device.1));
        put(&mut block[345..500], prefix);
        let sum = block.iter().map(|byte| u64::from(*byte)).sum();
        octal(&mut block[148..155], sum);
        block
    }
}

/// The name as the two fields of a header hold it; `None` where they cannot.
fn split(name: &[u8]) -> Option<(&[u8], &[u8])> {
    if name.len() <= MAX_SHORT {
        return Some((b"", name));
    }
    let start = name.len() - MAX_SHORT - 1;
    let slash = name[start..name.len() - 1].iter().position(|byte| *byte == b'/')? + start;
    (slash <= 155).then(|| (&name[..slash], &name[slash + 1..]))
}

/// A record of an extended header: the length counts itself.
fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + rest.to_string().len();
    if length.to_string().len() > rest.to_string().len() {
        length += 1;
    }
    [length.to_string().as_bytes(), b" ", key.as_bytes(), b"=", value, b"\n"].concat()
}

fn put(field: &mut [u8], bytes: &[u8]) {
    field[..bytes.len()].copy_from_slice(bytes);
}

/// Octal digits, all of the field's but the last byte, which stays NUL.
fn octal(field: &mut [u8], number: u64) {
    let width = field.len() - 1;
    let digits = format!("{number:0width$o}");
    debug_assert_eq!(digits.len(), width, "what does not fit is in the extended header");
    put(field, digits.as_bytes());
}
