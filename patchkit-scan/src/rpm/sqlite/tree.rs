//! A table's b-tree: interior pages that lead to leaves, leaves with rows, and overflow pages for long rows.

use super::{DESCRIPTION, Database, SCHEMA, record::varint};
use crate::rpm::{
    DatabaseError, Visit,
    pages::{ByteOrder::Big, UsedPages},
};

const INTERIOR: u8 = 5;
const LEAF: u8 = 13;

/// Walks a table.
pub(super) struct Tree<'a, 'b> {
    database: &'b Database<'a>,
    used: UsedPages,
    buffer: Vec<u8>,
}

/// A page of a tree.
struct Node<'a> {
    number: u32,
    page: &'a [u8],
    /// Where its header begins: after the file's description on the first page.
    start: usize,
}

impl<'a, 'b> Tree<'a, 'b> {
    pub(super) fn new(database: &'b Database<'a>) -> Self {
        Self { database, used: UsedPages::new(database.pages as usize + 1), buffer: Vec::new() }
    }

    /// Shows the record of every row, in the order of their numbers.
    pub(super) fn rows(mut self, root: u32, visit: Visit<'_>) -> Result<(), DatabaseError> {
        let mut todo = vec![root];
        while let Some(number) = todo.pop() {
            let node = self.node(number)?;
            match node.kind() {
                INTERIOR => todo.extend(node.children()?.into_iter().rev()),
                LEAF => self.leaf(&node, visit)?,
                _ => return Err(node.fail("no page of a table")),
            }
        }
        Ok(())
    }

    fn node(&mut self, number: u32) -> Result<Node<'a>, DatabaseError> {
        let page = self.database.page(number)?;
        self.used.take(number)?;
        Ok(Node { number, page, start: if number == SCHEMA { DESCRIPTION } else { 0 } })
    }

    fn leaf(&mut self, node: &Node<'a>, visit: Visit<'_>) -> Result<(), DatabaseError> {
        // Rows do not overlap, so all of them together are no longer than the page.
        let mut left = node.page.len();
        for cell in node.cells(8)? {
            let cut = || node.fail("a row goes beyond the page");
            let (length, first) = varint(cell).ok_or_else(cut)?;
            let (row, second) = varint(&cell[first..]).ok_or_else(cut)?;
            let local = self.local(length);
            let (start, rest) = cell[first + second..].split_at_checked(local).ok_or_else(cut)?;
            left = left.checked_sub(first + second + local).ok_or_else(|| node.fail("rows overlap"))?;
            let record = match local as u64 == length {
                true => start,
                false => {
                    let next = Big.u32(rest, 0).ok_or_else(cut)?;
                    self.overflow(start, next, length)?;
                    &self.buffer
                }
            };
            visit(record).map_err(|error| error.inside("row", row).inside("page", node.number))?;
        }
        Ok(())
    }

    /// How much of a record of some length is on its leaf: all, or what fills the last overflow page.
    fn local(&self, length: u64) -> usize {
        let usable = self.database.usable as u64;
        let (most, least) = (usable - 35, (usable - 12) * 32 / 255 - 23);
        if length <= most {
            return length as usize;
        }
        let filling = least + (length - least) % (usable - 4);
        (if filling <= most { filling } else { least }) as usize
    }

    /// Puts a long record together.
    fn overflow(&mut self, start: &[u8], first: u32, length: u64) -> Result<(), DatabaseError> {
        self.buffer.clear();
        self.buffer.extend_from_slice(start);
        let mut next = first;
        while (self.buffer.len() as u64) < length {
            let page = self.node(next)?.page;
            let left = usize::try_from(length - self.buffer.len() as u64).unwrap_or(usize::MAX);
            let content = &page[4..];
            self.buffer.extend_from_slice(&content[..content.len().min(left)]);
            next = Big.u32(page, 0).expect("a page is longer");
        }
        Ok(())
    }
}

impl<'a> Node<'a> {
    fn fail(&self, problem: &'static str) -> DatabaseError {
        DatabaseError::at("page", self.number, problem)
    }

    fn kind(&self) -> u8 {
        self.page[self.start]
    }

    /// The cells, each with all that follows it on the page. The header has so many bytes.
    fn cells(&self, header: usize) -> Result<impl Iterator<Item = &'a [u8]> + use<'a>, DatabaseError> {
        let count = usize::from(Big.u16(self.page, self.start + 3).expect("a page is longer"));
        let first = self.start + header;
        let places =
            self.page.get(first..first + 2 * count).ok_or_else(|| self.fail("more rows than it has room for"))?;
        let places = places.chunks_exact(2).map(|place| usize::from(Big.u16(place, 0).expect("it has two bytes")));
        if places.clone().any(|place| place < first + 2 * count || place >= self.page.len()) {
            return Err(self.fail("a row lies outside its place"));
        }
        let page = self.page;
        Ok(places.map(move |place| &page[place..]))
    }

    /// The pages that an interior page leads to.
    fn children(&self) -> Result<Vec<u32>, DatabaseError> {
        let child = |bytes: &[u8]| Big.u32(bytes, 0).ok_or_else(|| self.fail("a row goes beyond the page"));
        let last = child(&self.page[self.start + 8..]);
        self.cells(12)?.map(child).chain([last]).collect()
    }
}
