use super::*;

fn document(definition: &str) -> String {
    format!(
        r#"<oval_definitions xmlns="x" xmlns:r="y"><generator><p>x</p></generator><definitions>{definition}</definitions>
        <tests>
          <r:rpminfo_test id="t:1"><r:object object_ref="o:1"/><r:state state_ref="s:1"/></r:rpminfo_test>
          <r:rpminfo_test id="t:2"><r:object object_ref="o:1"/><r:state state_ref="s:2"/></r:rpminfo_test>
          <r:rpminfo_test id="t:3"><r:object object_ref="o:1"/></r:rpminfo_test>
          <r:rpminfo_test id="t:4"><r:object object_ref="o:1"/><r:state state_ref="s:4"/></r:rpminfo_test>
          <r:rpminfo_test id="t:5"><r:object object_ref="o:2"/><r:state state_ref="s:1"/></r:rpminfo_test>
          <textfilecontent54_test id="t:6"><object object_ref="o:3"/><state state_ref="s:3"/></textfilecontent54_test>
        </tests><objects>
          <r:rpminfo_object id="o:1"><r:name>curl</r:name></r:rpminfo_object>
          <r:rpminfo_object id="o:2"><r:name>sles-release</r:name></r:rpminfo_object>
          <textfilecontent54_object id="o:3"><pattern var_ref="v:1"/></textfilecontent54_object>
        </objects><states>
          <r:rpminfo_state id="s:1"><r:arch>(aarch64|x86_64)</r:arch><r:evr operation="less than">0:1-2</r:evr></r:rpminfo_state>
          <r:rpminfo_state id="s:2"><r:signature_keyid>x</r:signature_keyid></r:rpminfo_state>
          <textfilecontent54_state id="s:3"><subexpression operation="less than">1:2-3</subexpression></textfilecontent54_state>
          <r:rpminfo_state id="s:4"><r:version operation="equals">0</r:version></r:rpminfo_state>
        </states><variables><constant_variable id="v:1"><value>^libssh-4(?::\w+|)\s+(.*)$</value></constant_variable></variables>
        </oval_definitions>"#
    )
}

fn definition(id: &str, metadata: &str, criteria: &str) -> String {
    format!(
        r#"<definition id="oval:{id}:def:1" class="vulnerability"><metadata>{metadata}<advisory><severity>Moderate</severity>
        <cve cvss3="7.5/CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H">CVE-2024-1001 at SUSE</cve></advisory></metadata>{criteria}</definition>"#
    )
}

fn shown(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    read(text.as_bytes(), &mut |a| {
        let module = a.module.as_deref().unwrap_or("-");
        found.push(format!(
            "{} {} {:?} {module} [{}] {}",
            a.scope,
            a.package,
            a.status,
            a.architectures.join(","),
            a.urgency
        ));
    })
    .unwrap();
    found
}

const FIXED: &str = "Affected([Range { from: None, end: Fixed(\"1-2\") }])";
const NOT_FIXED: &str = "Affected([Range { from: None, end: NotFixed }])";

