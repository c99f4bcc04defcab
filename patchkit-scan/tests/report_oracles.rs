//! Reports against those who define and read them: official schemas, Trivy, Syft, SPDX's own tools; and what other
//! tools write, read by us.
//!
//! `TRIVY`, `SYFT` and `PYTHON` (with the modules `jsonschema`, `spdx_tools` and `spdx_python_model`) name the programs
//! where they are not in the path.

#![allow(clippy::unwrap_used)]

mod scan_support;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use patchkit_core::{Context, ErrorKind, FixState, Image, ScanReport, Scanner, conformance};
use patchkit_scan::{
    AdvisoryScanner, AdvisoryStore, Quorum, ReportScanner, Sbom, SbomScanner,
    matcher::Matcher,
    report::{self, ForeignReport, Format, WriteOptions},
    vex::{Vex, WithVex},
};
use scan_support::{debian_11, image, layer, layout_image, shared_data};
use serde_json::Value;

const IMAGE: &str = "images/debian-11.11-distroless";
const ADVISORIES: &str = "advisories/debian/fixes.tsv";

/// A program by its variable or in the path; `None` (said on stderr) where it does not run.
fn program(variable: &str, name: &str, check: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os(variable).map_or_else(|| name.into(), PathBuf::from);
    let runs = Command::new(&path).args(check).output().is_ok_and(|output| output.status.success());
    if !runs {
        let required = std::env::var_os("PATCHKIT_REQUIRE_EXTERNAL").is_some_and(|value| value == "1");
        assert!(!required, "required: {variable}, {name} {}", check.join(" "));
        eprintln!("skipped: {name} {} does not run", check.join(" "));
    }
    runs.then_some(path)
}

fn output(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn sample() -> ScanReport {
    serde_json::from_str(include_str!("report/sample.json")).unwrap()
}

fn options() -> WriteOptions {
    WriteOptions::new("2026-01-02T03:04:05Z".parse().unwrap()).with_name("example.org/team/app:1.2")
}

fn written(format: Format, report: &ScanReport) -> String {
    report::write(format, std::slice::from_ref(report), &options()).unwrap()
}

/// The Debian image and what we say about it, with names and versions of the advisories that Trivy's database has too.
async fn scanned() -> Option<(Image, Arc<AdvisoryStore>, ScanReport)> {
    let (layout, advisories) = (shared_data(IMAGE)?, shared_data(ADVISORIES)?);
    let image = layout_image(&layout).await;
    let store = Arc::new(AdvisoryStore::open([advisories]).unwrap());
    let report = AdvisoryScanner::new(store.clone()).scan(&image, &Context::new()).await.unwrap();
    Some((image, store, report))
}

/// CVE, package and fixed version.
type Findings = BTreeSet<(String, String, String)>;

fn findings<'a>(found: impl IntoIterator<Item = &'a patchkit_core::Finding>) -> Findings {
    let fix =
        |fix: &FixState| if let FixState::Fixed(version) = fix { version.to_string() } else { format!("{fix:?}") };
    let found = found.into_iter().filter(|finding| finding.id.is_cve());
    found.map(|f| (f.id.to_string(), f.package.parts().name, fix(&f.fix))).collect()
}

fn trivys(name: &str) -> Option<Vec<u8>> {
    let folder = shared_data("e2e/debian-11.11-distroless")?;
    Some(fs::read(folder.join(format!("trivy-0.76.0.before.{name}.json"))).unwrap())
}

/// Validates with Python's `jsonschema`: a document, its schema, and the schemas that this one refers to. Says whether
/// it is valid, and prints what is wrong.
fn is_valid(python: &Path, document: &str, schemas: &[&Path]) -> bool {
    let script = "import json, sys; from jsonschema.validators import validator_for; from referencing import Registry, Resource; \
                  load = lambda p: json.load(open(p)); main, *others = map(load, sys.argv[2:]); \
                  registry = Registry().with_resources((o['$id'], Resource.from_contents(o)) for o in others); \
                  found = list(validator_for(main)(main, registry=registry).iter_errors(load(sys.argv[1]))); \
                  sys.exit('\\n'.join(f'{e.json_path}: {e.message[:200]}' for e in found) or None)";
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), document).unwrap();
    let result = Command::new(python).args(["-c", script]).arg(file.path()).args(schemas).output().unwrap();
    eprint!("{}", String::from_utf8_lossy(&result.stderr));
    result.status.success()
}

