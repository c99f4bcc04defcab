use std::io::{self, Read, SeekFrom};

use crate::inventory::ReadSeek;

/// How many bytes [`Source::pieces`] reads at once, besides the overlap.
const PIECE: usize = 1 << 20;

/// A file that is read in small pieces at any place.
pub(in crate::language) struct Source<'a> {
    reader: &'a mut dyn ReadSeek,
    length: u64,
}

impl<'a> Source<'a> {
    /// A file of the given length.
    pub(in crate::language) fn new(reader: &'a mut dyn ReadSeek, length: u64) -> Self {
        Self { reader, length }
    }

    /// The bytes from `offset` on, at most `most` of them, and fewer where the file ends before.
    pub(in crate::language) fn read(&mut self, offset: u64, most: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        if offset < self.length && most > 0 {
            self.reader.seek(SeekFrom::Start(offset))?;
            let length = (self.length - offset).min(most as u64);
            bytes.reserve_exact(length as usize);
            (&mut *self.reader).take(length).read_to_end(&mut bytes)?;
        }
        Ok(bytes)
    }

    /// Exactly these bytes; `None` where the file does not have them.
    pub(in crate::language) fn exact(&mut self, offset: u64, length: usize) -> io::Result<Option<Vec<u8>>> {
        if offset.checked_add(length as u64).is_none_or(|end| end > self.length) {
            return Ok(None);
        }
        let bytes = self.read(offset, length)?;
        Ok((bytes.len() == length).then_some(bytes))
    }

    /// Shows the whole file piece by piece, each but the first beginning with the last `overlap` bytes of the one before,
    /// until `look` says `false`. Its other argument is how many bytes of the file come after the piece.
    pub(in crate::language) fn pieces(
        &mut self,
        overlap: usize,
        mut look: impl FnMut(&[u8], u64) -> bool,
    ) -> io::Result<()> {
        self.reader.seek(SeekFrom::Start(0))?;
        let mut piece = Vec::with_capacity(PIECE + overlap);
        let mut left = self.length;
        loop {
            let read = (&mut *self.reader).take(PIECE as u64).read_to_end(&mut piece)?;
            left = left.saturating_sub(read as u64);
            if read == 0 || !look(&piece, left) {
                return Ok(());
            }
            piece.drain(..piece.len().saturating_sub(overlap));
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn nothing_is_read_beyond_the_end() {
        let mut file = Cursor::new(b"0123456789");
        let mut source = Source::new(&mut file, 10);
        assert_eq!(source.read(7, 100).unwrap(), b"789");
        assert_eq!(source.read(u64::MAX, 1).unwrap(), b"");
        assert_eq!(source.exact(8, 2).unwrap().unwrap(), b"89");
        assert_eq!(source.exact(8, 3).unwrap(), None);
        assert_eq!(source.exact(u64::MAX, 3).unwrap(), None);
    }

    #[test]
    fn a_word_on_the_border_of_two_pieces_is_in_one() {
        let mut bytes = vec![b'.'; PIECE * 2 + 17];
        bytes[PIECE - 2..PIECE + 2].copy_from_slice(b"word");
        let length = bytes.len() as u64;
        let mut file = Cursor::new(bytes);
        let (mut found, mut seen) = (0, 0);
        let mut source = Source::new(&mut file, length);
        let look = |piece: &[u8], _| {
            found += usize::from(memchr::memmem::find(piece, b"word").is_some());
            seen += 1;
            true
        };
        source.pieces(3, look).unwrap();
        assert_eq!((found, seen), (1, 3));
    }
}
