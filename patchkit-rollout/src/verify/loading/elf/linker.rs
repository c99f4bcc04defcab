//! What a dynamic linker says of itself.

/// The folders that glibc's dynamic linker searches when all else has failed, which are a constant in it: distributions
/// differ in them. None for a linker that has no such constant.
///
/// It is an array of texts that begin and end with a slash, one after the other (`system_dirs` in `elf/dl-load.c`).
pub(super) fn default_folders(file: &[u8]) -> Vec<String> {
    let (mut best, mut run): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    for text in file.split(|byte| *byte == 0) {
        match folder(text) {
            Some(folder) => run.push(folder),
            None => run.clear(),
        }
        if run.len() > best.len() {
            best.clone_from(&run);
        }
    }
    best
}

fn folder(text: &[u8]) -> Option<String> {
    const LONGEST: usize = 64;
    let text = std::str::from_utf8(text).ok().filter(|text| (5..LONGEST).contains(&text.len()))?;
    let path = text.strip_suffix('/')?;
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.".contains(&byte);
    (path.starts_with('/') && path.contains("lib") && path.bytes().all(good)).then(|| path.to_owned())
}