#[tokio::test]
async fn json_documents_are_what_their_schemas_say() {
    let Some(python) = program("PYTHON", "python3", &["-c", "import jsonschema, referencing"]) else { return };
    let folder = "pkgdb/grype/grype/presenter";
    let paths = ["bom-1.6.schema.json", "spdx.schema.json", "jsf-0.82.schema.json"];
    let [Some(bom), Some(spdx), Some(jsf)] =
        paths.map(|name| shared_data(&format!("{folder}/cyclonedx/testdata/{name}")))
    else {
        return;
    };
    let Some(sarif) = shared_data(&format!("{folder}/sarif/testdata/sarif-schema-2.1.0.json")) else { return };
    let Some((_, _, real)) = scanned().await else { return };
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/scan-report.schema.json");
    for report in [sample(), real] {
        assert!(is_valid(&python, &written(Format::CycloneDx, &report), &[&bom, &spdx, &jsf]));
        assert!(is_valid(&python, &written(Format::Sarif, &report), &[&sarif]));
        assert!(is_valid(&python, &written(Format::Json, &report), &[&own]));
    }
    let broken = written(Format::CycloneDx, &sample()).replace("\"container\"", "\"box\"");
    assert!(!is_valid(&python, &broken, &[&bom, &spdx, &jsf]));
    let broken = written(Format::Json, &sample()).replace("\"subject\": \"sha256:", "\"subject\": \"");
    assert!(!is_valid(&python, &broken, &[&own]));
}

/// SPDX's own Python tools validate version 2.3, and the model's bindings read version 3.
#[tokio::test]
async fn spdx_is_what_its_own_tools_accept() {
    let Some(python) = program("PYTHON", "python3", &["-c", "import spdx_tools, spdx_python_model"]) else { return };
    let Some((_, _, real)) = scanned().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let two = "import sys; from spdx_tools.spdx.parser.parse_anything import parse_file; \
               from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document as check; \
               found = check(parse_file(sys.argv[1])); \
               sys.exit('\\n'.join(m.validation_message for m in found) or None)";
    let three = "import sys; from spdx_python_model import v3_0_1 as m; o = m.SHACLObjectSet(); \
                 m.JSONLDDeserializer().read(open(sys.argv[1]), o); all = list(o.foreach()); \
                 kinds = [type(x).__name__ for x in all]; \
                 m.JSONLDSerializer().write(o, open(sys.argv[2], 'wb')); \
                 assert not o.missing_ids, o.missing_ids; \
                 print(kinds.count('software_Package'), kinds.count('security_VexAffectedVulnAssessmentRelationship'))";
    for (n, report) in [sample(), real].iter().enumerate() {
        let [first, second, copy] =
            ["spdx.json", "spdx3.json", "copy.json"].map(|name| folder.path().join(format!("{n}-{name}")));
        fs::write(&first, written(Format::Spdx, report)).unwrap();
        fs::write(&second, written(Format::Spdx3, report)).unwrap();
        output(Command::new(&python).args(["-c", two]).arg(&first));
        let counts = output(Command::new(&python).args(["-c", three]).args([&second, &copy]));
        let by_rule = report.suppressed.iter().filter(|suppressed| suppressed.source == "rules.yaml").count();
        let expected = format!("{} {}\n", report.packages.len() + 2, report.findings.len() + by_rule);
        assert_eq!(String::from_utf8_lossy(&counts), expected);
    }
}

fn trivy_sbom(trivy: &Path, folder: &Path, document: &Path, vex: Option<&Path>) -> Value {
    let mut command = Command::new(trivy);
    command.args([
        "sbom",
        "--quiet",
        "--skip-db-update",
        "--skip-java-db-update",
        "--offline-scan",
        "--format",
        "json",
    ]);
    command.args(["--skip-version-check", "--disable-telemetry", "--list-all-pkgs", "--cache-dir"]).arg(folder);
    if let Some(vex) = vex {
        command.args(["--show-suppressed", "--vex"]).arg(vex);
    }
    serde_json::from_slice(&output(command.arg(document))).unwrap()
}

