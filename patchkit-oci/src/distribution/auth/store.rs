//! Where credentials are found: first those that were given, then the files, in their order.

use std::{
    collections::BTreeMap,
    env,
    io::{self, Read},
    path::{Path, PathBuf},
};

use patchkit_core::{Context, Error, Result};

use super::{
    Credential,
    file::{AuthFile, Found, candidates},
    helper,
};

/// The most bytes that are read of a file of credentials.
const LIMIT: u64 = 4 << 20;

/// Which files credentials are looked for in, in Docker's and podman's format.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthFiles {
    /// None.
    Nowhere,
    /// These, in this order. A file that does not exist is passed over.
    Only(Vec<PathBuf>),
    /// `$REGISTRY_AUTH_FILE` alone where it is set; otherwise `$XDG_RUNTIME_DIR/containers/auth.json`,
    /// `containers/auth.json` in `$XDG_CONFIG_HOME` or `~/.config`, and `config.json` in `$DOCKER_CONFIG` or
    /// `~/.docker`.
    #[default]
    Standard,
}

impl AuthFiles {
    fn paths(&self) -> Vec<PathBuf> {
        match self {
            Self::Nowhere => Vec::new(),
            Self::Only(paths) => paths.clone(),
            Self::Standard => {
                standard_paths(&|name| env::var_os(name).filter(|value| !value.is_empty()).map(Into::into))
            }
        }
    }
}

fn standard_paths(env: &dyn Fn(&str) -> Option<PathBuf>) -> Vec<PathBuf> {
    if let Some(only) = env("REGISTRY_AUTH_FILE") {
        return vec![only];
    }
    let below_home = |folder: &str| env("HOME").map(|home| home.join(folder));
    let runtime = env("XDG_RUNTIME_DIR").map(|folder| folder.join("containers/auth.json"));
    let config = env("XDG_CONFIG_HOME").or_else(|| below_home(".config")).map(|it| it.join("containers/auth.json"));
    let docker = env("DOCKER_CONFIG").or_else(|| below_home(".docker")).map(|folder| folder.join("config.json"));
    [runtime, config, docker].into_iter().flatten().collect()
}

#[derive(Debug)]
pub(super) struct Credentials {
    given: BTreeMap<String, Credential>,
    files: AuthFiles,
}

impl Credentials {
    pub(super) fn new(given: BTreeMap<String, Credential>, files: AuthFiles) -> Self {
        Self { given, files }
    }

    /// The credentials for a repository, if there are any.
    pub(super) async fn find(&self, host: &str, path: &str, cx: &Context) -> Result<Option<Credential>> {
        if let Some(given) = candidates(host, path).find_map(|key| self.given.get(&key)) {
            return Ok(Some(given.clone()));
        }
        for file in self.files.paths() {
            let Some(read) = read(file).await? else { continue };
            let found = match read.find(host, path) {
                Some(Found::Credential(credential)) => Some(credential),
                Some(Found::Helper(program)) => helper::ask(&program, host, cx).await?,
                None => None,
            };
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }
}

async fn read(path: PathBuf) -> Result<Option<AuthFile>> {
    let reading = tokio::task::spawn_blocking(move || read_blocking(&path));
    reading.await.map_err(|error| Error::unexpected("reading a file of credentials broke off").because(error))?
}

fn read_blocking(path: &Path) -> Result<Option<AuthFile>> {
    let failed =
        |error: io::Error| Error::invalid("the file of credentials cannot be read").because(error).on(path.display());
    let file = match std::fs::File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(failed)?,
    };
    let mut bytes = Vec::new();
    file.take(LIMIT).read_to_end(&mut bytes).map_err(failed)?;
    // The parser's message names only line and column, never what stands there.
    let invalid = |error: serde_json::Error| {
        let at = format!("line {}, column {}", error.line(), error.column());
        Error::invalid(format!("no file of credentials in JSON: {at}")).on(path.display())
    };
    AuthFile::parse(&bytes).map(Some).map_err(invalid)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use patchkit_core::ErrorKind;

    use super::*;

    #[test]
    fn files_in_their_order() {
        let with = |set: &'static [(&str, &str)]| {
            let env = |name: &str| set.iter().find(|(key, _)| *key == name).map(|(_, value)| PathBuf::from(value));
            standard_paths(&env).iter().map(|path| path.display().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(with(&[("HOME", "/h")]), ["/h/.config/containers/auth.json", "/h/.docker/config.json"]);
        assert_eq!(
            with(&[("HOME", "/h"), ("XDG_RUNTIME_DIR", "/r"), ("XDG_CONFIG_HOME", "/c"), ("DOCKER_CONFIG", "/d")]),
            ["/r/containers/auth.json", "/c/containers/auth.json", "/d/config.json"]
        );
        assert_eq!(with(&[("HOME", "/h"), ("REGISTRY_AUTH_FILE", "/a")]), ["/a"]);
    }

    #[tokio::test]
    async fn given_ones_come_first_then_each_file() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (folder.path().join("1"), folder.path().join("2"));
        fs::write(&first, r#"{"auths":{"a.example.org":{"auth":"YTox"}}}"#).unwrap();
        fs::write(&second, r#"{"auths":{"a.example.org":{"auth":"YToy"},"b.example.org":{"auth":"Yjoy"}}}"#).unwrap();
        let files = AuthFiles::Only(vec![folder.path().join("0"), first, second]);
        let given = BTreeMap::from([("a.example.org/x".to_owned(), Credential::basic("a", "0"))]);
        let (store, cx) = (Credentials::new(given, files), Context::new());
        for (host, path, found) in [
            ("a.example.org", "x/y", Some(("a", "0"))),
            ("a.example.org", "y", Some(("a", "1"))),
            ("b.example.org", "y", Some(("b", "2"))),
            ("c.example.org", "y", None),
        ] {
            let expected = found.map(|(user, password)| Credential::basic(user, password));
            assert_eq!(store.find(host, path, &cx).await.unwrap(), expected, "{host}/{path}");
        }
    }

    #[tokio::test]
    async fn a_broken_file_is_named_without_its_secrets() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("auth.json");
        fs::write(&path, r#"{"auths":{"a.example.org":{"auth":["s3cret"]}}}"#).unwrap();
        let store = Credentials::new(BTreeMap::new(), AuthFiles::Only(vec![path]));
        let error = store.find("a.example.org", "x", &Context::new()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("auth.json") && !shown.contains("s3cret"), "{shown}");
    }
}
