//! The 512 bytes before every member: POSIX.1-1988 (ustar), its predecessor of V7, star's and GNU's dialects.

use super::Reason;

pub(super) const BLOCK: usize = 512;

/// The largest number that eleven octal digits hold: what the size field of ustar can say.
pub(super) const MAX_OCTAL: u64 = 0o77_777_777_777;

/// The fields of a header, as they stand there.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) name: Vec<u8>,
    pub(super) mode: u32,
    pub(super) uid: u64,
    pub(super) gid: u64,
    pub(super) size: u64,
    pub(super) mtime: i64,
    pub(super) flag: u8,
    pub(super) link: Vec<u8>,
    pub(super) major: u32,
    pub(super) minor: u32,
}

impl Header {
    pub(super) fn parse(block: &[u8; BLOCK]) -> Result<Self, Reason> {
        check_sum(block)?;
        let ustar = block[257..].starts_with(b"ustar");
        Ok(Self {
            name: name(block),
            mode: unsigned("mode", &block[100..108])? as u32 & 0o7777,
            uid: unsigned("uid", &block[108..116])?,
            gid: unsigned("gid", &block[116..124])?,
            size: unsigned("size", &block[124..136])?,
            mtime: number("mtime", &block[136..148])?,
            flag: block[156],
            link: until_nul(&block[157..257]).to_vec(),
            major: if ustar { device("major", &block[329..337])? } else { 0 },
            minor: if ustar { device("minor", &block[337..345])? } else { 0 },
        })
    }

    /// Whether what follows belongs to the next header and is no member itself.
    pub(super) fn is_extension(&self) -> bool {
        matches!(self.flag, b'x' | b'g' | b'L' | b'K')
    }
}

/// The name; ustar and star have room for its directories elsewhere, while GNU keeps other things there.
fn name(block: &[u8; BLOCK]) -> Vec<u8> {
    let name = until_nul(&block[..100]);
    let prefix = match &block[257..263] {
        b"ustar\0" if &block[508..512] == b"tar\0" => until_nul(&block[345..476]),
        b"ustar\0" => until_nul(&block[345..500]),
        _ => &[],
    };
    if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() }
}

/// The sum of all bytes, with blanks for itself; some old writers took the bytes for signed ones.
fn check_sum(block: &[u8; BLOCK]) -> Result<(), Reason> {
    let said = number("checksum", &block[148..156])?;
    let rest = || block[..148].iter().chain(&block[156..]);
    let unsigned: i64 = rest().map(|byte| i64::from(*byte)).sum::<i64>() + 8 * 32;
    let signed: i64 = rest().map(|byte| i64::from(*byte as i8)).sum::<i64>() + 8 * 32;
    if said != unsigned && said != signed {
        return Err(Reason::corrupt(format!("the header's checksum is {unsigned}, not {said}: this is no tar header")));
    }
    Ok(())
}

fn device(what: &str, field: &[u8]) -> Result<u32, Reason> {
    let number = unsigned(what, field)?;
    u32::try_from(number).map_err(|_| Reason::corrupt(format!("{what} is {number}, too large for a device")))
}

fn unsigned(what: &str, field: &[u8]) -> Result<u64, Reason> {
    let number = number(what, field)?;
    u64::try_from(number).map_err(|_| Reason::corrupt(format!("{what} is negative, {number}")))
}

/// A number: octal digits, blanks before and blanks or NULs after, or, with the first bit set, GNU's binary.
fn number(what: &str, field: &[u8]) -> Result<i64, Reason> {
    let bad = || Reason::corrupt(format!("{what} is no number: {:?}", super::printable(field)));
    if field[0] & 0x80 != 0 {
        return binary(field).ok_or_else(bad);
    }
    let start = field.iter().position(|byte| *byte != b' ').unwrap_or(field.len());
    let digits = field[start..].iter().take_while(|byte| !matches!(byte, b' ' | 0)).count();
    let (digits, rest) = field[start..].split_at(digits);
    let clean =
        digits.iter().all(|byte| matches!(byte, b'0'..=b'7')) && rest.iter().all(|byte| matches!(byte, b' ' | 0));
    if !clean {
        return Err(bad());
    }
    Ok(digits.iter().fold(0, |number, digit| number << 3 | i64::from(digit - b'0')))
}

/// A two's complement number in all bits but the first, the largest first; `None` where it needs more than 64 bits.
fn binary(field: &[u8]) -> Option<i64> {
    let negative = field[0] & 0x40 != 0;
    let first = if negative { field[0] } else { field[0] & 0x7f };
    let (high, low) = field.split_at(field.len().saturating_sub(8));
    let fill = if negative { 0xff } else { 0 };
    let mut bytes = [fill; 8];
    bytes[8 - low.len()..].copy_from_slice(low);
    if high.is_empty() {
        bytes[8 - low.len()] = first;
    } else if first != fill || high[1..].iter().any(|byte| *byte != fill) {
        return None;
    }
    let number = i64::from_be_bytes(bytes);
    ((number < 0) == negative).then_some(number)
}

fn until_nul(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_octal_and_binary() {
        let cases: [(&[u8], Option<i64>); 12] = [
            (b"0000644\0", Some(0o644)),
            (b"   644 \0", Some(0o644)),
            (b"77777777777\0", Some(0o77_777_777_777)),
            (b"\0\0\0\0\0\0\0\0", Some(0)),
            (b"0000648\0", None),
            (b"644\x001234", None),
            (b"-0000644", None),
            (b"\x80\0\0\0\0\0\x01\0", Some(256)),
            (b"\x80\0\0\0\0\0\0\x02\0\0\0\0", Some(2 << 32)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xfe", Some(-2)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe", Some(-2)),
            (b"\x80\0\0\x01\0\0\0\0\0\0\0\0", None),
        ];
        for (field, expected) in cases {
            assert_eq!(number("field", field).ok(), expected, "{field:?}");
        }
    }
}
