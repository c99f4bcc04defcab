//! `openssl rehash`: links by the hash of a certificate's subject, by which OpenSSL finds it.

use std::collections::BTreeMap;

use bytes::Bytes;
use patchkit_core::{Result, image::FilePath};

use super::x509;
use crate::debian::install::tree::{Entry, Kind, Tree, child};

/// The extensions of files that are looked at.
const EXTENSIONS: [&str; 4] = ["pem", "crt", "cer", "crl"];

/// Something with a given hash: a file, an existing link to it, or both.
#[derive(Debug)]
struct Candidate {
    file: Vec<u8>,
    /// The number of the link that there is.
    old: Option<u16>,
    /// The certificate, where the file has one.
    der: Option<Vec<u8>>,
}

/// Makes and removes the links in a folder (a path without symbolic links).
pub(super) fn rehash(tree: &mut Tree, folder: &FilePath, mtime: i64) -> Result<()> {
    let mut buckets: BTreeMap<(u32, bool), Vec<Candidate>> = BTreeMap::new();
    for name in tree.names(folder) {
        let place = child(folder, &name);
        let link = match tree.entry(&place).map(|entry| entry.kind) {
            Some(Kind::Symlink(target)) => Some(target),
            _ => None,
        };
        if let (Some(target), Some((hash, list, number))) = (&link, hash_name(&name)) {
            add(buckets.entry((hash, list)).or_default(), target, None, Some(number));
        } else if has_extension(&name) {
            let Some(bytes) = tree.stat(&place).filter(Entry::is_file).map(|_| tree.read(&place)) else { continue };
            if let Some(found) = x509::only_subject(&bytes?.unwrap_or_default()) {
                add(buckets.entry((found.hash, found.revocations)).or_default(), &name, Some(found.der), None);
            }
        }
    }
    for ((hash, list), candidates) in buckets {
        relink(tree, folder, (hash, list), &candidates, mtime);
    }
    Ok(())
}

fn add(bucket: &mut Vec<Candidate>, file: &[u8], der: Option<Vec<u8>>, old: Option<u16>) {
    if der.is_some() && bucket.iter().any(|known| known.der == der) {
        return;
    }
    match bucket.iter_mut().find(|known| known.file == file) {
        Some(known) => {
            known.old = known.old.into_iter().chain(old).min();
            known.der = known.der.take().or(der);
        }
        None => bucket.push(Candidate { file: file.to_vec(), old, der }),
    }
}

/// Links of a number that is still needed stay; the others go, and what has no link gets the lowest free number.
fn relink(tree: &mut Tree, folder: &FilePath, (hash, list): (u32, bool), candidates: &[Candidate], mtime: i64) {
    let needed = candidates.iter().filter(|candidate| candidate.der.is_some()).count();
    let stays = |candidate: &Candidate| candidate.old.filter(|old| usize::from(*old) < needed);
    let mut taken: Vec<u16> = candidates.iter().filter_map(stays).collect();
    let place = |number: u16| child(folder, format!("{hash:08x}.{}{number}", if list { "r" } else { "" }).as_bytes());
    for candidate in candidates.iter().filter(|candidate| stays(candidate).is_none()) {
        if candidate.der.is_some() {
            let free = (0..).find(|number| !taken.contains(number)).unwrap_or_default();
            taken.push(free);
            let kind = Kind::Symlink(Bytes::copy_from_slice(&candidate.file));
            tree.put(place(free), Entry::new(kind, 0o777, mtime));
        } else if let Some(old) = candidate.old {
            tree.remove(&place(old));
        }
    }
}

/// The hash of a link's name, whether it is for a revocation list, and its number: `0a1b2c3d.0`, `0a1b2c3d.r1`.
fn hash_name(name: &[u8]) -> Option<(u32, bool, u16)> {
    let name = std::str::from_utf8(name).ok()?;
    let (hash, rest) = name.split_once('.')?;
    let list = rest.starts_with('r');
    let number = rest.strip_prefix('r').unwrap_or(rest);
    let digits = number.bytes().all(|byte| byte.is_ascii_digit());
    let hex = hash.len() == 8 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    (hex && digits).then_some(())?;
    Some((u32::from_str_radix(hash, 16).ok()?, list, number.parse().ok()?))
}

fn has_extension(name: &[u8]) -> bool {
    let extension = name.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
    name.contains(&b'.') && EXTENSIONS.iter().any(|known| extension.eq_ignore_ascii_case(known.as_bytes()))
}
