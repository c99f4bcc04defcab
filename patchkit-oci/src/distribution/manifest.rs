//! Manifests and the tags that point to them (distribution specification, "Pulling manifests", "Pushing Manifests").

use bytes::Bytes;
use patchkit_core::{
    Algorithm, Context, Current, Descriptor, Digest, Error, ErrorKind, Hasher, ManifestBytes, MediaType, PutManifest,
    Reference, Repository, Result,
};
use reqwest::{
    Method,
    header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, IF_MATCH, IF_NONE_MATCH},
};
use serde::Deserialize;

use super::{
    client::Inner,
    exchange::{Ask, Reply},
    options::MirrorUse,
    retry::Attempts,
};

const CONTENT_DIGEST: &str = "docker-content-digest";
const SUBJECT: &str = "oci-subject";
/// What we can read; artifact manifests of release candidates of the specification are still listed as referrers.
const ACCEPTED: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.artifact.manifest.v1+json";

/// Who may answer.
#[derive(Clone, Copy, Debug)]
pub(super) enum From {
    /// The repository itself, so that the answer is true now.
    Origin,
    /// A mirror too.
    Anywhere(MirrorUse),
}

/// What a manifest says of itself.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Words {
    #[serde(default)]
    media_type: Option<MediaType>,
    #[serde(default)]
    pub(super) subject: Option<Descriptor>,
}

impl Words {
    pub(super) fn of(manifest: &[u8]) -> Result<Self> {
        serde_json::from_slice(manifest)
            .map_err(|error| Error::corrupt(format!("the manifest is no JSON of one: {error}")))
    }
}

impl Inner {
    pub(super) async fn resolve(&self, reference: &Reference, cx: &Context) -> Result<Descriptor> {
        let what = if reference.tag().is_some() { MirrorUse::Everything } else { MirrorUse::Digests };
        let found = self.describe(reference.repository(), &name_of(reference), From::Anywhere(what), cx).await?;
        match reference.digest() {
            Some(wanted) if *wanted != found.digest && reference.tag().is_some() => {
                Err(Error::conflict(format!("the tag points to {} now", found.digest)))
            }
            Some(wanted) if *wanted != found.digest => Err(unasked(&found.digest)),
            _ => Ok(found),
        }
    }

    pub(super) async fn manifest(
        &self,
        repository: &Repository,
        digest: &Digest,
        cx: &Context,
    ) -> Result<ManifestBytes> {
        let from = From::Anywhere(MirrorUse::Digests);
        let manifest = self.get_manifest(repository, &digest.to_string(), from, cx).await?;
        match digest_of(&manifest.bytes, digest.algorithm()) {
            found if found == *digest => Ok(manifest),
            found => Err(unasked(&found)),
        }
    }

    /// The descriptor of what a tag or digest names.
    pub(super) async fn describe(
        &self,
        repository: &Repository,
        name: &str,
        from: From,
        cx: &Context,
    ) -> Result<Descriptor> {
        let ask = about(Method::HEAD, repository, name)?;
        match self.ask_from(&ask, from, cx).await {
            Err(error) if error.kind() != ErrorKind::Unsupported => return Err(error),
            Ok(reply) if let Some(descriptor) = described(&reply) => return Ok(descriptor),
            _ => {}
        }
        Ok(self.get_manifest(repository, name, from, cx).await?.descriptor())
    }

    /// What a tag or digest names, checked against what the registry says of it.
    pub(super) async fn get_manifest(
        &self,
        repository: &Repository,
        name: &str,
        from: From,
        cx: &Context,
    ) -> Result<ManifestBytes> {
        let reply = self.ask_from(&about(Method::GET, repository, name)?, from, cx).await?;
        if let Some(promised) = content_digest(&reply.headers) {
            let found = digest_of(&reply.body, promised.algorithm());
            if found != promised {
                return Err(Error::corrupt(format!("the registry promised {promised} and sent {found}")));
            }
        }
        let media_type = media_type(&reply)?;
        Ok(ManifestBytes { media_type, bytes: reply.body })
    }

    pub(super) async fn put_manifest(
        &self,
        reference: &Reference,
        manifest: &ManifestBytes,
        options: &PutManifest,
        cx: &Context,
    ) -> Result<Descriptor> {
        let subject = Words::of(&manifest.bytes)?.subject;
        let (descriptor, reply) = self.put(reference, manifest, options.if_current, cx).await?;
        if let Some(subject) = subject.filter(|_| reply.header(SUBJECT).is_none()) {
            self.attach(reference.repository(), &subject.digest, &descriptor, manifest, cx).await?;
        }
        Ok(descriptor)
    }

    /// Puts a manifest, again where that may help. After a failure nobody knows whether it arrived: the tag is read
    /// again, and where it is ours by now, that is no conflict.
    pub(super) async fn put(
        &self,
        reference: &Reference,
        manifest: &ManifestBytes,
        if_current: Option<Current>,
        cx: &Context,
    ) -> Result<(Descriptor, Reply)> {
        let ours = intended(reference, manifest)?;
        let place = self.endpoints.origin(reference.repository())?;
        let mut attempts = Attempts::new(self.options.retry);
        loop {
            let condition = match (if_current, reference.tag()) {
                (Some(expected), Some(tag)) => {
                    let also = attempts.again().then_some(ours.digest);
                    Some(self.still(reference.repository(), tag, expected, also, cx).await?)
                }
                _ => None,
            };
            let ask = put_of(reference, &ours, manifest, condition)?;
            match self.ask_once(&ask, &place, cx).await {
                Ok(reply) => return is_about(&reply.headers, &ours.digest).map(|()| (ours, reply)),
                Err(error) => attempts.pause(error, cx).await?,
            }
        }
    }

