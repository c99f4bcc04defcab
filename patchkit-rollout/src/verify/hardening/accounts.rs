//! Who can log in.

use patchkit_core::image::{FilePath, FileTree};

use super::{Check, System, Weakness};
use crate::verify::accounts::{self, Password};

/// The weaknesses of accounts and passwords, and of the files that have them.
pub(super) fn weaknesses(system: &System) -> Vec<Weakness> {
    let mut found = Vec::new();
    for account in accounts::accounts(system.read("etc/passwd")) {
        if account.open {
            found.push(Weakness::new(Check::EmptyPassword, &*account.name, "no password is asked for, by etc/passwd"));
        }
        if account.uid == 0 && account.name != "root" {
            found.push(Weakness::new(Check::SecondRoot, account.name, "has the number 0"));
        }
    }
    found.extend(accounts::passwords(system.read("etc/shadow")).into_iter().filter_map(stored));
    for (file, bits) in [("etc/passwd", 0o022), ("etc/group", 0o022), ("etc/shadow", 0o027)] {
        found.extend(open(&system.tree, file, bits));
    }
    found
}

fn stored((name, password): (String, Password)) -> Option<Weakness> {
    match password {
        Password::Empty => Some(Weakness::new(Check::EmptyPassword, name, "no password is asked for, by etc/shadow")),
        Password::Locked => None,
        Password::Strong => Some(Weakness::new(Check::BuiltInPassword, name, "a password is set")),
        Password::Weak => {
            Some(Weakness::new(Check::BuiltInPassword, name, "a password is set, and its hash is quick to try"))
        }
    }
}

/// Whether others have one of these rights to a file.
fn open(tree: &FileTree, file: &str, bits: u32) -> Option<Weakness> {
    let end = tree.resolve(&FilePath::new(file).expect("a good path"))?;
    let node = tree.get(&end)?;
    let (mode, uid) = (node.metadata.mode, node.metadata.uid);
    let is_open = mode & bits != 0 || uid != 0;
    is_open.then(|| Weakness::new(Check::AccountFile, file, format!("mode {mode:o}, owner {uid}")))
}
