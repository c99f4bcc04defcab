use patchkit_core::{Context, Image, Verdict, Verifier, conformance};
use patchkit_rollout::verify::{Configuration, Exception};
use serde_json::json;

use super::support::{Made, faults, layout_image, mode, over, patched, plain, says, shared_data, with_config};

async fn verdict(verifier: &Configuration, before: &Image, after: &Image) -> Verdict {
    verifier.verify(&patched(before, after).await, &Context::new()).await.unwrap()
}

#[tokio::test]
async fn the_contract_is_kept() {
    let image = plain();
    let patched = patched(&image, &over(&image, Made::new().file("etc/x", "x"))).await;
    conformance::verifier::suite(&Configuration::new(), &patched).await.assert();
}

#[tokio::test]
async fn every_field_counts_and_can_be_accepted() {
    let before = plain();
    for (field, value) in [
        ("Cmd", json!(["other"])),
        ("Entrypoint", json!(["/usr/bin/app"])),
        ("Env", json!(["PATH=/usr/local/bin:/usr/bin", "MODE=slow"])),
        ("ExposedPorts", json!({"81/tcp": {}})),
        ("Healthcheck", json!({"Test": ["NONE"]})),
        ("Labels", json!({"a": "2"})),
        ("OnBuild", json!([])),
        ("Shell", json!(["/bin/ash", "-c"])),
        ("StopSignal", json!("SIGKILL")),
        ("User", json!("1000")),
        ("Volumes", json!({"/var": {}})),
        ("WorkingDir", json!("/")),
        ("ArgsEscaped", json!(true)),
    ] {
        let after = with_config(&before, json!({ field: value }));
        let found = verdict(&Configuration::new(), &before, &after).await;
        assert_eq!(faults(&found.reasons).len(), 1, "{field}: {:?}", found.reasons);
        let exception = |pattern: &str| Exception {
            pattern: pattern.into(),
            owner: "ana".into(),
            reason: "asked for".into(),
            expires: "2999-01-01".parse().unwrap(),
        };
        let found = verdict(&Configuration::new().excepting(exception(field)), &before, &after).await;
        let said = "accepted by ana until 2999-01-01: asked for";
        assert!(found.passes() && says(&found.reasons, said), "{field}: {:?}", found.reasons);
        assert!(!verdict(&Configuration::new().excepting(exception("Other")), &before, &after).await.passes());
    }
}

#[tokio::test]
async fn what_means_the_same_is_the_same() {
    let before = plain();
    let after = with_config(
        &before,
        json!({"Env": ["MODE=fast", "PATH=/usr/local/bin:/usr/bin"], "Tty": false, "Domainname": "",
            "Labels": {"a": "1", "dev.patchkit.fixed": "CVE-2026-1", "org.example.new": "x"}}),
    );
    let found = verdict(&Configuration::new(), &before, &after).await;
    assert!(found.passes(), "{:?}", found.reasons);
    assert!(!found.evidence[0].content.contains("fast"), "an environment's values are not for everyone's eyes");
    // A patch of a patched image says something else about itself.
    let again = with_config(&after, json!({"Labels": {"a": "1", "dev.patchkit.fixed": "CVE-2026-2"}}));
    assert_eq!(
        faults(&verdict(&Configuration::new(), &after, &again).await.reasons),
        ["Labels: org.example.new is gone"]
    );
}

#[tokio::test]
async fn the_program_must_run() {
    let before = plain();
    let program = |made: Made| over(&before, made);
    for (after, fault) in [
        (program(Made::new().gone("usr/bin/app")), "the entrypoint \"app\" is in no folder of PATH"),
        (program(Made::new().file("usr/bin/app", "x")), "the entrypoint \"app\" is not executable"),
        (program(Made::new().program("usr/bin/app", "")), "the entrypoint \"app\" is empty"),
        (program(Made::new().link("usr/bin/app", "nowhere")), "the entrypoint \"app\" is a link that leads nowhere"),
        (program(Made::new().gone("usr/bin/app").folder("usr/bin/app", 0o755)), "the entrypoint \"app\" is no regular"),
        (
            program(Made::new().with("etc/passwd", mode(0o644), "root:x:0:0::/:\n")),
            "the number of the user \"app\" was 1000 and is none",
        ),
        (program(Made::new().gone("srv")), "the working directory \"/srv\" is not there"),
    ] {
        let found = faults(&verdict(&Configuration::new(), &before, &after).await.reasons);
        assert!(found.len() == 1 && found[0].starts_with(fault), "{fault}: {found:?}");
        // It was no better before.
        let found = verdict(&Configuration::new(), &after, &after).await;
        assert!(
            found.passes() && says(&found.reasons, if fault.contains("user") { "no account" } else { "as before" })
        );
    }
    // The first argument of an entrypoint that starts what it is given.
    let before = with_config(&before, json!({"Entrypoint": ["env"], "Cmd": ["app"]}));
    let after = over(&before, Made::new().gone("usr/bin/app"));
    assert_eq!(faults(&verdict(&Configuration::new(), &before, &after).await.reasons).len(), 1);
}

#[tokio::test]
async fn a_real_image_is_as_it_was() {
    let Some(layout) = shared_data("images/debian-12.15-distroless") else { return };
    let before = layout_image(&layout).await;
    let after = over(&before, Made::new().file("etc/x", "x"));
    let found = verdict(&Configuration::new(), &before, &after).await;
    assert!(found.passes(), "{:?}", found.reasons);
}
