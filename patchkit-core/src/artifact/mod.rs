//! The chain: `Target ▶ Scanned ▶ Planned ▶ Patched ▶ Verified ▶ Approved ▶ Signed ▶ Released`.
//!
//! Each link holds the one it came from and what it adds, so the last one is the provenance of the whole. Links from
//! [`Verified`] on are witnesses: only the engine makes them, and none is ever read back from storage.

mod approved;
mod patched;
mod planned;
mod released;
mod scanned;
mod signed;
mod target;
mod verified;

pub use approved::Approved;
pub use patched::Patched;
pub use planned::Planned;
pub use released::Released;
pub use scanned::Scanned;
pub use signed::Signed;
pub use target::Target;
pub use verified::Verified;

use crate::{Digest, Error, ImageSet, Result};

/// Checks that there is one subject for each image of the set, in its order.
fn same_images<'a>(what: &str, subjects: impl ExactSizeIterator<Item = &'a Digest>, images: &ImageSet) -> Result<()> {
    if subjects.len() != images.images().len() {
        return Err(Error::invalid(format!("{} {what}s for {} images", subjects.len(), images.images().len())));
    }
    for (subject, image) in subjects.zip(images.images()) {
        if subject != image.digest() {
            return Err(Error::invalid(format!("the {what} is about {subject}")).on(image.digest()));
        }
    }
    Ok(())
}