#[test]
fn criteria_are_claims() {
    let installed = |name: &str| format!(r#"<criterion test_ref="t:9" comment="{name} is installed"/>"#);
    let curl = r#"<criterion test_ref="t:1" comment="curl-1-2 is installed"/><criterion test_ref="t:2" comment="curl is signed with a key"/>"#;
    let all = |inner: &str| format!(r#"<criteria operator="AND">{inner}</criteria>"#);
    let any = |inner: &str| format!(r#"<criteria operator="OR">{inner}</criteria>"#);
    let two = any(&(installed("SUSE Linux Enterprise Server 15 SP4") + &installed("SUSE Manager Server 4.3")));
    let module = r#"<criterion test_ref="t:9" comment="Module curl:7 is enabled"/>"#;
    let arch = r#"<criterion test_ref="t:9" comment="Oracle Linux arch is x86_64"/>"#;
    let unfixed = r#"<criterion test_ref="t:3" comment="curl is installed"/>"#;
    let not_affected = r#"<criterion test_ref="t:4" comment="curl is not affected"/>"#;
    let release = r#"<criterion test_ref="t:5" comment="sles10-sp4-sdk is installed"/>"#;
    for (criteria, expected) in [
        (all(&(installed("openSUSE Leap 15.2") + curl)), vec![format!("opensuse-leap 15.2 curl {FIXED} - [] medium")]),
        (all(&(two + &any(curl))), vec![format!("sles 15.4 curl {FIXED} - [] medium")]),
        (all(&(installed("SUSE Manager Server 4.3") + curl)), vec![]),
        (all(&(release.to_owned() + curl)), vec![]),
        (
            any(&(r#"<criterion test_ref="t:9" comment="AlmaLinux must be installed"/>"#.to_owned()
                + &all(&(installed("AlmaLinux 9") + &all(&(module.to_owned() + &any(&all(curl)))))))),
            vec![format!("almalinux 9 curl {FIXED} curl:7 [] medium")],
        ),
        (
            all(&(installed("Oracle Linux 8") + &all(&(arch.to_owned() + curl)))),
            vec![format!("ol 8 curl {FIXED} - [] medium")],
        ),
        (
            all(&(installed("Red Hat Enterprise Linux 9") + unfixed)),
            vec![format!("rhel 9 curl {NOT_FIXED} - [] medium")],
        ),
        (
            all(&(installed("SUSE Linux Micro 6.0") + not_affected)),
            vec!["sl-micro 6.0 curl NotAffected - [] medium".into()],
        ),
    ] {
        let text = document(&definition("org.opensuse", "", &criteria));
        assert_eq!(shown(&text), expected, "{criteria}");
    }
}

#[test]
fn resolutions_and_unaffected_definitions() {
    let criteria = r#"<criteria><criterion test_ref="t:9" comment="Red Hat Enterprise Linux 9 is installed"/><criterion test_ref="t:3" comment="curl is installed"/></criteria>"#;
    let text = document(&definition("com.redhat.cve", "", criteria));
    let resolved = text.replace(
        "<severity>",
        r#"<affected><resolution state="Will not fix"><component>curl</component></resolution></affected><severity>"#,
    );
    assert_eq!(shown(&resolved), ["rhel 9 curl Affected([Range { from: None, end: WillNotFix }]) - [] medium"]);
    let text = document(&definition("com.redhat.unaffected", "", criteria));
    assert_eq!(shown(&text), ["rhel 9 curl NotAffected - [] medium"]);
}

#[test]
fn ubuntu_names_source_packages() {
    let platform = r#"<affected family="unix"><platform>Ubuntu 22.04 LTS</platform></affected>"#;
    let of = |comment: &str, id: &str| {
        let criteria = format!(r#"<criteria><criterion test_ref="t:6" comment="{comment}"/></criteria>"#);
        shown(&document(&definition(id, platform, &criteria)))
    };
    let fixed = "Affected([Range { from: None, end: Fixed(\"1:2-3\") }])";
    assert_eq!(
        of(
            "(CVE-2024-1001) libssh package in jammy was vulnerable but has been fixed (note: '1:2-3').",
            "com.ubuntu.jammy"
        ),
        [format!("ubuntu 22.04 libssh {fixed} - [] medium")]
    );
    assert_eq!(of("Long Term Support", "com.ubuntu.jammy"), [format!("ubuntu 22.04 libssh-4 {fixed} - [] medium")]);
    assert_eq!(of("libssh package in jammy was vulnerable", "com.ubuntu.fips_jammy"), [""; 0]);
}

#[test]
fn damage_is_named_with_its_line() {
    let fail = |text: &str| read(text.as_bytes(), &mut |_| ()).unwrap_err();
    let error = fail("<o>\n<definitions><definition class='patch'/></definitions></o>");
    assert_eq!((error.line(), error.to_string().contains("<definition> has no id")), (Some(2), true));
    assert!(fail("<o><definitions>\n").to_string().contains("the input ends within <definitions>"));
    let bad = definition("x", "", "<criteria operator=\"XOR\"/>");
    assert!(fail(&document(&bad)).to_string().contains("operator \"XOR\""));
}