    /// Where the tag points, which must be where it is expected to (or where we may have moved it).
    async fn still(
        &self,
        repository: &Repository,
        tag: &str,
        expected: Current,
        also: Option<Digest>,
        cx: &Context,
    ) -> Result<Current> {
        let found = match self.describe(repository, tag, From::Origin, cx).await {
            Ok(descriptor) => Current::Is(descriptor.digest),
            Err(error) if error.kind() == ErrorKind::NotFound => Current::Absent,
            Err(error) => return Err(error),
        };
        if found == expected || also.is_some_and(|also| found == Current::Is(also)) {
            return Ok(found);
        }
        Err(Error::conflict(match found {
            Current::Absent => "the tag does not exist any more".into(),
            Current::Is(digest) => format!("the tag points to {digest} now"),
        }))
    }

    async fn ask_from(&self, ask: &Ask<'_>, from: From, cx: &Context) -> Result<Reply> {
        match from {
            From::Origin => self.ask(ask, cx).await,
            From::Anywhere(what) => self.ask_anywhere(ask, what, cx).await,
        }
    }
}

/// What stands for a reference in a URL: the tag, or else the digest.
pub(super) fn name_of(reference: &Reference) -> String {
    let digest = || reference.digest().map(ToString::to_string);
    reference.tag().map(Into::into).or_else(digest).expect("a reference has a tag or a digest")
}

fn about<'a>(method: Method, repository: &'a Repository, name: &str) -> Result<Ask<'a>> {
    Ask::pull(method, repository, format!("manifests/{name}")).header(ACCEPT, ACCEPTED)
}

fn put_of<'a>(
    reference: &'a Reference,
    ours: &Descriptor,
    manifest: &ManifestBytes,
    condition: Option<Current>,
) -> Result<Ask<'a>> {
    let name = reference.tag().map_or_else(|| ours.digest.to_string(), Into::into);
    let ask = Ask::push(Method::PUT, reference.repository(), format!("manifests/{name}"))
        .header(CONTENT_TYPE, manifest.media_type.as_str())?
        .body(manifest.bytes.clone());
    match condition {
        Some(Current::Absent) => ask.header(IF_NONE_MATCH, "*"),
        Some(Current::Is(digest)) => ask.header(IF_MATCH, &format!("\"{digest}\"")),
        None => Ok(ask),
    }
}

/// The descriptor that a manifest will have: under the digest that the reference asks for, if it has one.
fn intended(reference: &Reference, manifest: &ManifestBytes) -> Result<Descriptor> {
    let Some(wanted) = reference.digest() else { return Ok(manifest.descriptor()) };
    let digest = digest_of(&manifest.bytes, wanted.algorithm());
    if digest != *wanted {
        return Err(Error::corrupt(format!("the manifest has the digest {digest}")));
    }
    Ok(Descriptor { digest, ..manifest.descriptor() })
}

/// What a `HEAD` tells, where it tells all.
fn described(reply: &Reply) -> Option<Descriptor> {
    let size = reply.header(CONTENT_LENGTH.as_str())?.parse().ok()?;
    Some(Descriptor::new(declared_type(reply)?, content_digest(&reply.headers)?, size))
}

/// The digest that the registry names in the answer's head.
pub(super) fn content_digest(headers: &HeaderMap) -> Option<Digest> {
    headers.get(CONTENT_DIGEST)?.to_str().ok()?.parse().ok()
}

/// Whether a registry names no digest, or the right one. It may name one of another algorithm too.
pub(super) fn is_about(headers: &HeaderMap, digest: &Digest) -> Result<()> {
    match content_digest(headers) {
        Some(found) if found.algorithm() == digest.algorithm() && found != *digest => {
            Err(Error::corrupt(format!("the registry answered with {found} in place of {digest}")))
        }
        _ => Ok(()),
    }
}

/// The media type of the head, unless it is one that says nothing.
fn declared_type(reply: &Reply) -> Option<MediaType> {
    let text = reply.header(CONTENT_TYPE.as_str())?.split(';').next()?.trim();
    let says_nothing = matches!(text, "" | "application/json" | "application/octet-stream" | "text/plain");
    (!says_nothing).then(|| MediaType::new(text))
}

/// The media type of a manifest. Where head and content disagree, it could be read as two different things.
fn media_type(reply: &Reply) -> Result<MediaType> {
    match (declared_type(reply), Words::of(&reply.body)?.media_type) {
        (Some(head), Some(content)) if head != content => {
            Err(Error::corrupt(format!("the registry says that it is {head}, and it says itself that it is {content}")))
        }
        (Some(media_type), _) | (None, Some(media_type)) => Ok(media_type),
        (None, None) => Err(Error::unsupported("nobody says which media type the manifest has")),
    }
}

pub(super) fn digest_of(bytes: &Bytes, algorithm: Algorithm) -> Digest {
    let mut hasher = Hasher::new(algorithm);
    hasher.update(bytes);
    hasher.finish()
}

fn unasked(found: &Digest) -> Error {
    Error::corrupt(format!("the registry answered with {found}"))
}
