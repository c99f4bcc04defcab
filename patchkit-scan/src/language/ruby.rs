//! Packages of Ruby: the gem specifications that are installed, and `Gemfile.lock`.

use patchkit_core::Presence;

use super::files::{Ecosystem, FileKind, FileName, Found, LanguageFiles};
use crate::inventory::Problem;

/// Finds gems.
pub(super) static FILES: LanguageFiles = LanguageFiles {
    name: "ruby",
    ecosystem: Ecosystem { kind: "gem", scheme: "gem", normalize: str::to_owned },
    kinds: &[
        FileKind { is: is_installed, presence: Presence::Installed, read: read_specification },
        FileKind { is: is_lock, presence: Presence::Declared, read: read_lock },
    ],
};

/// A specification elsewhere is source code, whose version is often computed.
fn is_installed(file: FileName<'_>) -> bool {
    file.name.ends_with(".gemspec") && file.is_below("specifications")
}

fn is_lock(file: FileName<'_>) -> bool {
    matches!(file.name, "Gemfile.lock" | "Gemfile.next.lock" | "gems.locked")
}

/// Adds the gem of a specification as RubyGems writes it on installing: Ruby code, whose assignments are all literals.
fn read_specification(content: &[u8], found: &mut Found) -> Result<(), Problem> {
    let text = String::from_utf8_lossy(content);
    let (mut name, mut version) = (None, None);
    for line in text.lines() {
        name = name.or_else(|| assigned(line, "name"));
        version = version.or_else(|| assigned(line, "version"));
        if let (Some(name), Some(version)) = (name, version) {
            found.add(name, version);
            break;
        }
    }
    Ok(())
}

/// The literal in `s.name = "rake".freeze` or `s.version = Gem::Version.new("13.0.6")`.
fn assigned<'a>(line: &'a str, attribute: &str) -> Option<&'a str> {
    let (variable, rest) = line.trim_start().split_once('.')?;
    let value = rest.strip_prefix(attribute)?.trim_start().strip_prefix('=')?.trim_start();
    let value = value.strip_prefix("Gem::Version.new").map_or(value, |call| call.trim_start_matches(['(', ' ']));
    let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    let end = value[1..].find(quote)?;
    variable.chars().all(|c| c.is_alphanumeric() || c == '_').then_some(&value[1..=end])
}

/// Adds the gems of a lock file of Bundler: those under `specs:`, four blanks deep; what they need is six deep.
///
/// A version may bear the platform (`1.15.4-x86_64-linux`), which is left out as it is not part of it. Gems from Git and
/// from folders count: a copy that is kept beside the project is as vulnerable.
fn read_lock(content: &[u8], found: &mut Found) -> Result<(), Problem> {
    let mut in_specs = false;
    for line in std::str::from_utf8(content)?.lines() {
        let indent = line.len() - line.trim_start_matches(' ').len();
        match indent {
            0 => in_specs = false,
            2 => in_specs = line.trim() == "specs:",
            4 if in_specs => add_locked(line.trim(), found),
            _ => {}
        }
    }
    Ok(())
}

fn add_locked(specification: &str, found: &mut Found) {
    let versioned = specification.strip_suffix(')').and_then(|text| text.split_once(" ("));
    if let Some((name, version)) = versioned {
        found.add(name, version.split('-').next().unwrap_or(version));
    }
}

#[cfg(test)]
mod tests {
    use super::{super::files::packages_in, *};

    #[test]
    fn installed_specifications_are_read() {
        let read = |content| packages_in(&FILES, "usr/lib/ruby/gems/3.1.0/specifications/default/x.gemspec", content);
        let modern = "# stub: rake 13.0.6 ruby lib\n\nGem::Specification.new do |s|\n  s.name = \"rake\".freeze\n  \
                      s.version = \"13.0.6\"\n  s.homepage = \"https://example.org/#{s.name}\"\n  \
                      s.rubygems_version = \"3.3.5\".freeze\nend\n";
        assert_eq!(read(modern), ["rake 13.0.6"]);
        let old =
            "Gem::Specification.new do |spec|\n spec.version = Gem::Version.new('1.2.b3')\n spec.name = 'a'\nend\n";
        assert_eq!(read(old), ["a 1.2.b3"]);
        let computed = "Gem::Specification.new do |s|\n s.name = 'a'\n s.version = A::VERSION\nend\n";
        assert!(read(computed).is_empty());
    }

    #[test]
    fn lock_files_are_read() {
        let lock = "PATH
  remote: ../kept
  specs:
    kept (1.3.0)

GEM
  remote: https://example.org/
  specs:
    nokogiri (1.15.4-x86_64-linux)
      racc (~> 1.4)
    nokogiri (1.15.4-arm64-darwin)
    rails (4.1.1)
      actionmailer (= 4.1.1)
    beta (2.0.0.rc1)

PLATFORMS
  ruby

DEPENDENCIES
  rails (~> 4.1)

CHECKSUMS
    not (1.0)

BUNDLED WITH
   2.1.4
";
        let expected = ["beta 2.0.0.rc1", "kept 1.3.0", "nokogiri 1.15.4", "rails 4.1.1"];
        assert_eq!(packages_in(&FILES, "app/Gemfile.lock", lock), expected);
    }
}
