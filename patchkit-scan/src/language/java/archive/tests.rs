use std::io::Cursor;

use patchkit_core::image::FilePath;

use super::{super::zip::tests::archive, *};

const PROPERTIES: &str = "groupId=org.a\nartifactId=b\nversion=1.0\n";

fn pom(group: &str, name: &str) -> String {
    format!("META-INF/maven/{group}/{name}/pom.properties")
}

fn text(name: &str, content: &str) -> (String, Vec<u8>, bool) {
    (name.to_owned(), content.as_bytes().to_vec(), true)
}

fn jar(entries: &[(String, Vec<u8>, bool)]) -> Vec<u8> {
    archive(entries.iter().map(|(name, content, deflate)| (name.as_str(), content.clone(), *deflate)))
}

fn detect(path: &str, bytes: &[u8]) -> Result<Vec<Package>, Problem> {
    let path = FilePath::new(path).unwrap();
    let candidate = Candidate { path: &path, size: bytes.len() as u64, head: &bytes[..bytes.len().min(512)] };
    assert!(Archives.wants(&candidate));
    Archives.detect(&candidate, &Content::Memory(bytes.to_vec().into()))
}

/// Purl, location and presence of each package.
fn shown(path: &str, bytes: &[u8]) -> Vec<String> {
    let show = |package: Package| {
        let location = package.locations.first().unwrap();
        format!("{} {location} {:?}", package.purl, package.presence)
    };
    detect(path, bytes).unwrap().into_iter().map(show).collect()
}

#[test]
fn archives_in_archives() {
    let manifest = text(MANIFEST, "Manifest-Version: 1.0\nMain-Class: org.springframework.boot.loader.JarLauncher\n");
    let y = jar(&[text(&pom("org.a", "b"), PROPERTIES)]);
    let core = jar(&[text(MANIFEST, "Implementation-Title: spring-core\nImplementation-Version: 5.3.1\n")]);
    let war = jar(&[("WEB-INF/lib/b-1.0.jar".into(), y.clone(), true)]);
    let bytes = jar(&[
        manifest,
        ("BOOT-INF/lib/b-1.0.jar".into(), y, false),
        ("BOOT-INF/lib/spring-core-5.3.1.jar".into(), core, false),
        ("in.war".into(), war, true),
        ("broken.jar".into(), b"PK broken".to_vec(), false),
    ]);
    let expected = [
        "pkg:maven/org.springframework.boot.loader.JarLauncher/app@2 srv/app-2.jar Installed",
        "pkg:maven/org.a/b@1.0 srv/app-2.jar:BOOT-INF/lib/b-1.0.jar Installed",
        "pkg:maven/org.springframework/spring-core@5.3.1 srv/app-2.jar:BOOT-INF/lib/spring-core-5.3.1.jar Installed",
        "pkg:maven/org.a/b@1.0 srv/app-2.jar:in.war:WEB-INF/lib/b-1.0.jar Installed",
    ];
    assert_eq!(shown("srv/app-2.jar", &bytes), expected);
}

#[test]
fn what_was_shaded_into_an_archive_is_listed() {
    let bytes = jar(&[
        text(MANIFEST, "Implementation-Version: 9\n"),
        text(&pom("org.a", "b"), PROPERTIES),
        text(&pom("org.a", "app"), "groupId=org.a\nartifactId=app\nversion=2.0\n"),
        text(&pom("org.c", "incomplete"), "groupId=org.c\nartifactId=incomplete\n"),
    ]);
    let expected = ["pkg:maven/org.a/app@2.0 app-2.jar Installed", "pkg:maven/org.a/b@1.0 app-2.jar Installed"];
    assert_eq!(shown("app-2.jar", &bytes), expected);
    let beside = [
        "pkg:maven/org.a/app@2.0 agent-3.jar Installed",
        "pkg:maven/org.a/b@1.0 agent-3.jar Installed",
        "pkg:maven/agent/agent@3 agent-3.jar Guessed",
    ];
    assert_eq!(shown("agent-3.jar", &bytes), beside);
}

#[test]
fn a_project_file_alone_says_it_too() {
    let project =
        "<project><parent><groupId>io.m</groupId><version>4.9</version></parent><artifactId>aop</artifactId></project>";
    let bytes = jar(&[text("META-INF/maven/io.m/aop/pom.xml", project)]);
    assert_eq!(shown("aop-4.9.jar", &bytes), ["pkg:maven/io.m/aop@4.9 aop-4.9.jar Installed"]);
    let unresolved = project.replace("4.9", "${revision}");
    let bytes = jar(&[text("META-INF/maven/io.m/aop/pom.xml", &unresolved)]);
    assert_eq!(shown("aop-5.0.jar", &bytes), ["pkg:maven/io.m/aop@5.0 aop-5.0.jar Installed"]);
}

#[test]
fn manifest_and_name_are_asked_last() {
    let manifest = "Bundle-SymbolicName: com.example.tool;singleton:=true\nBundle-Version: 7.1\n";
    let bytes = jar(&[text(MANIFEST, manifest)]);
    assert_eq!(shown("tool.jar", &bytes), ["pkg:maven/com.example.tool/tool@7.1 tool.jar Installed"]);
    assert_eq!(shown("tool-7.2.jar", &bytes), ["pkg:maven/com.example.tool/tool@7.2 tool-7.2.jar Installed"]);
    let found = detect("tool.jar", &bytes).unwrap();
    assert_eq!(found[0].name.as_str(), "com.example.tool:tool");
    let empty = jar(&[]);
    assert_eq!(shown("tool-7.2.hpi", &empty), ["pkg:maven/tool/tool@7.2 tool-7.2.hpi Guessed"]);
    assert!(shown("tool.jar", &empty).is_empty());
    let woven = jar(&[text(MANIFEST, "Weave-Classes: true\n"), text(&pom("org.a", "b"), PROPERTIES)]);
    assert!(shown("b-1.0.jar", &woven).is_empty());
}

#[test]
fn the_classes_of_an_application_may_say_what_it_is() {
    let classes = format!("WEB-INF/classes/{}", pom("org.a", "b"));
    let bytes = jar(&[text(&classes, PROPERTIES), text("archetype-resources/pom.xml", "<project/>")]);
    assert_eq!(shown("b.war", &bytes), ["pkg:maven/org.a/b@1.0 b.war Installed"]);
}

#[test]
fn a_damaged_archive_is_a_problem() {
    let error = detect("a.jar", b"PK\x03\x04 and no more").unwrap_err();
    assert_eq!(error.to_string(), "no zip archive: it has no end record");
}

#[test]
fn only_so_many_deep() {
    let mut bytes = jar(&[text(&pom("org.a", "b"), PROPERTIES)]);
    for _ in 0..9 {
        bytes = jar(&[("n.jar".into(), bytes, true), text(&pom("org.a", "b"), PROPERTIES)]);
    }
    assert_eq!(detect("n.jar", &bytes).unwrap().len(), MAX_DEPTH);
}

#[test]
fn only_so_much_is_unpacked() {
    let bytes = jar(&[("n.jar".into(), jar(&[text(&pom("org.a", "b"), PROPERTIES)]), true)]);
    let found = |budget| {
        let mut survey = Survey { packages: Vec::new(), budget };
        survey.archive(&mut Cursor::new(&bytes[..]), "a.jar", 1).unwrap();
        survey.packages.len()
    };
    assert_eq!(found(MIN_COST * 2), 1);
    assert_eq!(found(MIN_COST), 0);
}
