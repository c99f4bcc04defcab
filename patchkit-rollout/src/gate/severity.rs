use std::collections::BTreeSet;

use async_trait::async_trait;
use patchkit_core::{
    Context, Decision, Finding, FixState, Gate, Plugin, PluginInfo, Reason, Result, Severity, Verified,
};
use serde::Serialize;

/// Denies an image that is left with findings of a given severity or worse.
///
/// What stays after patching is what the plans call unfixable. By default a finding that has no fix anywhere does not
/// count, since no patch could remove it; [`counting_unfixed`](Self::counting_unfixed) makes it count.
#[derive(Clone, Debug, Serialize)]
pub struct SeverityGate {
    deny_at: Severity,
    count_unfixed: bool,
}

impl SeverityGate {
    /// Denies from this severity on.
    #[must_use]
    pub fn deny_at(severity: Severity) -> Self {
        Self { deny_at: severity, count_unfixed: false }
    }

    /// The same, also for findings that nobody has fixed yet.
    #[must_use]
    pub fn counting_unfixed(self) -> Self {
        Self { count_unfixed: true, ..self }
    }

    fn counts(&self, finding: &Finding) -> bool {
        let fixable = matches!(finding.fix, FixState::Fixed(_));
        finding.severity >= self.deny_at && (fixable || self.count_unfixed) && finding.fix != FixState::NotAffected
    }
}

impl Plugin for SeverityGate {
    fn info(&self) -> PluginInfo {
        PluginInfo::new("severity-gate", env!("CARGO_PKG_VERSION")).configured(self)
    }
}

#[async_trait]
impl Gate for SeverityGate {
    async fn decide(&self, verified: &Verified, _cx: &Context) -> Result<Decision> {
        let planned = verified.patched().planned();
        let mut broken = BTreeSet::new();
        for (report, plan) in planned.scanned().reports().iter().zip(planned.plans()) {
            let fixed = plan.fixes();
            let left = report.findings.iter().filter(|finding| !fixed.contains(&finding.key()));
            broken.extend(left.filter(|finding| self.counts(finding)).map(|finding| {
                let why = plan.unfixable.iter().find(|left| left.finding == finding.key());
                let why = why.map_or_else(String::new, |left| format!(": {}", left.reason));
                format!("{} ({}){why}", finding.key(), finding.severity)
            }));
        }
        let bound = format!("no finding of severity {} or worse is left", self.deny_at);
        if broken.is_empty() {
            return Ok(Decision::Allow { reason: Reason::yes(bound) });
        }
        let reason = Reason::no(format!("{} findings of severity {} or worse are left", broken.len(), self.deny_at));
        Ok(Decision::Deny { reason: broken.into_iter().map(Reason::no).fold(reason, Reason::with) })
    }
}
