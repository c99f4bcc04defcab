//! The two small files of a layout: `oci-layout` and `index.json` (OCI image specification, "Image Layout").

use patchkit_core::{Descriptor, Digest, Reference, Repository};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use thiserror::Error;

/// The annotation that names an entry of `index.json`.
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// The annotation with the full name that containerd and Docker write beside it.
const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// Why a file of a layout is none.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ParseLayoutError {
    /// An entry of `index.json` is no descriptor.
    #[error("manifests[{0}]: {1}")]
    Entry(usize, serde_json::Error),
    /// It is no JSON of the right shape.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// `index.json` has a list of manifests that is none.
    #[error("manifests: expected a list")]
    Manifests,
    /// The layout or its index has a version that this library does not know.
    #[error("version {0:?} of the image layout is unknown")]
    Version(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Marker {
    image_layout_version: String,
}

/// The content of a new `oci-layout`.
pub(crate) const MARKER: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// Reads `oci-layout`: succeeds where its version is 1.
///
/// # Errors
/// [`ParseLayoutError`].
pub fn parse_marker(bytes: &[u8]) -> Result<(), ParseLayoutError> {
    let Marker { image_layout_version: version } = serde_json::from_slice(bytes)?;
    match version.split('.').next() {
        Some("1") => Ok(()),
        _ => Err(ParseLayoutError::Version(version)),
    }
}

/// The content of an `index.json`, with everything in it that this library knows nothing of.
#[derive(Clone, Debug)]
pub struct IndexFile {
    json: Map<String, Value>,
    entries: Vec<Entry>,
}

/// One entry: the descriptor, and the object that it was read from.
#[derive(Clone, Debug)]
struct Entry {
    descriptor: Descriptor,
    json: Value,
}

impl Entry {
    fn new(descriptor: &Descriptor, name: Option<&str>) -> Self {
        let mut descriptor = descriptor.clone();
        descriptor.annotations.extend(name.map(|name| (REF_NAME.to_owned(), name.to_owned())));
        let json = json!(descriptor);
        Self { descriptor, json }
    }

    fn name(&self) -> Option<&str> {
        self.descriptor.annotations.get(REF_NAME).map(String::as_str)
    }

    /// The full name of an image, where the entry has one.
    fn reference(&self) -> Option<Reference> {
        let containerd = self.descriptor.annotations.get(CONTAINERD_NAME);
        self.name().and_then(full_name).or_else(|| containerd?.parse().ok())
    }

    fn is(&self, name: &str) -> bool {
        let same = |full: Reference| self.reference() == Some(full);
        self.name() == Some(name) || full_name(name).is_some_and(same)
    }
}

/// The reference that a name is, where it is more than a tag.
pub(crate) fn full_name(name: &str) -> Option<Reference> {
    name.parse().ok().filter(|_| name.contains(['/', ':']))
}

impl Default for IndexFile {
    fn default() -> Self {
        let media_type = patchkit_core::MediaType::OCI_INDEX;
        let Value::Object(json) = json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": [] }) else {
            unreachable!("the macro was given an object")
        };
        Self { json, entries: Vec::new() }
    }
}

