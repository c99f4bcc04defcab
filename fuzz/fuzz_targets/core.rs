//! The targets of patchkit-core.
#![no_main]

#[macro_use]
mod program;

targets! {
    core_documents,
    core_layer,
    core_names,
    core_tar,
}
