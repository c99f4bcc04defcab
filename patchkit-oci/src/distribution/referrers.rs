//! What refers to a manifest (distribution specification, "Listing Referrers", "Referrers Tag Schema").

use patchkit_core::{
    Context, Current, Descriptor, Digest, Error, ErrorKind, ManifestBytes, MediaType, ReferrersFilter, Repository,
    Result,
};
use reqwest::{
    Method,
    header::{ACCEPT, CONTENT_TYPE},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    client::Inner,
    exchange::{Ask, Reply},
    manifest::From,
    retry::{Attempts, RetryPolicy},
};

/// How often a list that others write too is written, before we give up.
const WRITES: u32 = 10;

impl Inner {
    /// The referrers, in the order of their digests.
    pub(super) async fn referrers(
        &self,
        repository: &Repository,
        digest: &Digest,
        filter: &ReferrersFilter,
        cx: &Context,
    ) -> Result<Vec<Descriptor>> {
        let mut found = match self.by_api(repository, digest, filter, cx).await? {
            Some(found) => found,
            None => match self.list(repository, digest, cx).await? {
                Some(list) => parse(&list.bytes)?,
                None => Vec::new(),
            },
        };
        // A registry may ignore the filter, and then does not name it in OCI-Filters-Applied.
        if let Some(wanted) = &filter.artifact_type {
            found.retain(|descriptor| descriptor.artifact_type.as_ref() == Some(wanted));
        }
        found.sort_by_key(|descriptor| descriptor.digest);
        found.dedup_by_key(|descriptor| descriptor.digest);
        Ok(found)
    }

