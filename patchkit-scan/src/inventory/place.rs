use patchkit_core::image::FilePath;

/// Where files are wanted: a file, everything in a folder, or the files directly in a folder with some ending.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// The file or folder.
    pub(super) path: FilePath,
    /// The ending, where only such files are wanted.
    suffix: Option<&'static str>,
}

impl Place {
    /// Reads `var/lib/dpkg/status`, or `var/lib/dpkg/info/*.list`.
    pub(super) fn new(text: &'static str) -> Self {
        let (path, suffix) = match text.split_once("/*") {
            Some((folder, suffix)) => (folder, Some(suffix)),
            None => (text, None),
        };
        Self { path: FilePath::new(path).expect("a constant"), suffix }
    }

    /// A file, or everything in a folder.
    pub(super) fn at(path: FilePath) -> Self {
        Self { path, suffix: None }
    }

    /// The same place by another name.
    pub(super) fn moved(&self, path: FilePath) -> Self {
        Self { path, suffix: self.suffix }
    }

    pub(super) fn wants(&self, path: &FilePath) -> bool {
        path.starts_with(&self.path)
            && self.suffix.is_none_or(|suffix| {
                let name = path.as_bytes().get(self.path.as_bytes().len() + 1..).unwrap_or_default();
                name.ends_with(suffix.as_bytes()) && !name.contains(&b'/')
            })
    }
}

/// Whether a file of this name is wanted at any of the places.
pub(super) fn is_wanted(places: &[Place], path: &FilePath) -> bool {
    places.iter().any(|place| place.wants(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_file_a_folder_or_some_files_of_a_folder() {
        let wants = |place, path: &str| Place::new(place).wants(&FilePath::new(path).expect("it is a path"));
        assert!(wants("var/lib/rpm", "var/lib/rpm/Packages") && wants("var/lib/rpm", "var/lib/rpm"));
        assert!(!wants("var/lib/rpm", "var/lib/rpmmanifest"));
        assert!(wants("info/*.list", "info/a.list"));
        for other in ["info", "info/a.md5sums", "info/a/b.list", "info.list"] {
            assert!(!wants("info/*.list", other), "{other}");
        }
    }
}
