//! What is read off a finished run: a summary, and the same as a page.

mod html;
mod summary;

pub use html::page;
pub use summary::{FixedFinding, ImageSummary, Summary};
