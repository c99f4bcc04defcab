//! Reading numbers out of pages, and what keeps pages from being used twice.

use super::DatabaseError;

/// The order of the bytes of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ByteOrder {
    Big,
    Little,
}

impl ByteOrder {
    /// The number at a place of two bytes.
    pub(super) fn u16(self, bytes: &[u8], at: usize) -> Option<u16> {
        let bytes = *bytes.get(at..)?.first_chunk()?;
        Some(match self {
            Self::Big => u16::from_be_bytes(bytes),
            Self::Little => u16::from_le_bytes(bytes),
        })
    }

    /// The number at a place of four bytes.
    pub(super) fn u32(self, bytes: &[u8], at: usize) -> Option<u32> {
        let bytes = *bytes.get(at..)?.first_chunk()?;
        Some(match self {
            Self::Big => u32::from_be_bytes(bytes),
            Self::Little => u32::from_le_bytes(bytes),
        })
    }
}

/// The pages that were read: each belongs to one thing only, so that no chain or tree of a damaged file goes in circles.
pub(super) struct UsedPages(Vec<bool>);

impl UsedPages {
    /// None of so many pages is used yet.
    pub(super) fn new(pages: usize) -> Self {
        Self(vec![false; pages])
    }

    /// Takes a page.
    ///
    /// # Errors
    /// Where the file does not have that many, or it was taken before.
    pub(super) fn take(&mut self, page: u32) -> Result<(), DatabaseError> {
        match self.0.get_mut(page as usize) {
            Some(used) if !*used => {
                *used = true;
                Ok(())
            }
            Some(_) => Err(DatabaseError::at("page", page, "two things use it")),
            None => Err(DatabaseError::at("page", page, format!("there are only {} pages", self.0.len()))),
        }
    }
}
