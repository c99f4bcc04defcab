//! Versions that Go programs carry besides those of modules.

use std::sync::LazyLock;

use jiff::{Timestamp, tz::TimeZone};
use regex::Regex;

/// What Go records as the version of a main module that was built from a working tree.
pub(super) const DEVEL: &str = "(devel)";

/// Assignments by `-ldflags '-X main.version=1.2.3'`, as syft knows them: the version's name must end in `version`, `ver`,
/// `buildVersion`, `gitVersion` and the like, or `tag`.
static ASSIGNED: LazyLock<[Regex; 2]> = LazyLock::new(|| {
    let version = r"=(?:\S+/)*(v?\d+\.\d+\.\d+[-\w]*)";
    let pattern = |name: &str| Regex::new(&format!("{name}{version}")).expect("a constant pattern");
    [pattern(r"\.(?:[gG]it)?(?:[bB]uild)?[vV]er(?:sion)?"), pattern(r"\.[tT]ag")]
});

/// The version of a main module that Go has no version of: what the linker was told to write into it, or the pseudo-version
/// of the commit it was built from.
pub(super) fn of_main(settings: &[(String, String)]) -> Option<String> {
    let setting = |key: &str| settings.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str());
    if let Some(version) = setting("-ldflags").and_then(assigned) {
        return Some(version);
    }
    let revision = setting("vcs.revision")?;
    let time: Timestamp = setting("vcs.time")?.parse().ok()?;
    let time = time.to_zoned(TimeZone::UTC).strftime("%Y%m%d%H%M%S").to_string();
    Some(format!("v0.0.0-{time}-{}", revision.get(..12).unwrap_or(revision)))
}

fn assigned(flags: &str) -> Option<String> {
    let version = ASSIGNED.iter().find_map(|pattern| pattern.captures(flags))?.get(1)?.as_str();
    Some(if version.starts_with('v') { version.into() } else { format!("v{version}") })
}

/// The version of a Go release: `1.22.3` of `go1.22.3 X:nocoverageredesign`; `None` for one that was never released.
pub(super) fn of_release(text: &str) -> Option<&str> {
    let version = text.strip_prefix("go")?.split(' ').next()?;
    version.starts_with(|c: char| c.is_ascii_digit()).then_some(version)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
    }

    #[test]
    fn the_linker_was_told_a_version() {
        for (flags, version) in [
            ("-s -w -X main.version=1.2.3", Some("v1.2.3")),
            ("-X github.com/a/b/pkg.GitVersion=v0.3.0-rc1 -X main.commit=1", Some("v0.3.0-rc1")),
            ("-X main.Ver=release/2.0.1", Some("v2.0.1")),
            ("-X main.tag=v4.5.6", Some("v4.5.6")),
            ("-X main.goVersion=1.2", None),
            ("-X main.date=2024.01.02", None),
            ("", None),
        ] {
            assert_eq!(of_main(&settings(&[("-ldflags", flags)])).as_deref(), version, "{flags}");
        }
    }

    #[test]
    fn a_commit_has_a_pseudo_version() {
        let commit = ("vcs.revision", "41bc6bb410352845f22766e27dd48ba93aa825a4");
        let time = ("vcs.time", "2022-10-14T19:54:57+02:00");
        assert_eq!(of_main(&settings(&[commit, time])).as_deref(), Some("v0.0.0-20221014175457-41bc6bb41035"));
        assert_eq!(of_main(&settings(&[commit])), None);
        assert_eq!(of_main(&settings(&[commit, ("vcs.time", "yesterday")])), None);
    }

    #[test]
    fn a_release_is_a_number() {
        assert_eq!(of_release("go1.22.3"), Some("1.22.3"));
        assert_eq!(of_release("go1.22.3 X:boringcrypto"), Some("1.22.3"));
        assert_eq!(of_release("go1.23rc1"), Some("1.23rc1"));
        assert_eq!(of_release("devel go1.23-6e1f2a Mon Jan 1"), None);
        assert_eq!(of_release("unknown"), None);
    }
}