    /// What the API answers; none where the registry does not have it.
    async fn by_api(
        &self,
        repository: &Repository,
        digest: &Digest,
        filter: &ReferrersFilter,
        cx: &Context,
    ) -> Result<Option<Vec<Descriptor>>> {
        let ask = Ask::pull(Method::GET, repository, format!("referrers/{digest}"));
        let ask = ask.header(ACCEPT, MediaType::OCI_INDEX.as_str())?;
        let ask = match &filter.artifact_type {
            Some(wanted) => ask.query("artifactType", wanted.as_str()),
            None => ask,
        };
        let pages = match self.pages(ask, cx).await {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Unsupported) => return Ok(None),
            pages => pages?,
        };
        if !pages.iter().all(is_index) {
            return Ok(None);
        }
        let lists: Vec<_> = pages.iter().map(|page| parse(&page.body)).collect::<Result<_>>()?;
        Ok(Some(lists.concat()))
    }

    /// The list under the fallback tag.
    async fn list(&self, repository: &Repository, subject: &Digest, cx: &Context) -> Result<Option<ManifestBytes>> {
        match self.get_manifest(repository, &fallback_tag(subject), From::Origin, cx).await {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            list => list.map(Some),
        }
    }

    /// Adds a manifest to the list of what refers to its subject.
    pub(super) async fn attach(
        &self,
        repository: &Repository,
        subject: &Digest,
        referrer: &Descriptor,
        manifest: &ManifestBytes,
        cx: &Context,
    ) -> Result<()> {
        let referrer = described(referrer, &manifest.bytes)?;
        let entry = serde_json::to_value(&referrer)
            .map_err(|error| Error::unexpected("a descriptor is JSON").because(error))?;
        let change = |entries: &mut Vec<Value>| match position(entries, &referrer.digest) {
            Some(_) => false,
            None => {
                entries.push(entry.clone());
                true
            }
        };
        self.rewrite(repository, subject, change, cx).await
    }

    /// Removes a manifest from the list of what refers to its subject.
    pub(super) async fn detach(
        &self,
        repository: &Repository,
        subject: &Digest,
        referrer: &Digest,
        cx: &Context,
    ) -> Result<()> {
        let change = |entries: &mut Vec<Value>| position(entries, referrer).map(|at| entries.remove(at)).is_some();
        self.rewrite(repository, subject, change, cx).await
    }

    /// Reads the list, changes and writes it, and reads it again, until the change is in it: a change that has nothing
    /// to do says `false`. What others put into the list stays as it is.
    async fn rewrite(
        &self,
        repository: &Repository,
        subject: &Digest,
        change: impl Fn(&mut Vec<Value>) -> bool,
        cx: &Context,
    ) -> Result<()> {
        let tag = repository
            .tag(&fallback_tag(subject))
            .map_err(|error| Error::unexpected("a digest is a tag").because(error))?;
        let mut attempts = Attempts::new(RetryPolicy { attempts: WRITES, ..self.options.retry });
        loop {
            let before = self.list(repository, subject, cx).await?;
            let current = before.as_ref().map_or(Current::Absent, |list| Current::Is(list.descriptor().digest));
            let Some(list) = changed(before.as_ref(), &change)? else { return Ok(()) };
            match self.put(&tag, &list, Some(current), cx).await {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Conflict => {
                    let error = error.retry(patchkit_core::Retry::After(None));
                    attempts.pause(error, cx).await?;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// The tag that stands in for the API.
fn fallback_tag(subject: &Digest) -> String {
    let mut tag = format!("{}-{}", subject.algorithm().as_str(), subject.hex());
    // A tag has 128 characters at most, and SHA-512 one too many of them with its name: cut as the specification says.
    tag.truncate(128);
    tag
}

#[derive(Deserialize)]
struct List {
    #[serde(default)]
    manifests: Vec<Descriptor>,
}

/// The descriptors in an index.
pub(super) fn parse(index: &[u8]) -> Result<Vec<Descriptor>> {
    let list: List = serde_json::from_slice(index)
        .map_err(|error| Error::corrupt(format!("the list of referrers is no index: {error}")))?;
    Ok(list.manifests)
}

fn is_index(page: &Reply) -> bool {
    let declared = page.header(CONTENT_TYPE.as_str()).unwrap_or_default();
    declared.split(';').next().is_some_and(|text| text.trim() == MediaType::OCI_INDEX.as_str())
}

/// The list with the change; none if there is nothing to change.
fn changed(before: Option<&ManifestBytes>, change: impl Fn(&mut Vec<Value>) -> bool) -> Result<Option<ManifestBytes>> {
    let empty = || json!({ "schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": [] });
    let no_index = || Error::corrupt("the list of referrers is no index");
    let mut index: Value = match before {
        Some(list) => serde_json::from_slice(&list.bytes).map_err(|error| no_index().because(error))?,
        None => empty(),
    };
    let entries = index.as_object_mut().ok_or_else(no_index)?.entry("manifests").or_insert_with(|| json!([]));
    if !change(entries.as_array_mut().ok_or_else(no_index)?) {
        return Ok(None);
    }
    Ok(Some(ManifestBytes { media_type: MediaType::OCI_INDEX, bytes: index.to_string().into() }))
}

fn position(entries: &[Value], digest: &Digest) -> Option<usize> {
    let digest = digest.to_string();
    entries.iter().position(|entry| entry.get("digest").and_then(Value::as_str) == Some(&digest))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Artifact {
    artifact_type: Option<MediaType>,
    config: Option<Config>,
    #[serde(default)]
    annotations: std::collections::BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    media_type: MediaType,
}

/// A descriptor with what the specification wants to be told of a referrer: its real type, and its annotations.
fn described(descriptor: &Descriptor, manifest: &[u8]) -> Result<Descriptor> {
    let Artifact { artifact_type, config, annotations } = serde_json::from_slice(manifest)
        .map_err(|error| Error::invalid(format!("the manifest with a subject is no manifest: {error}")))?;
    let artifact_type =
        artifact_type.filter(|text| !text.as_str().is_empty()).or(config.map(|config| config.media_type));
    Ok(Descriptor { artifact_type, annotations, ..descriptor.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_is_one() {
        let subject = Digest::of(b"x");
        assert_eq!(fallback_tag(&subject), format!("sha256-{}", subject.hex()));
        let long: Digest = format!("sha512:{}", "a".repeat(128)).parse().unwrap();
        let repository: Repository = "example.org/a".parse().unwrap();
        repository.tag(&fallback_tag(&long)).unwrap();
    }

    #[test]
    fn what_others_wrote_stays() {
        let bytes = br#"{"schemaVersion":2,"x":1,"manifests":[{"digest":"md5:1","data":"AAAA"}]}"#;
        let before = ManifestBytes { media_type: MediaType::OCI_INDEX, bytes: bytes.to_vec().into() };
        let add = |entries: &mut Vec<Value>| {
            entries.push(json!({}));
            true
        };
        let after = changed(Some(&before), add).unwrap().unwrap();
        let text = r#"{"schemaVersion":2,"x":1,"manifests":[{"digest":"md5:1","data":"AAAA"},{}]}"#;
        assert_eq!(after.bytes, text);
        assert_eq!(changed(Some(&before), |_| false).unwrap(), None);
        assert!(changed(Some(&ManifestBytes { bytes: "[]".into(), ..before }), |_| true).is_err());
    }

    #[test]
    fn the_real_type_is_told() {
        let plain = Descriptor::new(MediaType::OCI_MANIFEST, Digest::of(b""), 0);
        for (manifest, artifact_type) in [
            (r#"{"artifactType":"a/b","config":{"mediaType":"c/d"},"annotations":{"k":"v"}}"#, Some("a/b")),
            (r#"{"config":{"mediaType":"c/d"}}"#, Some("c/d")),
            ("{}", None),
        ] {
            let full = described(&plain, manifest.as_bytes()).unwrap();
            assert_eq!(full.artifact_type.as_ref().map(MediaType::as_str), artifact_type);
            assert_eq!(full.annotations.contains_key("k"), manifest.contains("annotations"));
        }
    }
}
