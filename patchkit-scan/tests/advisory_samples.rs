//! Every feed and sample of a feed in the shared data: read with the statements that it makes, or refused.

#![allow(clippy::unwrap_used)]

mod scan_support;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use patchkit_scan::advisory::{AdvisoryErrorKind, input};
use scan_support::shared_data;

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

/// What becomes of a file: its format, or that it is refused or damaged, and how many statements it makes.
fn outcome(path: &Path) -> (String, usize) {
    let mut statements = 0;
    match input::read_file(path, &mut |_| statements += 1) {
        Ok(format) => (format!("{format:?}"), statements),
        Err(error) if matches!(error.kind(), AdvisoryErrorKind::UnknownFormat(_)) => ("unknown".into(), 0),
        Err(error) => {
            // Damage is named with its place.
            assert!(error.to_string().starts_with(&path.display().to_string()), "{error}");
            ("damaged".into(), 0)
        }
    }
}

/// The feed that a file is of.
fn feed(path: &Path) -> String {
    let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    let length = match (parts[0].as_str(), parts.get(1).map(String::as_str)) {
        ("samples", Some("vuls-data-update")) if parts.len() > 6 => return parts[4..6].join("/"),
        ("samples", Some("claircore")) => 3,
        ("samples", _) | ("alpine", _) => 2,
        _ => 1,
    };
    parts[..length.min(parts.len() - 1)].join("/")
}

#[test]
fn every_sample_is_read_or_refused() {
    let Some(root) = shared_data("advisories") else { return };
    let mut all = Vec::new();
    files(&root, &mut all);
    let mut outcomes: BTreeMap<(String, String), (usize, usize)> = BTreeMap::new();
    for path in all {
        let (kind, statements) = outcome(&path);
        let sum = outcomes.entry((feed(path.strip_prefix(&root).unwrap()), kind)).or_default();
        *sum = (sum.0 + 1, sum.1 + statements);
    }
    let rows = outcomes.iter().map(|((feed, kind), (files, statements))| format!("{feed} {kind} {files} {statements}"));
    assert_eq!(rows.collect::<Vec<_>>(), TABLE.lines().map(str::trim).collect::<Vec<_>>());
}

