//! # From a reference to a release
//!
//! ```text
//! Target ▶ Scanned ▶ Planned ▶ Patched ▶ Verified ▶ Approved ▶ Signed ▶ Released
//!        scan     plan      apply     verify      approve    sign     release
//! ```
//!
//! A [`Target`](crate::Target) is one reference with all the images it names: one, or an index with one for each
//! platform. Each step takes the link before and adds what it found out; nothing is changed in place. The last link
//! therefore *is* the provenance: `released.signed().approved().verified().patched().planned()` leads back to the start,
//! and reports, attestations and ledger entries are read off it.
//!
//! From [`Verified`](crate::Verified) on, a link is a witness. Only the engine makes one, and only when the step before
//! it said yes, so a function that takes an `&Approved` cannot be called with something that nobody approved.
//!
//! ```
//! use std::sync::Arc;
//! use patchkit_core::{
//!     Context, Decision, Pipeline, Reason, Released, Stop, Target, Verdict,
//!     memory::{
//!         LabelPatcher, MemoryDeployer, MemoryGate, MemoryLedger, MemoryRegistry, MemoryScanner, MemorySigner,
//!         MemoryVerifier,
//!     },
//! };
//!
//! /// Takes what a tag names through the whole chain.
//! async fn patch(registry: MemoryRegistry, scanner: MemoryScanner, cx: &Context) -> Result<Arc<Released>, Stop> {
//!     let starts = MemoryVerifier::new("starts", |patched| {
//!         let reasons = vec![Reason::yes("it starts")];
//!         Ok(Verdict { subject: *patched.images().digest(), reasons, evidence: vec![] })
//!     });
//!     let always = MemoryGate::new("always", |_| Ok(Decision::Allow { reason: Reason::yes("it is a test") }));
//!     let pipeline = Pipeline::new()
//!         .scan(scanner)
//!         .patch(LabelPatcher::new("org.example.patched"))
//!         .verify(starts)
//!         .approve(always)
//!         .sign(MemorySigner::new("me"))
//!         .release(MemoryDeployer::default())
//!         .recorded_in(MemoryLedger::default());
//!     let reference = "example.org/app:1".parse().expect("it is a reference");
//!     let target = Target::open(Arc::new(registry), reference, cx).await?;
//!     pipeline.run(target, cx).await
//! }
//! ```
//!
//! A step that is left out is a step that is not there: the compiler says `no method named sign found for struct
//! Pipeline<Patched>`. [`Pipeline::via`](crate::Pipeline::via) takes a stage of your own at any point.
//!
//! ## Running again
//!
//! A run that crashed, or that waits for a person, is resumed by running the same pipeline on the same target again.
//! With a ledger, what a plugin of the same name, version and configuration made of the same input is taken from there.
//! Witnesses are never stored: the verdict may come from the record, the decision of a gate never does. What rests on
//! something that is accepted for a time says [until](method@crate::Reason::until) when, and is asked again after that.
