//! What weakens an image: before and after, against a profile.
//!
//! [`inspect`] lists the weaknesses of one image, nothing executed: of its files as a container sees them, of its
//! configuration, and of every layer, since what a later layer takes away can still be had from the earlier one.
//! [`Hardening`] is the verifier: a patched image must not be weaker than the original, and, where a [`Profile`] says
//! so, free of some weaknesses at all. No secret is ever printed: only where it is and what it looks like.

mod accounts;
mod capability;
mod check;
mod files;
mod listening;
mod profile;
mod secrets;
mod settings;

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use bytes::Bytes;
use patchkit_core::{
    Context, Digest, Error, Image, Patched, Platform, Plugin, PluginInfo, Reason, Result, Verdict, Verifier,
    image::{FilePath, FileTree},
};
use serde::Serialize;

use super::{
    owners::{self, Owners},
    pair::{Pair, evidence, judged, pairs, together},
};

pub use capability::{Capability, ParseCapabilityError};
pub use check::{Check, ParseCheckError, Weakness};
pub use listening::{Listening, ParseListeningError, Socket};
pub use profile::Profile;
pub use secrets::{Secret, SecretKind, scan};

/// The most bytes of a file that says how the system is set up: 16 MiB.
const MAX_SETTINGS: u64 = 16 << 20;

/// All weaknesses of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Inspection {
    /// The digest of the image's manifest.
    pub subject: Digest,
    /// Its platform.
    pub platform: Platform,
    /// What was found, sorted by check and subject.
    pub weaknesses: Vec<Weakness>,
}

/// Finds the weaknesses of an image.
///
/// # Errors
/// Those of reading the layers.
pub async fn inspect(image: &Image, cx: &Context) -> Result<Inspection> {
    let system = System::of(image, cx).await?;
    let mut weaknesses: BTreeSet<Weakness> = BTreeSet::new();
    weaknesses.extend(files::weaknesses(&system));
    weaknesses.extend(accounts::weaknesses(&system));
    weaknesses.extend(settings::weaknesses(image, &system));
    weaknesses.extend(secrets::weaknesses(image, &system, cx).await?);
    let weaknesses = weaknesses.into_iter().collect();
    Ok(Inspection { subject: *image.digest(), platform: image.platform().clone(), weaknesses })
}

/// The files of an image, how its system is set up, and whose files are whose.
struct System {
    tree: FileTree,
    settings: BTreeMap<FilePath, Bytes>,
    owners: Owners,
}

impl System {
    async fn of(image: &Image, cx: &Context) -> Result<Self> {
        let keep = |path: &FilePath, size| (is_setting(path) && size <= MAX_SETTINGS) || owners::is_list(path, size);
        let tree = image.files(keep, cx).await?;
        let included = FilePath::new("etc/ssh/sshd_config.d").expect("a good path");
        let included = tree.children(&included).map(|(path, _)| path.clone());
        let exact = SETTINGS.iter().map(|name| FilePath::new(name).expect("a good path"));
        let wanted: BTreeSet<FilePath> = exact.chain(included).collect();
        for path in &wanted {
            let size = tree.resolve(path).and_then(|end| tree.get(&end)?.size());
            if size.is_some_and(|size| size > MAX_SETTINGS) {
                return Err(Error::unsupported(format!("a file of more than {MAX_SETTINGS} bytes")).on(path));
            }
        }
        let settings = tree.contents(&wanted, cx).await?;
        let owners = Owners::of(&tree, cx).await?;
        Ok(Self { tree, settings, owners })
    }

    /// What a file says; nothing where there is none.
    fn read(&self, path: &str) -> &[u8] {
        FilePath::new(path).ok().and_then(|path| self.settings.get(&path)).map_or(&[], |content| content)
    }
}

/// The files that say how the system is set up; more is in `etc/ssh/sshd_config.d`.
const SETTINGS: [&str; 4] = ["etc/group", "etc/passwd", "etc/shadow", "etc/ssh/sshd_config"];

