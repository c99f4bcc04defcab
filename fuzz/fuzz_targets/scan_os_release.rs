//! `os-release`: a distribution always has an id, and every assignment is told.

use patchkit_scan::{advisory::Scope, os_release};

fuzz_target!(|data: &[u8]| {
    let assignments = os_release::assignments(data);
    match os_release::parse(data) {
        Ok(distribution) => {
            let id = assignments.expect("both read the same").remove("ID").filter(|id| !id.is_empty());
            assert_eq!(distribution.id, id.unwrap_or_else(|| "linux".into()));
            let _ = Scope::of(&distribution).to_string();
        }
        Err(error) => assert_eq!(assignments, Err(error)),
    }
});
