use async_trait::async_trait;
use jiff::Timestamp;

use crate::{
    Application, Change, Context, Error, Finding, FixState, Image, Package, Patcher, Plan, Plugin, PluginInfo, Result,
    ScanReport, Unfixable, UnfixableReason,
};

/// A patcher that only says it patched: it plans an upgrade of every package with a fix, and applies a plan by writing
/// each change into a label, `PREFIX.PACKAGE=VERSION`, that a scanner of the same mind reads.
///
/// It shows the shape of a patcher, and stands in for one in tests of everything else.
#[derive(Clone, Debug)]
pub struct LabelPatcher {
    prefix: String,
}

impl LabelPatcher {
    /// A patcher that writes labels with this prefix.
    pub fn new(prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into() }
    }
}

impl Plugin for LabelPatcher {
    fn info(&self) -> PluginInfo {
        PluginInfo::new("label", env!("CARGO_PKG_VERSION")).configured(&self.prefix)
    }
}

#[async_trait]
impl Patcher for LabelPatcher {
    async fn plan(&self, image: &Image, report: &ScanReport, _cx: &Context) -> Result<Plan> {
        let changes = report.packages.iter().filter_map(|package| change(package, report)).collect();
        let mut unfixable: Vec<_> = report.findings.iter().filter_map(unfixable).collect();
        unfixable.sort();
        let digest = *image.digest();
        Ok(Plan { subject: digest, base: digest, timestamp: Timestamp::UNIX_EPOCH, changes, unfixable })
    }

    async fn apply(&self, image: &Image, plan: &Plan, _cx: &Context) -> Result<Application> {
        if plan.subject != *image.digest() {
            return Err(Error::invalid(format!("the plan is for {}", plan.subject)).on(image.digest()));
        }
        let label = |edit: crate::Edit, change: &Change| match &change.to {
            Some(to) => edit.label(format!("{}.{}", self.prefix, change.package), to.as_str()),
            None => edit,
        };
        let image = plan.changes.iter().fold(image.edit(), label).finish()?;
        Ok(Application::Patched { image, notes: Vec::new() })
    }
}

/// The upgrade of a package to the last fixed version that its findings name.
fn change(package: &Package, report: &ScanReport) -> Option<Change> {
    let mine = report.findings.iter().filter(|finding| finding.package == package.purl);
    let fixes: Vec<_> = mine.filter_map(|finding| fixed(finding).map(|version| (finding.key(), version))).collect();
    let (_, to) = fixes.last()?;
    Some(Change {
        package: package.name.clone(),
        architecture: package.architecture.clone(),
        from: Some(package.version.clone()),
        to: Some((*to).clone()),
        artifact: None,
        reason: format!("fixes {} findings", fixes.len()),
        fixes: fixes.into_iter().map(|(key, _)| key).collect(),
    })
}

fn fixed(finding: &Finding) -> Option<&crate::Version> {
    match &finding.fix {
        FixState::Fixed(version) => Some(version),
        FixState::NotAffected | FixState::NotFixed | FixState::WillNotFix => None,
    }
}

fn unfixable(finding: &Finding) -> Option<Unfixable> {
    let reason = match &finding.fix {
        FixState::Fixed(_) => return None,
        FixState::NotAffected => UnfixableReason::NotChosen,
        FixState::NotFixed => UnfixableReason::NoFixYet,
        FixState::WillNotFix => UnfixableReason::WillNotFix,
    };
    Some(Unfixable { finding: finding.key(), reason })
}
