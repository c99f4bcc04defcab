//! The archives and keys that a machine itself uses: what its own apt is set up with.

use std::{
    fs,
    io::{self, ErrorKind::NotFound},
    path::{Path, PathBuf},
};

use patchkit_core::{Error, ErrorKind, Result};

use crate::debian::apt::{
    sources::{Source, is_sources_file, parse_sources},
    trust::{TRUSTED_FILE, TRUSTED_FOLDER, TrustStore, key_files},
};

const SOURCES_FILE: &str = "/etc/apt/sources.list";
const SOURCES_FOLDER: &str = "/etc/apt/sources.list.d";
/// The largest file of sources or keys that is read.
const MAX_FILE: u64 = 64 << 20;

/// A machine's sources and the keys that it trusts.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    /// The sources, in apt's order.
    pub sources: Vec<Source>,
    /// The keys.
    pub trust: TrustStore,
    /// Files that were passed over, and why: a source that is not understood is of no use here, and nothing is missed
    /// without it.
    pub warnings: Vec<String>,
}

impl Machine {
    /// Reads `/etc/apt` and the keyrings that it names below a root folder: `/` for this machine. One without apt has
    /// no sources and no keys.
    ///
    /// # Errors
    /// `Denied` or `Unexpected` for a file or folder that is there and cannot be read.
    pub fn read(root: &Path) -> Result<Self> {
        let mut machine = Self::default();
        let mut files = vec![SOURCES_FILE.to_owned()];
        files.extend(names(root, SOURCES_FOLDER)?.into_iter().filter(|path| is_sources_file(name(path))));
        for path in files {
            let Some(bytes) = content(root, &path)? else { continue };
            match parse_sources(&path, &bytes) {
                Ok(sources) => machine.sources.extend(sources),
                Err(error) => machine.warnings.push(error.to_string()),
            }
        }
        let mut keys = names(root, TRUSTED_FOLDER)?;
        keys.push(TRUSTED_FILE.to_owned());
        keys.extend(key_files(&machine.sources));
        for path in keys {
            if let Some(bytes) = content(root, &path)? {
                machine.trust = machine.trust.with_file(path, bytes);
            }
        }
        Ok(machine)
    }
}

/// The paths of what is in a folder, sorted; nothing where it is absent.
fn names(root: &Path, folder: &str) -> Result<Vec<String>> {
    let folder = folder.trim_end_matches('/');
    let entries = match fs::read_dir(below(root, folder)) {
        Err(error) if error.kind() == NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|error| failed(error, folder))?,
    };
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let names: io::Result<Vec<String>> = names.collect();
    let mut paths: Vec<_> =
        names.map_err(|error| failed(error, folder))?.iter().map(|name| format!("{folder}/{name}")).collect();
    paths.sort();
    Ok(paths)
}

/// What is in a file; `None` where there is none.
fn content(root: &Path, path: &str) -> Result<Option<Vec<u8>>> {
    let read = || {
        let file = below(root, path);
        let metadata = fs::metadata(&file)?;
        match metadata.is_file() && metadata.len() <= MAX_FILE {
            true => fs::read(file).map(Some),
            false => Ok(None),
        }
    };
    match read() {
        Err(error) if error.kind() == NotFound => Ok(None),
        read => read.map_err(|error| failed(error, path)),
    }
}

fn below(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn failed(error: io::Error, path: &str) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::PermissionDenied => ErrorKind::Denied,
        _ => ErrorKind::Unexpected,
    };
    Error::new(kind, error.to_string()).on(path).because(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::debian::apt::publish::ArchiveKey;

    fn write(root: &Path, path: &str, bytes: impl AsRef<[u8]>) {
        let path = below(root, path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    #[test]
    fn sources_and_keys_of_a_machine() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let key = || ArchiveKey::generate("k", "2026-01-01T00:00:00Z".parse().unwrap()).unwrap();
        let (general, own) = (key(), key());
        write(root, "/etc/apt/sources.list.d/b.list", "deb [signed-by=/keys/own.gpg] http://b.example.org s main\n");
        write(root, "/etc/apt/sources.list.d/a.list", "deb http://a.example.org s main\n");
        write(root, "/etc/apt/sources.list.d/broken.list", "dep http://a.example.org s main\n");
        write(root, "/etc/apt/sources.list.d/ignored.bak", "deb http://c.example.org s main\n");
        write(root, "/etc/apt/trusted.gpg.d/a.gpg", general.public_keyring().unwrap());
        write(root, "/keys/own.gpg", own.public_keyring().unwrap());
        let machine = Machine::read(root).unwrap();
        let hosts: Vec<_> = machine.sources.iter().map(|source| source.uri.host_str().unwrap()).collect();
        assert_eq!(hosts, ["a.example.org", "b.example.org"]);
        assert_eq!(machine.warnings.len(), 1);
        assert!(machine.warnings[0].starts_with("/etc/apt/sources.list.d/broken.list:1: type \"dep\""));
        let signer = |place: usize| {
            let keyring = machine.trust.keyring_for(&machine.sources[place]).unwrap();
            keyring.certificates().iter().map(|key| key.fingerprint()).collect::<Vec<_>>()
        };
        assert_eq!((signer(0), signer(1)), (vec![general.fingerprint()], vec![own.fingerprint()]));
    }

    #[test]
    fn a_machine_without_apt_has_nothing() {
        let machine = Machine::read(tempfile::tempdir().unwrap().path()).unwrap();
        assert!(machine.sources.is_empty() && machine.trust.is_empty() && machine.warnings.is_empty());
    }
}
