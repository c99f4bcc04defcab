//! The parts of a compiled database, read from bytes whose hash was not checked.

use super::{
    AdvisoryStore, database,
    record::{self, Head},
    source,
};

/// Reads bytes as each part of a database, and as an index that is hashed well.
pub(crate) fn read(bytes: &[u8]) {
    let _ = Head::parse(bytes);
    let _ = source::parse(bytes);
    let _ = record::vulnerability(bytes);
    let _ = record::claims(bytes, &["a".into(), "b".into()]);
    let Some((facts, index)) = bytes.split_first() else { return };
    let sealed = database::sealed(index, index.len().saturating_sub(usize::from(*facts)));
    let _ = AdvisoryStore::of_bytes(sealed).and_then(|store| store.verify());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn nonsense_is_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..96)) {
            super::read(&bytes);
        }
    }
}
