//! What the programs share: a program holds all targets of a crate, and takes the name that it is called by for the
//! target's. The parsers and what they stand on are linked once a crate, not once a target. `.ci/fuzz` makes the names.

use std::{ffi::OsStr, path::PathBuf};

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

/// A program of the files that hold its targets.
macro_rules! targets {
    ($($name:ident,)*) => {
        $(mod $name;)*

        static TARGET: std::sync::LazyLock<fn(&[u8]) -> libfuzzer_sys::Corpus> =
            std::sync::LazyLock::new(|| program::called(&[$((stringify!($name), $name::run),)*]));

        libfuzzer_sys::fuzz_target!(
            init: std::sync::LazyLock::force(&TARGET),
            |data: &[u8]| -> libfuzzer_sys::Corpus { TARGET(data) }
        );
    };
}

/// The target of a program's own name, among `targets`.
pub(crate) fn called(targets: &[(&str, fn(&[u8]) -> Corpus)]) -> fn(&[u8]) -> Corpus {
    let program = PathBuf::from(std::env::args_os().next().unwrap_or_default());
    let name = program.file_name().unwrap_or_default();
    let found = targets.iter().find(|(target, _)| OsStr::new(target) == name);
    found.unwrap_or_else(|| panic!("no target is called {}, but: {}", name.display(), names(targets))).1
}

fn names(targets: &[(&str, fn(&[u8]) -> Corpus)]) -> String {
    targets.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" ")
}