/// Trivy finds in our bills of materials what it finds in the image, and believes our statements.
#[tokio::test]
async fn trivy_reads_what_we_write() {
    let Some(trivy) = program("TRIVY", "trivy", &["--version"]) else { return };
    let Some((_, _, report)) = scanned().await else { return };
    let (Some(own), Some(database)) = (trivys("json"), shared_data("e2e/trivy-db")) else { return };
    let expected = findings(&report::read(&own).unwrap().findings);
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("db")).unwrap();
    let packed = fs::File::open(database.join("trivy.db.zst")).unwrap();
    fs::write(folder.path().join("db/trivy.db"), zstd::decode_all(packed).unwrap()).unwrap();
    fs::copy(database.join("metadata.json"), folder.path().join("db/metadata.json")).unwrap();
    for format in [Format::CycloneDx, Format::Spdx] {
        let document = folder.path().join(format!("{format}.json"));
        fs::write(&document, written(format, &report)).unwrap();
        let found = trivy_sbom(&trivy, folder.path(), &document, None);
        let found = report::read(found.to_string().as_bytes()).unwrap();
        assert_eq!(findings(&found.findings), expected, "{format}");
        assert_eq!(found.packages.len(), report.packages.len(), "{format}");
    }
    let mut patched = report.clone();
    patched.findings.retain(|finding| finding.package.parts().name != "libexpat1");
    for package in patched.packages.iter_mut().filter(|package| package.name.as_str() == "libexpat1") {
        package.purl = package.purl.as_str().replace("deb11u5", "deb11u7").parse().unwrap();
    }
    let gone = expected.iter().filter(|(_, name, _)| name == "libexpat1").count();
    let statements =
        report::rescan_vex(std::slice::from_ref(&report), &[patched.clone().sorted()], &options()).unwrap();
    // The bill of materials has the old version still, so that Trivy would find all, but for the statements. It takes
    // no image's name from a bill of materials, so that the products have to be the packages.
    let mut statements: Value = serde_json::from_str(&statements.replace("deb11u7", "deb11u5")).unwrap();
    for statement in statements["statements"].as_array_mut().unwrap() {
        statement["products"] = statement["products"][0]["subcomponents"].take();
    }
    let (document, vex) = (folder.path().join("cyclonedx.json"), folder.path().join("vex.json"));
    fs::write(&vex, statements.to_string()).unwrap();
    let found = trivy_sbom(&trivy, folder.path(), &document, Some(&vex));
    let found = report::read(found.to_string().as_bytes()).unwrap();
    assert_eq!(found.suppressed.len(), gone);
    assert_eq!(found.findings.len(), expected.len() - gone);
}

/// Trivy's readers of its own format, `trivy convert`, read ours.
#[tokio::test]
async fn trivy_converts_our_trivy_report() {
    let Some(trivy) = program("TRIVY", "trivy", &["--version"]) else { return };
    let Some((_, _, real)) = scanned().await else { return };
    let folder = tempfile::tempdir().unwrap();
    for report in [sample(), real] {
        let document = folder.path().join("trivy.json");
        fs::write(&document, written(Format::Trivy, &report)).unwrap();
        let mut command = Command::new(&trivy);
        let converted = output(command.args(["convert", "--quiet", "--format", "cyclonedx"]).arg(&document));
        let converted = report::read(&converted).unwrap();
        assert_eq!(findings(&converted.findings), findings(&report.findings).into_iter().map(unstated).collect());
        let named =
            |packages: &[patchkit_core::Package]| packages.iter().map(|p| p.purl.clone()).collect::<BTreeSet<_>>();
        assert_eq!(named(&converted.packages), named(&report.packages));
    }
}

/// CycloneDX as Trivy writes it does not say that the vendor will not fix something.
fn unstated((id, name, fix): (String, String, String)) -> (String, String, String) {
    (id, name, fix.replace("WillNotFix", "NotFixed"))
}

