use std::{collections::BTreeMap, fs, path::Path};

use patchkit_core::{
    Application, Context, Digest, Error, Image, Note, NoteClass, Patcher, Plan, Platform, Reason, Result, Stop, Target,
};
use serde::Serialize;

use super::plan;
use crate::{
    archive,
    cli::{self, Global},
    output::{self, Progress},
    place,
};

/// What was done to one platform's image.
#[derive(Serialize)]
struct Done {
    platform: Platform,
    before: Digest,
    after: Digest,
    added_bytes: u64,
    plan: Plan,
    notes: Vec<Note>,
}

/// What was done, and where it is.
#[derive(Serialize)]
struct Written {
    image: String,
    digest: Digest,
    images: Vec<Done>,
}

pub(crate) async fn run(args: &cli::Patch, global: &Global, cx: &Context) -> Result<(), Stop> {
    let progress = Progress::of(global);
    let target = place::target(&args.image, global, cx).await?;
    let patcher = archive::patcher(&args.selection)?;
    let plans = plans(args, &target, &patcher, global, cx).await?;
    if plans.values().all(Plan::is_empty) {
        let left: usize = plans.values().map(|plan| plan.unfixable.len()).sum();
        return Err(Stop::NothingToDo(Reason::yes(format!("no package would change; {left} findings are left"))));
    }
    let mut images = Vec::new();
    let mut done = Vec::new();
    for image in target.images().images() {
        let Some(plan) = plans.get(image.digest()).filter(|plan| !plan.is_empty()) else {
            images.push(image.clone());
            continue;
        };
        let name = format!("patch {}", image.platform());
        let (patched, notes) = progress.step(&name, apply(&patcher, image, plan, cx)).await?;
        done.push(Done {
            platform: image.platform().clone(),
            before: *image.digest(),
            after: *patched.digest(),
            added_bytes: place::added_bytes(image, &patched),
            plan: plan.clone(),
            notes,
        });
        images.push(patched);
    }
    let images_after = target.images().with_images(images)?;
    let store = place::store(&images_after, &args.to, global, cx);
    progress.step(&format!("write {}", args.to), store).await?;
    let written = Written { image: args.to.to_string(), digest: *images_after.digest(), images: done };
    output::print(global, &written, || text(&written)).map_err(Stop::from)
}

/// The plan for each chosen image: the given ones, or new ones.
async fn plans(
    args: &cli::Patch,
    target: &Target,
    patcher: &dyn Patcher,
    global: &Global,
    cx: &Context,
) -> Result<BTreeMap<Digest, Plan>> {
    let progress = Progress::of(global);
    let chosen = place::chosen(target, &args.platforms)?;
    if let Some(path) = &args.plan {
        return given(path, &chosen);
    }
    let scanner = plan::scanner(&args.selection, global, cx).await?;
    let mut plans = BTreeMap::new();
    for image in chosen {
        plans.insert(*image.digest(), plan::one(image, &scanner, patcher, progress, cx).await?.1);
    }
    Ok(plans)
}

fn given(path: &Path, chosen: &[&Image]) -> Result<BTreeMap<Digest, Plan>> {
    let invalid = |message: String| Error::invalid(message).during("read the plan").on(path.display());
    let text = fs::read(path).map_err(|error| invalid(error.to_string()))?;
    let plans: Vec<Plan> = serde_json::from_slice(&text).map_err(|error| invalid(error.to_string()))?;
    if let Some(other) = plans.iter().find(|plan| !chosen.iter().any(|image| *image.digest() == plan.subject)) {
        return Err(invalid(format!("it is for {}, which is not among the images to patch", other.subject)));
    }
    Ok(plans.into_iter().map(|plan| (plan.subject, plan)).collect())
}

async fn apply(patcher: &dyn Patcher, image: &Image, plan: &Plan, cx: &Context) -> Result<(Image, Vec<Note>), Stop> {
    match patcher.apply(image, plan, cx).await? {
        Application::Patched { image, notes } => Ok((image, notes)),
        Application::Refused(notes) => {
            let reason = |note: &Note| match note.class {
                NoteClass::Refuse => Reason::no(format!("{}: {}", note.subject, note.message)),
                NoteClass::Harmless | NoteClass::Review => Reason::yes(format!("{}: {}", note.subject, note.message)),
            };
            Err(Stop::Refused { stage: "patch", reasons: notes.iter().map(reason).collect() })
        }
    }
}

fn text(written: &Written) -> String {
    let mut text = String::new();
    for done in &written.images {
        text.push_str(&plan::table(&done.plan));
        let review: Vec<_> = done.notes.iter().filter(|note| note.class == NoteClass::Review).collect();
        let megabytes = done.added_bytes as f64 / 1e6;
        text.push_str(&format!(
            "{}: {megabytes:.1} MB added; {} scripts noted, {} to review\n",
            done.platform,
            done.notes.len(),
            review.len()
        ));
        review.iter().for_each(|note| text.push_str(&format!("  review {}: {}\n", note.subject, note.message)));
    }
    text + &format!("{}@{}\n", written.image, written.digest)
}
