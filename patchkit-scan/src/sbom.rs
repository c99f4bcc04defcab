//! A software bill of materials in place of an image: what it lists is matched with advisories.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use patchkit_core::{Context, Digest, Error, Image, Platform, Plugin, PluginInfo, Result, ScanReport, Scanner};

use crate::{
    AdvisoryStore, Inventory,
    matcher::Matcher,
    report::{self, ForeignFormat, ForeignReport, ForeignSubject},
};

/// A software bill of materials: CycloneDX, SPDX or Syft's JSON.
///
/// The distribution is the one that it names as a component, else that of its packages' purls (`distro=debian-12`). The
/// vulnerabilities that it lists are not looked at: it is matched anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sbom {
    inventory: Inventory,
    subject: ForeignSubject,
    tool: Option<String>,
    digest: Digest,
}

impl Sbom {
    /// Reads one.
    ///
    /// # Errors
    /// Those of [`report::read`]; [`Unsupported`](patchkit_core::ErrorKind::Unsupported) for a report of findings in a
    /// format that does not list all packages.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        let ForeignReport { format, tool, subject, distribution, packages, mut warnings, .. } = report::read(bytes)?;
        if matches!(format, ForeignFormat::Grype | ForeignFormat::Sarif) {
            let message = format!("{format} lists packages with findings only, so it is no bill of materials");
            return Err(Error::unsupported(message).during("read a bill of materials"));
        }
        if packages.is_empty() {
            warnings.push("the bill of materials lists no package with a purl and a version".into());
        }
        let inventory = Inventory { distribution, packages, base: None, warnings };
        Ok(Self { inventory, subject, tool, digest: Digest::of(bytes) })
    }

    /// What it lists.
    #[must_use]
    pub fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    /// What it is about.
    #[must_use]
    pub fn subject(&self) -> &ForeignSubject {
        &self.subject
    }

    /// The tool that made it, where it says so.
    #[must_use]
    pub fn tool(&self) -> Option<&str> {
        self.tool.as_deref()
    }

    /// Matches what it lists. The report's subject is the image's digest where the document tells it, else (with a
    /// warning) the document's own; its platform follows from the packages' architecture.
    ///
    /// # Errors
    /// As [`Matcher::judge`].
    pub fn judge(&self, matcher: &Matcher<'_>) -> Result<ScanReport> {
        let named = self.subject.manifest.or_else(|| self.subject.repository_digests.first().copied());
        let warning = match named {
            Some(_) => None,
            None => Some(format!("the bill of materials, about {}, does not give an image's digest", self.subject)),
        };
        self.report(matcher, named.unwrap_or(self.digest), self.platform(), warning)
    }

    fn report(
        &self,
        matcher: &Matcher<'_>,
        subject: Digest,
        platform: Platform,
        warning: Option<String>,
    ) -> Result<ScanReport> {
        let Inventory { distribution, packages, base, mut warnings } = self.inventory.clone();
        let matches = matcher.judge(distribution.as_ref(), &packages)?;
        warnings.extend(warning.into_iter().chain(matches.warnings));
        let (findings, suppressed) = (matches.findings, Vec::new());
        Ok(ScanReport { subject, platform, distribution, packages, findings, suppressed, base, warnings }.sorted())
    }

    /// The platform for which most packages are.
    fn platform(&self) -> Platform {
        let mut votes = BTreeMap::<&str, usize>::new();
        for architecture in self.inventory.packages.iter().filter_map(|package| package.architecture.as_deref()) {
            if !matches!(architecture, "all" | "any" | "noarch" | "source" | "src") {
                *votes.entry(architecture).or_default() += 1;
            }
        }
        let most = votes.into_iter().max_by_key(|(_, votes)| *votes).map(|(architecture, _)| architecture);
        let (architecture, variant) = match most.unwrap_or("unknown") {
            "armhf" | "armv7" | "armv7hl" => ("arm", Some("v7")),
            "armel" => ("arm", Some("v5")),
            "i386" | "i586" | "i686" | "x86" => ("386", None),
            "mips64el" => ("mips64le", None),
            "ppc64el" => ("ppc64le", None),
            other => (other, None),
        };
        let platform = Platform::new("linux", architecture, variant);
        platform.unwrap_or_else(|_| Platform::new("linux", "unknown", None).expect("a constant"))
    }
}

/// Scans an image by its bill of materials: quicker than reading the image, and as true as the document is.
///
/// The document must be about the image: see [`ForeignSubject::check`].
#[derive(Clone, Debug)]
pub struct SbomScanner {
    sbom: Sbom,
    advisories: Arc<AdvisoryStore>,
}

impl SbomScanner {
    /// A scanner by a bill of materials and the given advisories.
    pub fn new(sbom: Sbom, advisories: impl Into<Arc<AdvisoryStore>>) -> Self {
        Self { sbom, advisories: advisories.into() }
    }
}

impl Plugin for SbomScanner {
    fn info(&self) -> PluginInfo {
        let info = PluginInfo::new("sbom-scanner", env!("CARGO_PKG_VERSION"));
        info.configured(&(self.sbom.digest, self.advisories.digest()))
    }
}

#[async_trait]
impl Scanner for SbomScanner {
    async fn scan(&self, image: &Image, cx: &Context) -> Result<ScanReport> {
        let warning = self.sbom.subject.check(image)?;
        report::verify_layers(image, cx).await?;
        let matcher = Matcher::new(&self.advisories);
        self.sbom.report(&matcher, *image.digest(), image.platform().clone(), warning)
    }
}
