//! Binary packages: a file has as many bytes as its header says.

use std::io::{self, Cursor, Read};

use patchkit_scan::debian::deb::{DataArchive, Deb, DebError, EntryKind};

/// A content beyond this is cut off: a small archive can stand for many gigabytes.
const MOST: u64 = 8 << 20;

fuzz_target!(|data: &[u8]| {
    let Ok(mut deb) = Deb::open(Cursor::new(data)) else { return };
    let _ = deb.control_files();
    let _ = deb.data().and_then(read);
});

fn read(mut archive: DataArchive<'_>) -> Result<(), DebError> {
    let mut left = MOST;
    while let Some(mut entry) = archive.next_entry()? {
        let EntryKind::File { size } = entry.kind else { continue };
        let Some(rest) = left.checked_sub(size) else { break };
        left = rest;
        if let Ok(read) = io::copy(&mut entry.by_ref().take(MOST), &mut io::sink()) {
            assert_eq!(read, size);
        }
    }
    Ok(())
}