/// Syft reads the same packages out of our bills of materials, and we read them out of its own format.
#[tokio::test]
async fn syft_reads_what_we_write() {
    let Some(syft) = program("SYFT", "syft", &["version"]) else { return };
    let Some((_, _, real)) = scanned().await else { return };
    let folder = tempfile::tempdir().unwrap();
    for report in [sample(), real] {
        for format in [Format::CycloneDx, Format::Spdx] {
            let document = folder.path().join(format!("{format}.json"));
            fs::write(&document, written(format, &report)).unwrap();
            let mut command = Command::new(&syft);
            command.env("SYFT_CHECK_FOR_APP_UPDATE", "false").args(["convert", "--quiet"]);
            let converted = output(command.arg(&document).args(["--output", "syft-json"]));
            let sbom = Sbom::read(&converted).unwrap();
            let named = |packages: &[patchkit_core::Package]| {
                packages.iter().map(|p| (p.purl.parts().name, p.version.to_string())).collect::<BTreeSet<_>>()
            };
            let mut expected = named(&report.packages);
            if format == Format::Spdx {
                // SPDX has no kind of element for an operating system, so Syft takes it for a package.
                let distribution = report.distribution.as_ref().unwrap();
                expected.insert((distribution.id.clone(), distribution.version_id.clone().unwrap()));
            }
            assert_eq!(named(&sbom.inventory().packages), expected, "{format}");
        }
    }
}

/// What Trivy says of one image in its four formats is the same to us, as far as the formats say it.
#[tokio::test]
async fn trivys_four_reports_are_read() {
    let formats = ["json", "cyclonedx", "sarif", "spdx-json"].map(trivys);
    let [Some(json), Some(cyclonedx), Some(sarif), Some(spdx)] = formats else { return };
    let Some((image, _, ours)) = scanned().await else { return };
    let [json, cyclonedx, sarif, spdx] = [json, cyclonedx, sarif, spdx].map(|bytes| report::read(&bytes).unwrap());
    let expected = findings(&ours.findings);
    assert_eq!(expected.len(), 63);
    for report in [&json, &cyclonedx, &sarif] {
        assert_eq!(findings(&report.findings), expected, "{}", report.format);
        assert_eq!(report.warnings, [""; 0], "{}", report.format);
    }
    // The database has no addresses of vulnerabilities, which is all that SPDX has of them.
    assert_eq!(spdx.findings, []);
    assert_eq!(spdx.warnings, ["63 references to advisories do not say which vulnerability they are about"]);
    let known = |report: &ForeignReport| -> Vec<_> {
        let all = report.packages.iter();
        all.map(|p| (p.name.to_string(), p.version.clone(), p.architecture.clone(), p.source.clone(), p.layer))
            .collect()
    };
    let own: Vec<_> = ours
        .packages
        .iter()
        .map(|p| (p.name.to_string(), p.version.clone(), p.architecture.clone(), p.source.clone(), p.layer))
        .collect();
    for report in [&json, &cyclonedx, &spdx] {
        assert_eq!(known(report), own, "{}", report.format);
        assert_eq!(
            report.distribution.as_ref().map(|d| (d.id.as_str(), d.version_id.as_deref())),
            Some(("debian", Some("11.11")))
        );
        assert_eq!(
            report.about(&image).unwrap().warnings.len(),
            spdx.warnings.len() * usize::from(report.format == spdx.format)
        );
    }
    assert!(sarif.about(&image).is_ok(), "the configuration's digest is in it");
}

#[tokio::test]
async fn a_report_is_a_scanner_of_its_image_alone() {
    let (Some(json), Some((real, _, _))) = (trivys("json"), scanned().await) else { return };
    let scanner = ReportScanner::new(&json).unwrap();
    assert_eq!(scanner.scan(&real, &Context::new()).await.unwrap().findings.len(), 63);
    conformance::scanner::suite(&scanner, &real).await.assert();
    let other = image([layer([debian_11()])]);
    assert_eq!(scanner.scan(&other, &Context::new()).await.unwrap_err().kind(), ErrorKind::Invalid);
}

