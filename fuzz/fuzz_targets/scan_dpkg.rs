//! The files of the package database: what is written of one reads as the same.

use patchkit_scan::debian::dpkg::{
    alternative::Alternative, conffile::ShippedConffile, diversion, info, stat_override, status::StatusFile, status_d,
    trigger,
};

fuzz_target!(|data: &[u8]| {
    if let Ok(status) = StatusFile::read("", data) {
        let written = status.to_bytes();
        let again = StatusFile::read("", &written).expect("what is written can be read");
        assert_eq!(again.to_bytes(), written);
        let _ = StatusFile::default().apply_update("", data);
    }
    if let Ok(alternative) = Alternative::read("", data) {
        let written = alternative.to_bytes();
        let again = Alternative::read("", &written).expect("what is written can be read");
        assert_eq!(again.to_bytes(), written);
    }
    if let Ok(diversions) = diversion::read("", data) {
        assert_eq!(diversion::read("", &diversion::write(&diversions)), Ok(diversions));
    }
    if let Ok(list) = info::read_list("", data) {
        assert_eq!(info::read_list("", &info::write_list(&list)), Ok(list));
    }
    if let Ok(hashes) = info::read_md5sums("", data) {
        assert_eq!(info::read_md5sums("", &info::write_md5sums(&hashes)), Ok(hashes));
    }
    if let Ok(interests) = trigger::read_file_interests("", data) {
        assert_eq!(trigger::read_file_interests("", &trigger::write_file_interests(&interests)), Ok(interests));
    }
    let _ = (trigger::read_directives("", data), trigger::read_unincorporated("", data));
    let _ = (ShippedConffile::read_all("", data), stat_override::read("", data), status_d::read("", data));
});
