//! Group ids of artifacts that do not say theirs.

use super::manifest::Manifest;

/// Attributes of a manifest that often have a group id, most often first; and those that are asked when none of these does.
const PRIMARY: [&str; 8] = [
    "Group-Id",
    "Bundle-SymbolicName",
    "Extension-Name",
    "Specification-Vendor",
    "Implementation-Vendor",
    "Implementation-Vendor-Id",
    "Implementation-Title",
    "Bundle-Activator",
];
const SECONDARY: [&str; 3] = ["Automatic-Module-Name", "Main-Class", "Package"];

/// What a text starts with that is a group id rather than a company's name.
const DOMAINS: [&str; 5] = ["com", "org", "net", "io", "be"];

/// Artifacts of projects that are not built with Maven, so that their archives do not say their group: the group, and the
/// artifacts in it.
const KNOWN: &[(&str, &[&str])] = &[
    ("ant-contrib", &["ant-contrib"]),
    ("com.google.guava", &["guava"]),
    ("com.h2database", &["h2"]),
    ("com.mysql", &["mysql-connector-j"]),
    ("com.squareup.okhttp3", &["logging-interceptor", "mockwebserver", "okhttp"]),
    ("com.squareup.okio", &["okio", "okio-jvm"]),
    ("com.zaxxer", &["HikariCP"]),
    ("commons-logging", &["commons-logging"]),
    ("io.micrometer", &["micrometer-commons", "micrometer-core", "micrometer-observation"]),
    ("io.projectreactor", &["reactor-core"]),
    ("io.projectreactor.netty", &["reactor-netty-core", "reactor-netty-http"]),
    ("io.reactivex.rxjava2", &["rxjava"]),
    ("javax.servlet", &["servlet-api"]),
    ("jline", &["jline"]),
    ("log4j", &["log4j"]),
    ("mysql", &["mysql-connector-java"]),
    ("net.bytebuddy", &["byte-buddy", "byte-buddy-agent"]),
    ("org.antlr", &["antlr4-runtime"]),
    (
        "org.apache.ant",
        &["ant", "ant-antlr", "ant-apache-regexp", "ant-commons-logging", "ant-jsch", "ant-junit", "ant-launcher"],
    ),
    ("org.apache.geronimo.specs", &["geronimo-jms_1.1_spec", "geronimo-servlet_3.0_spec"]),
    ("org.apache.kafka", &["connect-api", "connect-runtime", "kafka-clients", "kafka-streams"]),
    ("org.apache.lucene", &["lucene-analysis-common", "lucene-core", "lucene-queryparser"]),
    ("org.apache.tomcat.embed", &["tomcat-embed-core", "tomcat-embed-el", "tomcat-embed-websocket"]),
    ("org.bouncycastle", &["bcpg-jdk15on", "bcpkix-jdk15on", "bcpkix-jdk18on", "bcprov-jdk15on", "bcprov-jdk18on"]),
    ("org.codehaus.groovy", &["groovy", "groovy-all", "groovy-json", "groovy-xml"]),
    ("org.elasticsearch", &["elasticsearch", "elasticsearch-core", "elasticsearch-x-content"]),
    ("org.hibernate", &["hibernate-entitymanager"]),
    ("org.hibernate.orm", &["hibernate-core"]),
    (
        "org.jetbrains.kotlin",
        &["kotlin-reflect", "kotlin-stdlib", "kotlin-stdlib-common", "kotlin-stdlib-jdk7", "kotlin-stdlib-jdk8"],
    ),
    ("org.mockito", &["mockito-core"]),
    ("org.opensearch", &["opensearch", "opensearch-core"]),
    ("org.postgresql", &["postgresql"]),
    (
        "org.springframework",
        &[
            "spring",
            "spring-aop",
            "spring-aspects",
            "spring-beans",
            "spring-context",
            "spring-context-support",
            "spring-core",
            "spring-expression",
            "spring-instrument",
            "spring-jcl",
            "spring-jdbc",
            "spring-jms",
            "spring-messaging",
            "spring-orm",
            "spring-oxm",
            "spring-test",
            "spring-tx",
            "spring-web",
            "spring-webflux",
            "spring-webmvc",
            "spring-websocket",
        ],
    ),
    ("org.springframework.amqp", &["spring-amqp", "spring-rabbit"]),
    ("org.springframework.batch", &["spring-batch-core", "spring-batch-infrastructure"]),
    (
        "org.springframework.boot",
        &[
            "spring-boot",
            "spring-boot-actuator",
            "spring-boot-actuator-autoconfigure",
            "spring-boot-autoconfigure",
            "spring-boot-jarmode-layertools",
            "spring-boot-loader",
            "spring-boot-starter",
            "spring-boot-starter-actuator",
            "spring-boot-starter-json",
            "spring-boot-starter-logging",
            "spring-boot-starter-tomcat",
            "spring-boot-starter-web",
            "spring-boot-starter-webflux",
        ],
    ),
    (
        "org.springframework.cloud",
        &["spring-cloud-commons", "spring-cloud-context", "spring-cloud-function-context", "spring-cloud-gateway"],
    ),
    (
        "org.springframework.data",
        &["spring-data-commons", "spring-data-jpa", "spring-data-mongodb", "spring-data-rest-core"],
    ),
    ("org.springframework.integration", &["spring-integration-core", "spring-integration-http"]),
    ("org.springframework.kafka", &["spring-kafka"]),
    ("org.springframework.ldap", &["spring-ldap-core"]),
    (
        "org.springframework.security",
        &[
            "spring-security-config",
            "spring-security-core",
            "spring-security-crypto",
            "spring-security-oauth2-client",
            "spring-security-oauth2-core",
            "spring-security-oauth2-jose",
            "spring-security-web",
        ],
    ),
    ("org.springframework.session", &["spring-session-core"]),
];

/// The group id of an artifact, as a table of known ones or its manifest has it.
pub(super) fn of(artifact: &str, manifest: &Manifest) -> Option<String> {
    let known = KNOWN.iter().find(|(_, artifacts)| artifacts.contains(&artifact));
    let known = known.map(|(group, _)| (*group).to_owned());
    known.or_else(|| of_manifest(manifest, &PRIMARY)).or_else(|| of_manifest(manifest, &SECONDARY))
}

/// The first in the alphabet of all that look like one: syft has them so.
fn of_manifest(manifest: &Manifest, fields: &[&str]) -> Option<String> {
    let values = fields.iter().flat_map(|field| manifest.values(field));
    let groups = values.filter(|value| DOMAINS.iter().any(|domain| value.starts_with(domain)));
    groups.map(clean).filter(|group| !group.contains(char::is_whitespace)).min()
}

/// Without the directives of OSGi: `org.bar` of `org.bar;singleton:=true`.
pub(super) fn clean(group: &str) -> String {
    group.split([';', '#']).next().unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_goes_before_the_manifest() {
        let manifest =
            Manifest::parse("Bundle-SymbolicName: org.example.bundle;singleton:=true\nMain-Class: com.a.Main\n");
        assert_eq!(of("spring-core", &manifest).as_deref(), Some("org.springframework"));
        assert_eq!(of("other", &manifest).as_deref(), Some("org.example.bundle"));
        assert_eq!(of("other", &Manifest::parse("Main-Class: com.a.Main\n")).as_deref(), Some("com.a.Main"));
        assert_eq!(of("other", &Manifest::parse("Implementation-Vendor: The Company\n")), None);
    }

    #[test]
    fn no_artifact_is_in_two_groups() {
        let mut all: Vec<_> = KNOWN.iter().flat_map(|(_, artifacts)| artifacts.iter()).collect();
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
