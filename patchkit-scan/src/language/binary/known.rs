//! Programs that are known by their name and by a version string in them, for those that no package manager speaks of.
//!
//! Both must match, as in syft's binary classifier, from which it is known where each program has its version: a file
//! called `nginx` that does not say `nginx version: nginx/1.25.1` is not taken for nginx.

mod table;

use std::io;

use patchkit_core::{Package, Presence, image::FilePath};

use self::table::Known;
use super::Source;
use crate::language::package::{package, parts};

/// The most bytes that a version string and what is around it take: what two pieces of a file have in common.
const OVERLAP: usize = 512;

/// The packages that a program of this name is, by the version strings in it.
pub(super) fn guess(path: &FilePath, source: &mut Source<'_>) -> io::Result<Vec<Package>> {
    let Some(name) = path.file_name().and_then(|name| std::str::from_utf8(name).ok()) else { return Ok(Vec::new()) };
    let mut packages = Vec::new();
    for known in table::called(name) {
        if let Some(version) = version(known, name, source)? {
            packages.extend(package(&parts("generic", "", known.package, &version), known.package, Presence::Guessed));
        }
    }
    Ok(packages)
}

/// What the first of the patterns that is anywhere in the file has for a version, at its first place.
fn version(known: &Known, name: &str, source: &mut Source<'_>) -> io::Result<Option<String>> {
    let patterns = known.patterns(name);
    let mut found: Vec<Option<String>> = vec![None; patterns.len()];
    source.pieces(OVERLAP, |piece, left| {
        for (pattern, found) in patterns.iter().zip(&mut found) {
            if found.is_none() {
                let captures = pattern.captures(piece);
                let version = captures.as_ref().and_then(|captures| captures.name("version"));
                // One that ends with the piece may go on in the next, which has all of it.
                let whole = version.filter(|version| left == 0 || version.end() < piece.len());
                *found = whole.map(|version| String::from_utf8_lossy(version.as_bytes()).into_owned());
            }
        }
        found.first().is_some_and(Option::is_none)
    })?;
    Ok(found.into_iter().flatten().next())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn guessed(path: &str, content: &[u8]) -> Vec<String> {
        let mut reader = Cursor::new(content);
        let mut source = Source::new(&mut reader, content.len() as u64);
        let found = guess(&FilePath::new(path).unwrap(), &mut source).unwrap();
        assert!(found.iter().all(|package| package.presence == Presence::Guessed));
        found.into_iter().map(|package| package.purl.into()).collect()
    }

    #[test]
    fn name_and_content_must_match() {
        for (path, content, purl) in [
            ("bin/busybox", &b"\0BusyBox v1.36.1 (2023-07-27)"[..], "pkg:generic/busybox@1.36.1"),
            ("opt/lib/libcrypto.so.3", b"\0OpenSSL 3.0.2 15 Mar 2022\0", "pkg:generic/openssl@3.0.2"),
            ("bin/openssl", b"\0OpenSSL 1.1.1w  11 Sep 2023\0", "pkg:generic/openssl@1.1.1w"),
            ("bin/openssl", b"\0OpenSSL 1.1.1 (compatible; AWS-LC 1.69.0)\0", "pkg:generic/aws-lc@1.69.0"),
            ("bin/curl", b"curl/8.5.0", "pkg:generic/curl@8.5.0"),
            ("sbin/nginx", b"\0nginx version: openresty/1.21.4.1\0", "pkg:generic/nginx@1.21.4"),
            ("bin/node", b"/deps/node.js/v20.11.1/x", "pkg:generic/node@20.11.1"),
            ("bin/node", b"\0v4.9.1\0", "pkg:generic/node@4.9.1"),
            ("bin/python3.11", b"\x003.12.0\0\x003.11.9rc1\0", "pkg:generic/python@3.11.9rc1"),
            ("lib/libpython3.9.so.1.0", b"\x003.9.19\0", "pkg:generic/python@3.9.19"),
            ("bin/php8.2", b"X-Powered-By: PHP/8.2.1RC2", "pkg:generic/php-cli@8.2.1RC2"),
            ("bin/redis-server", b"\x007.2.4buildkitsandbox-1704850000\0", "pkg:generic/redis@7.2.4"),
            ("bin/postgres", b"\0PostgreSQL 15.1 (Debian)\0", "pkg:generic/postgresql@15.1"),
            ("sbin/haproxy", b"HAProxy version 2.8.3-86e043a, released 2023/09/07", "pkg:generic/haproxy@2.8.3"),
            ("bin/httpd", b"Apache/2.4.58 (Unix)", "pkg:generic/httpd@2.4.58"),
            ("bin/perl", b"/usr/local/lib/perl5/5.38.2/x86_64", "pkg:generic/perl@5.38.2"),
            ("lib/libruby.so.3.2", b"ruby 3.2.1 (2023-02-08 revision 31819e82c8)", "pkg:generic/ruby@3.2.1"),
        ] {
            assert_eq!(guessed(path, content), [purl], "{path}");
            assert!(guessed("bin/other", content).is_empty(), "{path}");
            assert!(guessed(path, b"\0nothing\0").is_empty(), "{path}");
        }
    }

    #[test]
    fn the_likelier_string_wins_wherever_it_is() {
        let mut content = b"\0v4.9.1\0".to_vec();
        content.resize((3 << 20) - 14, b'.');
        assert_eq!(guessed("node", &content), ["pkg:generic/node@4.9.1"]);
        content.extend_from_slice(b"node.js/v20.0.12");
        assert_eq!(guessed("node", &content), ["pkg:generic/node@20.0.12"]);
    }
}
