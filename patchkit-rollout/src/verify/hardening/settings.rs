//! How an image is set up: its configuration, and the SSH server's.

use patchkit_core::{
    Image,
    image::{FilePath, FileTree},
};
use serde_json::Value;

use super::{Check, System, Weakness, secrets};
use crate::verify::accounts;

/// The weaknesses of the image's configuration and of SSH.
pub(super) fn weaknesses(image: &Image, system: &System) -> Vec<Weakness> {
    let passwd = system.read("etc/passwd");
    let mut found = Vec::new();
    let user = image.config().user();
    if accounts::uid_of(user, passwd) == Some(0) {
        found.push(Weakness::new(Check::RootUser, "config User", format!("{user:?} is root")));
    }
    for variable in image.config().env() {
        found.extend(variable.split_once('=').and_then(|(name, value)| variable_secret("config Env", name, value)));
    }
    found.extend(history(image));
    found.extend(ssh_files(&system.tree));
    found.extend(ssh_server(system));
    found
}

fn variable_secret(place: &str, name: &str, value: &str) -> Option<Weakness> {
    let kind = secrets::variable(name, value)?;
    Some(Weakness::new(Check::ConfigSecret, format!("{place} {name}"), kind).of_secret(value.as_bytes()))
}

/// What the steps of the image's making show. A step is named by its place.
fn history(image: &Image) -> Vec<Weakness> {
    let json = image.config().json();
    let steps = json.get("history").and_then(Value::as_array).into_iter().flatten().enumerate();
    let texts = steps.filter_map(|(place, step)| Some((place, step.get("created_by")?.as_str()?)));
    let mut found = Vec::new();
    for (place, text) in texts {
        for secret in secrets::scan(text.as_bytes()) {
            let weakness = Weakness::new(Check::ConfigSecret, format!("config history {place}"), secret.kind.as_str());
            found.push(weakness.of_secret(&text.as_bytes()[secret.range.clone()]));
        }
        let words = text.split([' ', '\t', '\n', '|', '"', '\'']);
        let variables = words.filter_map(|word| word.split_once('='));
        let place = format!("config history {place}");
        found.extend(variables.filter_map(|(name, value)| variable_secret(&place, name, value)));
    }
    found
}

/// Host keys, and keys that let somebody in.
fn ssh_files(tree: &FileTree) -> Vec<Weakness> {
    let files = tree.iter().filter(|(_, node)| node.size().is_some_and(|size| size > 0));
    let weakness = |path: &FilePath| {
        let (folder, name) = path.to_str()?.rsplit_once('/')?;
        let detail = match name {
            "authorized_keys" | "authorized_keys2" if folder.ends_with(".ssh") => {
                "lets the same people into every copy"
            }
            _ if folder == "etc/ssh" && name.starts_with("ssh_host_") && name.ends_with("_key") => {
                "every copy has the same host key"
            }
            _ => return None,
        };
        Some(Weakness::new(Check::SshAccess, path.to_string(), detail))
    };
    files.filter_map(|(path, _)| weakness(path)).collect()
}

/// What `sshd_config(5)` allows; of each keyword the first value counts, and included files come first, as
/// distributions have them. Conditional blocks (`Match`) count as well.
fn ssh_server(system: &System) -> Vec<Weakness> {
    let folder = FilePath::new("etc/ssh/sshd_config.d").expect("a good path");
    let mut files: Vec<String> = system.tree.children(&folder).map(|(path, _)| path.to_string()).collect();
    files.push("etc/ssh/sshd_config".into());
    let (mut seen, mut found) = (Vec::new(), Vec::new());
    for file in files {
        let content = system.read(&file);
        let mut conditional = false;
        for line in String::from_utf8_lossy(content).lines() {
            let words = line.split([' ', '\t', '=', '"']).filter(|word| !word.is_empty());
            let words: Vec<String> = words.take(2).map(str::to_lowercase).collect();
            let [keyword, value] = &words[..] else { continue };
            conditional |= keyword == "match";
            let is_first = conditional || !seen.contains(keyword);
            seen.push(keyword.clone());
            if is_first
                && matches!((&**keyword, &**value), ("permitrootlogin", "yes") | ("permitemptypasswords", "yes"))
            {
                found.push(Weakness::new(Check::SshRootLogin, &*file, format!("{keyword} {value}")));
            }
        }
    }
    found
}
