//! What the checks that look at images alone have in common: each image before and after its patch.

use patchkit_core::{Evidence, Image, MediaType, Patched, Plan, Platform, Reason};
use serde::Serialize;

/// An image before and after the patch, and the plan between them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair<'a> {
    pub(super) before: &'a Image,
    pub(super) after: &'a Image,
    pub(super) plan: &'a Plan,
}

/// The images of a patched target, in their order.
pub(super) fn pairs(patched: &Patched) -> impl Iterator<Item = Pair<'_>> {
    let planned = patched.planned();
    let before = planned.scanned().target().images().images();
    let sides = before.iter().zip(patched.images().images()).zip(planned.plans());
    sides.map(|((before, after), plan)| Pair { before, after, plan })
}

/// A JSON document about one image of several: `KIND-linux-amd64-0123456789ab.json`.
pub(super) fn evidence(kind: &str, image: &Image, content: &impl Serialize) -> Evidence {
    let platform = image.platform().to_string().replace('/', "-");
    Evidence {
        name: format!("{kind}-{platform}-{}.json", image.digest().short()),
        media_type: MediaType::new("application/json"),
        content: serde_json::to_string(content).expect("what was found has only string keys"),
    }
}

/// One reason about an image that holds where all that it rests on does.
pub(super) fn together(message: impl Into<String>, because: Vec<Reason>) -> Reason {
    Reason::of(because.iter().all(|reason| reason.holds), message, because)
}

/// One reason about a platform's image, in one of two ways of saying it: that all it rests on holds, or that it does not.
pub(super) fn judged(platform: &Platform, [well, ill]: [&str; 2], because: Vec<Reason>) -> Reason {
    let holds = because.iter().all(|reason| reason.holds);
    Reason::of(holds, format!("{platform} {}", if holds { well } else { ill }), because)
}
