//! What can be read off an `index.json` and the blobs beside it, wherever both are: in a folder or in an archive.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    sync::Mutex,
};

use patchkit_core::{
    Descriptor, Digest, Error, ErrorKind, Hasher, ManifestBytes, Reference, ReferrersFilter, Repository, Result,
};

use super::{
    document::{Document, MAX_MANIFEST},
    index::{IndexFile, full_name},
};
use crate::file::FilePart;

/// The repository that a layout is when nobody says another name.
pub(crate) const OWN_REPOSITORY: &str = "localhost/layout";

/// Where the blobs are. Everything here blocks.
pub(crate) trait Blobs: fmt::Debug + Send + Sync {
    /// Opens a blob; `NotFound` where there is none.
    fn open(&self, digest: &Digest) -> Result<FilePart>;
}

/// What of manifests need not be read twice, since a digest's content never changes: who refers to whom.
#[derive(Debug, Default)]
pub(crate) struct Referrers(Mutex<HashMap<Digest, Option<(Digest, Descriptor)>>>);

/// One state of an index, with the blobs it speaks of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    pub(crate) index: &'a IndexFile,
    pub(crate) blobs: &'a dyn Blobs,
    /// The repository whose tags stand in the index without the repository's name.
    pub(crate) own: &'a Repository,
}

impl View<'_> {
    /// The descriptor of the manifest that a reference names.
    pub(crate) fn resolve(&self, reference: &Reference) -> Result<Descriptor> {
        let Some(name) = name_of(self.own, reference) else {
            let digest = reference.digest().expect("a reference has a tag or a digest");
            return self.describe(digest).map_err(|error| error.on(reference));
        };
        let found = self
            .index
            .find(&name)
            .ok_or_else(|| Error::not_found(format!("no such tag; there {}", self.names())).on(reference))?;
        agree(reference, &found.digest)?;
        let artifact_type = found.artifact_type.clone();
        Ok(Descriptor { artifact_type, ..Descriptor::new(found.media_type.clone(), found.digest, found.size) })
    }

    fn describe(&self, digest: &Digest) -> Result<Descriptor> {
        let manifest = manifest(self.blobs, digest)?;
        Document::of(&manifest)?.descriptor(*digest, manifest.bytes.len() as u64)
    }

    /// The tags of a repository, sorted; `NotFound` for one that is not the own and has none.
    pub(crate) fn tags(&self, repository: &Repository) -> Result<Vec<String>> {
        let full = self.index.tags(repository);
        let bare = self.index.names().map(|(name, _)| name.to_owned());
        let bare = bare.filter(|name| repository == self.own && repository.tag(name).is_ok());
        let tags: BTreeSet<String> = full.into_iter().chain(bare).collect();
        if tags.is_empty() && repository != self.own {
            return Err(Error::not_found("no such repository").on(repository));
        }
        Ok(tags.into_iter().collect())
    }

    /// The manifests that refer to a digest, in digest order.
    pub(crate) fn referrers(
        &self,
        known: &Referrers,
        digest: &Digest,
        filter: &ReferrersFilter,
    ) -> Result<Vec<Descriptor>> {
        let mut found = Vec::new();
        for entry in self.index.descriptors().filter(|entry| is_document(entry)) {
            if let Some((subject, referrer)) = self.referrer(known, &entry.digest)?
                && subject == *digest
            {
                found.push(referrer);
            }
        }
        found.retain(|referrer| filter.artifact_type.is_none() || referrer.artifact_type == filter.artifact_type);
        found.sort_by_key(|referrer| referrer.digest);
        found.dedup_by_key(|referrer| referrer.digest);
        Ok(found)
    }

    /// Whom a manifest refers to, and how a list describes it. One whose bytes are kept elsewhere refers to nobody.
    fn referrer(&self, known: &Referrers, digest: &Digest) -> Result<Option<(Digest, Descriptor)>> {
        let mut known = known.0.lock().expect("no one panics while holding it");
        if let Some(referrer) = known.get(digest) {
            return Ok(referrer.clone());
        }
        let manifest = match manifest(self.blobs, digest) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let document = Document::of(&manifest)?;
        let described = document.referrer(*digest, manifest.bytes.len() as u64)?;
        let referrer = document.subject().map(|subject| (*subject, described));
        known.insert(*digest, referrer.clone());
        Ok(referrer)
    }

    /// The reference of what a user calls by a name of the index, or by none where there is only one thing to name.
    pub(crate) fn find(&self, name: Option<&str>) -> Result<Reference> {
        match name {
            Some(name) => self.named(name),
            None => self.only(),
        }
    }

    fn named(&self, name: &str) -> Result<Reference> {
        if let Some(full) = full_name(name) {
            return Ok(full);
        }
        let tag = self.own.tag(name);
        match self.index.find(name) {
            Some(found) => Ok(tag.unwrap_or_else(|_| self.own.digest(found.digest))),
            None => tag.map_err(|error| Error::invalid(format!("{error}")).because(error)),
        }
    }

    fn only(&self) -> Result<Reference> {
        let names: Vec<_> = self.index.names().collect();
        let named = names.iter().map(|(_, named)| named.digest);
        let digests: BTreeSet<Digest> = match names.is_empty() {
            true => self.index.unnamed().map(|unnamed| unnamed.digest).collect(),
            false => named.collect(),
        };
        match (digests.first(), digests.len(), names.first()) {
            (Some(_), 1, Some((name, _))) => self.named(name),
            (Some(digest), 1, None) => Ok(self.own.digest(*digest)),
            _ => Err(Error::invalid(format!("which image? There {}", self.names()))),
        }
    }

    /// What is there, in words.
    fn names(&self) -> String {
        let names: BTreeSet<&str> = self.index.names().map(|(name, _)| name).collect();
        match (names.len(), self.index.unnamed().count()) {
            (0, 0) => "is none".into(),
            (0, unnamed) => format!("are {unnamed} without a name"),
            _ => format!("are: {}", names.into_iter().collect::<Vec<_>>().join(", ")),
        }
    }
}

