//! What rpm knows of an installed package.

use super::{
    DatabaseError,
    header::{Header, Tag},
};
use crate::inventory::system::ListedFile;

/// The name of the pseudo packages in which rpm keeps the public keys that it trusts.
const PUBLIC_KEY: &str = "gpg-pubkey";

/// An installed package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InstalledPackage<'a> {
    /// The name: `openssl-libs`.
    pub(crate) name: &'a str,
    /// The epoch, where the package has one; it counts as zero where it has none.
    pub(crate) epoch: Option<u32>,
    /// Version and release: `3.0.7-27.el9`.
    pub(crate) version: String,
    /// The architecture, in rpm's words: `x86_64`, `noarch`.
    pub(crate) architecture: Option<&'a str>,
    /// The file name of the source package: `openssl-3.0.7-27.el9.src.rpm`.
    pub(crate) source: Option<&'a str>,
    /// The module stream it was built for: `nodejs:18`.
    pub(crate) module: Option<String>,
}

impl<'a> InstalledPackage<'a> {
    /// The package of a header; `None` for a public key.
    ///
    /// # Errors
    /// [`DatabaseError`] with the tag, where name, version or release is missing, or a value is not of its type.
    pub(crate) fn of(header: &Header<'a>) -> Result<Option<Self>, DatabaseError> {
        let needed = |tag: Tag| header.text(tag)?.ok_or_else(|| DatabaseError::at("tag", tag as u32, "it is missing"));
        let name = needed(Tag::Name)?;
        if name == PUBLIC_KEY {
            return Ok(None);
        }
        Ok(Some(Self {
            name,
            epoch: header.numbers(Tag::Epoch)?.first().copied(),
            version: format!("{}-{}", needed(Tag::Version)?, needed(Tag::Release)?),
            architecture: header.text(Tag::Arch)?,
            source: header.text(Tag::SourceRpm)?.filter(|source| *source != "(none)"),
            module: header.text(Tag::ModularityLabel)?.and_then(stream),
        }))
    }

    /// The version as rpm compares it, with the epoch where there is one: `1:3.0.7-27.el9`.
    pub(crate) fn full_version(&self) -> String {
        self.with_epoch(&self.version)
    }

    /// Name and version of the source package. A source package has no epoch in its file name, but shares the one of
    /// what is built from it.
    pub(crate) fn source_package(&self) -> Option<(&'a str, String)> {
        let file = self.source?;
        let stem = file.strip_suffix(".rpm")?.rsplit_once('.')?.0;
        let (rest, _) = stem.rsplit_once('-')?;
        let (name, _) = rest.rsplit_once('-')?;
        Some((name, self.with_epoch(&stem[name.len() + 1..])))
    }

    fn with_epoch(&self, version: &str) -> String {
        self.epoch.map_or_else(|| version.to_owned(), |epoch| format!("{epoch}:{version}"))
    }
}

/// Name and stream of a module's label, which goes on with version, context and architecture.
fn stream(label: &str) -> Option<String> {
    let mut parts = label.split(':').filter(|part| !part.is_empty());
    Some(format!("{}:{}", parts.next()?, parts.next()?))
}

/// The files of a package.
///
/// # Errors
/// [`DatabaseError`] where a tag is not of its type, or a file is in a folder that is not there.
pub(crate) fn files<'a>(header: &Header<'a>) -> Result<Vec<ListedFile<'a>>, DatabaseError> {
    let names = header.texts(Tag::BaseNames)?;
    if names.is_empty() {
        let whole = header.texts(Tag::OldFileNames)?;
        return Ok(whole.into_iter().map(ListedFile::at).collect());
    }
    let (folders, indexes) = (header.texts(Tag::DirNames)?, header.numbers(Tag::DirIndexes)?);
    let fail = || DatabaseError::at("tag", Tag::DirIndexes as u32, "a file is in no folder");
    if indexes.len() != names.len() {
        return Err(fail());
    }
    let folder = |index: u32| folders.get(index as usize).copied().ok_or_else(fail);
    names.into_iter().zip(indexes).map(|(name, index)| Ok(ListedFile { folder: folder(index)?, name })).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn package(source: &'static str) -> InstalledPackage<'static> {
        let (name, version) = ("a", "1-2".to_owned());
        InstalledPackage { name, epoch: Some(3), version, architecture: None, source: Some(source), module: None }
    }

    #[test]
    fn a_source_package_is_named_by_its_file() {
        for (file, expected) in [
            ("openssl-3.0.7-27.el9.src.rpm", Some(("openssl", "3:3.0.7-27.el9"))),
            ("gcc-c++-4-1.nosrc.rpm", Some(("gcc-c++", "3:4-1"))),
            ("a-b.src.rpm", None),
            ("nothing", None),
        ] {
            let found = package(file).source_package();
            assert_eq!(found.as_ref().map(|(name, version)| (*name, version.as_str())), expected, "{file}");
        }
    }

    #[test]
    fn a_label_is_cut_to_its_stream() {
        for (label, expected) in [
            ("nodejs:18:9020020230301:rhel9", Some("nodejs:18")),
            ("perl-libwww-perl:6.34:8030020201223164340:b967a9a2", Some("perl-libwww-perl:6.34")),
            ("nodejs", None),
            ("", None),
        ] {
            assert_eq!(stream(label).as_deref(), expected, "{label}");
        }
    }
}
