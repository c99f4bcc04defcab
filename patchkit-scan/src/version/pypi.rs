//! The order of Python's versions.
//!
//! Source: PEP 440. What does not follow it is refused, as pip 24.1 and packaging 22 do; that their forerunners called
//! it a legacy version, older than every other, would hide what a fix of such a name is for.

use std::str::FromStr;

use pep440_rs::Version;

use super::Flaw;

pub(super) fn parse(text: &str) -> Result<Box<Version>, Flaw> {
    let version = Version::from_str(text).map_err(|_| Flaw::new(0, "it does not follow PEP 440"))?;
    Ok(Box::new(version))
}