/// A manifest, checked against its digest. What is stored under the digest but is no manifest is not found.
pub(crate) fn manifest(blobs: &dyn Blobs, digest: &Digest) -> Result<ManifestBytes> {
    let part = blobs.open(digest)?;
    let none = || Error::not_found("it is no manifest").on(digest);
    if part.len() > MAX_MANIFEST {
        return Err(none());
    }
    let bytes = part.read(MAX_MANIFEST)?;
    let found = hash(digest, &bytes);
    if found != *digest {
        return Err(Error::corrupt(format!("the content has the digest {found}")).on(digest));
    }
    let document = Document::parse(&bytes).map_err(|error| none().because(error))?;
    Ok(ManifestBytes { media_type: document.media_type()?, bytes })
}

/// The digest of some bytes by the algorithm of another digest.
pub(crate) fn hash(like: &Digest, bytes: &[u8]) -> Digest {
    let mut hasher = Hasher::new(like.algorithm());
    hasher.update(bytes);
    hasher.finish()
}

/// How the tag of a reference stands in an index; `None` where it has no tag.
pub(crate) fn name_of(own: &Repository, reference: &Reference) -> Option<String> {
    let tag = reference.tag()?;
    let repository = reference.repository();
    Some(if repository == own { tag.to_owned() } else { format!("{repository}:{tag}") })
}

/// Checks that what a tag points to is what the reference says beside it.
pub(crate) fn agree(reference: &Reference, found: &Digest) -> Result<()> {
    match reference.digest() {
        Some(wanted) if wanted != found => Err(Error::conflict(format!("the tag points to {found}")).on(reference)),
        _ => Ok(()),
    }
}

/// Whether an entry of an index is a manifest or an index, not something that an index may hold beside them.
pub(crate) fn is_document(entry: &Descriptor) -> bool {
    entry.media_type.is_manifest() || entry.media_type.is_index()
}
