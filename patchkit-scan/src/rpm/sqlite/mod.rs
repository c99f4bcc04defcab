//! SQLite's file format, as far as rpm's table of headers needs it: `rpmdb.sqlite` and its write-ahead log.
//!
//! Source: sqlite.org's "Database File Format". Numbers are big-endian. The table `Packages` has two columns, the
//! package's number, which is the row's, and its header.

mod record;
mod tree;
mod wal;

use self::{record::Value, tree::Tree, wal::Log};
use super::{DatabaseError, Visit, pages::ByteOrder::Big};

const MAGIC: &[u8] = b"SQLite format 3\0";
/// The length of the description at the start of the first page.
const DESCRIPTION: usize = 100;
const UTF_8: u32 = 1;
const TABLE: &[u8] = b"Packages";
/// The first page is the root of the table of tables.
const SCHEMA: u32 = 1;

/// Shows every header, in the order of the packages' numbers.
///
/// # Errors
/// [`DatabaseError`] with the byte of the description, or the page; also where there is no table of packages.
pub(super) fn each(bytes: &[u8], log: &[u8], visit: Visit<'_>) -> Result<(), DatabaseError> {
    let database = Database::open(bytes, log)?;
    let mut root = None;
    Tree::new(&database).rows(SCHEMA, &mut |row| {
        root = root.or(table_root(row)?);
        Ok(())
    })?;
    let root = root.ok_or_else(|| DatabaseError::at("page", SCHEMA, "there is no table of packages"))?;
    Tree::new(&database).rows(root, &mut |row| match record::column(row, 1)? {
        Value::Blob(header) => visit(header),
        _ => Err(DatabaseError::at("column", 1u8, "a package without a header")),
    })
}

/// The page of the packages' root, if this row of the table of tables is about it.
fn table_root(row: &[u8]) -> Result<Option<u32>, DatabaseError> {
    let (kind, name) = (record::column(row, 0)?, record::column(row, 1)?);
    match (kind, name) {
        (Value::Text(b"table"), Value::Text(name)) if name.eq_ignore_ascii_case(TABLE) => {}
        _ => return Ok(None),
    }
    match record::column(row, 3)? {
        Value::Integer(root) if root > 0 => Ok(u32::try_from(root).ok()),
        _ => Err(DatabaseError::at("column", 3u8, "no number of a page")),
    }
}

/// The pages of the database, with those that the log has newer.
struct Database<'a> {
    bytes: &'a [u8],
    log: Log<'a>,
    page_size: usize,
    /// How many bytes of a page hold content.
    usable: usize,
    pages: u32,
}

impl<'a> Database<'a> {
    fn open(bytes: &'a [u8], log: &'a [u8]) -> Result<Self, DatabaseError> {
        let fail = |at: usize, problem: &'static str| DatabaseError::at("byte", at as u64, problem);
        if bytes.len() < DESCRIPTION {
            return Err(fail(bytes.len(), "the file is cut off in its description"));
        }
        if !bytes.starts_with(MAGIC) {
            return Err(fail(0, "no SQLite database"));
        }
        let page_size = match Big.u16(bytes, 16) {
            Some(1) => 65536,
            Some(size) if size >= 512 && size.is_power_of_two() => usize::from(size),
            _ => return Err(fail(16, "no size of a page")),
        };
        let usable = page_size - usize::from(bytes[20]);
        if usable < 480 {
            return Err(fail(20, "pages without room for content"));
        }
        if Big.u32(bytes, 56) != Some(UTF_8) {
            return Err(fail(56, "texts that are not UTF-8"));
        }
        let mut database = Self { bytes, log: Log::read(log, page_size), page_size, usable, pages: 0 };
        database.pages = database.length()?;
        Ok(database)
    }

    /// How many pages there are.
    fn length(&self) -> Result<u32, DatabaseError> {
        let in_file = self.bytes.len() / self.page_size;
        let fail = |pages| {
            let problem = format!("the file is cut off: it has {in_file} pages of {pages}");
            Err(DatabaseError::at("byte", self.bytes.len() as u64, problem))
        };
        if let Some(pages) = self.log.pages() {
            let most = in_file + self.log.frames();
            return if pages as usize > most { fail(pages) } else { Ok(pages) };
        }
        let number = |at| Big.u32(self.bytes, at).expect("the description was measured");
        // Versions before 3.7 do not write the length; then the counters differ.
        let (pages, is_valid) = (number(28), number(28) > 0 && number(24) == number(92));
        match is_valid {
            true if pages as usize > in_file => fail(pages),
            true => Ok(pages),
            false => Ok(u32::try_from(in_file).unwrap_or(u32::MAX)),
        }
    }

    /// A page, counted from one.
    fn page(&self, number: u32) -> Result<&'a [u8], DatabaseError> {
        let fail = |problem| DatabaseError::at("page", number, problem);
        if number == 0 || number > self.pages {
            return Err(fail(format!("there are only {} pages", self.pages)));
        }
        let start = (number as usize - 1) * self.page_size;
        let in_file = || self.bytes.get(start..start + self.page_size);
        let page =
            self.log.page(number).or_else(in_file).ok_or_else(|| fail("the file is cut off before it".into()))?;
        Ok(&page[..self.usable])
    }
}
