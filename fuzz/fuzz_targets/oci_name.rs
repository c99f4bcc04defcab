//! Where an image is: what a name prints reads as the same name.

use patchkit_oci::ImageName;

fuzz_target!(|text: &str| {
    if let Ok(name) = text.parse::<ImageName>() {
        assert_eq!(name.to_string().parse().as_ref(), Ok(&name));
    }
});
