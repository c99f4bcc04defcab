//! Finds a release with known vulnerabilities: one whose security suite has newer versions than its main suite.

use patchkit_core::{Context, Error, ErrorKind, Result};
use url::Url;

use super::Bootstrap;
use crate::debian::{
    apt::{
        client::{Archive, ArchiveClient},
        index::AvailablePackage,
        sources::{Place, Source, SourceKind, SourceOptions, Suite, without_credentials},
        trust::TrustStore,
    },
    version::DebVersion,
};

/// What a security suite's name has after the release's (from Debian 11 on).
const SECURITY: &str = "-security";
/// The component that everything here is taken from.
const MAIN: &str = "main";

/// A release's main suite, and the suite with its security fixes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suites {
    /// The release as the suites name it: `bookworm`.
    pub release: String,
    /// The main suite.
    pub main: Source,
    /// The security suite.
    pub security: Source,
}

/// A release in which packages have fixes.
#[derive(Clone, Debug)]
pub struct Outdated {
    /// The release.
    pub suites: Suites,
    /// What the main suite offers.
    pub main: Archive,
    /// What the security suite offers.
    pub security: Archive,
    /// The packages as the main suite has them, and the newest version that the security suite has of each.
    pub fixes: Vec<(AvailablePackage, AvailablePackage)>,
}

impl Suites {
    /// The releases that a list of sources has both suites of, in the list's order, each once.
    #[must_use]
    pub fn among(sources: &[Source]) -> Vec<Self> {
        let named = || sources.iter().filter(|source| source.kind == SourceKind::Binary).filter_map(with_name);
        let mut found: Vec<Self> = Vec::new();
        for (main, release) in named() {
            let security = named().find(|(_, name)| name.strip_suffix(SECURITY) == Some(release));
            if let Some((security, _)) = security.filter(|_| found.iter().all(|known| known.release != release)) {
                let (main, security) = (of_main(main), of_main(security));
                found.push(Self { release: release.to_owned(), main, security });
            }
        }
        found
    }

    /// A release of an archive that has the security suites beside it: `URL` and `URL-security`, as Debian's mirrors do.
    /// Its keys are those that are trusted in general.
    #[must_use]
    pub fn of_archive(url: &Url, release: &str) -> Self {
        let folder = url.path().trim_end_matches('/');
        let source = |path: String, name: String| {
            let mut uri = url.clone();
            uri.set_path(&path);
            Source {
                place: Place { file: without_credentials(url).into(), line: 1 },
                kind: SourceKind::Binary,
                uri,
                suite: Suite::Distribution { name, components: vec![MAIN.to_owned()] },
                options: SourceOptions::default(),
            }
        };
        Self {
            release: release.to_owned(),
            main: source(format!("{folder}/"), release.to_owned()),
            security: source(format!("{folder}{SECURITY}/"), format!("{release}{SECURITY}")),
        }
    }

    /// Another release at the same addresses. Its indexes may be past their date, since an old release is not signed
    /// anew any more.
    #[must_use]
    pub fn of_release(&self, release: &str) -> Self {
        let renamed = |source: &Source, name: String| {
            let suite = Suite::Distribution { name, components: vec![MAIN.to_owned()] };
            let mut source = Source { suite, ..source.clone() };
            source.options.check_valid_until = Some(false);
            source
        };
        Self {
            release: release.to_owned(),
            main: renamed(&self.main, release.to_owned()),
            security: renamed(&self.security, format!("{release}{SECURITY}")),
        }
    }

    /// Both sources: what an image of this release is patched from.
    #[must_use]
    pub fn sources(&self) -> [Source; 2] {
        [self.main.clone(), self.security.clone()]
    }

    /// Those packages of an image in the making that the security suite has newer versions of.
    ///
    /// # Errors
    /// Those of [`ArchiveClient::update`] and [`Bootstrap::packages`].
    pub async fn outdated(
        &self,
        image: &Bootstrap,
        architecture: &str,
        trust: &TrustStore,
        client: &ArchiveClient,
        cx: &Context,
    ) -> Result<Outdated> {
        let read = |source: &Source| {
            let source = [source.clone()];
            async move { client.update(&source, trust, architecture, cx).await }
        };
        let (main, security) = futures::try_join!(read(&self.main), read(&self.security))?;
        let packages = image.packages(&main)?;
        let newer = packages.into_iter().filter_map(|package| {
            let fix = newest(security.named(package.name()))?;
            is_newer(&fix, &package).then_some((package, fix))
        });
        let fixes = newer.collect();
        Ok(Outdated { suites: self.clone(), main, security, fixes })
    }
}

