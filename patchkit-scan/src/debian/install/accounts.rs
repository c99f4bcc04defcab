//! Users and groups of the image by name: dpkg gives a file to the user that the archive names, if there is one.

use std::collections::BTreeMap;

use patchkit_core::{Result, image::FilePath};

use super::tree::Tree;
use crate::debian::dpkg::stat_override::Owner;

/// The numbers of users and groups by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accounts {
    users: BTreeMap<Vec<u8>, u64>,
    groups: BTreeMap<Vec<u8>, u64>,
}

impl Accounts {
    /// Reads `/etc/passwd` and `/etc/group` of a tree.
    ///
    /// # Errors
    /// Those of reading.
    pub fn of(tree: &Tree) -> Result<Self> {
        let read = |path: &str| -> Result<_> {
            let text = tree.read(&FilePath::new(path).expect("a constant path"))?.unwrap_or_default();
            Ok(numbers(&text))
        };
        Ok(Self { users: read("etc/passwd")?, groups: read("etc/group")? })
    }

    /// The number of a user that an archive names, with its number in the archive to fall back to.
    #[must_use]
    pub fn user(&self, (name, number): &(Vec<u8>, u64)) -> u64 {
        self.users.get(name).copied().unwrap_or(*number)
    }

    /// The number of a group, as [`user`](Self::user).
    #[must_use]
    pub fn group(&self, (name, number): &(Vec<u8>, u64)) -> u64 {
        self.groups.get(name).copied().unwrap_or(*number)
    }

    /// The numbers that an override means; `None` for a name that the image does not have.
    #[must_use]
    pub fn overridden(&self, user: &Owner, group: &Owner) -> Option<(u64, u64)> {
        let number = |owner: &Owner, names: &BTreeMap<Vec<u8>, u64>| match owner {
            Owner::Name(name) => names.get(name.as_bytes()).copied(),
            Owner::Number(number) => Some(u64::from(*number)),
        };
        Some((number(user, &self.users)?, number(group, &self.groups)?))
    }
}

/// Name and third field of each line. Of two lines with one name the first counts, as for the C library.
fn numbers(text: &[u8]) -> BTreeMap<Vec<u8>, u64> {
    let mut numbers = BTreeMap::new();
    for line in text.split(|byte| *byte == b'\n') {
        let mut fields = line.split(|byte| *byte == b':');
        let (name, number) = (fields.next().unwrap_or_default(), fields.nth(1));
        let number = number.and_then(|number| std::str::from_utf8(number).ok()?.parse().ok());
        if let Some(number) = number.filter(|_| !name.is_empty()) {
            numbers.entry(name.to_vec()).or_insert(number);
        }
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::debian::install::tree::tests::MemoryBase;

    #[test]
    fn names_come_before_numbers() {
        let passwd = "root:x:0:0::/root:/bin/sh\nman:x:6:12:man:/var/cache/man:\nbroken\nman:x:7:7::\n";
        let tree = MemoryBase::default().file("etc/passwd", passwd).file("etc/group", "mail:x:8:\n").tree();
        let accounts = Accounts::of(&tree).unwrap();
        assert_eq!(accounts.user(&(b"man".to_vec(), 1000)), 6);
        assert_eq!(accounts.user(&(b"nobody".to_vec(), 1000)), 1000);
        assert_eq!(accounts.group(&(b"mail".to_vec(), 0)), 8);
    }
}
