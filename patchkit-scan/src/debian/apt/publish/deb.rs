//! Makes `.deb` files.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use jiff::Timestamp;
use tar::{EntryType, Header};

use super::compress::compressed;
use crate::debian::deb::Compression;

/// A package to be built: its control fields, maintainer scripts and files.
///
/// Files belong to root, folders above them are added, everything bears one time: the same input gives the same bytes.
///
/// ```
/// use patchkit_scan::debian::apt::publish::DebBuilder;
///
/// let deb = DebBuilder::new("hello", "1.0-1", "all").with_file("usr/bin/hello", 0o755, *b"#!/bin/sh\n").build().unwrap();
/// assert!(deb.bytes.starts_with(b"!<arch>\ndebian-binary"));
/// assert_eq!(deb.file_name(), "hello_1.0-1_all.deb");
/// ```
#[derive(Clone, Debug)]
pub struct DebBuilder {
    fields: Vec<(String, String)>,
    control: BTreeMap<String, (u32, Vec<u8>)>,
    data: BTreeMap<String, Content>,
    time: u64,
    compression: Compression,
}

#[derive(Clone, Debug)]
enum Content {
    File(u32, Vec<u8>),
    Folder,
    Link(String),
}

/// A `.deb` and the control fields that an index repeats.
#[derive(Clone, Debug)]
pub struct DebFile {
    /// The control stanza, ending in a line feed.
    pub control: String,
    /// The archive's bytes.
    pub bytes: Vec<u8>,
    pub(super) name: String,
    pub(super) version: String,
    pub(super) architecture: String,
}

impl DebFile {
    /// `name_version_architecture.deb`, the epoch left out.
    #[must_use]
    pub fn file_name(&self) -> String {
        let version = self.version.split_once(':').map_or(self.version.as_str(), |(_, version)| version);
        format!("{}_{version}_{}.deb", self.name, self.architecture)
    }
}

impl DebBuilder {
    /// A package without files, compressed with xz.
    #[must_use]
    pub fn new(name: &str, version: &str, architecture: &str) -> Self {
        let builder = Self {
            fields: Vec::new(),
            control: BTreeMap::new(),
            data: BTreeMap::new(),
            time: 0,
            compression: Compression::Xz,
        };
        let builder =
            builder.with_field("Package", name).with_field("Version", version).with_field("Architecture", architecture);
        builder.with_field("Maintainer", "Nobody <nobody@example.org>").with_field("Description", name)
    }

