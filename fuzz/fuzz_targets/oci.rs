//! The targets of patchkit-oci.
#![no_main]

#[macro_use]
mod program;

targets! {
    oci_archive,
    oci_bundle,
    oci_http,
    oci_layout,
    oci_name,
    oci_user,
}
