//! The targets of patchkit-scan.
#![no_main]

#[macro_use]
mod program;

targets! {
    scan_advisory,
    scan_apk,
    scan_changelog,
    scan_control,
    scan_database,
    scan_deb,
    scan_dependency,
    scan_dpkg,
    scan_elf,
    scan_executable,
    scan_index,
    scan_jar,
    scan_ld_so,
    scan_lockfile,
    scan_os_release,
    scan_preferences,
    scan_release,
    scan_report_in,
    scan_rpm_header,
    scan_rpmdb,
    scan_script,
    scan_sources,
    scan_version,
    scan_vex,
}
