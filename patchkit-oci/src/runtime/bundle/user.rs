//! Who a command runs as: a user of the image's own, by its own files.

use patchkit_core::{Error, Result};

/// A resolved user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The user's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
    /// The numbers of further groups, sorted.
    pub groups: Vec<u32>,
    /// The home directory; `/` where the image does not say.
    pub home: String,
}

/// Finds out who `name|uid[:group|gid]` is, in the content of an image's `/etc/passwd` and `/etc/group` (passwd(5),
/// group(5)). Nothing is root. Lines that are none are passed over. Further groups are looked up only where no group is
/// named, as Docker does.
///
/// # Errors
/// [`NotFound`](patchkit_core::ErrorKind::NotFound) for a name that is in neither.
pub fn resolve_user(spec: &str, passwd: &[u8], group: &[u8]) -> Result<User> {
    let (user, named) = match spec.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
        None => (spec, None),
    };
    let user = if user.is_empty() { "0" } else { user };
    let entry = find(passwd, |fields| fields.first() == Some(&user.as_bytes()))
        .or_else(|| find(passwd, |fields| number(fields.get(2)).is_some_and(|uid| user.parse() == Ok(uid))));
    let uid = entry.as_ref().and_then(|fields| number(fields.get(2))).or_else(|| user.parse().ok());
    let uid = uid.ok_or_else(|| Error::not_found("the image has no such user").on(user))?;
    let own = entry.as_ref().and_then(|fields| number(fields.get(3))).unwrap_or(0);
    let gid = named.map_or(Ok(own), |named| resolve_group(named, group))?;
    let name = entry.as_ref().and_then(|fields| fields.first().copied());
    let groups = name.filter(|_| named.is_none()).map(|name| member_of(name, group)).unwrap_or_default();
    let home = entry.and_then(|fields| std::str::from_utf8(fields.get(5)?).ok().filter(|home| home.starts_with('/')));
    Ok(User { uid, gid, groups, home: home.unwrap_or("/").to_owned() })
}

fn resolve_group(named: &str, group: &[u8]) -> Result<u32> {
    let found = find(group, |fields| fields.first() == Some(&named.as_bytes()));
    let gid = found.and_then(|fields| number(fields.get(2))).or_else(|| named.parse().ok());
    gid.ok_or_else(|| Error::not_found("the image has no such group").on(named))
}

fn member_of(user: &[u8], group: &[u8]) -> Vec<u32> {
    let is_in =
        |fields: &[&[u8]]| fields.get(3).is_some_and(|users| users.split(|b| *b == b',').any(|one| one == user));
    let mut groups: Vec<u32> = lines(group).filter(|f| is_in(f)).filter_map(|f| number(f.get(2))).collect();
    groups.sort_unstable();
    groups.dedup();
    groups
}

fn find<'a>(file: &'a [u8], is_it: impl Fn(&[&'a [u8]]) -> bool) -> Option<Vec<&'a [u8]>> {
    lines(file).find(|fields| is_it(fields))
}

fn lines(file: &[u8]) -> impl Iterator<Item = Vec<&[u8]>> {
    let lines = file.split(|byte| *byte == b'\n').filter(|line| !line.starts_with(b"#") && line.contains(&b':'));
    lines.map(|line| line.splitn(8, |byte| *byte == b':').collect())
}

fn number(field: Option<&&[u8]>) -> Option<u32> {
    std::str::from_utf8(field?).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use patchkit_core::ErrorKind;

    use super::*;

    const PASSWD: &[u8] =
        b"root:x:0:0:root:/root:/bin/sh\n#no:x:1:1::/:\nbroken\nweb:x:33:34:,:/var/www:/bin/sh\nx:\xff:y";
    const GROUP: &[u8] = b"root:x:0:\nwww:x:34:web\nlog:x:4:web,root\nssl:x:7:a,web\n";

    fn user(spec: &str) -> Result<User> {
        resolve_user(spec, PASSWD, GROUP)
    }

    #[test]
    fn names_and_numbers_are_users() {
        let web = User { uid: 33, gid: 34, groups: vec![4, 7, 34], home: "/var/www".into() };
        assert_eq!(user("web").unwrap(), web);
        assert_eq!(user("33").unwrap(), web);
        assert_eq!(user("web:log").unwrap(), User { gid: 4, groups: vec![], ..web });
        let root = User { uid: 0, gid: 0, groups: vec![4], home: "/root".into() };
        assert_eq!(user("").unwrap(), root);
        let nobody = User { uid: 77, gid: 88, groups: vec![], home: "/".into() };
        assert_eq!(user("77:88").unwrap(), nobody);
        assert_eq!(user("77").unwrap(), User { gid: 0, ..nobody });
    }

    #[test]
    fn an_unknown_name_is_an_error() {
        for spec in ["nobody", "web:nobody", "4294967296", "no", "x"] {
            assert_eq!(user(spec).unwrap_err().kind(), ErrorKind::NotFound, "{spec}");
        }
    }
}
