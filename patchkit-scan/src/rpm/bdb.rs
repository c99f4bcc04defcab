//! rpm's oldest container, a hash table of Berkeley DB: `Packages`.
//!
//! Source: `dbinc/db_page.h` of Berkeley DB 4 and 5. Numbers are in the byte order of the machine that made the file.
//! The first page describes the table; on hash pages (types 2 and 13), keys and values take turns, and a value that is
//! too long for its page lies in a chain of overflow pages (type 7). The record of key zero is no package but the last
//! number that was given.

use super::{
    DatabaseError, Visit,
    pages::{ByteOrder, UsedPages},
};

const MAGIC: u32 = 0x0006_1561;
/// The versions of Berkeley DB 4.1 up to 5.3.
const VERSIONS: std::ops::RangeInclusive<u32> = 8..=10;
const META: usize = 512;
const PAGE_HEADER: usize = 26;

const UNUSED: u8 = 0;
const HASH_UNSORTED: u8 = 2;
const OVERFLOW: u8 = 7;
const HASH: u8 = 13;

const ITEM_ON_PAGE: u8 = 1;
const ITEM_OFF_PAGE: u8 = 3;

/// Shows every header, in the order of the pages.
///
/// # Errors
/// [`DatabaseError`] with the byte of the description, or the page.
pub(super) fn each(bytes: &[u8], visit: Visit<'_>) -> Result<(), DatabaseError> {
    let mut table = Table::open(bytes)?;
    let mut buffer = Vec::new();
    let mut records = 0;
    for number in 1..table.pages {
        let page = table.page(number);
        match page.kind() {
            UNUSED | OVERFLOW => continue,
            HASH | HASH_UNSORTED => {}
            other => {
                return Err(DatabaseError::at("page", number, format!("its type {other} is none of a hash table's")));
            }
        }
        table.check(&page)?;
        for pair in page.items()?.chunks_exact(2) {
            records += 1;
            if is_counter(pair[0]) {
                continue;
            }
            let header = table.value(pair[1], number, &mut buffer)?;
            visit(header).map_err(|error| error.inside("page", number))?;
        }
    }
    match records < table.records {
        true => {
            Err(DatabaseError::at("byte", 88u8, format!("{} records are counted, {records} are there", table.records)))
        }
        false => Ok(()),
    }
}

/// Whether the key is the one of the number that was given last.
fn is_counter(key: &[u8]) -> bool {
    matches!(key, [ITEM_ON_PAGE, number @ ..] if number.iter().all(|byte| *byte == 0))
}

struct Table<'a> {
    bytes: &'a [u8],
    order: ByteOrder,
    page_size: usize,
    pages: u32,
    /// How many pairs of key and value the table says that it has.
    records: u32,
    used: UsedPages,
}

impl<'a> Table<'a> {
    fn open(bytes: &'a [u8]) -> Result<Self, DatabaseError> {
        let fail = |at: usize, problem: &'static str| DatabaseError::at("byte", at as u64, problem);
        if bytes.len() < META {
            return Err(fail(bytes.len(), "the file is cut off in its description"));
        }
        let orders = [ByteOrder::Little, ByteOrder::Big];
        let order = orders.into_iter().find(|order| order.u32(bytes, 12) == Some(MAGIC));
        let order = order.ok_or_else(|| fail(12, "no hash table of Berkeley DB"))?;
        let number = |at| order.u32(bytes, at).expect("the description was measured");
        if !VERSIONS.contains(&number(16)) {
            return Err(fail(16, "a version of the hash table that is not known"));
        }
        if bytes[24] != 0 || bytes[26] != 0 {
            return Err(fail(24, "pages with encryption or checksums"));
        }
        let page_size = number(20);
        if !(512..=65536).contains(&page_size) || !page_size.is_power_of_two() {
            return Err(fail(20, "no size of a page"));
        }
        let pages = u64::from(number(32)) + 1;
        if pages * u64::from(page_size) > bytes.len() as u64 {
            return Err(fail(bytes.len(), "the file is cut off: its last page is missing"));
        }
        let pages = u32::try_from(pages).map_err(|_| fail(32, "no number of a page"))?;
        let used = UsedPages::new(pages as usize);
        Ok(Self { bytes, order, page_size: page_size as usize, pages, records: number(88), used })
    }

