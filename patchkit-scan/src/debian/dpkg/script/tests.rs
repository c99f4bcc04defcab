use super::*;
use proptest::prelude::*;

fn upgrade(script: ScriptKind, old: &str) -> Invocation {
    let version = |text| DebVersion::parse(text).expect(text);
    Invocation { script, package: "sample".into(), old_version: Some(version(old)), new_version: version("2.0-1") }
}

fn reviewed(text: &str, script: ScriptKind) -> ScriptReview {
    review(format!("#!/bin/sh\nset -e\n{text}\n").as_bytes(), &upgrade(script, "1.0-1"))
}

fn class(text: &str) -> ScriptClass {
    reviewed(text, ScriptKind::Postinst).class()
}

#[test]
fn what_cannot_be_reached_does_not_count() {
    for text in [
        "if [ \"$1\" = abort-upgrade ]; then rm -rf /; fi",
        "case \"$1\" in configure) ;; abort-*|purge) rm -rf / ;; *) echo \"bad $1\" >&2; exit 1 ;; esac",
        "if dpkg --compare-versions \"$2\" lt-nl 0.9-1~; then rm -rf /; fi",
        "if [ \"$1\" = configure ] && dpkg --compare-versions -- \"$2\" lt 0.5; then rm -rf /; fi",
        "if [ -z \"$2\" ]; then rm -rf /; elif [ -n \"${3:-}\" ]; then rm -rf /; else echo x; fi",
        "[ -z \"$2\" ] || exit 0\nrm -rf /",
        "if [ -d /run/systemd/system ]; then rm -rf /; fi",
        "oldver=\"$2\"\nif dpkg --compare-versions \"$oldver\" gt 3; then rm -rf /; fi",
        "f() { if [ \"$1\" = b ]; then rm -rf /; fi; return 0; rm -rf /; }\nf a",
        "for x in a b; do if [ \"$x\" = c ]; then rm -rf /; fi; done",
        "exit 0\nrm -rf /",
        "unused() { rm -rf /; }",
        "! [ \"$1\" = configure ] && rm -rf /",
        "cat <<-'E'\n\trm -rf / $(rm -rf /)\n\tE\n",
        "case $2 in 1.0-1) : ;; *) rm -rf / ;; esac",
    ] {
        let review = reviewed(text, ScriptKind::Postinst);
        assert_eq!(review.class(), ScriptClass::Harmless, "{text}: {review:?}");
    }
}

#[test]
fn what_may_be_reached_does() {
    for text in [
        "rm -rf /",
        "if [ -e /etc/x ]; then :; else rm -rf /; fi",
        "if [ -e /etc/x ] || false; then :; else rm -rf /; fi",
        "if [ -e /etc/x ] && true; then :; else rm -rf /; fi",
        "if [ -e /etc/x ]; then exit 0; fi\nrm -rf /",
        "test -e /etc/x && rm -rf /",
        "test -e /etc/x || rm -rf /",
        "case \"$UNKNOWN\" in a) ;; *) rm -rf / ;; esac",
        "case \"$UNKNOWN\" in a) rm -rf / ;; esac",
        "case configure in [a-c]*) rm -rf / ;; esac",
        "x=$(rm -rf /)",
        "echo \"`rm -rf /`\"",
        "echo \"${UNKNOWN:-$(rm -rf /)}\"",
        "(cd /; rm -rf *)",
        "find / -name x | xargs rm",
        "find / -delete",
        "x=a\nwhile read -r y; do if [ \"$x\" = b ]; then rm -rf /; fi; x=b; done",
        "x=a\nfor y in 1 2; do if [ \"$x\" = b ]; then rm -rf /; fi; x=b; done",
        "x=a\nif [ -e /y ]; then x=b; fi\nif [ \"$x\" = b ]; then rm -rf /; fi",
        "set -- upgrade\nif [ \"$1\" = upgrade ]; then rm -rf /; fi",
        "shift\nif [ \"$1\" = 1.0-1 ]; then rm -rf /; fi",
        "f() { rm -rf /; }\nf",
        "f() { \"$@\"; }\nf rm -rf /",
        "echo() { rm -rf /; }\necho",
        "\"$CMD\" x",
        "eval \"$x\"",
        ". /etc/default/x",
        "echo x > /etc/x",
        "echo x >> \"$file\"",
        "PATH=/opt:$PATH\necho x",
        "sed -i s/a/b/ /etc/x",
        "sed 's/a/b/w /etc/x' /etc/y",
        "sed 's/a/b/e' /etc/y",
        "awk '{ print > \"/etc/x\" }' /etc/y",
        "systemctl enable x",
        "unheard-of",
        "sleep 1 &",
        "dpkg-maintscript-helper rm_conffile /etc/x 1.5 -- other words",
        "trap 'rm -rf /' EXIT",
        "if [[ a ]]; then :; fi",
        "echo 'unfinished",
        "adduser --system x",
    ] {
        assert!(class(text) >= ScriptClass::NeedsReview, "{text}");
    }
}

