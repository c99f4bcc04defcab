//! What advisories may call a package, and which of them mean it.

use std::{borrow::Cow, cell::OnceCell};

use patchkit_core::{FixState, Package, Purl, Version};

use super::state::{Epoch, Installed, Unreadable, without_epoch};
use crate::advisory::{Claim, Range, Scope, Status};

/// A name and version under which a package is judged.
#[derive(Debug)]
pub(super) struct Subject<'p> {
    pub(super) name: Cow<'p, str>,
    package: &'p Package,
    version: &'p Version,
    epoch: Epoch,
    /// Read when it is first needed, which for most packages is never.
    installed: OnceCell<Installed>,
}

impl<'p> Subject<'p> {
    /// All of a package, in the order of their weight.
    pub(super) fn all(scope: &Scope, package: &'p Package) -> Vec<Self> {
        let itself = || Self::new(scope.package_name(package.name.as_str()), package, &package.version);
        let kind = purl_type(&package.purl);
        if !is_distribution_type(kind) {
            return vec![itself()];
        }
        match (kind, &package.source) {
            (_, None) => vec![itself()],
            ("apk", Some(source)) => vec![Self::new(source.name.as_str().into(), package, &source.version)],
            ("deb", Some(_)) => vec![Self::of_debian_source(scope, package)],
            (_, Some(source)) if source.name == package.name => vec![itself()],
            (_, Some(_)) => vec![itself(), Self::of_rpm_source(package)],
        }
    }

    fn new(name: Cow<'p, str>, package: &'p Package, version: &'p Version) -> Self {
        Self { name, package, version, epoch: Epoch::Known, installed: OnceCell::new() }
    }

    /// The source package that advisories speak of.
    ///
    /// Signed kernels and boot loaders are built from template source packages of their own (`linux-signed-amd64` of
    /// Debian, whose version has a `+` for the `-`; `linux-signed-aws` of Ubuntu), while advisories speak of the source
    /// of the code. The binary packages have that source's version.
    fn of_debian_source(scope: &Scope, package: &'p Package) -> Self {
        let Some(source) = &package.source else {
            return Self::new(package.name.as_str().into(), package, &package.version);
        };
        let name = source.name.as_str();
        let (name, version): (Cow<'_, str>, _) = match name.strip_prefix("linux-signed") {
            Some(flavour) if scope.ecosystem() == "ubuntu" => (format!("linux{flavour}").into(), &package.version),
            Some(flavour) if flavour.starts_with('-') => ("linux".into(), &package.version),
            _ => (name.into(), &source.version),
        };
        Self::new(name, package, version)
    }

    /// The source package, where a package's own name does not say all. Nearly every package has its source's version,
    /// and the epoch with it; the others are judged by the version of the source, whose epoch need not be known.
    fn of_rpm_source(package: &'p Package) -> Self {
        let source = package.source.as_ref().expect("the caller saw it");
        let same = without_epoch(package.version.as_str()) == without_epoch(source.version.as_str());
        let version = if same { &package.version } else { &source.version };
        let epoch = match version.as_str().contains(':') || same {
            true => Epoch::Known,
            false => Epoch::Unknown,
        };
        Self { epoch, ..Self::new(source.name.as_str().into(), package, version) }
    }

    /// Whether a claim holds for the package's module stream and architecture.
    pub(super) fn is_meant_by(&self, claim: &Claim) -> bool {
        let stream = match (&self.package.module, claim.module()) {
            (Some(installed), Some(claimed)) => stream_of(installed) == stream_of(claimed),
            (None, Some(_)) => false,
            (None, None) => true,
            (Some(_), None) => *claim.status() != Status::NotAffected,
        };
        stream && self.is_of_architecture(claim)
    }

    /// Whether it is of one of the claim's architectures. What is of none, or of all, may be anywhere.
    fn is_of_architecture(&self, claim: &Claim) -> bool {
        let any = ["all", "any", "noarch"];
        let Some(architecture) = self.package.architecture.as_deref().filter(|name| !any.contains(name)) else {
            return true;
        };
        let claimed = claim.architectures();
        claimed.is_empty() || claimed.iter().any(|name| **name == *architecture || any.contains(&&**name))
    }

    /// How the package stands.
    pub(super) fn state(&self, claim: &Claim) -> Result<Option<FixState>, Unreadable> {
        let installed = match self.installed.get() {
            Some(installed) => installed,
            None => {
                let read = Installed::read(self.version, self.epoch)?;
                self.installed.get_or_init(|| read)
            }
        };
        installed.state(claim.status(), |range| claim.module().is_some() || self.is_meant_by_build(range))
    }

    /// Whether a range that names no module stream is about such a package all the same.
    ///
    /// Some vendors (AlmaLinux) do not say the stream, but the versions of modular builds show it: they never fix a
    /// package outside of modules, nor the reverse. Streams that are versions (`nodejs:18`) are told apart by the
    /// version of the fix, where the package's own follows the stream.
    fn is_meant_by_build(&self, range: &Range) -> bool {
        let fix = range.end.version().map(|version| &**version);
        let modular = fix.is_some_and(|version| version.contains(".module"));
        let Some(module) = &self.package.module else { return !modular };
        let stream = stream_of(module).1;
        let follows = |version: &str| {
            let rest = without_epoch(version).strip_prefix(stream);
            rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
        };
        modular && (!follows(self.version.as_str()) || fix.is_some_and(follows))
    }
}

/// The name and the stream of `nodejs:18:8090020240101:rhel9`.
fn stream_of(module: &str) -> (&str, &str) {
    let mut parts = module.split(':');
    (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
}

/// The type of a package URL.
pub(super) fn purl_type(purl: &Purl) -> &str {
    let rest = purl.as_str().strip_prefix("pkg:").unwrap_or_default();
    rest.split('/').next().unwrap_or_default()
}

/// Whether packages of a type belong to a distribution.
pub(super) fn is_distribution_type(kind: &str) -> bool {
    matches!(kind, "alpm" | "apk" | "deb" | "rpm")
}
