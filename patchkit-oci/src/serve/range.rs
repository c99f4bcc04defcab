//! The parts of blobs that HTTP speaks of: `Range` (RFC 9110, 14.2) and `Content-Range` of uploads (distribution
//! specification, "Pushing a blob in chunks").

/// Which part of a blob a `Range` header asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// All of it: there is no header, or one that may be ignored.
    Everything,
    /// From the first up to, not including, the second byte.
    Part(u64, u64),
    /// A part that does not exist.
    Unsatisfiable,
}

/// Reads a `Range` header for content of the given size. Several ranges and what is no range are ignored, as RFC 9110
/// allows.
#[must_use]
pub fn parse_range(header: &str, size: u64) -> Asked {
    let Some((first, last)) = header.trim().strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Asked::Everything;
    };
    match (number(first), number(last), first.trim().is_empty(), last.trim().is_empty()) {
        (Some(first), Some(last), ..) if first > last => Asked::Everything,
        (Some(first), ..) if first >= size && (number(last).is_some() || last.trim().is_empty()) => {
            Asked::Unsatisfiable
        }
        (Some(first), Some(last), ..) => Asked::Part(first, last.saturating_add(1).min(size)),
        (Some(first), None, _, true) => Asked::Part(first, size),
        (None, Some(0), true, _) => Asked::Unsatisfiable,
        (None, Some(count), true, _) if size > 0 => Asked::Part(size.saturating_sub(count), size),
        (None, Some(_), true, _) => Asked::Unsatisfiable,
        _ => Asked::Everything,
    }
}

/// Reads the `Content-Range` of a chunk: the first and, inclusive, the last byte. `bytes` before and the whole's size
/// after it, which some clients send, are left out.
#[must_use]
pub fn parse_content_range(header: &str) -> Option<(u64, u64)> {
    let header = header.trim();
    let range = header.strip_prefix("bytes").map_or(header, |rest| rest.trim_start_matches([' ', '=']));
    let range = range.split_once('/').map_or(range, |(range, _)| range);
    let (first, last) = range.split_once('-')?;
    let (first, last) = (number(first)?, number(last)?);
    (first <= last).then_some((first, last))
}

fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges() {
        for (header, asked) in [
            ("bytes=0-4", Asked::Part(0, 5)),
            ("bytes=3-", Asked::Part(3, 10)),
            ("bytes=-3", Asked::Part(7, 10)),
            ("bytes=-30", Asked::Part(0, 10)),
            ("bytes=8-99", Asked::Part(8, 10)),
            ("bytes=9-18446744073709551615", Asked::Part(9, 10)),
            ("bytes=10-", Asked::Unsatisfiable),
            ("bytes=10-11", Asked::Unsatisfiable),
            ("bytes=-0", Asked::Unsatisfiable),
            ("bytes=5-4", Asked::Everything),
            ("bytes=0-1,3-4", Asked::Everything),
            ("bytes=-", Asked::Everything),
            ("bytes=+1-2", Asked::Everything),
            ("lines=1-2", Asked::Everything),
            ("bytes=99999999999999999999-", Asked::Everything),
        ] {
            assert_eq!(parse_range(header, 10), asked, "{header}");
        }
        assert_eq!(parse_range("bytes=-1", 0), Asked::Unsatisfiable);
    }

    #[test]
    fn content_ranges() {
        for (header, range) in [
            ("0-1023", Some((0, 1023))),
            ("bytes 5-9/10", Some((5, 9))),
            ("bytes=5-9", Some((5, 9))),
            ("9-5", None),
            ("-5", None),
            ("5-", None),
            ("*", None),
            ("", None),
        ] {
            assert_eq!(parse_content_range(header), range, "{header}");
        }
    }

    proptest! {
        #[test]
        fn a_part_lies_inside(header in "bytes=[0-9]{0,20}-[0-9]{0,20}", size in any::<u64>()) {
            if let Asked::Part(start, end) = parse_range(&header, size) {
                prop_assert!(start < end && end <= size);
            }
        }

        #[test]
        fn never_panics(header in "\\PC{0,40}") {
            let _ = (parse_range(&header, 10), parse_content_range(&header));
        }
    }
}
