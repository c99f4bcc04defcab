//! A row's record: a list of types, followed by their values.

use super::super::DatabaseError;

/// A value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Blob(&'a [u8]),
    Float,
    Integer(i64),
    Null,
    Text(&'a [u8]),
}

/// The value of a column, counted from zero; null where the row has fewer.
///
/// # Errors
/// [`DatabaseError`] with the column that goes beyond the record.
pub(super) fn column(record: &[u8], column: u8) -> Result<Value<'_>, DatabaseError> {
    let cut = |column| DatabaseError::at("column", column, "the record is cut off");
    let (length, start) = varint(record).ok_or_else(|| cut(0))?;
    let (types, mut values) =
        usize::try_from(length).ok().and_then(|end| record.split_at_checked(end)).ok_or_else(|| cut(0))?;
    let mut types = types.get(start..).ok_or_else(|| cut(0))?;
    for n in 0..=column {
        let Some((kind, length)) = varint(types) else { break };
        types = &types[length..];
        let (value, rest) = size(kind).and_then(|size| values.split_at_checked(size)).ok_or_else(|| cut(n))?;
        if n == column {
            return read(kind, value).ok_or_else(|| DatabaseError::at("column", n, "a type that is not known"));
        }
        values = rest;
    }
    Ok(Value::Null)
}

/// How many bytes a value of a type takes.
fn size(kind: u64) -> Option<usize> {
    Some(match kind {
        0 | 8..=11 => 0,
        1..=4 => kind as usize,
        5 => 6,
        6 | 7 => 8,
        _ => usize::try_from((kind - 12) / 2).ok()?,
    })
}

fn read(kind: u64, value: &[u8]) -> Option<Value<'_>> {
    Some(match kind {
        0 => Value::Null,
        1..=6 => Value::Integer(integer(value)),
        7 => Value::Float,
        8 => Value::Integer(0),
        9 => Value::Integer(1),
        10 | 11 => return None,
        _ if kind.is_multiple_of(2) => Value::Blob(value),
        _ => Value::Text(value),
    })
}

/// A signed number of up to eight bytes.
fn integer(bytes: &[u8]) -> i64 {
    let sign = bytes.first().map_or(0, |byte| if byte & 0x80 == 0 { 0 } else { -1 });
    bytes.iter().fold(sign, |number, byte| number << 8 | i64::from(*byte))
}

/// A number of one to nine bytes, of which each but the ninth has seven bits and says whether there are more; and how
/// many bytes it has.
pub(super) fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut number = 0;
    for (n, byte) in bytes.iter().enumerate().take(8) {
        number = number << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((number, n + 1));
        }
    }
    Some((number << 8 | u64::from(*bytes.get(8)?), 9))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_up_to_nine_bytes() {
        assert_eq!(varint(&[0x7f]), Some((127, 1)));
        assert_eq!(varint(&[0x81, 0x00]), Some((128, 2)));
        assert_eq!(varint(&[0xff; 9]), Some((u64::MAX, 9)));
        assert_eq!(varint(&[0xff; 8]), None);
        assert_eq!(varint(&[]), None);
    }

    #[test]
    fn columns_are_told_apart_by_their_types() {
        let record = [7, 0, 1, 2, 9, 15, 16, 0xfe, 0xff, 0x01, b'x', 1, 2];
        let expected = [
            Value::Null,
            Value::Integer(-2),
            Value::Integer(-255),
            Value::Integer(1),
            Value::Text(b"x"),
            Value::Blob(&[1, 2]),
        ];
        for (n, expected) in expected.into_iter().enumerate() {
            assert_eq!(column(&record, n as u8), Ok(expected), "{n}");
        }
        assert_eq!(column(&record, 6), Ok(Value::Null));
        assert_eq!(column(&record[..12], 5).unwrap_err().to_string(), "column 5: the record is cut off");
        assert_eq!(column(&[2, 10], 0).unwrap_err().to_string(), "column 0: a type that is not known");
        assert!(column(&[], 0).is_err() && column(&[9], 0).is_err() && column(&[0], 0).is_err());
    }
}
