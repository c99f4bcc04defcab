//! A registry in memory behind [`Server`], correct by default, with a knob for every fault.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use patchkit_core::Digest;

use super::server::{Answer, Handler, Seen};

/// A fault, used once on the first request whose `METHOD path` contains the text.
#[derive(Clone, Debug)]
pub struct Fault {
    pub on: &'static str,
    pub what: What,
}

#[derive(Clone, Debug)]
pub enum What {
    /// Answer this.
    Answer(Answer),
    /// Answer rightly, but hang up after so many bytes of the body.
    CutAfter(usize),
    /// Do as asked, but hang up without an answer.
    Unanswered,
    /// Read so many bytes of the request's body, keep them, and hang up.
    ReadOnly(usize),
}

#[derive(Default)]
pub struct Fake {
    pub blobs: Mutex<BTreeMap<String, Bytes>>,
    /// By tag and by digest: media type and bytes.
    pub manifests: Mutex<BTreeMap<String, (String, Bytes)>>,
    pub uploads: Mutex<BTreeMap<String, Vec<u8>>>,
    pub faults: Mutex<VecDeque<Fault>>,
    pub next: AtomicU64,
    /// Whether ranges are understood.
    pub no_ranges: bool,
    /// Whether a mount is refused with 202.
    pub no_mount: bool,
    /// Whether conditional puts are understood.
    pub conditions: bool,
    /// Whether the referrers API is there.
    pub referrers: bool,
    /// Whether `Docker-Content-Digest` is left out.
    pub no_digest: bool,
    /// Whether `Location` is absolute; then with this base.
    pub absolute: Mutex<Option<String>>,
    /// What an upload asks for at least.
    pub least_chunk: Option<u64>,
    /// What happens right before a manifest is put.
    pub before_put: Mutex<Option<Box<dyn FnOnce(&Fake) + Send>>>,
}

impl Fake {
    pub fn fail(&self, on: &'static str, what: What) -> &Self {
        self.faults.lock().unwrap().push_back(Fault { on, what });
        self
    }

    pub fn add_blob(&self, bytes: impl Into<Bytes>) -> Digest {
        let bytes = bytes.into();
        let digest = Digest::of(&bytes);
        self.blobs.lock().unwrap().insert(digest.to_string(), bytes);
        digest
    }

    pub fn add_manifest(&self, tag: &str, media_type: &str, bytes: impl Into<Bytes>) -> Digest {
        let bytes = bytes.into();
        let digest = Digest::of(&bytes);
        let mut all = self.manifests.lock().unwrap();
        all.insert(tag.into(), (media_type.into(), bytes.clone()));
        all.insert(digest.to_string(), (media_type.into(), bytes));
        digest
    }

    pub fn tag(&self, tag: &str) -> Option<Bytes> {
        self.manifests.lock().unwrap().get(tag).map(|(_, bytes)| bytes.clone())
    }

    pub fn has(&self, digest: &Digest) -> bool {
        self.blobs.lock().unwrap().contains_key(&digest.to_string())
    }

    fn fault(&self, request: &Seen, is: impl Fn(&What) -> bool) -> Option<What> {
        let mut faults = self.faults.lock().unwrap();
        let at = faults.iter().position(|fault| request.line().contains(fault.on))?;
        is(&faults[at].what).then(|| faults.remove(at).unwrap().what)
    }

    fn route(&self, request: &Seen) -> Answer {
        let Some(path) = request.path().strip_prefix("/v2/") else { return Answer::new(404) };
        if let Some((_, id)) = path.split_once("/blobs/uploads/") {
            return self.upload(request, path.split_once("/blobs/").unwrap().0, id);
        }
        if let Some((_, digest)) = path.split_once("/blobs/") {
            return self.blob(request, digest);
        }
        if let Some((_, name)) = path.split_once("/manifests/") {
            return self.manifest(request, name);
        }
        if let Some((_, digest)) = path.split_once("/referrers/").filter(|_| self.referrers) {
            return self.referrers_of(digest);
        }
        Answer::new(404)
    }

    fn blob(&self, request: &Seen, digest: &str) -> Answer {
        let Some(bytes) = self.blobs.lock().unwrap().get(digest).cloned() else {
            return Answer::error(404, "BLOB_UNKNOWN");
        };
        let total = bytes.len();
        let range = request.header("range").filter(|_| !self.no_ranges).map(|text| {
            let (start, last) = text.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
            (start.parse::<usize>().unwrap(), last.parse::<usize>().map_or(total, |last| total.min(last + 1)))
        });
        let answer = match range {
            Some((start, _)) if start >= total => {
                return Answer::new(416).header("content-range", format!("bytes */{total}"));
            }
            Some((start, end)) => Answer::new(206)
                .header("content-range", format!("bytes {start}-{}/{total}", end - 1))
                .body(bytes.slice(start..end)),
            None => Answer::new(200).body(bytes),
        };
        answer.header("docker-content-digest", digest).header("etag", format!("\"{digest}\""))
    }

    fn manifest(&self, request: &Seen, name: &str) -> Answer {
        let found = self.manifests.lock().unwrap().get(name).cloned();
        match request.method.as_str() {
            "PUT" => self.put_manifest(request, name),
            "DELETE" => match found {
                Some(_) => {
                    self.manifests.lock().unwrap().remove(name);
                    Answer::new(202)
                }
                None => Answer::error(404, "MANIFEST_UNKNOWN"),
            },
            _ => match found {
                Some((media_type, bytes)) => {
                    let answer = Answer::new(200).header("content-type", media_type);
                    let digest = Digest::of(&bytes);
                    let answer = if self.no_digest { answer } else { answer.header("docker-content-digest", digest) };
                    answer.body(bytes)
                }
                None => Answer::error(404, "MANIFEST_UNKNOWN"),
            },
        }
    }