#[test]
fn steps_quote_their_lines() {
    let review = reviewed("if [ -e /x ]\nthen\n  rm -f \\\n    /x\nfi", ScriptKind::Postinst);
    let [step] = &review.steps[..] else { panic!("{review:?}") };
    assert_eq!((step.lines, &*step.text), ((5, 6), "  rm -f \\\n    /x"));
    assert_eq!(step.effect, Effect::NeedsReview { why: "rm changes files".into() });
    for cut in ["cat <<E", "cat > /x <<E\na\nE", "cat <<E\na"] {
        let review = super::review(format!("#!/bin/sh\n{cut}").as_bytes(), &upgrade(ScriptKind::Postinst, "1.0-1"));
        let last = 1 + cut.split('\n').count();
        assert!(review.steps.iter().all(|step| step.lines.1 <= last), "{review:?}");
    }
}

#[test]
fn helpers_are_done_as_data() {
    for (text, action) in [
        ("ldconfig", Action::Ldconfig),
        ("if [ \"$1\" = configure ]; then /sbin/ldconfig; fi", Action::Ldconfig),
        ("dpkg-trigger --no-await ldconfig || true", Action::Trigger("ldconfig".into())),
        ("py3compile -p sample", Action::ByteCode(vec!["-p".into(), "sample".into()])),
        (
            "update-rc.d sample defaults >/dev/null || exit 1",
            Action::InitScript(vec!["sample".into(), "defaults".into()]),
        ),
        (
            "/usr/bin/python3.11 -E -S /usr/lib/python3.11/py_compile.py $(dpkg -L x)",
            Action::ByteCode(["python3.11", "-E", "-S", "/usr/lib/python3.11/py_compile.py"].map(String::from).into()),
        ),
        ("update-shells", Action::Shells(Vec::new())),
        (
            "update-alternatives --quiet --remove rename /usr/bin/p",
            Action::Alternatives(["--quiet", "--remove", "rename", "/usr/bin/p"].map(String::from).into()),
        ),
        (
            "if deb-systemd-helper --quiet was-enabled 'x.service'; then deb-systemd-helper enable 'x.service' >/dev/null || true; fi",
            Action::SystemdUnit(vec!["enable".into(), "x.service".into()]),
        ),
    ] {
        let review = reviewed(text, ScriptKind::Postinst);
        assert_eq!(review.class(), ScriptClass::DoneAsData, "{text}: {review:?}");
        assert_eq!(review.actions().collect::<Vec<_>>(), [&action], "{text}");
    }
}

#[test]
fn moves_of_conffiles_apply_by_version() {
    let script = |last: &str| format!("dpkg-maintscript-helper rm_conffile /etc/a {last} sample -- \"$@\"");
    for kind in [ScriptKind::Preinst, ScriptKind::Postinst] {
        assert_eq!(reviewed(&script("0.9~"), kind).class(), ScriptClass::Harmless);
        let review = reviewed(&script("1.5~"), kind);
        let expected = ConffileHelper {
            kind: HelperKind::RemoveConffile { path: "/etc/a".into() },
            last_version: Some("1.5~".into()),
            package: Some("sample".into()),
        };
        assert_eq!(review.actions().collect::<Vec<_>>(), [&Action::Conffile(expected)]);
    }
    assert_eq!(reviewed(&script("1.5~"), ScriptKind::Postrm).class(), ScriptClass::Harmless);
    let fresh = Invocation { old_version: None, ..upgrade(ScriptKind::Postinst, "1.0-1") };
    let text = format!("#!/bin/sh\n{}\n", script("1.5~"));
    assert_eq!(review(text.as_bytes(), &fresh).class(), ScriptClass::Harmless);
}

