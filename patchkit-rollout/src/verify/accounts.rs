//! The accounts of an image: `passwd(5)`, `shadow(5)` and `group(5)`, as far as checks need them.

use std::collections::BTreeMap;

/// The most lines of such a file that are looked at.
const MAX_LINES: usize = 100_000;

/// An account, by `passwd(5)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) name: String,
    /// Whether its password is empty: no password is asked for.
    pub(super) open: bool,
    pub(super) uid: u64,
}

/// The accounts of a `passwd` file; what is no account's line says nothing.
pub(super) fn accounts(passwd: &[u8]) -> Vec<Account> {
    let account = |fields: Vec<String>| {
        let uid = fields.get(2)?.parse().ok()?;
        Some(Account { name: fields[0].clone(), open: fields[1].is_empty(), uid })
    };
    lines(passwd).filter_map(account).collect()
}

/// The numbers of the groups of a `group` file.
pub(super) fn groups(group: &[u8]) -> BTreeMap<String, u64> {
    lines(group).filter_map(|fields| Some((fields[0].clone(), fields.get(2)?.parse().ok()?))).collect()
}

/// How an account's password is stored, by `shadow(5)` and `crypt(5)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Password {
    /// None is asked for.
    Empty,
    /// None fits.
    Locked,
    /// A hash that takes long to try.
    Strong,
    /// A hash that is quick to try (DES, MD5), or the password itself.
    Weak,
}

/// The accounts of a `shadow` file with their passwords.
pub(super) fn passwords(shadow: &[u8]) -> Vec<(String, Password)> {
    lines(shadow).map(|fields| (fields[0].clone(), password(&fields[1]))).collect()
}

fn password(field: &str) -> Password {
    match field {
        "" => Password::Empty,
        _ if field.starts_with(['*', '!']) || field == "x" => Password::Locked,
        _ if ["$5$", "$6$", "$7$", "$y$", "$gy$", "$2"].iter().any(|strong| field.starts_with(strong)) => {
            Password::Strong
        }
        _ => Password::Weak,
    }
}

/// The fields of each line that has a name and one field more.
fn lines(bytes: &[u8]) -> impl Iterator<Item = Vec<String>> {
    let lines = bytes.split(|byte| *byte == b'\n').take(MAX_LINES);
    let fields = lines.filter(|line| !line.starts_with(b"#")).map(|line| {
        let text = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line));
        text.split(':').map(str::to_owned).collect::<Vec<_>>()
    });
    fields.filter(|fields| fields.len() > 1 && !fields[0].is_empty())
}

/// The number of a user that a configuration names (`name|uid[:group|gid]`), by the accounts of its image; `None` where
/// there is no such account and it is no number.
pub(super) fn uid_of(user: &str, passwd: &[u8]) -> Option<u64> {
    let name = user.split(':').next().unwrap_or_default();
    if name.is_empty() {
        return Some(0);
    }
    let named = accounts(passwd).into_iter().find(|account| account.name == name);
    named.map(|account| account.uid).or_else(|| name.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_accounts_and_passwords() {
        let found = accounts(b"root:x:0:0:root:/root:/bin/sh\n#x:x:1:1::/:\nopen::7:7::/:\nbroken:x:nan\n\nx\n");
        let account = |name: &str, open, uid| Account { name: name.into(), open, uid };
        assert_eq!(found, [account("root", false, 0), account("open", true, 7)]);
        let found = passwords(b"a:*:1\nb:!:1\nc::1\nd:$y$j9T$x:1\ne:$1$x$y:1\nf:aajfMKNH1hTm2:1\n");
        let kinds: Vec<_> = found.into_iter().map(|(_, password)| password).collect();
        use Password::{Empty, Locked, Strong, Weak};
        assert_eq!(kinds, [Locked, Locked, Empty, Strong, Weak, Weak]);
        assert_eq!(groups(b"adm:x:4:\nbad:x\n"), BTreeMap::from([("adm".into(), 4)]));
    }

    #[test]
    fn a_user_is_a_name_or_a_number() {
        let passwd = b"app:x:1000:1000::/:\n";
        for (user, uid) in [("", Some(0)), ("app:app", Some(1000)), ("33", Some(33)), ("gone", None), (":5", Some(0))] {
            assert_eq!(uid_of(user, passwd), uid, "{user}");
        }
    }
}