/// What is matched from a bill of materials is what is matched from the image.
#[tokio::test]
async fn a_bill_of_materials_stands_for_its_image() {
    let Some((image, store, report)) = scanned().await else { return };
    let own = [Format::CycloneDx, Format::Json, Format::Spdx, Format::Trivy].map(|format| written(format, &report));
    let foreign = ["cyclonedx", "spdx-json", "json"].map(trivys);
    let foreign: Vec<Vec<u8>> = foreign.into_iter().flatten().collect();
    for bytes in own.iter().map(String::as_bytes).chain(foreign.iter().map(Vec::as_slice)) {
        let sbom = Sbom::read(bytes).unwrap();
        let judged = sbom.judge(&Matcher::new(&store)).unwrap();
        assert_eq!(findings(&judged.findings), findings(&report.findings), "{:?}", sbom.tool());
        assert_eq!(judged.platform, report.platform);
        let scanner = SbomScanner::new(sbom, store.clone());
        let scanned = scanner.scan(&image, &Context::new()).await.unwrap();
        assert_eq!(findings(&scanned.findings), findings(&report.findings));
        conformance::scanner::suite(&scanner, &image).await.assert();
    }
    assert_eq!(Sbom::read(&trivys("sarif").unwrap()).unwrap_err().kind(), ErrorKind::Unsupported);
}

/// Trivy and we, with the statements of a document in between: all together on a real image.
#[tokio::test]
async fn scanners_are_put_together() {
    let (Some(json), Some((image, store, report))) = (trivys("json"), scanned().await) else { return };
    let digest = report.subject.hex();
    let statements = format!(
        r#"{{"@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://example.org/vex/1", "author": "A team",
            "timestamp": "2026-01-01T00:00:00Z", "statements": [{{"vulnerability": {{"name": "CVE-2025-0395"}},
            "products": [{{"hashes": {{"sha-256": "{digest}"}}, "subcomponents": [{{"@id": "pkg:deb/debian/libc6"}}]}}],
            "status": "not_affected", "justification": "vulnerable_code_not_in_execute_path"}}]}}"#
    );
    let both = Quorum::all(AdvisoryScanner::new(store), vec![Arc::new(ReportScanner::new(&json).unwrap())]);
    let scanner = both.with_vex(Vex::new().with_document(statements.as_bytes()).unwrap());
    let judged = scanner.scan(&image, &Context::new()).await.unwrap();
    // We have one more, under the id of an announcement that names no CVE.
    let by: Vec<_> = judged.suppressed.iter().map(|s| (s.finding.id.as_str(), s.by.as_str())).collect();
    assert_eq!(by, [("CVE-2025-0395", "A team"), ("DLA-3972-1", "quorum")]);
    assert_eq!(judged.findings.len(), 62);
    conformance::scanner::suite(&scanner, &image).await.assert();
}

/// Every report of the peers' own tests that is of a version that we read, is read.
#[test]
fn the_peers_own_samples_are_read() {
    let [Some(grype), Some(syft), Some(trivy)] =
        ["pkgdb/grype/grype/presenter", "reports/syft-formats", "reports/copacetic/pkg/report/testdata"]
            .map(shared_data)
    else {
        return;
    };
    for (file, packages, findings) in [
        (grype.join("json/testdata/snapshot/TestJsonImgsPresenter.golden"), 2, 2),
        (grype.join("cyclonedx/testdata/snapshot/TestCycloneDxPresenterImage.golden"), 1, 1),
        (grype.join("sarif/testdata/snapshot/TestSarifPresenter_image.golden"), 2, 2),
        (grype.join("explain/testdata/keycloak-test.json"), 6, 6),
        (syft.join("syftjson/testdata/snapshot/TestImageEncoder.golden"), 2, 0),
        (syft.join("testdata/alpine-syft.json"), 14, 0),
        (syft.join("spdxjson/testdata/spdx/alpine-3.10.syft.spdx.json"), 3, 0),
        (trivy.join("trivy_valid.json"), 1, 1),
    ] {
        let report = report::read(&fs::read(&file).unwrap()).unwrap();
        let found = (report.packages.len(), report.findings.len());
        assert_eq!(found, (packages, findings), "{}: {:?}", file.display(), report.warnings);
    }
}
