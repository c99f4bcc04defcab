//! The modules that are found, against what Python and Perl of this machine find themselves.

use std::{collections::BTreeSet, path::Path, process::Command};

use patchkit_core::{Blob, Context, Digest, Image, Layer, MediaType};
use patchkit_rollout::verify::scripts::Findable;

use super::support::image;

/// What a program prints; `None`, and the reason said, where it does not run.
fn output(program: &str, args: &[&str]) -> Option<Vec<u8>> {
    match Command::new(program).args(args).output() {
        Ok(output) if output.status.success() => Some(output.stdout),
        other => {
            let required = std::env::var_os("PATCHKIT_REQUIRE_EXTERNAL").is_some_and(|value| value == "1");
            assert!(!required, "required: {program}: {other:?}");
            eprintln!("skipped: {program} does not run here");
            None
        }
    }
}

fn lines(program: &str, args: &[&str]) -> Option<BTreeSet<String>> {
    let output = String::from_utf8(output(program, args)?).unwrap();
    Some(output.lines().map(str::to_owned).collect())
}

/// This machine's files of these names, as far as they are there.
fn machine(names: &[&str]) -> Option<Image> {
    let there = names.iter().filter(|name| Path::new("/").join(name).exists());
    let args: Vec<&str> =
        ["--directory=/", "--exclude=__pycache__", "--create", "--file=-"].into_iter().chain(there.copied()).collect();
    let archive = output("tar", &args)?;
    let diff_id = Digest::of(&archive);
    Some(image(vec![Layer::new(Blob::of(MediaType::OCI_LAYER, archive), diff_id)]))
}

#[tokio::test]
async fn python_finds_the_same() {
    const SCRIPT: &str = "import pkgutil, sys\n\
        own = [path for path in sys.path if path.startswith('/usr/')]\n\
        for module in pkgutil.iter_modules(own): print(module.name)\n";
    const VERSION: &str = "import sys; print('python%d.%d' % sys.version_info[:2])";
    let Some(found) = lines("/usr/bin/python3", &["-I", "-c", SCRIPT]) else { return };
    let version = lines("/usr/bin/python3", &["-I", "-c", VERSION]).unwrap().pop_first().unwrap();
    let own = ["usr/bin", "usr/lib", "usr/local/lib"].map(|folder| format!("{folder}/{version}"));
    let names = ["usr/bin/python3", "usr/lib/python3", &own[0], &own[1], &own[2]];
    let Some(image) = machine(&names) else { return };
    let ours = Findable::of(&image, &Context::new()).await.unwrap();
    let ours = ours.modules["/usr/bin/python3"].iter().map(|name| name.split('.').next().unwrap().to_owned());
    let ours: BTreeSet<_> = ours.collect();
    assert!(found.len() > 100, "{found:?}");
    assert_eq!(found.difference(&ours).collect::<Vec<_>>(), [""; 0], "not found by us");
    // A folder without `__init__.py` can be imported as well, but Python does not list it.
    let script =
        "import importlib.util, sys\nfor name in sys.argv[1:]:\n if importlib.util.find_spec(name): print(name)";
    let more: Vec<&str> = ours.difference(&found).map(String::as_str).collect();
    let args: Vec<&str> = ["-I", "-c", script].into_iter().chain(more.iter().copied()).collect();
    let importable = lines("/usr/bin/python3", &args).unwrap();
    assert_eq!(
        more.into_iter().filter(|name| !importable.contains(*name)).collect::<Vec<_>>(),
        [""; 0],
        "not by Python"
    );
}

#[tokio::test]
async fn perl_finds_the_same() {
    const SCRIPT: &str = r"use File::Find; my %seen;
        for my $base (grep { m{^/(usr|etc)/} && -d } @INC) {
            find({ follow_skip => 2, no_chdir => 1, wanted => sub {
                my $name = $File::Find::name;
                return unless $name =~ s/\.pm$// && $name =~ s{^\Q$base\E/+}{};
                return if $name =~ m{(^|/)5\.[\d.]+/};
                $name =~ s{/}{::}g; $seen{$name} = 1;
            } }, qq($base/));
        }
        print qq($_\n) for keys %seen;";
    let Some(found) = lines("/usr/bin/perl", &["-e", SCRIPT]) else { return };
    let Some(version) = lines("/usr/bin/perl", &["-e", "printf qq(%vd\n), $^V"]) else { return };
    let versioned = format!("usr/bin/perl{}", version.first().unwrap());
    let Some(libraries) = lines("/usr/bin/perl", &["-e", "print qq($_\n) for grep { m{^/(usr|etc)/} } @INC"]) else {
        return;
    };
    let libraries: Vec<&str> = libraries.iter().map(|path| path.trim_start_matches('/')).collect();
    // Where a folder's name is a link, what it leads to.
    let real = libraries.iter().filter_map(|path| Path::new("/").join(path).canonicalize().ok());
    let real: BTreeSet<String> = real.map(|path| path.to_str().unwrap().trim_start_matches('/').to_owned()).collect();
    let all = ["usr/bin/perl", &versioned].into_iter().chain(libraries).chain(real.iter().map(String::as_str));
    let names: BTreeSet<&str> = all.collect();
    let is_inside = |name: &&&str| names.iter().any(|other| other != *name && Path::new(name).starts_with(other));
    let names: Vec<&str> = names.iter().filter(|name| !is_inside(name)).copied().collect();
    let Some(image) = machine(&names) else { return };
    let ours = Findable::of(&image, &Context::new()).await.unwrap();
    let ours: BTreeSet<String> =
        ours.modules["/usr/bin/perl"].iter().filter(|name| !name.ends_with(".so")).cloned().collect();
    assert!(found.len() > 100, "{found:?}");
    assert_eq!(ours, found);
}
