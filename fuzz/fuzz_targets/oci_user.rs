//! Users of images: whoever is found has a home that is a path, and groups in order.

use patchkit_oci::runtime::resolve_user;

fuzz_target!(|data: (&str, &[u8], &[u8])| {
    let (spec, passwd, group) = data;
    if let Ok(user) = resolve_user(spec, passwd, group) {
        assert!(user.home.starts_with('/'));
        assert!(user.groups.is_sorted());
    }
});
