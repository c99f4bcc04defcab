//! The JSON documents of an image, each kept byte for byte; nothing is both a manifest and an index.

use bytes::Bytes;
use patchkit_core::{Config, Digest, Index, Manifest, ManifestBytes, MediaType};

fuzz_target!(|data: &[u8]| {
    let bytes = Bytes::copy_from_slice(data);
    let of = |media_type| ManifestBytes { media_type, bytes: bytes.clone() };
    let manifest = Manifest::parse(&of(MediaType::OCI_MANIFEST));
    let index = Index::parse(&of(MediaType::OCI_INDEX));
    assert!(manifest.is_err() || index.is_err());
    if let Ok(manifest) = manifest {
        assert!(!manifest.layers().is_empty());
        assert_eq!(manifest.descriptor().digest, Digest::of(data));
    }
    if let Ok(index) = index {
        assert_eq!(index.bytes().bytes, data);
    }
    if let Ok(config) = Config::parse(bytes.clone()) {
        assert_eq!(config.digest(), Digest::of(data));
        let _ = (config.platform(), config.labels(), config.history_layers());
    }
});
