//! Packages of Elixir and Erlang: `mix.lock` and `rebar.lock`.
//!
//! Both are literals of their languages. What is published at Hex is a tuple that begins with a word no other has, so
//! the files are searched for it: `{:hex, :cowboy, "2.9.0", …` and `{pkg,<<"cowboy">>,<<"2.9.0">>…`. What is from Git or
//! from a folder has no version.

use patchkit_core::Presence;

use super::files::{Ecosystem, FileKind, Found, LanguageFiles};
use crate::inventory::Problem;

/// Finds packages of Hex.
pub(super) static FILES: LanguageFiles = LanguageFiles {
    name: "hex",
    ecosystem: Ecosystem { kind: "hex", scheme: "semver", normalize: str::to_lowercase },
    kinds: &[
        FileKind { is: |file| file.name == "mix.lock", presence: Presence::Declared, read: read_mix },
        FileKind { is: |file| file.name == "rebar.lock", presence: Presence::Declared, read: read_rebar },
    ],
};

fn read_mix(content: &[u8], found: &mut Found) -> Result<(), Problem> {
    for tuple in std::str::from_utf8(content)?.split("{:hex,").skip(1) {
        if let Some((name, version)) = mix_package(tuple) {
            found.add(name, version);
        }
    }
    Ok(())
}

/// The start of ` :cowboy, "2.9.0", …`; the atom may be quoted.
fn mix_package(tuple: &str) -> Option<(&str, &str)> {
    let (name, rest) = tuple.trim_start().strip_prefix(':')?.split_once(',')?;
    let (version, _) = rest.trim_start().strip_prefix('"')?.split_once('"')?;
    Some((name.trim().trim_matches('"'), version))
}

fn read_rebar(content: &[u8], found: &mut Found) -> Result<(), Problem> {
    for tuple in std::str::from_utf8(content)?.split("{pkg,").skip(1) {
        let mut binaries = tuple.split('}').next().unwrap_or(tuple).split("<<\"").skip(1);
        let mut next = || binaries.next()?.split_once('"').map(|(text, _)| text);
        if let (Some(name), Some(version)) = (next(), next()) {
            found.add(name, version);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{super::files::packages_in, *};

    #[test]
    fn locks_of_mix_are_read() {
        let lock = r#"%{
  "cow": {:hex, :cowboy, "2.9.0", "865d", [:make, :rebar3], [{:hex, "~> 1.0", [hex: :hex, repo: "hexpm"]}], "hexpm", "2c"},
  "quoted": {:hex, :"a_b", "1.0.0-rc.1", "00", [:mix], [], "hexpm", "00"},
  "enacl": {:git, "https://example.org/enacl.git", "2f50ba6", [ref: "2f50ba6"]},
  "beside": {:path, "../beside", []},
}
"#;
        assert_eq!(packages_in(&FILES, "mix.lock", lock), ["a_b 1.0.0-rc.1", "cowboy 2.9.0"]);
    }

    #[test]
    fn locks_of_rebar_are_read() {
        let lock = "{\"1.2.0\",\n[{<<\"certifi\">>,{pkg,<<\"certifi_x\">>,<<\"2.9.0\">>},0},\n \
                    {<<\"git\">>,{git,\"https://example.org/a.git\",{ref,\"00\"}},0}]}.\n\
                    [{pkg_hash,[{<<\"certifi\">>, <<\"6F\">>}]}].\n";
        assert_eq!(packages_in(&FILES, "rebar.lock", lock), ["certifi_x 2.9.0"]);
    }
}
