//! Pods of CocoaPods: `Podfile.lock`.

use patchkit_core::Presence;

use super::files::{Ecosystem, FileKind, Found, LanguageFiles};
use crate::inventory::Problem;

/// Finds pods.
pub(super) static FILES: LanguageFiles = LanguageFiles {
    name: "cocoapods",
    ecosystem: Ecosystem { kind: "cocoapods", scheme: "cocoapods", normalize: str::to_owned },
    kinds: &[FileKind { is: |file| file.name == "Podfile.lock", presence: Presence::Declared, read }],
};

/// Adds the pods under `PODS:`. Each is a line two blanks deep, `- Alamofire (5.6.0)`; what it needs is deeper. The
/// parts of a pod (`PINCache/Core`) have its version and are not added apart.
fn read(content: &[u8], found: &mut Found) -> Result<(), Problem> {
    let lines = std::str::from_utf8(content)?.lines();
    let pods = lines.skip_while(|line| line.trim_end() != "PODS:").skip(1);
    for line in pods.take_while(|line| line.starts_with(' ')) {
        let Some(pod) = line.strip_prefix("  - ") else { continue };
        let pod = pod.trim_end_matches(':').trim_matches('"');
        if let Some((name, version)) = pod.strip_suffix(')').and_then(|pod| pod.split_once(" (")) {
            found.add(name.split('/').next().unwrap_or(name), version);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{super::files::packages_in, *};

    #[test]
    fn pods_are_read() {
        let lock = "PODS:\n  - PINCache (3.0.3):\n    - PINCache/Core (= 3.0.3)\n  - PINCache/Core (3.0.3)\n  \
                    - \"Odd+Name (1.2)\":\n    - X (~> 1.2.1)\n\nDEPENDENCIES:\n  - Y (1.0)\n";
        assert_eq!(packages_in(&FILES, "ios/Podfile.lock", lock), ["Odd+Name 1.2", "PINCache 3.0.3"]);
    }
}
