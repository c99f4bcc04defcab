//! Every fuzz target in one program, which takes the name that it is called by for the target's: the parsers and what
//! they stand on are compiled and linked once, not once a target. `.ci/fuzz` makes the links.
#![no_main]

use std::{ffi::OsStr, path::PathBuf, sync::LazyLock};

use libfuzzer_sys::Corpus;

/// A target: `fuzz_target!(|data: TYPE| { ... })`, where TYPE is `&[u8]`, `&str` or what else is `Arbitrary`.
macro_rules! fuzz_target {
    (|$data:ident: $type:ty| $body:expr) => {
        pub(crate) fn run(bytes: &[u8]) -> libfuzzer_sys::Corpus {
            use libfuzzer_sys::{
                Corpus,
                arbitrary::{Arbitrary, Unstructured},
            };

            if bytes.len() < <$type as Arbitrary>::size_hint(0).0 {
                return Corpus::Reject;
            }
            match <$type as Arbitrary>::arbitrary_take_rest(Unstructured::new(bytes)) {
                Ok(data) => test(data).into(),
                Err(_) => Corpus::Reject,
            }
        }

        // Not inlined: a stack trace names the target.
        #[inline(never)]
        fn test($data: $type) {
            $body
        }
    };
}

/// The files of this folder that hold a target.
macro_rules! targets {
    ($($name:ident,)*) => {
        $(mod $name;)*
        const TARGETS: &[(&str, fn(&[u8]) -> Corpus)] = &[$((stringify!($name), $name::run),)*];
    };
}

targets! {
    core_documents,
    core_layer,
    core_names,
    core_tar,
    oci_archive,
    oci_bundle,
    oci_http,
    oci_layout,
    oci_name,
    oci_user,
    rollout_coverage,
    rollout_elf,
    rollout_hardening,
    rollout_openapi,
    rollout_test_report,
    scan_advisory,
    scan_apk,
    scan_changelog,
    scan_control,
    scan_database,
    scan_deb,
    scan_dependency,
    scan_dpkg,
    scan_elf,
    scan_executable,
    scan_index,
    scan_jar,
    scan_ld_so,
    scan_lockfile,
    scan_os_release,
    scan_preferences,
    scan_release,
    scan_report_in,
    scan_rpm_header,
    scan_rpmdb,
    scan_script,
    scan_sources,
    scan_version,
    scan_vex,
}

static TARGET: LazyLock<fn(&[u8]) -> Corpus> = LazyLock::new(|| {
    let program = PathBuf::from(std::env::args_os().next().unwrap_or_default());
    let name = program.file_name().unwrap_or_default();
    let found = TARGETS.iter().find(|(target, _)| OsStr::new(target) == name);
    found.unwrap_or_else(|| panic!("no target is called {}, but: {}", name.display(), names())).1
});

fn names() -> String {
    TARGETS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" ")
}

libfuzzer_sys::fuzz_target!(init: LazyLock::force(&TARGET), |data: &[u8]| -> Corpus { TARGET(data) });