    /// Sets a control field, in place of an earlier value.
    #[must_use]
    pub fn with_field(mut self, name: &str, value: &str) -> Self {
        match self.fields.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => value.clone_into(old),
            None => self.fields.push((name.to_owned(), value.to_owned())),
        }
        self
    }

    /// Adds a file of `control.tar`: a maintainer script (mode 0o755), `conffiles`, `triggers` (0o644).
    #[must_use]
    pub fn with_control_file(mut self, name: &str, mode: u32, content: impl Into<Vec<u8>>) -> Self {
        self.control.insert(name.to_owned(), (mode, content.into()));
        self
    }

    /// Adds a file under its path relative to the root: `usr/bin/hello`.
    #[must_use]
    pub fn with_file(mut self, path: &str, mode: u32, content: impl Into<Vec<u8>>) -> Self {
        self.data.insert(path.to_owned(), Content::File(mode, content.into()));
        self
    }

    /// Adds a symbolic link.
    #[must_use]
    pub fn with_symlink(mut self, path: &str, target: &str) -> Self {
        self.data.insert(path.to_owned(), Content::Link(target.to_owned()));
        self
    }

    /// Adds an empty folder of mode 0o755.
    #[must_use]
    pub fn with_folder(mut self, path: &str) -> Self {
        self.data.insert(path.to_owned(), Content::Folder);
        self
    }

    /// The time that every file bears; 1970 where it is not set.
    #[must_use]
    pub fn with_time(self, time: Timestamp) -> Self {
        Self { time: u64::try_from(time.as_second()).unwrap_or(0), ..self }
    }

    /// The compression of both members.
    #[must_use]
    pub fn with_compression(self, compression: Compression) -> Self {
        Self { compression, ..self }
    }

    /// Builds the package. `md5sums` is added, as most packages have it.
    ///
    /// # Errors
    /// `InvalidInput` for paths that tar cannot hold, and for compressions that cannot be written.
    pub fn build(mut self) -> io::Result<DebFile> {
        let control: String = self.fields.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
        let sums = self.md5sums();
        self.control.insert("md5sums".to_owned(), (0o644, sums.into_bytes()));
        self.control.insert("control".to_owned(), (0o644, control.clone().into_bytes()));

        let mut bytes = b"!<arch>\n".to_vec();
        let extension = self.compression.extension();
        member(&mut bytes, "debian-binary", self.time, b"2.0\n")?;
        member(
            &mut bytes,
            &format!("control.tar{extension}"),
            self.time,
            &compressed(self.compression, &self.control_tar()?)?,
        )?;
        member(
            &mut bytes,
            &format!("data.tar{extension}"),
            self.time,
            &compressed(self.compression, &self.data_tar()?)?,
        )?;
        let field = |wanted: &str| {
            self.fields.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone()).unwrap_or_default()
        };
        Ok(DebFile {
            control,
            bytes,
            name: field("Package"),
            version: field("Version"),
            architecture: field("Architecture"),
        })
    }

    fn md5sums(&self) -> String {
        use md5::{Digest, Md5};
        let files = self.data.iter().filter_map(|(path, content)| match content {
            Content::File(_, bytes) => Some(format!("{}  {path}\n", hex::encode(Md5::digest(bytes)))),
            _ => None,
        });
        files.collect()
    }

    fn control_tar(&self) -> io::Result<Vec<u8>> {
        let mut tar = tar::Builder::new(Vec::new());
        self.append(&mut tar, "./", &Content::Folder)?;
        for (name, (mode, bytes)) in &self.control {
            self.append(&mut tar, &format!("./{name}"), &Content::File(*mode, bytes.clone()))?;
        }
        tar.into_inner()
    }

    fn data_tar(&self) -> io::Result<Vec<u8>> {
        let mut entries = self.data.clone();
        for path in self.data.keys() {
            for (at, _) in path.match_indices('/') {
                entries.entry(path[..at].to_owned()).or_insert(Content::Folder);
            }
        }
        let mut tar = tar::Builder::new(Vec::new());
        self.append(&mut tar, "./", &Content::Folder)?;
        for (path, content) in &entries {
            let slash = if matches!(content, Content::Folder) { "/" } else { "" };
            self.append(&mut tar, &format!("./{path}{slash}"), content)?;
        }
        tar.into_inner()
    }

    /// Appends an entry under exactly this name, as dpkg-deb writes it.
    fn append(&self, tar: &mut tar::Builder<Vec<u8>>, name: &str, content: &Content) -> io::Result<()> {
        let mut header = Header::new_gnu();
        header.set_mtime(self.time);
        header.set_username("root")?;
        header.set_groupname("root")?;
        header.set_uid(0);
        header.set_gid(0);
        set_name(&mut header, name)?;
        let (kind, mode, bytes): (_, _, &[u8]) = match content {
            Content::File(mode, bytes) => (EntryType::Regular, *mode, bytes),
            Content::Folder => (EntryType::Directory, 0o755, &[]),
            Content::Link(target) => {
                header.set_link_name_literal(target)?;
                (EntryType::Symlink, 0o777, &[])
            }
        };
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        tar.append(&header, bytes)
    }
}

/// The name as it is: `Header::set_path` would drop the leading `./`.
fn set_name(header: &mut Header, name: &str) -> io::Result<()> {
    let field = &mut header.as_old_mut().name;
    if name.len() >= field.len() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{name}: longer than tar's 99 bytes")));
    }
    field[..name.len()].copy_from_slice(name.as_bytes());
    Ok(())
}

/// Appends a member of the `ar` format (ar(5)), padded to an even length.
fn member(archive: &mut Vec<u8>, name: &str, time: u64, bytes: &[u8]) -> io::Result<()> {
    writeln!(archive, "{name:<16}{time:<12}{:<6}{:<6}{:<8}{:<10}`", 0, 0, 100_644, bytes.len())?;
    archive.extend_from_slice(bytes);
    if bytes.len() % 2 == 1 {
        archive.push(b'\n');
    }
    Ok(())
}
