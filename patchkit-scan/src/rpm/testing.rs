//! Small databases for tests, byte by byte, with all that the readers look at.

use std::path::{Path, PathBuf};

use super::pages::ByteOrder;

/// A folder of the shared test data, or `None` after saying that it is absent.
pub(crate) fn shared_data(folder: &str) -> Option<PathBuf> {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let found = above.map(|above| above.join("shared/data").join(folder)).find(|path| path.is_dir());
    if found.is_none() {
        let is_required = std::env::var_os("PATCHKIT_REQUIRE_EXTERNAL").is_some_and(|value| value == "1");
        assert!(!is_required, "required: shared data {folder}");
        eprintln!("skipped: shared data {folder} is absent");
    }
    found
}

/// A header of the given entries: tag, type, values in bytes and their count.
pub(crate) fn header(entries: &[(u32, u32, Vec<u8>, u32)]) -> Vec<u8> {
    let (mut index, mut data) = (Vec::new(), Vec::new());
    for (tag, kind, value, count) in entries {
        for number in [*tag, *kind, data.len() as u32, *count] {
            index.extend(number.to_be_bytes());
        }
        data.extend(value);
    }
    let lengths = [entries.len() as u32, data.len() as u32].map(u32::to_be_bytes);
    [lengths.concat(), index, data].concat()
}

/// The entry of one text.
pub(crate) fn text(tag: u32, text: &str) -> (u32, u32, Vec<u8>, u32) {
    (tag, 6, [text.as_bytes(), b"\0"].concat(), 1)
}

/// The entry of several texts.
pub(crate) fn texts(tag: u32, texts: &[&str]) -> (u32, u32, Vec<u8>, u32) {
    (tag, 8, texts.iter().flat_map(|text| [text.as_bytes(), b"\0"].concat()).collect(), texts.len() as u32)
}

/// The entry of several numbers.
pub(crate) fn numbers(tag: u32, numbers: &[u32]) -> (u32, u32, Vec<u8>, u32) {
    (tag, 4, numbers.iter().flat_map(|number| number.to_be_bytes()).collect(), numbers.len() as u32)
}

/// The header of a package with two files and some filling.
pub(crate) fn package(name: &str, filling: usize) -> Vec<u8> {
    header(&[
        text(1000, name),
        text(1001, "1.2"),
        text(1002, "3.el9"),
        numbers(1003, &[1]),
        text(1022, "x86_64"),
        text(1044, "source-1.2-3.el9.src.rpm"),
        numbers(1116, &[0, 1]),
        texts(1117, &["tool", &format!("lib{name}.so")]),
        texts(1118, &["/usr/bin/", "/lib64/"]),
        text(5096, "stream:9:1:2"),
        text(1004, &"x".repeat(filling)),
    ])
}

/// A database in rpm's own format.
pub(crate) fn ndb(headers: &[Vec<u8>]) -> Vec<u8> {
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    let mut file = [b"RpmP".to_vec(), words(&[0, 1, 1, headers.len() as u32 + 1, 0, 0, 0])].concat();
    let mut blobs = Vec::new();
    for (n, header) in headers.iter().enumerate() {
        let number = n as u32 + 1;
        let mut blob = [b"BlbS".to_vec(), words(&[number, 1, header.len() as u32]), header.clone()].concat();
        blob.resize((blob.len() + 12).next_multiple_of(16) - 12, 0);
        let sum = blob.iter().fold((1_u64, 0_u64), |(low, high), byte| {
            let low = (low + u64::from(*byte)) % 65521;
            (low, (high + low) % 65521)
        });
        blob.extend([words(&[(sum.1 << 16 | sum.0) as u32, header.len() as u32]), b"BlbE".to_vec()].concat());
        let place = [number, 256 + (blobs.len() / 16) as u32, (blob.len() / 16) as u32];
        file.extend([b"Slot".to_vec(), words(&place)].concat());
        blobs.extend(blob);
    }
    while file.len() < 4096 {
        file.extend([b"Slot".to_vec(), words(&[0; 3])].concat());
    }
    [file, blobs].concat()
}

/// A hash table of Berkeley DB: pages of 512 bytes, the counter and all packages on the first hash page.
pub(crate) fn bdb(headers: &[Vec<u8>], order: ByteOrder) -> Vec<u8> {
    let u32 = |number: u32| if order == ByteOrder::Big { number.to_be_bytes() } else { number.to_le_bytes() };
    let u16 = |number: u16| if order == ByteOrder::Big { number.to_be_bytes() } else { number.to_le_bytes() };
    let page = |number: u32, next: u32, entries: u16, offset: u16, kind: u8| {
        let head = [[0; 8].as_slice(), &u32(number), &u32(0), &u32(next), &u16(entries), &u16(offset), &[0, kind]];
        let mut page = head.concat();
        page.resize(512, 0);
        page
    };
    let (mut chains, mut items) = (Vec::new(), vec![vec![1, 0, 0, 0, 0], vec![1, 9, 0, 0, 0]]);
    for (n, header) in headers.iter().enumerate() {
        let chunks: Vec<_> = header.chunks(512 - 26).collect();
        let first = chains.len() as u32 + 2;
        for (at, chunk) in chunks.iter().enumerate() {
            let number = first + at as u32;
            let next = if at + 1 == chunks.len() { 0 } else { number + 1 };
            let mut overflow = page(number, next, 1, chunk.len() as u16, 7);
            overflow[26..26 + chunk.len()].copy_from_slice(chunk);
            chains.push(overflow);
        }
        items.push([&[1], &u32(n as u32 + 1)[..]].concat());
        items.push([&[3, 0, 0, 0], &u32(first)[..], &u32(header.len() as u32)].concat());
    }
    let mut hash = page(1, 0, items.len() as u16, 0, 13);
    let mut end = 512;
    for (n, item) in items.iter().enumerate() {
        end -= item.len();
        hash[end..end + item.len()].copy_from_slice(item);
        hash[26 + 2 * n..28 + 2 * n].copy_from_slice(&u16(end as u16));
    }
    let mut meta = page(0, 0, 0, 0, 8);
    for (at, number) in [(12, 0x61561), (16, 9), (20, 512), (32, chains.len() as u32 + 1), (88, items.len() as u32 / 2)]
    {
        meta[at..at + 4].copy_from_slice(&u32(number));
    }
    [meta, hash, chains.concat()].concat()
}

