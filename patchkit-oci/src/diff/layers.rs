use patchkit_core::{Digest, Layer};
use serde::Serialize;

/// Which of the images has a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// Only the new one.
    Added,
    /// Both, unpacked to the same.
    Kept,
    /// Only the old one.
    Removed,
}

/// A layer of one or both images.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LayerDifference {
    /// Which image has it.
    pub presence: Presence,
    /// The digest of its uncompressed bytes.
    pub diff_id: Digest,
    /// The digest as it is stored; in the new image where both have it.
    pub digest: Digest,
    /// The size as it is stored, in bytes.
    pub size: u64,
}

impl LayerDifference {
    fn new(presence: Presence, layer: &Layer) -> Self {
        let size = layer.blob().descriptor().size;
        Self { presence, diff_id: *layer.diff_id(), digest: *layer.digest(), size }
    }
}

/// How many layers both images begin with.
pub(super) fn shared(old: &[Layer], new: &[Layer]) -> usize {
    old.iter().zip(new).take_while(|(old, new)| old.diff_id() == new.diff_id()).count()
}

/// The layers of both in order: as many kept as can be (a longest common subsequence).
pub(super) fn compare(old: &[Layer], new: &[Layer]) -> Vec<LayerDifference> {
    let base = shared(old, new);
    let kept = new[..base].iter().map(|layer| LayerDifference::new(Presence::Kept, layer));
    let mut differences: Vec<_> = kept.collect();
    let (old, new) = (&old[base..], &new[base..]);
    let longest = longest(old, new);
    let (mut i, mut j) = (0, 0);
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i].diff_id() == new[j].diff_id() {
            differences.push(LayerDifference::new(Presence::Kept, &new[j]));
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || (i < old.len() && longest[i + 1][j] >= longest[i][j + 1]) {
            differences.push(LayerDifference::new(Presence::Removed, &old[i]));
            i += 1;
        } else {
            differences.push(LayerDifference::new(Presence::Added, &new[j]));
            j += 1;
        }
    }
    differences
}

/// How many layers can be kept from each pair of places on.
fn longest(old: &[Layer], new: &[Layer]) -> Vec<Vec<usize>> {
    let mut longest = vec![vec![0; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            longest[i][j] = match old[i].diff_id() == new[j].diff_id() {
                true => longest[i + 1][j + 1] + 1,
                false => longest[i + 1][j].max(longest[i][j + 1]),
            };
        }
    }
    longest
}

#[cfg(test)]
mod tests {
    use patchkit_core::{Blob, MediaType};

    use super::*;

    fn layers(names: &str) -> Vec<Layer> {
        let layer = |name: char| {
            let blob = Blob::of(MediaType::OCI_LAYER, name.to_string());
            let digest = blob.descriptor().digest;
            Layer::new(blob, digest)
        };
        names.chars().map(layer).collect()
    }

    fn shown(old: &str, new: &str) -> String {
        let sign = |difference: LayerDifference| match difference.presence {
            Presence::Added => '+',
            Presence::Kept => '=',
            Presence::Removed => '-',
        };
        compare(&layers(old), &layers(new)).into_iter().map(sign).collect()
    }

    #[test]
    fn as_many_layers_are_kept_as_can_be() {
        for (old, new, expected) in [
            ("", "", ""),
            ("ab", "ab", "=="),
            ("ab", "abc", "==+"),
            ("abc", "ab", "==-"),
            ("abc", "axc", "=-+="),
            ("abcd", "bd", "-=-="),
            ("a", "b", "-+"),
        ] {
            assert_eq!(shown(old, new), expected, "{old} {new}");
        }
    }
}
