//! The names of our extensions and of Trivy's, in formats that have fields for such.

/// The fix state of a finding: `fixed`, `not-fixed`, `will-not-fix`, `not-affected`.
pub(super) const FIX: &str = "patchkit:fix";
/// EPSS: probability and percentile as decimal shares of one, with a blank between.
pub(super) const EPSS: &str = "patchkit:epss";
/// The severity in our words, where the format has fewer.
pub(super) const SEVERITY: &str = "patchkit:severity";
/// Who says that a finding does not count.
pub(super) const SUPPRESSED_BY: &str = "patchkit:suppressed-by";
/// The document in which it stands.
pub(super) const SUPPRESSED_SOURCE: &str = "patchkit:suppressed-source";
/// A file that speaks of a package.
pub(super) const LOCATION: &str = "patchkit:location";
/// How it is known that a package is there.
pub(super) const PRESENCE: &str = "patchkit:presence";
/// The purl of the distribution's package that owns the files of this one.
pub(super) const OWNER: &str = "patchkit:owner";
/// The distribution's codename.
pub(super) const CODENAME: &str = "patchkit:codename";
/// The image's platform.
pub(super) const PLATFORM: &str = "patchkit:platform";
/// A warning of the scanner.
pub(super) const WARNING: &str = "patchkit:warning";

/// Trivy's properties of components and images.
pub(super) mod trivy {
    pub(in super::super) const CLASS: &str = "aquasecurity:trivy:Class";
    pub(in super::super) const DIFF_ID: &str = "aquasecurity:trivy:DiffID";
    pub(in super::super) const IMAGE_ID: &str = "aquasecurity:trivy:ImageID";
    pub(in super::super) const LAYER_DIFF_ID: &str = "aquasecurity:trivy:LayerDiffID";
    pub(in super::super) const MODULE: &str = "aquasecurity:trivy:Modularitylabel";
    pub(in super::super) const PKG_ID: &str = "aquasecurity:trivy:PkgID";
    pub(in super::super) const PKG_TYPE: &str = "aquasecurity:trivy:PkgType";
    pub(in super::super) const REPO_DIGEST: &str = "aquasecurity:trivy:RepoDigest";
    pub(in super::super) const SRC_EPOCH: &str = "aquasecurity:trivy:SrcEpoch";
    pub(in super::super) const SRC_NAME: &str = "aquasecurity:trivy:SrcName";
    pub(in super::super) const SRC_RELEASE: &str = "aquasecurity:trivy:SrcRelease";
    pub(in super::super) const SRC_VERSION: &str = "aquasecurity:trivy:SrcVersion";
    pub(in super::super) const TYPE: &str = "aquasecurity:trivy:Type";
}
