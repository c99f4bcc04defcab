//! The steps from a target to a patched image.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{Scope, Step, journal::Key};
use crate::{
    Application, Digest, Error, ErrorKind, FindingKey, Image, Note, NoteClass, Patched, Patcher, Plan, Planned,
    PutManifest, Reason, Registry, Repository, Result, ScanReport, Scanned, Scanner, Stop, Target,
};

pub(super) struct Scan<S>(pub(super) S);

#[async_trait]
impl<S: Scanner> Step for Scan<S> {
    type In = Target;
    type Out = Scanned;

    async fn take(&self, target: Arc<Target>, scope: &Scope<'_>) -> Result<Arc<Scanned>, Stop> {
        let mut reports = Vec::new();
        for image in target.images().images() {
            reports.push(self.one(image, scope).await?);
        }
        Ok(Arc::new(Scanned::new(target, reports)?))
    }
}

impl<S: Scanner> Scan<S> {
    async fn one(&self, image: &Image, scope: &Scope<'_>) -> Result<ScanReport> {
        let key = Key { stage: "scan", plugin: self.0.info(), input: *image.digest() };
        let scan = async { Ok(self.0.scan(image, scope.cx).await?.sorted()) };
        scope.journal.recall(key, *image.digest(), scope.cx, ScanReport::counts_until, scan).await
    }
}

pub(super) struct Plans<P>(pub(super) P);

#[async_trait]
impl<P: Patcher> Step for Plans<P> {
    type In = Scanned;
    type Out = Planned;

    async fn take(&self, scanned: Arc<Scanned>, scope: &Scope<'_>) -> Result<Arc<Planned>, Stop> {
        let mut plans = Vec::new();
        for (image, report) in scanned.target().images().images().iter().zip(scanned.reports()) {
            plans.push(self.one(image, report, scope).await?);
        }
        if plans.iter().all(Plan::is_empty) {
            return Err(Stop::NothingToDo(why_nothing(&plans)));
        }
        Ok(Arc::new(Planned::new(scanned, plans)?))
    }
}

impl<P: Patcher> Plans<P> {
    async fn one(&self, image: &Image, report: &ScanReport, scope: &Scope<'_>) -> Result<Plan> {
        let plugin = self.0.info();
        let input = Digest::of(serde_json::to_vec(report).expect("a report has only string keys"));
        let name = plugin.name.clone();
        let plan = async { self.0.plan(image, report, scope.cx).await };
        let key = Key { stage: "plan", plugin, input };
        let plan = scope.journal.recall(key, *image.digest(), scope.cx, |_| None, plan).await?;
        covers_each_finding_once(&plan, report).map_err(|error| error.by(name).on(image.digest()))?;
        Ok(plan)
    }
}

/// Holds a patcher to its contract: every finding is fixed or is unfixable, exactly one of them.
fn covers_each_finding_once(plan: &Plan, report: &ScanReport) -> Result<()> {
    let mut times: BTreeMap<FindingKey, usize> = report.findings.iter().map(|finding| (finding.key(), 0)).collect();
    let fixed = plan.changes.iter().flat_map(|change| &change.fixes);
    for key in fixed.chain(plan.unfixable.iter().map(|unfixable| &unfixable.finding)) {
        *times.entry(key.clone()).or_default() += 1;
    }
    match times.into_iter().find(|(_, times)| *times != 1) {
        Some((key, times)) => Err(Error::unexpected(format!("the plan speaks {times} times of {key}, not once"))),
        None => Ok(()),
    }
}

fn why_nothing(plans: &[Plan]) -> Reason {
    let left: Vec<_> = plans.iter().flat_map(|plan| &plan.unfixable).collect();
    let message = match left.len() {
        0 => "nothing is vulnerable".to_owned(),
        n => format!("none of the {n} findings can be fixed"),
    };
    let reasons = left.into_iter().map(|left| Reason::yes(format!("{}: {}", left.finding, left.reason)));
    reasons.fold(Reason::yes(message), Reason::with)
}

pub(super) struct Apply<P>(pub(super) P);

/// What is recorded of an applied plan: the image itself is in the repository.
#[derive(Serialize, Deserialize)]
struct Applied {
    image: Digest,
    notes: Vec<Note>,
}

#[async_trait]
impl<P: Patcher> Step for Apply<P> {
    type In = Planned;
    type Out = Patched;

    async fn take(&self, planned: Arc<Planned>, scope: &Scope<'_>) -> Result<Arc<Patched>, Stop> {
        let target = planned.scanned().target();
        let (registry, repository) = (target.registry().clone(), target.reference().repository().clone());
        let mut images = Vec::new();
        let mut notes = Vec::new();
        for (image, plan) in target.images().images().iter().zip(planned.plans()) {
            let (image, noted) = match plan.is_empty() {
                true => (image.clone(), Vec::new()),
                false => self.one(image, plan, (&registry, &repository), scope).await?,
            };
            images.push(image);
            notes.push(noted);
        }
        let images = target.images().with_images(images)?;
        let reference = repository.digest(*images.digest());
        registry.put_manifest(&reference, images.manifest(), &PutManifest::default(), scope.cx).await?;
        Ok(Arc::new(Patched::new(planned, (registry, repository), images, notes)?))
    }
}

impl<P: Patcher> Apply<P> {
    async fn one(
        &self,
        image: &Image,
        plan: &Plan,
        (registry, repository): (&Arc<dyn Registry>, &Repository),
        scope: &Scope<'_>,
    ) -> Result<(Image, Vec<Note>), Stop> {
        let key = Key { stage: "patch", plugin: self.0.info(), input: plan.digest() };
        if let Some(Applied { image: digest, notes }) = scope.journal.recalled(&key) {
            match Image::open(registry.clone(), repository, &digest, scope.cx).await {
                Ok(image) => return Ok((image, notes)),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
            }
        }
        let applied = self.0.apply(image, plan, scope.cx).await.map_err(|error| error.by(&*key.plugin.name))?;
        let (made, notes) = match applied {
            Application::Patched { image, notes } => (image, notes),
            Application::Refused(notes) => return Err(refused(&notes)),
        };
        made.push(registry.as_ref(), repository, scope.cx).await?;
        // Opened again from the registry, so that every later stage reads what others will pull.
        let stored = Image::open(registry.clone(), repository, made.digest(), scope.cx).await?;
        let applied = Applied { image: *made.digest(), notes };
        scope.journal.record(&key, *image.digest(), &applied, scope.cx).await?;
        Ok((stored, applied.notes))
    }
}

fn refused(notes: &[Note]) -> Stop {
    let reason = |note: &Note| {
        let message = format!("{}: {}", note.subject, note.message);
        if note.class == NoteClass::Refuse { Reason::no(message) } else { Reason::yes(message) }
    };
    Stop::Refused { stage: "patch", reasons: notes.iter().map(reason).collect() }
}