fn is_setting(path: &FilePath) -> bool {
    let name = path.to_str().unwrap_or_default();
    SETTINGS.contains(&name) || name.starts_with("etc/ssh/sshd_config.d/")
}

/// Passes an image that is not weaker than the original: every weakness was there before, or somebody answers for it.
///
/// A weakness is the same where check, subject and detail are: a file that was setuid for root before may be another
/// version of it now, but no other mode. The checks that the [`Profile`] requires must find nothing at all.
///
/// ```
/// use patchkit_rollout::verify::{Hardening, hardening::{Check, Profile}};
///
/// let verifier = Hardening::new(Profile::default().requiring([Check::EmptyPassword, Check::PrivateKey]));
/// ```
#[derive(Clone, Debug, Default, Serialize)]
pub struct Hardening {
    profile: Profile,
    listening: Option<(Listening, Listening)>,
}

impl Hardening {
    /// A verifier by the given profile.
    #[must_use]
    pub fn new(profile: Profile) -> Self {
        Self { profile, listening: None }
    }

    /// The same, comparing the sockets that the original and the patched image listened on when they ran.
    #[must_use]
    pub fn with_listening(self, before: Listening, after: Listening) -> Self {
        Self { listening: Some((before, after)), ..self }
    }

    async fn pair(&self, pair: Pair<'_>, cx: &Context) -> Result<(Reason, [Inspection; 2])> {
        let mut sides = [inspect(pair.before, cx).await?, inspect(pair.after, cx).await?];
        if let Some((before, after)) = &self.listening {
            sides[0].weaknesses.extend(before.weaknesses());
            sides[1].weaknesses.extend(after.weaknesses());
            sides.iter_mut().for_each(|side| side.weaknesses.sort());
        }
        let reason = compare(&sides[0], &sides[1], &self.profile, cx);
        Ok((reason, sides))
    }
}

impl Plugin for Hardening {
    fn info(&self) -> PluginInfo {
        PluginInfo::new("hardening", env!("CARGO_PKG_VERSION")).configured(self)
    }
}

#[async_trait]
impl Verifier for Hardening {
    async fn verify(&self, patched: &Patched, cx: &Context) -> Result<Verdict> {
        let mut verdict = Verdict { subject: *patched.images().digest(), reasons: vec![], evidence: vec![] };
        for pair in pairs(patched) {
            let (reason, sides) = self.pair(pair, cx).await?;
            verdict.reasons.push(reason);
            verdict.evidence.push(evidence("hardening", pair.after, &sides));
        }
        Ok(verdict)
    }
}

/// Whether an image is not weaker than another, and as strong as a profile requires. Exceptions are judged by the
/// context's time.
#[must_use]
pub fn compare(before: &Inspection, after: &Inspection, profile: &Profile, cx: &Context) -> Reason {
    let known: BTreeSet<_> = before.weaknesses.iter().map(Weakness::key).collect();
    let left: BTreeSet<_> = after.weaknesses.iter().map(Weakness::key).collect();
    let gone = known.difference(&left).count();
    let (old, new): (Vec<_>, Vec<_>) = after.weaknesses.iter().partition(|weakness| known.contains(&weakness.key()));
    let new: Vec<_> = new.into_iter().map(|weakness| profile.judge(weakness, "is new", cx)).collect();
    let required = old.iter().filter(|weakness| profile.requires(weakness.check));
    let required: Vec<_> = required.map(|weakness| profile.judge(weakness, "is left", cx)).collect();
    let counts = format!("{} weaknesses are left, {gone} are gone", old.len());
    let mut because = vec![together(format!("{} weaknesses are new", new.len()), new), Reason::yes(counts)];
    if profile.requires_any() {
        because.push(together(format!("{} weaknesses are left that must not be there", required.len()), required));
    }
    judged(&after.platform, ["is no weaker", "is weaker, or not as strong as it must be"], because)
}
