//! Relationships between packages: what one prints reads as the same.

use patchkit_scan::debian::control::dependency::{Dependencies, is_package_name};

fuzz_target!(|text: &str| {
    if let Ok(dependencies) = Dependencies::parse(text) {
        assert!(dependencies.relations().all(|relation| is_package_name(&relation.name)));
        assert_eq!(Dependencies::parse(&dependencies.to_string()).as_ref(), Ok(&dependencies));
    }
});
