use patchkit_core::{
    ErrorKind, FixState, Platform, Severity,
    image::{Compression, FilePath, LayerWriter, Metadata},
};

use super::*;
use crate::purl_pattern;

/// Says what it was told to say.
#[derive(Debug)]
struct Says(&'static str, std::result::Result<Vec<Finding>, ErrorKind>);

impl Plugin for Says {
    fn info(&self) -> PluginInfo {
        PluginInfo::new(self.0, "1")
    }
}

#[async_trait]
impl Scanner for Says {
    async fn scan(&self, image: &Image, _: &Context) -> Result<ScanReport> {
        let findings = self.1.clone().map_err(|kind| Error::new(kind, "it broke"))?;
        let packages = findings.iter().map(|finding| purl_pattern::package(&finding.package).unwrap()).collect();
        Ok(ScanReport { packages, findings, ..ScanReport::of(image) }.sorted())
    }
}

fn finding(names: &[&str], purl: &str) -> Finding {
    let mut names = names.iter().map(|name| name.parse().unwrap());
    let purl = purl.parse().unwrap();
    let finding = Finding::new(names.next().unwrap(), purl, Severity::Low, FixState::NotFixed, "test");
    Finding { aliases: names.collect(), ..finding }
}

fn image() -> Image {
    let mut writer = LayerWriter::new(Compression::Gzip(1), &Context::new()).unwrap();
    writer.file(&FilePath::new("a").unwrap(), &Metadata::default(), 1, &mut &b"a"[..]).unwrap();
    Image::of_layers(&Platform::new("linux", "amd64", None).unwrap(), vec![writer.finish().unwrap()]).unwrap()
}

async fn scan(needed: usize, said: [std::result::Result<Vec<Finding>, ErrorKind>; 3]) -> Result<ScanReport> {
    let [first, second, third] = said;
    let rest: Vec<Arc<dyn Scanner>> = vec![Arc::new(Says("second", second)), Arc::new(Says("third", third))];
    let quorum = Quorum::at_least(needed.try_into().unwrap(), Says("first", first), rest).unwrap();
    quorum.scan(&image(), &Context::new()).await
}

const SSL: &str = "pkg:deb/debian/libssl1.1@1.1.1n-0?arch=amd64";

#[tokio::test]
async fn it_takes_so_many() {
    let one = finding(&["CVE-2024-0001"], SSL);
    let two = finding(&["CVE-2024-0002", "DSA-1-1"], SSL);
    // The same by another name, in the words of another tool for the package.
    let same = finding(&["GHSA-1", "CVE-2024-0002"], "pkg:deb/debian/libssl1.1@1.1.1n-0?distro=debian-11.11");
    let three = finding(&["CVE-2024-0003", "DSA-1-1"], SSL);
    let said = || {
        [
            Ok(vec![one.clone(), two.clone(), three.clone()]),
            Ok(vec![same.clone(), three.clone()]),
            Ok(vec![three.clone()]),
        ]
    };
    for (needed, expected) in [
        (1, vec!["CVE-2024-0001", "CVE-2024-0002", "CVE-2024-0003"]),
        (2, vec!["CVE-2024-0002", "CVE-2024-0003"]),
        (3, vec!["CVE-2024-0003"]),
    ] {
        let report = scan(needed, said()).await.unwrap();
        let found: Vec<_> = report.findings.iter().map(|finding| finding.id.as_str()).collect();
        assert_eq!(found, expected, "{needed}");
        assert_eq!(report.findings.len() + report.suppressed.len(), 3, "nothing is lost");
        assert!(report.findings.iter().all(|finding| report.package(&finding.package).is_some()));
    }
    let report = scan(2, said()).await.unwrap();
    let reason = "1 of 2 needed: first say so, second, third do not";
    assert_eq!(
        (report.suppressed[0].finding.id.as_str(), report.suppressed[0].reason.as_str()),
        ("CVE-2024-0001", reason)
    );
    let aliases: Vec<_> = report.findings[0].aliases.iter().map(|id| id.as_str()).collect();
    assert_eq!(aliases, ["DSA-1-1", "GHSA-1"]);
}

#[tokio::test]
async fn who_says_what_is_told() {
    let low = finding(&["CVE-2024-0001"], SSL);
    let high = Finding { severity: Severity::High, fix: FixState::WillNotFix, ..low.clone() };
    let report = scan(2, [Ok(vec![low.clone()]), Ok(vec![high]), Ok(vec![])]).await.unwrap();
    assert_eq!(report.findings, [low]);
    let key = report.findings[0].key();
    let expected = [
        format!("{key}: severity: first says low, second says high"),
        format!("{key}: fix: first says no fix, second says will not be fixed"),
    ];
    assert_eq!(report.warnings, expected);
}

#[tokio::test]
async fn a_failure_is_one_unless_it_does_not_matter() {
    let one = || vec![finding(&["CVE-2024-0001"], SSL)];
    let fails = || Err(ErrorKind::Unavailable);
    for (needed, said, decided) in [
        (1, [Ok(one()), Ok(one()), fails()], None),
        (2, [Ok(one()), Ok(one()), fails()], Some(1)),
        (2, [Ok(vec![]), Ok(vec![]), fails()], Some(0)),
        (2, [Ok(one()), Ok(vec![]), fails()], None),
        (3, [Ok(one()), Ok(one()), fails()], None),
        (3, [Ok(one()), Ok(vec![]), fails()], Some(0)),
        (2, [Ok(one()), fails(), fails()], None),
        (3, [fails(), fails(), fails()], None),
    ] {
        let answer = scan(needed, said).await;
        match (answer, decided) {
            (Ok(report), Some(n)) => {
                assert_eq!(report.findings.len(), n, "{needed}");
                assert_eq!(report.warnings.iter().filter(|warning| warning.starts_with("third failed: ")).count(), 1);
            }
            (Err(error), None) => {
                assert_eq!(error.kind(), ErrorKind::Unavailable);
                assert!(error.message().contains("third failed: "), "{error}");
            }
            (answer, _) => panic!("{needed}: {answer:?}"),
        }
    }
}

#[tokio::test]
async fn the_quorum_keeps_the_contract() {
    let says = || Ok(vec![finding(&["CVE-2024-0001"], SSL)]);
    let reports = crate::AdvisoryScanner::new(crate::AdvisoryStore::builder().build());
    let quorum = Quorum::all(reports.clone(), vec![Arc::new(reports)]);
    patchkit_core::conformance::scanner::suite(&quorum, &image()).await.assert();
    assert!(Quorum::at_least(2.try_into().unwrap(), Says("a", says()), vec![]).is_err());
    let twice = Quorum::any(Says("a", says()), vec![Arc::new(Says("a", says()))]);
    assert_eq!(format!("{twice:?}"), "at least 1 of [\"a\", \"a\"]");
    assert_eq!(twice.names(), ["a", "a 2"]);
    assert_ne!(twice.info(), Quorum::all(Says("a", says()), vec![Arc::new(Says("a", says()))]).info());
}