    /// One of the pages that the file has.
    fn page(&self, number: u32) -> Page<'a> {
        let start = number as usize * self.page_size;
        Page { bytes: &self.bytes[start..start + self.page_size], number, order: self.order }
    }

    /// A page that says itself that it is the one of its number, which nothing else uses.
    fn check(&mut self, page: &Page<'a>) -> Result<(), DatabaseError> {
        self.used.take(page.number)?;
        match page.u32(8) == page.number {
            true => Ok(()),
            false => Err(page.fail("it says that it is another page")),
        }
    }

    /// The value that an item has or leads to.
    fn value<'b>(&mut self, item: &'a [u8], page: u32, buffer: &'b mut Vec<u8>) -> Result<&'b [u8], DatabaseError>
    where
        'a: 'b,
    {
        match item {
            [ITEM_ON_PAGE, value @ ..] => Ok(value),
            [ITEM_OFF_PAGE, ..] if item.len() == 12 => {
                let [first, length] = [4, 8].map(|at| self.order.u32(item, at).expect("it was measured"));
                self.chain(first, length as usize, buffer)?;
                Ok(buffer)
            }
            _ => Err(DatabaseError::at("page", page, "an item of a kind that is not known")),
        }
    }

    /// What a chain of overflow pages holds.
    fn chain(&mut self, first: u32, length: usize, buffer: &mut Vec<u8>) -> Result<(), DatabaseError> {
        buffer.clear();
        let mut next = first;
        while next != 0 {
            if next >= self.pages {
                return Err(DatabaseError::at("page", next, format!("there are only {} pages", self.pages)));
            }
            let page = self.page(next);
            self.check(&page)?;
            if page.kind() != OVERFLOW {
                return Err(page.fail("it is in a chain of overflow pages, but is none"));
            }
            let content = page.bytes.get(PAGE_HEADER..PAGE_HEADER + usize::from(page.u16(22)));
            buffer.extend_from_slice(content.ok_or_else(|| page.fail("its content is longer than the page"))?);
            next = page.u32(16);
        }
        match buffer.len() == length {
            true => Ok(()),
            false => {
                Err(DatabaseError::at("page", first, format!("{length} bytes should begin here, not {}", buffer.len())))
            }
        }
    }
}

struct Page<'a> {
    bytes: &'a [u8],
    number: u32,
    order: ByteOrder,
}

impl<'a> Page<'a> {
    fn fail(&self, problem: &'static str) -> DatabaseError {
        DatabaseError::at("page", self.number, problem)
    }

    fn u16(&self, at: usize) -> u16 {
        self.order.u16(self.bytes, at).expect("in the header of a page")
    }

    fn u32(&self, at: usize) -> u32 {
        self.order.u32(self.bytes, at).expect("in the header of a page")
    }

    fn kind(&self) -> u8 {
        self.bytes[25]
    }

    /// The items of a hash page. Each ends where the one before begins, the first at the end of the page.
    fn items(&self) -> Result<Vec<&'a [u8]>, DatabaseError> {
        let count = usize::from(self.u16(20));
        let first = PAGE_HEADER + 2 * count;
        let (mut items, mut end) = (Vec::with_capacity(count.min(self.bytes.len())), self.bytes.len());
        for n in 0..count {
            let start = self.order.u16(self.bytes, PAGE_HEADER + 2 * n).map_or(0, usize::from);
            if start < first || start >= end {
                return Err(self.fail("an item lies outside its place"));
            }
            items.push(&self.bytes[start..end]);
            end = start;
        }
        match count % 2 {
            0 => Ok(items),
            _ => Err(self.fail("a key has no value")),
        }
    }
}
