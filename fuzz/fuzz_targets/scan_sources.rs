//! Lists of package sources, in both forms: nothing is fetched from elsewhere than the address named.

use patchkit_scan::debian::apt::sources::{Suite, parse_sources};

fuzz_target!(|data: &[u8]| {
    for file in ["a.list", "a.sources"] {
        for source in parse_sources(file, data).unwrap_or_default() {
            assert!(source.uri.query().is_none() && source.uri.fragment().is_none());
            assert!(source.release_folder().as_str().starts_with(source.uri.as_str()));
            if let Suite::Distribution { components, .. } = &source.suite {
                assert!(!components.is_empty());
            }
            let _ = (source.to_string(), source.index_paths("amd64"), source.offers("amd64"));
        }
    }
});
