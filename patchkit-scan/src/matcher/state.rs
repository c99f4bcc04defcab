//! How an installed version stands to a claim.

use std::borrow::Cow;

use patchkit_core::{FixState, Version};

use crate::{
    advisory::{End, Range, Status},
    version::{Parsed, Scheme},
};

/// Why a claim cannot be judged.
#[derive(Debug)]
pub(super) enum Unreadable {
    /// The installed version, or its scheme.
    Installed(String),
    /// A version of the claim.
    Claim(String),
}

/// An installed version that was read.
#[derive(Debug)]
pub(super) struct Installed {
    scheme: Scheme,
    name: String,
    version: Parsed,
    epoch: Epoch,
}

/// Whether the epoch of a version is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Epoch {
    /// It is, or the scheme has none.
    Known,
    /// It is not, so that it is not compared: the version comes from the file name of a source package.
    Unknown,
}

impl Installed {
    pub(super) fn read(version: &Version, epoch: Epoch) -> Result<Self, Unreadable> {
        let name = version.scheme();
        let unknown = || Unreadable::Installed(format!("the order of {name} versions is not known"));
        let scheme = scheme(version).ok_or_else(unknown)?;
        let parsed = scheme.parse(version.as_str()).map_err(|error| Unreadable::Installed(error.to_string()))?;
        Ok(Self { scheme, name: name.into(), version: parsed, epoch })
    }

    /// How it stands; `None` where it does not have the vulnerability, or no more. Of several fixes, the highest counts.
    pub(super) fn state(
        &self,
        status: &Status,
        is_meant: impl Fn(&Range) -> bool,
    ) -> Result<Option<FixState>, Unreadable> {
        let ranges = match status {
            Status::NotAffected => return Ok(Some(FixState::NotAffected)),
            Status::Affected(ranges) => ranges,
        };
        let (mut fixed, mut state) = (None::<(Parsed, &str)>, None);
        for range in ranges.iter().filter(|range| is_meant(range)) {
            if !self.is_after_start(range)? {
                continue;
            }
            match &range.end {
                End::Fixed(end) => {
                    let bound = self.bound(end)?;
                    if self.version.against(&bound).is_lt() {
                        fixed = fixed.max(Some((bound, end)));
                    }
                }
                End::FixedElsewhere(end) if self.version.against(&self.bound(end)?).is_ge() => {}
                End::Last(end) if self.version.against(&self.bound(end)?).is_gt() => {}
                End::WillNotFix => state = Some(FixState::WillNotFix),
                End::FixedElsewhere(_) | End::Last(_) | End::NotFixed => state = state.or(Some(FixState::NotFixed)),
            }
        }
        let Some((_, fixed)) = fixed else { return Ok(state) };
        let fixed = Version::new(&self.name, fixed).map_err(|error| Unreadable::Claim(error.to_string()))?;
        Ok(Some(FixState::Fixed(fixed)))
    }

    fn is_after_start(&self, range: &Range) -> Result<bool, Unreadable> {
        let Some(from) = &range.from else { return Ok(true) };
        Ok(self.version.against(&self.bound(from)?).is_ge())
    }

    fn bound(&self, text: &str) -> Result<Parsed, Unreadable> {
        let text = match self.epoch {
            Epoch::Known => Cow::Borrowed(text),
            Epoch::Unknown => without_epoch(text).into(),
        };
        self.scheme.parse(&text).map_err(|error| Unreadable::Claim(error.to_string()))
    }
}

/// The order that a version belongs to.
pub(super) fn scheme(version: &Version) -> Option<Scheme> {
    Scheme::of_purl_type(version.scheme())
}

/// A version of rpm without its epoch.
pub(super) fn without_epoch(version: &str) -> &str {
    match version.split_once(':') {
        Some((epoch, rest)) if epoch.bytes().all(|byte| byte.is_ascii_digit()) => rest,
        _ => version,
    }
}
