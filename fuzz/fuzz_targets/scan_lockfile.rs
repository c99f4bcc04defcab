//! Lock files of programming languages, and what is installed with a package; the first byte tells which kind it is.

fuzz_target!(|data: &[u8]| patchkit_scan::fuzzing::lockfile(data));
