//! What people and registries call things: what a name prints reads as the same name.

use std::{
    fmt::{Debug, Display},
    str::FromStr,
};

use patchkit_core::{AdvisoryId, Digest, Platform, Purl, Reference, Repository, Severity, image::FilePath};

fuzz_target!(|text: &str| {
    round_trip::<AdvisoryId>(text);
    round_trip::<Digest>(text);
    round_trip::<Platform>(text);
    round_trip::<Purl>(text);
    round_trip::<Reference>(text);
    round_trip::<Repository>(text);
    round_trip::<Severity>(text);
    if let Ok(purl) = text.parse::<Purl>() {
        assert_eq!(purl.parts().build(), Ok(purl));
    }
    if let Ok(path) = FilePath::new(text) {
        assert_eq!(FilePath::new(path.as_bytes()).as_ref(), Ok(&path));
        assert!(path.components().all(|part| !matches!(part, b"." | b"..")));
    }
});

fn round_trip<T: Debug + Display + FromStr + PartialEq>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        assert_eq!(value.to_string().parse().ok(), Some(value));
    }
}
