//! The verifier.

use async_trait::async_trait;
use patchkit_core::{Context, Evidence, Image, Patched, Plugin, PluginInfo, Reason, Result, Verdict, Verifier};
use serde::Serialize;

use super::{Interfaces, Layers, Linkage, LoadChange, LoadOptions, LoadReport, compare, compare::counts, interfaces};
use crate::verify::{
    Exception,
    pair::{self, Pair},
};

/// How many faults a reason names; the evidence has all.
const MAX_NAMED: usize = 50;

/// Passes a patched image whose programs and libraries all are loaded as well as before. Nothing is executed.
///
/// What the image missed before it was patched is listed and is no reason to refuse it. A symbol that a library misses by
/// itself is one only where the library found it before: the program that opens it may bring it.
///
/// The evidence, `loading-PLATFORM-DIGEST.json`, has what changed in the libraries' interfaces and which programs that
/// touches: an [`Interfaces`] under `interfaces`.
#[derive(Clone, Debug, Default)]
pub struct Loading {
    options: LoadOptions,
    exceptions: Vec<Exception>,
}

impl Loading {
    /// A verifier for processors that have what every one of their machine has.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, with other options.
    #[must_use]
    pub fn with_options(self, options: LoadOptions) -> Self {
        Self { options, ..self }
    }

    /// The same, accepting what the files miss that the pattern names by their paths: `opt/old/bin/*`.
    #[must_use]
    pub fn excepting(mut self, exception: Exception) -> Self {
        self.exceptions.push(exception);
        self
    }
}

impl Plugin for Loading {
    fn info(&self) -> PluginInfo {
        PluginInfo::new("loading", env!("CARGO_PKG_VERSION")).configured(&(&self.options.levels, &self.exceptions))
    }
}

#[async_trait]
impl Verifier for Loading {
    async fn verify(&self, patched: &Patched, cx: &Context) -> Result<Verdict> {
        let mut verdict = Verdict { subject: *patched.images().digest(), reasons: vec![], evidence: vec![] };
        for Pair { before: original, after: image, .. } in pair::pairs(patched) {
            let mut layers = Layers::default();
            let before = Linkage::read(original, &mut layers, &self.options, cx).await?;
            let after = Linkage::read(image, &mut layers, &self.options, cx).await?;
            let change = compare(&before, &after);
            let interfaces = interfaces(&before, &after);
            verdict.reasons.push(self.reason(image, &after, &change, &interfaces, cx));
            verdict.evidence.push(evidence(image, &after, &change, &interfaces));
        }
        Ok(verdict)
    }
}

impl Loading {
    fn reason(
        &self,
        image: &Image,
        after: &Linkage,
        change: &LoadChange,
        interfaces: &Interfaces,
        cx: &Context,
    ) -> Reason {
        let (programs, libraries) = counts(after);
        let platform = image.platform();
        let broken = change.broken.iter().map(|fault| {
            let said = fault.to_string();
            let excepted = Exception::judge(self.exceptions.iter(), &fault.file, &said, cx.now());
            excepted.unwrap_or_else(|| Reason::no(said))
        });
        let (excepted, broken): (Vec<_>, Vec<_>) = broken.partition(|fault| fault.holds);
        let mut reason = match broken.len() {
            0 => Reason::yes(format!("{platform}: {programs} programs and {libraries} libraries are loaded as before")),
            n => Reason::no(format!("{platform}: {n} things are missing that were found before")),
        };
        let more = broken.len().saturating_sub(MAX_NAMED);
        let more = (more > 0).then(|| Reason::no(format!("and {more} more")));
        reason.because.extend(broken.into_iter().take(MAX_NAMED).chain(more).chain(excepted));
        let (touched, changed) = (interfaces.programs.len(), interfaces.changed.len());
        let message =
            format!("{changed} libraries changed, which touches {touched} of {} programs", interfaces.of_programs);
        reason = reason.with(Reason::yes(message));
        let known = change.known.iter().filter(|fault| !fault.is_left_to_hosts());
        reason.because.extend(known.take(MAX_NAMED).map(|fault| Reason::yes(format!("was so before: {fault}"))));
        reason
    }
}

/// Looks at one image.
///
/// # Errors
/// As [`Image::files`].
pub async fn check(image: &Image, cx: &Context) -> Result<LoadReport> {
    let linkage = Linkage::read(image, &mut Layers::default(), &LoadOptions::default(), cx).await?;
    Ok(linkage.report())
}

#[derive(Serialize)]
struct Document<'a> {
    platform: String,
    programs: usize,
    libraries: usize,
    #[serde(flatten)]
    change: &'a LoadChange,
    notes: &'a [String],
    interfaces: &'a Interfaces,
}

fn evidence(image: &Image, after: &Linkage, change: &LoadChange, interfaces: &Interfaces) -> Evidence {
    let (programs, libraries) = counts(after);
    let platform = image.platform().to_string();
    let document = Document { platform, programs, libraries, change, notes: after.notes(), interfaces };
    pair::evidence("loading", image, &document)
}
