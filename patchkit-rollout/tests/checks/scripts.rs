use patchkit_core::{Context, Image, Verdict, Verifier, conformance};
use patchkit_rollout::verify::{Exception, Scripts, scripts::Findable};

use super::support::{Made, alpine, faults, layout_image, over, patched, plain, says, shared_data};

async fn verdict(before: &Image, after: &Image) -> Verdict {
    Scripts::new().verify(&patched(before, after).await, &Context::new()).await.unwrap()
}

async fn lost(before: &Image, change: Made) -> Vec<String> {
    faults(&verdict(before, &over(before, change)).await.reasons)
}

fn scripted() -> Image {
    let scripts = Made::new()
        .program("usr/bin/python3.11", "\x7fELF")
        .link("usr/bin/python3", "python3.11")
        .program("opt/direct", "#!/bin/sh\n")
        .program("opt/by-env", "#!/usr/bin/env -S python3 -u\n")
        .program("opt/broken", "#!/bin/gone\n")
        .file("opt/not-executable", "#!/bin/gone\n");
    over(&plain(), scripts)
}

fn modules() -> Image {
    let layer = Made::new()
        .program("usr/bin/python3.11", "\x7fELF")
        .link("usr/bin/python3", "python3.11")
        .file("usr/lib/python3.11/os.py", "x")
        .file("usr/lib/python3.11/json/__init__.py", "x")
        .file("usr/lib/python3.11/lib-dynload/_ssl.cpython-311-x86_64-linux-gnu.so", "x")
        .file("usr/lib/python3/dist-packages/yaml/__init__.py", "x")
        .file("usr/lib/python3/dist-packages/yaml/_yaml.cpython-311-x86_64-linux-gnu.so", "x")
        .file("usr/local/lib/python3.11/dist-packages/app.pth", "# ours\nimport sys\n/opt/app\n")
        .file("usr/local/lib/python3.11/dist-packages/dev.egg-link", "/opt/dev\n.\n")
        .file("opt/app/app.py", "x")
        .file("opt/dev/devel/__init__.py", "x")
        .link("venv/bin/python", "/usr/bin/python3")
        .file("venv/pyvenv.cfg", "home = /usr/bin\ninclude-system-site-packages = false\n")
        .file("venv/lib/python3.11/site-packages/flask/__init__.py", "x")
        .program("usr/bin/perl", "\x7fELF")
        .hard_link("usr/bin/perl5.36.0", "usr/bin/perl")
        .file("usr/share/perl/5.36.0/File/Temp.pm", "x")
        .link("usr/share/perl/5.36", "5.36.0")
        .file("usr/share/perl5/Debconf/Log.pm", "x")
        .file("usr/lib/x86_64-linux-gnu/perl/5.36.0/auto/POSIX/POSIX.so", "x");
    over(&plain(), layer)
}

#[tokio::test]
async fn the_contract_is_kept() {
    let image = modules();
    let patched = patched(&image, &over(&image, Made::new().file("etc/x", "x"))).await;
    conformance::verifier::suite(&Scripts::new(), &patched).await.assert();
}

#[tokio::test]
async fn interpreters_must_stay() {
    let before = scripted();
    let found = verdict(&before, &before).await;
    assert!(found.passes() && says(&found.reasons, "opt/broken: its interpreter /bin/gone is not there, as before"));
    for (change, faults) in [
        (Made::new().gone("usr/bin/sh"), vec!["opt/direct: its interpreter /bin/sh is not there"]),
        (Made::new().file("usr/bin/sh", "x"), vec!["opt/direct: its interpreter /bin/sh is not executable"]),
        (Made::new().gone("usr/bin/env"), vec!["opt/by-env: its interpreter /usr/bin/env is not there"]),
        (Made::new().gone("usr/bin/sh").gone("opt/direct"), vec![]),
        (Made::new().program("opt/new", "#!/bin/gone\n"), vec![]),
    ] {
        assert_eq!(lost(&before, change).await, faults);
    }
    // A link to a version that is no more.
    let found = lost(&before, Made::new().gone("usr/bin/python3.11")).await;
    assert!(found.iter().any(|fault| fault.starts_with("opt/by-env: its interpreter python3 is a link")), "{found:?}");
    let found = lost(&before, Made::new().gone("usr/bin/sh").program("opt/new", "#!/bin/sh\n")).await;
    assert_eq!(found.len(), 2, "{found:?}");
}

