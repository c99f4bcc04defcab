//! An image around a layer.

use jiff::Timestamp;
use patchkit_core::{
    Descriptor, Error, Image, ManifestBytes, MediaType, Platform, Result,
    image::{Config, Layer, Manifest},
};
use serde_json::{Map, Value, json};

/// Debian's words for architectures, and those of images.
const ARCHITECTURES: [(&str, &str); 11] = [
    ("amd64", "linux/amd64"),
    ("arm64", "linux/arm64"),
    ("armel", "linux/arm/v5"),
    ("armhf", "linux/arm/v7"),
    ("i386", "linux/386"),
    ("loong64", "linux/loong64"),
    ("mips64el", "linux/mips64le"),
    ("mipsel", "linux/mipsle"),
    ("ppc64el", "linux/ppc64le"),
    ("riscv64", "linux/riscv64"),
    ("s390x", "linux/s390x"),
];

/// The platform of one of Debian's architectures.
pub(super) fn platform(architecture: &str) -> Result<Platform> {
    let known = ARCHITECTURES.iter().find(|(debian, _)| *debian == architecture);
    let (_, platform) = known
        .ok_or_else(|| Error::unsupported(format!("images have no platform for the architecture {architecture:?}")))?;
    Ok(platform.parse().expect("a constant"))
}

/// The image of one layer.
pub(super) fn assemble(
    platform: &Platform,
    execution: Map<String, Value>,
    layer: Layer,
    created_by: &str,
    time: Timestamp,
) -> Result<Image> {
    let mut config = json!({
        "created": time.to_string(),
        "architecture": platform.architecture(),
        "os": platform.os(),
        "config": execution,
        "rootfs": { "type": "layers", "diff_ids": [layer.diff_id()] },
        "history": [{ "created": time.to_string(), "created_by": created_by }],
    });
    if let Some(variant) = platform.variant() {
        config["variant"] = variant.into();
    }
    let config = Config::parse(render(&config).into())?;
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST,
        "config": Descriptor::of(MediaType::OCI_CONFIG, config.bytes()),
        "layers": [layer.blob().descriptor()],
    });
    let bytes = ManifestBytes { media_type: MediaType::OCI_MANIFEST, bytes: render(&manifest).into() };
    Image::assemble(Manifest::parse(&bytes)?, config, vec![layer.blob().clone()])
}

fn render(document: &Value) -> Vec<u8> {
    serde_json::to_vec(document).expect("a JSON value has only string keys")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_architecture_has_its_platform() {
        for (debian, text) in ARCHITECTURES {
            assert_eq!(platform(debian).unwrap().to_string(), text);
        }
        assert_eq!(platform("hurd-i386").unwrap_err().kind(), patchkit_core::ErrorKind::Unsupported);
    }
}