    fn put_manifest(&self, request: &Seen, name: &str) -> Answer {
        // Taken first, so that it may put another in its place.
        let before = self.before_put.lock().unwrap().take();
        if let Some(before) = before {
            before(self);
        }
        let found = self.tag(name).map(|bytes| format!("\"{}\"", Digest::of(bytes)));
        let is_refused = match (request.header("if-match"), request.header("if-none-match")) {
            (Some(wanted), _) => found.as_deref() != Some(wanted),
            (None, Some("*")) => found.is_some(),
            _ => false,
        };
        if is_refused && self.conditions {
            return Answer::new(412);
        }
        let digest = Digest::of(&request.body);
        let media_type = request.header("content-type").unwrap().to_owned();
        let mut all = self.manifests.lock().unwrap();
        all.insert(digest.to_string(), (media_type.clone(), request.body.clone()));
        all.insert(name.into(), (media_type, request.body.clone()));
        let answer = Answer::new(201).header("docker-content-digest", digest);
        let json: serde_json::Value = serde_json::from_slice(&request.body).unwrap_or_default();
        match json["subject"]["digest"].as_str().filter(|_| self.referrers) {
            Some(subject) => answer.header("oci-subject", subject),
            None => answer,
        }
    }

    fn referrers_of(&self, digest: &str) -> Answer {
        let all = self.manifests.lock().unwrap();
        let entries: Vec<_> = all
            .iter()
            .filter(|(name, _)| name.starts_with("sha256:"))
            .filter_map(|(name, (media_type, bytes))| {
                let json: serde_json::Value = serde_json::from_slice(bytes).ok()?;
                (json["subject"]["digest"] == digest).then(|| {
                    serde_json::json!({"mediaType": media_type, "digest": name, "size": bytes.len(),
                        "artifactType": json["artifactType"]})
                })
            })
            .collect();
        let index = serde_json::json!({"schemaVersion": 2, "manifests": entries});
        Answer::new(200).header("content-type", "application/vnd.oci.image.index.v1+json").body(index.to_string())
    }

    fn upload(&self, request: &Seen, name: &str, id: &str) -> Answer {
        let mut uploads = self.uploads.lock().unwrap();
        let at = |id: &str| {
            let base = self.absolute.lock().unwrap().clone().unwrap_or_default();
            format!("{base}/v2/{name}/blobs/uploads/{id}?_state=a%2Bb")
        };
        if request.method == "POST" {
            let mount = request.query("mount").pop();
            if let Some(digest) =
                mount.filter(|digest| !self.no_mount && self.blobs.lock().unwrap().contains_key(digest))
            {
                return Answer::new(201).header("docker-content-digest", digest).header("location", "/x");
            }
            let id = format!("u{}", self.next.fetch_add(1, Ordering::Relaxed));
            uploads.insert(id.clone(), Vec::new());
            let answer = Answer::new(202).header("location", at(&id)).header("range", "0-0");
            return match self.least_chunk {
                Some(least) => answer.header("oci-chunk-min-length", least),
                None => answer,
            };
        }
        let state = request.query("_state");
        let Some(upload) = uploads.get_mut(id) else { return Answer::error(404, "BLOB_UPLOAD_UNKNOWN") };
        assert_eq!(state, ["a+b"], "the state of the upload was lost on the way");
        let range = |upload: &[u8]| format!("0-{}", upload.len().saturating_sub(1));
        match request.method.as_str() {
            "GET" => Answer::new(204).header("location", at(id)).header("range", range(upload)),
            "DELETE" => {
                uploads.remove(id);
                Answer::new(204)
            }
            "PATCH" => {
                let start =
                    request.header("content-range").map_or(0, |text| text.split_once('-').unwrap().0.parse().unwrap());
                if start != upload.len() {
                    return Answer::new(416).header("location", at(id)).header("range", range(upload));
                }
                upload.extend_from_slice(&request.body);
                Answer::new(202).header("location", at(id)).header("range", range(upload))
            }
            _ => {
                upload.extend_from_slice(&request.body);
                let (digest, wanted) = (Digest::of(&*upload).to_string(), request.query("digest"));
                if wanted != [digest.clone()] {
                    return Answer::error(400, "DIGEST_INVALID");
                }
                let bytes = uploads.remove(id).unwrap();
                self.blobs.lock().unwrap().insert(digest.clone(), bytes.into());
                Answer::new(201).header("docker-content-digest", digest).header("location", "/x")
            }
        }
    }
}

impl Handler for Fake {
    fn answer(&self, request: &Seen) -> Option<Answer> {
        match self.fault(request, |what| !matches!(what, What::ReadOnly(_))) {
            Some(What::Answer(answer)) => Some(answer),
            Some(What::CutAfter(bytes)) => Some(self.route(request).cut(bytes)),
            Some(What::Unanswered) => {
                self.route(request);
                None
            }
            Some(What::ReadOnly(_)) | None => Some(self.route(request)),
        }
    }

    fn body_limit(&self, head: &Seen) -> Option<usize> {
        match self.fault(head, |what| matches!(what, What::ReadOnly(_))) {
            Some(What::ReadOnly(bytes)) => Some(bytes),
            _ => None,
        }
    }
}

/// So that a test keeps a hold on what the server has.
pub fn shared(fake: Fake) -> (Arc<Fake>, Arc<dyn Handler>) {
    let fake = Arc::new(fake);
    (Arc::clone(&fake), fake)
}