#[tokio::test]
async fn modules_are_found() {
    let found = Findable::of(&modules(), &Context::new()).await.unwrap().modules;
    let names = |interpreter: &str| found[interpreter].iter().map(String::as_str).collect::<Vec<_>>();
    assert_eq!(names("/usr/bin/python3"), ["_ssl", "app", "devel", "json", "os", "yaml", "yaml._yaml"]);
    assert_eq!(names("/usr/bin/python3"), names("/usr/bin/python3.11"));
    assert_eq!(names("/venv/bin/python"), ["_ssl", "flask", "json", "os"]);
    assert_eq!(names("/usr/bin/perl"), ["Debconf::Log", "File::Temp", "auto/POSIX/POSIX.so"]);
}

#[tokio::test]
async fn modules_must_stay() {
    let before = modules();
    for (change, module) in [
        (Made::new().gone("usr/lib/python3/dist-packages/yaml"), "yaml"),
        (Made::new().gone("usr/lib/python3.11/json/__init__.py"), "json"),
        (Made::new().gone("usr/local/lib/python3.11/dist-packages/app.pth"), "app"),
        (Made::new().gone("usr/local/lib/python3.11/dist-packages/dev.egg-link"), "devel"),
        (Made::new().gone("usr/lib/python3/dist-packages/yaml/_yaml.cpython-311-x86_64-linux-gnu.so"), "yaml._yaml"),
    ] {
        let found = lost(&before, change).await;
        assert!(found.contains(&format!("/usr/bin/python3 {module} is not found any more")), "{module}: {found:?}");
    }
    let found = lost(&before, Made::new().gone("venv/lib/python3.11/site-packages/flask")).await;
    assert_eq!(found, ["/venv/bin/python flask is not found any more"]);
    let found = lost(&before, Made::new().gone("usr/share/perl5/Debconf/Log.pm")).await;
    assert_eq!(found.len(), 2, "{found:?}");
    let found = lost(&before, Made::new().gone("usr/lib/x86_64-linux-gnu/perl/5.36.0/auto")).await;
    assert!(found.contains(&"/usr/bin/perl auto/POSIX/POSIX.so is not found any more".into()), "{found:?}");
}

#[tokio::test]
async fn another_version_must_find_what_the_old_one_found() {
    let before = modules();
    let moved = Made::new()
        .gone("usr/bin/python3.11")
        .gone("usr/lib/python3.11")
        .program("usr/bin/python3.12", "\x7fELF")
        .link("usr/bin/python3", "python3.12")
        .file("usr/lib/python3.12/os.py", "x")
        .file("usr/lib/python3.12/json/__init__.py", "x")
        .file("usr/lib/python3.12/lib-dynload/_ssl.cpython-312-x86_64-linux-gnu.so", "x");
    let found = lost(&before, moved).await;
    let lost = |name: &str| found.contains(&format!("{name} is not found any more"));
    // What was put beside the old version, and what was built for it.
    assert!(lost("/usr/bin/python3 app") && lost("/usr/bin/python3 yaml._yaml"), "{found:?}");
    assert!(!lost("/usr/bin/python3 json") && !lost("/usr/bin/python3 yaml") && !lost("/usr/bin/python3 _ssl"));
    assert!(lost("/venv/bin/python flask") && found.contains(&"/usr/bin/python3.11 is gone".into()), "{found:?}");
}

#[tokio::test]
async fn a_loss_can_be_answered_for_until_it_expires() {
    let before = modules();
    let patched = patched(&before, &over(&before, Made::new().gone("usr/lib/python3.11/json"))).await;
    for (expires, passes) in [("2999-01-01", true), ("2020-01-01", false)] {
        let exception = Exception {
            pattern: "*python* json".into(),
            owner: "ana".into(),
            reason: "nobody uses it".into(),
            expires: expires.parse().unwrap(),
        };
        let verdict = Scripts::new().excepting(exception).verify(&patched, &Context::new()).await.unwrap();
        assert_eq!(verdict.passes(), passes, "{:?}", verdict.reasons);
        assert_eq!(verdict.counts_until().is_some(), passes);
    }
}

#[tokio::test]
async fn real_images() {
    let names = ["images/debian-12.15-distroless", "images/alpine-minirootfs/alpine-minirootfs-3.20.3-x86_64.tar.gz"];
    let [Some(debian), Some(alpine_archive)] = names.map(shared_data) else { return };
    let alpine = alpine(&alpine_archive);
    let found = Findable::of(&alpine, &Context::new()).await.unwrap();
    assert!(found.scripts.len() > 3 && found.scripts.values().all(Option::is_none), "{:?}", found.scripts);
    let broken = lost(&alpine, Made::new().gone("bin/busybox")).await;
    assert_eq!(broken.len(), found.scripts.len(), "all of Alpine's scripts are run by busybox");
    let debian = layout_image(&debian).await;
    let found = verdict(&debian, &debian).await;
    assert!(found.passes(), "{:?}", found.reasons);
}