/// For each feed: what its files are (`damaged` ones are damaged on purpose), how many, and their statements.
///
/// Read as nothing are feeds whose samples are only of products beside a distribution (Red Hat's `csaf` and `osv`,
/// Oracle's `olam`, CISA's `csaf`) or have no security updates (Fedora's). Refused are formats that are not read (NVD,
/// CVRF, bug trackers, others' databases, documents without packages) and files that are no advisories. The counts of
/// Alpine's, AlmaLinux's, Go's, PyPA's, GHSA's and RustSec's were found by other means too.
const TABLE: &str = "\
    alma/errata unknown 2 0
    alma/osv Osv 1 169
    alma/oval Oval 1 36
    alma/updateinfo UpdateInfo 2 2
    alma/updateinfo damaged 2 0
    alma/updateinfo unknown 11 0
    almalinux Osv 9 270431
    almalinux unknown 3 0
    alpine/osv Osv 1 10
    alpine/secdb Secdb 5 15
    alpine/secdb-2020-06 SecdbYaml 18 12031
    alpine/secdb-2020-06 unknown 1 0
    alpine/secdb-subset-2026 Secdb 4 357
    alpine/secdb-subset-2026 unknown 1 0
    amazon/testdata UpdateInfo 8 149
    amazon/testdata unknown 5 0
    arch/testdata ArchTracker 1 3
    arch/testdata unknown 1 0
    bitnami/osv Osv 1 2
    cargo/ghsa Osv 1 20
    cargo/osv Osv 1 2
    cisa/coun7er unknown 1 0
    cisa/csaf Csaf 1 0
    cisa/kev Kev 1 1
    composer/ghsa Osv 1 20
    composer/glsa unknown 1 0
    composer/osv Osv 1 1
    conan/glsa unknown 1 0
    debian DebianBulletins 1 61806
    debian DebianFixes 1 32973
    debian DebianList 1 15
    debian unknown 1 0
    debian/osv Osv 1 4
    debian/oval Oval 1 4
    debian/oval unknown 1 0
    debian/tracker DebianList 1 43
    debian/tracker DebianTracker 1 8
    debian/tracker unknown 33 0
    echo/data unknown 1 0
    echo/osv Osv 1 1
    epss/testdata Epss 3 6
    epss/testdata unknown 1 0
    erlang/ghsa Osv 1 20
    erlang/osv Osv 1 1
    fedora/api unknown 78 0
    fedora/updateinfo UpdateInfo 3 0
    fedora/updateinfo unknown 9 0
    freebsd/testdata unknown 1 0
    ghsa-subset Osv 1 930
    ghsa-subset unknown 1 0
    golang Osv 1 6106
    golang unknown 1 0
    golang/ghsa Osv 1 20
    golang/glsa unknown 1 0
    golang/osv Osv 1 2
    kev Kev 1 1404
    kev unknown 4 0
    maven/ghsa Osv 1 20
    maven/glsa unknown 1 0
    maven/osv Osv 1 1
    minimos/osv Osv 1 8
    minimos/secdb Secdb 1 20
    mitre/cve unknown 3 0
    mitre/emb3d unknown 3 0
    npm/ghsa Osv 1 20
    npm/glsa unknown 1 0
    npm/osv Osv 1 2
    nuget/ghsa Osv 1 20
    nuget/glsa unknown 1 0
    nuget/osv Osv 1 8
    nvd/api unknown 66 0
    nvd/feed unknown 6 0
    oracle/linux Oval 1 18
    oracle/linux unknown 2 0
    oracle/olam Oval 1 0
    oracle/openstack Oval 1 3
    oracle/vm Oval 1 2
    photon/cve PhotonCves 3 10
    photon/cve unknown 1 0
    photon/oval Oval 2 6
    pip/ghsa Osv 1 20
    pip/glsa unknown 1 0
    pip/osv Osv 1 8
    pypa Osv 1 2649
    pypa unknown 1 0
    redhat/csaf Csaf 2 0
    redhat/csaf unknown 3 0
    redhat/cve unknown 6 0
    redhat/cvrf unknown 1 0
    redhat/osv Osv 1 0
    redhat/oval Oval 3 36
    redhat/oval unknown 1 0
    redhat/vex Csaf 3 297
    redhat/vex unknown 4 0
    rocky/errata unknown 2 0
    rocky/osv Osv 1 3
    rocky/updateinfo UpdateInfo 4 3
    rocky/updateinfo damaged 1 0
    rocky/updateinfo unknown 21 0
    rubygems/ghsa Osv 1 20
    rubygems/glsa unknown 1 0
    rubygems/osv Osv 1 2
    rustsec RustSec 945 646
    rustsec unknown 5 0
    samples/claircore unknown 1 0
    samples/claircore/alpine Secdb 1 9
    samples/claircore/alpine unknown 17 0
    samples/claircore/aws unknown 1 0
    samples/claircore/debian unknown 9 0
    samples/claircore/dpkg unknown 4 0
    samples/claircore/enricher Kev 1 2
    samples/claircore/enricher unknown 1 0
    samples/claircore/internal unknown 5 0
    samples/claircore/osrelease unknown 11 0
    samples/claircore/photon Oval 1 2467
    samples/claircore/rhel Csaf 10 296
    samples/claircore/rhel unknown 33 0
    samples/claircore/rpm unknown 5 0
    samples/claircore/ruby unknown 1 0
    samples/claircore/test Csaf 10 293
    samples/claircore/test unknown 8 0
    samples/claircore/toolkit Csaf 4 8
    samples/claircore/toolkit unknown 11 0
    samples/claircore/ubuntu unknown 26 0
    samples/osv.dev DebianTracker 1 15
    samples/osv.dev Osv 26 2
    samples/osv.dev unknown 20 0
    samples/trivy-detector-db unknown 71 0
    samples/vuls-data-update unknown 1 0
    suse/csaf Csaf 1 2810
    suse/csaf_vex Csaf 1 426
    suse/cvrf unknown 1 0
    suse/cvrf_cve unknown 2 0
    suse/osv Osv 1 2376
    suse/oval Oval 14 144
    ubuntu/cve unknown 3 0
    ubuntu/notice unknown 3 0
    ubuntu/osv Osv 1 592
    ubuntu/oval Oval 5 9
    ubuntu/tracker unknown 6 0
    ubuntu/usndb unknown 1 0
    ubuntu/vex OpenVex 1 10
";