/// An SQLite database with pages of 512 bytes: the second is the root of the packages, and has a leaf for each.
pub(crate) fn sqlite(headers: &[Vec<u8>]) -> Vec<u8> {
    let mut description = [b"SQLite format 3\0".as_slice(), &[2, 0, 2, 2, 0, 64, 32, 32], &[0; 76]].concat();
    let schema = record(&[Column::Text("table"), Column::Text("Packages"), Column::Text("Packages"), Column::Root(2)]);
    let mut pages = vec![Vec::new(), Vec::new()];
    let mut children = Vec::new();
    for (n, header) in headers.iter().enumerate() {
        children.push(pages.len() as u32 + 1);
        let row = record(&[Column::Null, Column::Blob(header)]);
        let at = pages.len();
        pages.push(Vec::new());
        let cell = cell(n as u8 + 1, &row, &mut pages);
        pages[at] = leaf(0, &cell);
    }
    let (last, others) = children.split_last().unwrap();
    let count = others.len() as u16;
    let cells: Vec<_> =
        others.iter().enumerate().map(|(n, page)| [&page.to_be_bytes()[..], &[n as u8 + 1]].concat()).collect();
    let start = 512 - 5 * count;
    let places: Vec<u8> = (0..count).flat_map(|n| (start + 5 * n).to_be_bytes()).collect();
    let mut root =
        [&[5, 0, 0][..], &count.to_be_bytes(), &start.to_be_bytes(), &[0], &last.to_be_bytes(), &places].concat();
    root.resize(start.into(), 0);
    pages[1] = [root, cells.concat()].concat();
    let length = pages.len() as u32;
    description[28..32].copy_from_slice(&length.to_be_bytes());
    description[56..60].copy_from_slice(&1_u32.to_be_bytes());
    pages[0] = leaf(100, &cell(1, &schema, &mut Vec::new()));
    pages[0][..100].copy_from_slice(&description);
    pages.concat()
}

enum Column<'a> {
    Blob(&'a [u8]),
    Null,
    Root(u8),
    Text(&'a str),
}

fn varint(number: usize) -> Vec<u8> {
    let mut bytes = vec![(number & 0x7f) as u8];
    let mut rest = number >> 7;
    while rest > 0 {
        bytes.insert(0, (rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    bytes
}

fn record(columns: &[Column<'_>]) -> Vec<u8> {
    let (mut types, mut values) = (Vec::new(), Vec::new());
    for column in columns {
        match column {
            Column::Blob(blob) => {
                types.extend(varint(12 + 2 * blob.len()));
                values.extend_from_slice(blob);
            }
            Column::Null => types.push(0),
            Column::Root(page) => {
                types.push(1);
                values.push(*page);
            }
            Column::Text(text) => {
                types.extend(varint(13 + 2 * text.len()));
                values.extend_from_slice(text.as_bytes());
            }
        }
    }
    [vec![types.len() as u8 + 1], types, values].concat()
}

/// A row, whose overflow pages are added to the pages.
fn cell(row: u8, record: &[u8], pages: &mut Vec<Vec<u8>>) -> Vec<u8> {
    let head = [varint(record.len()), vec![row]].concat();
    if record.len() <= 512 - 35 {
        return [&head, record].concat();
    }
    let least = (512 - 12) * 32 / 255 - 23;
    let filling = least + (record.len() - least) % (512 - 4);
    let (local, rest) = record.split_at(if filling <= 512 - 35 { filling } else { least });
    let chunks: Vec<_> = rest.chunks(512 - 4).collect();
    let first = pages.len() as u32 + 1;
    for (n, chunk) in chunks.iter().enumerate() {
        let next = if n + 1 == chunks.len() { 0 } else { first + n as u32 + 1 };
        let mut page = [&next.to_be_bytes()[..], chunk].concat();
        page.resize(512, 0);
        pages.push(page);
    }
    [&head, local, &first.to_be_bytes()].concat()
}

/// A leaf with one row at its end, whose header begins at a place.
fn leaf(start: usize, cell: &[u8]) -> Vec<u8> {
    let mut page = vec![0; 512];
    let place = 512 - cell.len();
    page[place..].copy_from_slice(cell);
    let place = (place as u16).to_be_bytes();
    let head = [&[13, 0, 0, 0, 1][..], &place, &[0], &place].concat();
    page[start..start + head.len()].copy_from_slice(&head);
    page
}
