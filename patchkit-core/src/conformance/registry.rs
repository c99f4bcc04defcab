//! The contract of [`Registry`].

use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;

use super::{Check, Outcomes, Wrong, equal, fails, holds};
use crate::{
    Blob, ByteRange, Context, Current, Descriptor, Digest, ErrorKind, ManifestBytes, MediaType, PutManifest, Reference,
    ReferrersFilter, Registry, Repository, Result,
};

/// Runs every case, each in a repository of its own below `base` (`HOST/PATH`).
///
/// # Panics
/// Where `base` is so long that no name can be put below it.
pub async fn suite(registry: &dyn Registry, base: &Repository) -> Outcomes {
    let at = |name: &str| Place {
        registry,
        repository: format!("{base}/{name}").parse().expect("a name below a repository is a repository"),
        cx: Context::new(),
    };
    let mut outcomes = Outcomes::default();
    outcomes.case("missing-content-is-not-found", at("missing").missing_content()).await;
    outcomes.case("a-blob-comes-back", at("blob").blob_comes_back()).await;
    outcomes.case("a-large-blob-comes-back", at("large").large_blob_comes_back()).await;
    outcomes.case("an-empty-blob-comes-back", at("empty").empty_blob_comes_back()).await;
    outcomes.case("a-range-is-cut", at("range").range_is_cut()).await;
    outcomes.case("a-range-outside-is-invalid", at("outside").range_outside()).await;
    outcomes.case("a-wrong-blob-is-corrupt-and-not-stored", at("lie").wrong_blob()).await;
    outcomes.case("a-manifest-comes-back-byte-for-byte", at("manifest").manifest_comes_back()).await;
    outcomes.case("a-wrong-manifest-is-corrupt-and-not-stored", at("forged").wrong_manifest()).await;
    outcomes.case("a-manifest-needs-its-blobs", at("dangling").manifest_needs_its_blobs()).await;
    outcomes.case("an-index-needs-its-manifests", at("hollow").index_needs_its_manifests()).await;
    outcomes.case("a-tag-moves", at("tag").tag_moves()).await;
    outcomes.case("a-stale-move-is-a-conflict", at("stale").stale_move()).await;
    outcomes.case("a-taken-tag-is-a-conflict", at("taken").taken_tag()).await;
    outcomes.case("a-tag-with-another-digest-is-a-conflict", at("pinned").pinned_tag()).await;
    outcomes.case("putting-twice-changes-nothing", at("twice").putting_twice()).await;
    outcomes.case("referrers-are-listed", at("referrers").referrers_are_listed()).await;
    outcomes.case("referrers-are-filtered", at("filtered").referrers_are_filtered()).await;
    outcomes.case("an-unknown-digest-has-no-referrers", at("lonely").unknown_subject()).await;
    outcomes
}

/// Where a case takes place.
struct Place<'a> {
    registry: &'a dyn Registry,
    repository: Repository,
    cx: Context,
}