impl IndexFile {
    /// Reads an `index.json`.
    ///
    /// # Errors
    /// [`ParseLayoutError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseLayoutError> {
        let mut json: Map<String, Value> = serde_json::from_slice(bytes)?;
        match json.get("schemaVersion") {
            Some(version) if *version == json!(2) => {}
            other => return Err(ParseLayoutError::Version(format!("{other:?}"))),
        }
        let manifests = match json.insert("manifests".into(), json!([])) {
            Some(Value::Array(manifests)) => manifests,
            Some(Value::Null) => Vec::new(),
            _ => return Err(ParseLayoutError::Manifests),
        };
        let entry = |(place, json): (usize, Value)| match Descriptor::deserialize(&json) {
            Ok(descriptor) => Ok(Entry { descriptor, json }),
            Err(error) => Err(ParseLayoutError::Entry(place, error)),
        };
        let entries = manifests.into_iter().enumerate().map(entry).collect::<Result<_, _>>()?;
        Ok(Self { json, entries })
    }

    /// The bytes to write.
    pub(crate) fn render(&self) -> Vec<u8> {
        let mut json = self.json.clone();
        json.insert("manifests".into(), self.entries.iter().map(|entry| entry.json.clone()).collect());
        serde_json::to_vec(&json).expect("a JSON value has only string keys")
    }

    /// The descriptors of all entries.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = &Descriptor> {
        self.entries.iter().map(|entry| &entry.descriptor)
    }

    /// The names of all entries with what they point to, as they stand there.
    pub(crate) fn names(&self) -> impl Iterator<Item = (&str, &Descriptor)> {
        self.entries.iter().filter_map(|entry| Some((entry.name()?, &entry.descriptor)))
    }

    /// The entries without a name.
    pub(crate) fn unnamed(&self) -> impl Iterator<Item = &Descriptor> {
        self.entries.iter().filter(|entry| entry.name().is_none()).map(|entry| &entry.descriptor)
    }

    /// What a name points to: a tag, or the full name of an image, however short it is written there.
    pub(crate) fn find(&self, name: &str) -> Option<&Descriptor> {
        self.entries.iter().find(|entry| entry.is(name)).map(|entry| &entry.descriptor)
    }

    /// The tags that full names have in a repository.
    pub(crate) fn tags(&self, repository: &Repository) -> Vec<String> {
        let references = self.entries.iter().filter_map(Entry::reference);
        let here = references.filter(|reference| reference.repository() == repository);
        here.filter_map(|reference| reference.tag().map(Into::into)).collect()
    }

    /// Whether some entry is of a digest.
    pub(crate) fn has(&self, digest: &Digest) -> bool {
        self.descriptors().any(|descriptor| descriptor.digest == *digest)
    }

    /// Points a name to a manifest, away from where it pointed before.
    pub(crate) fn point(&mut self, name: &str, descriptor: &Descriptor) {
        let entry = Entry::new(descriptor, Some(name));
        match self.entries.iter().position(|entry| entry.is(name)) {
            Some(place) => self.entries[place] = entry,
            None => self.entries.push(entry),
        }
    }

    /// Adds an entry without a name.
    pub(crate) fn list(&mut self, descriptor: &Descriptor) {
        self.entries.push(Entry::new(descriptor, None));
    }

    /// Removes the entries without a name for which `gone` is true.
    pub(crate) fn unlist(&mut self, gone: impl Fn(&Digest) -> bool) {
        self.entries.retain(|entry| entry.name().is_some() || !gone(&entry.descriptor.digest));
    }

    /// Removes a name. Says whether it was there.
    pub(crate) fn unname(&mut self, name: &str) -> bool {
        let before = self.entries.len();
        self.entries.retain(|entry| !entry.is(name));
        self.entries.len() != before
    }

    /// Removes every entry of a digest.
    pub(crate) fn remove(&mut self, digest: &Digest) {
        self.entries.retain(|entry| entry.descriptor.digest != *digest);
    }
}

#[cfg(test)]
mod tests {
    use patchkit_core::MediaType;
    use proptest::prelude::*;

    use super::*;

    fn some(text: &str) -> Descriptor {
        Descriptor::of(MediaType::OCI_MANIFEST, text.as_bytes())
    }

    #[test]
    fn unknown_fields_survive() {
        let digest = Digest::of(b"a");
        let text = format!(
            r#"{{"schemaVersion":2,"x":[1],"manifests":[{{"mediaType":"m","digest":"{digest}","size":1,"urls":["u"]}}]}}"#
        );
        let mut index = IndexFile::parse(text.as_bytes()).unwrap();
        index.point("new", &some("b"));
        let written: Value = serde_json::from_slice(&index.render()).unwrap();
        assert_eq!(written["x"], json!([1]));
        assert_eq!(written["manifests"][0]["urls"], json!(["u"]));
        assert_eq!(written["manifests"][1]["annotations"][REF_NAME], "new");
    }

    #[test]
    fn a_name_is_a_tag_or_full_and_moves() {
        let mut index = IndexFile::default();
        index.point("1", &some("a"));
        index.point("debian:1", &some("b"));
        assert_eq!(index.find("1"), Some(&index.entries[0].descriptor));
        assert_eq!(index.find("docker.io/library/debian:1").unwrap().digest, some("b").digest);
        assert_eq!(index.tags(&"debian".parse().unwrap()), ["1"]);
        index.point("docker.io/library/debian:1", &some("c"));
        assert_eq!(index.entries.len(), 2);
        assert_eq!(index.find("docker.io/library/debian:1").unwrap().digest, some("c").digest);
        assert!(index.unname("1") && !index.unname("1"));
    }

    #[test]
    fn what_is_damaged_is_located() {
        for (text, place) in [
            ("", "EOF"),
            ("[]", "line 1"),
            (r#"{"schemaVersion":1,"manifests":[]}"#, "version"),
            (r#"{"schemaVersion":2,"manifests":{}}"#, "manifests"),
            (r#"{"schemaVersion":2,"manifests":[{"mediaType":"m","digest":"sha256:0","size":1}]}"#, "manifests[0]"),
        ] {
            let error = IndexFile::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(place), "{text}: {error}");
        }
        assert!(parse_marker(br#"{"imageLayoutVersion":"2.0.0"}"#).is_err());
        assert!(parse_marker(MARKER).is_ok());
    }

    proptest! {
        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_marker(&bytes);
            let _ = IndexFile::parse(&bytes);
        }

        #[test]
        fn what_is_written_reads_the_same(names in prop::collection::vec("[a-z]{1,3}(/[a-z]{1,2}:[0-9])?", 0..6)) {
            let mut index = IndexFile::default();
            for name in &names {
                index.point(name, &some(name));
            }
            let read = IndexFile::parse(&index.render()).unwrap();
            for name in &names {
                prop_assert_eq!(&read.find(name).unwrap().digest, &some(name).digest);
            }
        }
    }
}