#[test]
fn files_are_tested_in_the_tree_until_they_may_have_changed() {
    let tree = |path: &str| {
        let file = TargetFacts { kind: TargetKind::File, is_empty: false, is_executable: false };
        match path {
            "/etc/file" => Some(PathFacts { is_symlink: false, target: Some(file) }),
            "/etc/link" => Some(PathFacts { is_symlink: true, target: None }),
            "/etc/none" => Some(PathFacts::default()),
            _ => None,
        }
    };
    let class = |text: &str| {
        let script = format!("#!/bin/sh\n{text}\n");
        review_in(script.as_bytes(), &upgrade(ScriptKind::Postinst, "1.0-1"), tree).class()
    };
    for text in [
        "[ -e /etc/file ] || rm /x",
        "rm -f /etc/none",
        "if [ -L $DPKG_ROOT/etc/file ]; then rm /x; fi",
        "if [ -d /etc/file -o -x /etc/file ]; then rm /x; fi",
        "if [ ! -h /etc/link ] || [ -e /etc/link ]; then rm /x; fi",
        "if [ -f /etc/none ] || [ ! -s /etc/file ]; then rm /x; fi",
    ] {
        assert_eq!(class(text), ScriptClass::Harmless, "{text}");
    }
    for text in [
        "if [ -e /etc/unknown ]; then rm /x; fi",
        "rm -f /etc/none /etc/link",
        "rm -f /etc/none /etc/file",
        "rm -f \"$x\"",
        "mkdir -p /etc/none",
        "if [ -w /etc/none ]; then rm /x; fi",
        "if [ -e /etc/none/.. ]; then rm /x; fi",
        "for x in 1 2; do if [ -e /etc/none ]; then rm /x; fi; ldconfig; done",
        "ldconfig; if [ -e /etc/none ]; then rm /x; fi",
    ] {
        assert_eq!(class(text), ScriptClass::NeedsReview, "{text}");
    }
}

#[test]
fn a_script_that_stops_is_refused() {
    assert_eq!(class("if [ \"$1\" = configure ]; then echo no >&2; exit 1; fi"), ScriptClass::Refuse);
    assert_eq!(class("if [ -e /x ]; then exit 1; fi"), ScriptClass::NeedsReview);
    assert_eq!(class("wget http://example.org/"), ScriptClass::Refuse);
    assert_eq!(class("grep -q x /etc/x || exit 1"), ScriptClass::Harmless);
}

#[test]
fn scripts_of_other_languages_need_review() {
    let invocation = upgrade(ScriptKind::Postinst, "1.0-1");
    for script in [&b"#!/usr/bin/perl\n"[..], b"\x7fELF", b"", b"#!/bin/sh\n\xff"] {
        assert_eq!(review(script, &invocation).class(), ScriptClass::NeedsReview);
    }
    let long = [&b"#!/bin/sh\n"[..], &vec![b'\n'; MAX_SCRIPT_LENGTH]].concat();
    assert_eq!(review(&long, &invocation).class(), ScriptClass::NeedsReview);
}

#[test]
fn work_is_bounded() {
    let nested =
        (0..30).fold(String::from("f0() { :; }\n"), |text, i| text + &format!("f{}() {{ f{i}; f{i}; }}\n", i + 1));
    assert_eq!(class(&format!("{nested}f30")), ScriptClass::NeedsReview);
    assert_eq!(class("f() { f; }\nf"), ScriptClass::NeedsReview);
    let loops = "for a in 1 2 3 4 5 6 7 8 9; do ".repeat(8) + "echo; " + &"done; ".repeat(8);
    assert_eq!(class(&loops), ScriptClass::NeedsReview);
}

proptest! {
    #[test]
    fn never_panics(text in "(if |then |fi;|case |in |esac|\\(|\\)|;;|;|&&|\\||\\$\\{?|\\}|`|'|\"|a|\\[ |\\]|=|<<E?|>|\n| |\\$1|\\$\\(|f\\(\\)|\\{ |\\\\){0,25}") {
        let script = format!("#!/bin/sh\n{text}");
        let _ = review(script.as_bytes(), &upgrade(ScriptKind::Postinst, "1.0-1"));
    }
}