/// The first of several releases in which a package of an image in the making has a fix.
///
/// # Errors
/// `Unavailable` where no release can be read (nobody answers, a proxy refuses, the indexes are past their date), with
/// what each said; `NotFound` where some can and have no fix. An archive that answers and cannot be verified is never
/// passed over: [`Corrupt`](ErrorKind::Corrupt).
pub async fn first_outdated(
    candidates: &[Suites],
    image: &Bootstrap,
    architecture: &str,
    trust: &TrustStore,
    client: &ArchiveClient,
    cx: &Context,
) -> Result<Outdated> {
    let mut reasons = Vec::new();
    let mut kind = ErrorKind::Unavailable;
    for suites in candidates {
        let reason = match suites.outdated(image, architecture, trust, client, cx).await {
            Ok(outdated) if !outdated.fixes.is_empty() => return Ok(outdated),
            Ok(_) => {
                kind = ErrorKind::NotFound;
                "no package has a fix".to_owned()
            }
            Err(error) if matches!(error.kind(), ErrorKind::Cancel | ErrorKind::Corrupt) => return Err(error),
            Err(error) => error.to_string(),
        };
        reasons.push(format!("{}: {reason}", suites.release));
    }
    if candidates.is_empty() {
        reasons.push("no source has both a main and a security suite".to_owned());
    }
    Err(Error::new(kind, reasons.join("; ")).during("find a release with fixes"))
}

/// A source of a suite with the component `main`, and the suite's name.
fn with_name(source: &Source) -> Option<(&Source, &str)> {
    match &source.suite {
        Suite::Distribution { name, components } if components.iter().any(|name| name == MAIN) => Some((source, name)),
        _ => None,
    }
}

fn of_main(source: &Source) -> Source {
    let mut source = source.clone();
    if let Suite::Distribution { components, .. } = &mut source.suite {
        components.retain(|name| name == MAIN);
    }
    source
}

fn newest(packages: impl Iterator<Item = AvailablePackage>) -> Option<AvailablePackage> {
    packages.max_by_key(|package| DebVersion::parse_lenient(package.version()).ok())
}

fn is_newer(left: &AvailablePackage, right: &AvailablePackage) -> bool {
    let version = |package: &AvailablePackage| DebVersion::parse_lenient(package.version()).ok();
    version(left) > version(right)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::debian::apt::sources::parse_sources;

    fn shown(suites: &Suites) -> String {
        format!("{}: {} + {}", suites.release, suites.main, suites.security)
    }

    #[test]
    fn releases_are_pairs_of_suites() {
        let text = "deb http://a.example.org/debian x-updates main\n\
            deb http://a.example.org/debian x contrib main\n\
            deb http://a.example.org/debian x main\n\
            deb-src http://a.example.org/debian y main\n\
            deb http://b.example.org z main\n\
            deb http://a.example.org/security x-security contrib main\n\
            deb http://a.example.org/security y-security main\n";
        let found = Suites::among(&parse_sources("s.list", text.as_bytes()).unwrap());
        let found: Vec<_> = found.iter().map(shown).collect();
        assert_eq!(
            found,
            ["x: deb http://a.example.org/debian/ x main + deb http://a.example.org/security/ x-security main"]
        );
    }

    #[test]
    fn another_release_is_at_the_same_addresses() {
        let url: Url = "http://a.example.org/debian/".parse().unwrap();
        let suites = Suites::of_archive(&url, "x").of_release("w");
        assert_eq!(
            shown(&suites),
            "w: deb http://a.example.org/debian/ w main + deb http://a.example.org/debian-security/ w-security main"
        );
        assert_eq!(suites.security.options.check_valid_until, Some(false));
    }
}