impl Place<'_> {
    async fn missing_content(self) -> Check {
        let digest = Digest::of(b"nowhere");
        fails(self.registry.manifest(&self.repository, &digest, &self.cx).await, ErrorKind::NotFound)?;
        fails(self.registry.resolve(&self.tag("none"), &self.cx).await, ErrorKind::NotFound)?;
        fails(self.read(&digest, ByteRange::FULL).await, ErrorKind::NotFound)
    }

    async fn blob_comes_back(self) -> Check {
        let blob = self.put("hello").await?;
        equal(self.read(&blob, ByteRange::FULL).await?, Bytes::from("hello"))
    }

    async fn large_blob_comes_back(self) -> Check {
        let bytes: Bytes = (0..3_000_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        let blob = self.put(bytes.clone()).await?;
        let read = self.read(&blob, ByteRange::FULL).await?;
        holds(read == bytes, "the bytes are not the same")
    }

    async fn empty_blob_comes_back(self) -> Check {
        let blob = self.put("").await?;
        equal(self.read(&blob, ByteRange::FULL).await?, Bytes::new())
    }

    async fn range_is_cut(self) -> Check {
        let blob = self.put("0123456789").await?;
        for (start, end, expected) in [(0, Some(3), "012"), (3, Some(5), "34"), (7, None, "789"), (8, Some(99), "89")] {
            equal(self.read(&blob, ByteRange { start, end }).await?, Bytes::from(expected))?;
        }
        Ok(())
    }

    async fn range_outside(self) -> Check {
        let blob = self.put("0123456789").await?;
        fails(self.read(&blob, ByteRange { start: 11, end: None }).await, ErrorKind::Invalid)
    }

    async fn wrong_blob(self) -> Check {
        let honest = Descriptor::of(MediaType::OCI_LAYER, b"hello");
        for (bytes, size) in [("hellO", 5), ("hell", 5), ("hello!", 5), ("hello", 4), ("hello", 6)] {
            let lie = Blob::new(Descriptor { size, ..honest.clone() }, Arc::new(Bytes::from(bytes)));
            fails(self.registry.put_blob(&self.repository, &lie, &self.cx).await, ErrorKind::Corrupt)?;
        }
        fails(self.read(&honest.digest, ByteRange::FULL).await, ErrorKind::NotFound)
    }

    async fn manifest_comes_back(self) -> Check {
        let manifest = self.manifest("a", None).await?;
        let put = self.store(&self.tag("v1"), &manifest, None).await?;
        equal(put.digest, manifest.descriptor().digest)?;
        equal(self.registry.manifest(&self.repository, &put.digest, &self.cx).await?, manifest)?;
        let by_digest = self.registry.resolve(&self.repository.digest(put.digest), &self.cx).await?;
        equal((by_digest.digest, by_digest.size, by_digest.media_type), (put.digest, put.size, put.media_type))
    }

    async fn wrong_manifest(self) -> Check {
        let manifest = self.manifest("a", None).await?;
        let wrong = Digest::of(b"wrong");
        fails(self.store(&self.repository.digest(wrong), &manifest, None).await, ErrorKind::Corrupt)?;
        fails(self.registry.manifest(&self.repository, &wrong, &self.cx).await, ErrorKind::NotFound)
    }

    async fn manifest_needs_its_blobs(self) -> Check {
        let missing = Descriptor::of(MediaType::OCI_CONFIG, b"missing");
        let manifest = image_manifest(&missing, None);
        let refused = self.store(&self.tag("v1"), &manifest, None).await;
        holds(refused.is_err(), "a manifest was stored without its blobs")?;
        fails(self.registry.resolve(&self.tag("v1"), &self.cx).await, ErrorKind::NotFound)
    }

    async fn index_needs_its_manifests(self) -> Check {
        let missing = Descriptor::of(MediaType::OCI_MANIFEST, b"missing");
        let index = json!({"schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": [missing]});
        let index = ManifestBytes { media_type: MediaType::OCI_INDEX, bytes: index.to_string().into() };
        let refused = self.store(&self.tag("v1"), &index, None).await;
        holds(refused.is_err(), "an index was stored without its manifests")
    }

    async fn tag_moves(self) -> Check {
        let (old, new) = (self.manifest("old", None).await?, self.manifest("new", None).await?);
        self.store(&self.tag("v1"), &old, Some(Current::Absent)).await?;
        let current = Some(Current::Is(old.descriptor().digest));
        self.store(&self.tag("v1"), &new, current).await?;
        self.points_to(&new).await?;
        self.store(&self.tag("v1"), &old, None).await?;
        self.points_to(&old).await
    }

    async fn stale_move(self) -> Check {
        let (old, new) = (self.manifest("old", None).await?, self.manifest("new", None).await?);
        self.store(&self.tag("v1"), &old, None).await?;
        let stale = Some(Current::Is(Digest::of(b"stale")));
        fails(self.store(&self.tag("v1"), &new, stale).await, ErrorKind::Conflict)?;
        fails(self.store(&self.tag("v2"), &new, stale).await, ErrorKind::Conflict)?;
        self.points_to(&old).await
    }

    async fn taken_tag(self) -> Check {
        let (old, new) = (self.manifest("old", None).await?, self.manifest("new", None).await?);
        self.store(&self.tag("v1"), &old, None).await?;
        fails(self.store(&self.tag("v1"), &new, Some(Current::Absent)).await, ErrorKind::Conflict)?;
        self.points_to(&old).await
    }

    async fn pinned_tag(self) -> Check {
        let manifest = self.manifest("a", None).await?;
        let stored = self.store(&self.tag("v1"), &manifest, None).await?;
        let right = self.registry.resolve(&self.tag("v1").pinned(stored.digest), &self.cx).await?;
        equal(right.digest, stored.digest)?;
        let wrong = self.tag("v1").pinned(Digest::of(b"wrong"));
        fails(self.registry.resolve(&wrong, &self.cx).await, ErrorKind::Conflict)
    }

    async fn putting_twice(self) -> Check {
        let first = self.put("hello").await?;
        let second = self.put("hello").await?;
        equal(first, second)?;
        let manifest = self.manifest("a", None).await?;
        self.store(&self.tag("v1"), &manifest, None).await?;
        self.store(&self.tag("v1"), &manifest, None).await?;
        self.points_to(&manifest).await
    }

    async fn referrers_are_listed(self) -> Check {
        let subject = self.manifest("subject", None).await?.descriptor();
        let (one, two) = (self.manifest("1", Some(&subject)).await?, self.manifest("2", Some(&subject)).await?);
        for referrer in [&one, &two] {
            self.store(&self.repository.digest(referrer.descriptor().digest), referrer, None).await?;
        }
        let mut found = self.referrers(&subject.digest, None).await?;
        found.sort_by_key(|found| found.digest);
        let mut expected = [one.descriptor().digest, two.descriptor().digest];
        expected.sort();
        equal(found.iter().map(|found| found.digest).collect::<Vec<_>>(), expected.to_vec())?;
        let described = |found: &Descriptor| {
            found.artifact_type == Some(MediaType::new("application/x.test.1"))
                || found.artifact_type == Some(MediaType::new("application/x.test.2"))
        };
        holds(found.iter().all(described), "a referrer is listed without its artifact type")?;
        let annotated = |found: &Descriptor| found.annotations.contains_key("org.example.note");
        holds(found.iter().all(annotated), "a referrer is listed without its annotations")
    }

    async fn referrers_are_filtered(self) -> Check {
        let subject = self.manifest("subject", None).await?.descriptor();
        for name in ["1", "2"] {
            let referrer = self.manifest(name, Some(&subject)).await?;
            self.store(&self.repository.digest(referrer.descriptor().digest), &referrer, None).await?;
        }
        let wanted = MediaType::new("application/x.test.2");
        let found = self.referrers(&subject.digest, Some(wanted.clone())).await?;
        equal(found.into_iter().map(|found| found.artifact_type).collect::<Vec<_>>(), vec![Some(wanted)])
    }

    async fn unknown_subject(self) -> Check {
        self.put("so that the repository exists").await?;
        equal(self.referrers(&Digest::of(b"unknown"), None).await?, vec![])
    }

    fn tag(&self, tag: &str) -> Reference {
        self.repository.tag(tag).expect("the suite's tags are well-formed")
    }

    async fn put(&self, bytes: impl Into<Bytes>) -> Result<Digest> {
        let blob = Blob::of(MediaType::OCI_LAYER, bytes);
        self.registry.put_blob(&self.repository, &blob, &self.cx).await?;
        Ok(blob.descriptor().digest)
    }

    async fn read(&self, digest: &Digest, range: ByteRange) -> Result<Bytes> {
        self.registry.blob(&self.repository, digest, range, &self.cx).await?.collect(1 << 30).await
    }

    /// A manifest of an artifact of the type `application/x.test.NAME`, whose blob is stored.
    async fn manifest(&self, name: &str, subject: Option<&Descriptor>) -> Result<ManifestBytes> {
        let config = Blob::of(MediaType::new(format!("application/x.test.{name}")), format!("{{\"name\":\"{name}\"}}"));
        self.registry.put_blob(&self.repository, &config, &self.cx).await?;
        Ok(image_manifest(config.descriptor(), subject))
    }

    async fn store(
        &self,
        reference: &Reference,
        manifest: &ManifestBytes,
        if_current: Option<Current>,
    ) -> Result<Descriptor> {
        self.registry.put_manifest(reference, manifest, &PutManifest { if_current }, &self.cx).await
    }

    async fn points_to(&self, manifest: &ManifestBytes) -> Check {
        let found = self.registry.resolve(&self.tag("v1"), &self.cx).await.map_err(Wrong::from)?;
        equal(found.digest, manifest.descriptor().digest)
    }

    async fn referrers(&self, subject: &Digest, artifact_type: Option<MediaType>) -> Result<Vec<Descriptor>> {
        self.registry.referrers(&self.repository, subject, &ReferrersFilter { artifact_type }, &self.cx).await
    }
}

fn image_manifest(config: &Descriptor, subject: Option<&Descriptor>) -> ManifestBytes {
    let mut manifest = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST,
        "artifactType": config.media_type,
        "config": config,
        "layers": [],
        "annotations": { "org.example.note": "kept" },
    });
    if let Some(subject) = subject {
        manifest["subject"] = json!(subject);
    }
    ManifestBytes { media_type: MediaType::OCI_MANIFEST, bytes: manifest.to_string().into() }
}
