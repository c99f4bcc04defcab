//! What a store knows, as the keys and values of its table.

use std::{collections::BTreeSet, sync::Arc};

use patchkit_core::{AdvisoryId, CvssScore, Epss, Exploitation, Severity};

use super::{
    Claim, Entry, Vulnerability,
    database::{Decoder, Malformed, put_list, put_number, put_optional, put_text},
};
use crate::advisory::{End, Range, Scope, Status};

/// What a value is about. Claims come first, scope by scope.
#[derive(Clone, Copy, Debug)]
pub(super) enum Key<'a> {
    /// What is known about a package in the scope of that number.
    Claims(u32, &'a str),
    /// What is known about a vulnerability wherever it is.
    Vulnerability(&'a str),
}

const CLAIMS: u8 = 1;
const VULNERABILITY: u8 = 2;

impl<'a> Key<'a> {
    pub(super) fn encode(self) -> Vec<u8> {
        match self {
            Self::Claims(scope, package) => [&[CLAIMS][..], &scope.to_be_bytes(), package.as_bytes()].concat(),
            Self::Vulnerability(id) => [&[VULNERABILITY][..], id.as_bytes()].concat(),
        }
    }

    fn parse(bytes: &'a [u8]) -> Option<Self> {
        match bytes {
            [CLAIMS, a, b, c, d, package @ ..] => {
                Some(Self::Claims(u32::from_be_bytes([*a, *b, *c, *d]), std::str::from_utf8(package).ok()?))
            }
            [VULNERABILITY, id @ ..] => Some(Self::Vulnerability(std::str::from_utf8(id).ok()?)),
            _ => None,
        }
    }
}

/// What a table starts with: the scopes, the names of sources that claims come from, and how many claims there are.
#[derive(Debug)]
pub(super) struct Head {
    /// Sorted: a scope's place is its number.
    pub(super) scopes: Vec<Scope>,
    /// Sorted.
    pub(super) origins: Vec<Arc<str>>,
    pub(super) claims: usize,
}

impl Head {
    pub(super) fn number(&self, scope: &Scope) -> Option<u32> {
        self.scopes.binary_search(scope).ok().and_then(|number| u32::try_from(number).ok())
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let Self { scopes, origins, claims } = self;
        let mut out = Vec::new();
        put_number(&mut out, *claims as u64);
        put_list(&mut out, origins.iter());
        put_number(&mut out, scopes.len() as u64);
        for scope in scopes {
            put_text(&mut out, scope.ecosystem());
            put_optional(&mut out, scope.release());
        }
        out
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut decoder = Decoder::new(bytes);
        let claims = decoder.number("the number of claims")?;
        let claims = usize::try_from(claims).map_err(|_| decoder.malformed("the number of claims"))?;
        let origins = decoder.list("a source")?;
        let mut scopes = Vec::new();
        for _ in 0..decoder.count("the number of scopes")? {
            let (ecosystem, release) = (decoder.text("an ecosystem")?, decoder.optional("a release")?);
            let scope = Scope::of_normalised(ecosystem, release);
            if scopes.last().is_some_and(|last| *last >= scope) {
                return Err(decoder.malformed("a later scope"));
            }
            scopes.push(scope);
        }
        decoder.end()?;
        Ok(Self { scopes, origins, claims })
    }

    /// An entry of the table.
    pub(super) fn entry(&self, key: &[u8], value: &[u8]) -> Result<Entry, Malformed> {
        let nowhere = || Decoder::new(key).malformed("a key");
        match Key::parse(key).ok_or_else(nowhere)? {
            Key::Claims(number, package) => {
                let scope = self.scopes.get(number as usize).ok_or_else(nowhere)?;
                Ok(Entry::Claims(scope.clone(), package.into(), claims(value, &self.origins)?))
            }
            Key::Vulnerability(id) => {
                let id = Some(id).filter(|id| id.parse::<AdvisoryId>().is_ok()).ok_or_else(nowhere)?;
                Ok(Entry::Vulnerability(id.into(), vulnerability(value)?))
            }
        }
    }
}

/// Writes a claim whose source is one of the given.
pub(super) fn put_claim(out: &mut Vec<u8>, claim: &Claim, origins: &[Arc<str>]) {
    let Claim { id, module, architectures, bulletins, status, urgency, symbols, source } = claim;
    put_text(out, id);
    out.push(severity_number(*urgency));
    put_number(out, origins.binary_search(source).expect("the source of every claim is among them") as u64);
    put_optional(out, module.as_deref());
    put_list(out, architectures.iter());
    put_list(out, bulletins.iter());
    put_list(out, symbols.iter());
    let Status::Affected(ranges) = status else { return out.push(0) };
    put_number(out, ranges.len() as u64 + 1);
    for Range { from, end } in ranges {
        put_optional(out, from.as_deref());
        out.push(match end {
            End::NotFixed => 0,
            End::WillNotFix => 1,
            End::Fixed(_) => 2,
            End::FixedElsewhere(_) => 3,
            End::Last(_) => 4,
        });
        end.version().into_iter().for_each(|version| put_text(out, version));
    }
}

/// Reads the claims about a package.
pub(super) fn claims(value: &[u8], origins: &[Arc<str>]) -> Result<Vec<Claim>, Malformed> {
    let mut decoder = Decoder::new(value);
    let mut claims: Vec<Claim> = Vec::new();
    while !decoder.is_at_end() {
        let claim = claim(&mut decoder, origins)?;
        if claims.last().is_some_and(|last| last.id > claim.id) {
            return Err(decoder.malformed("a later vulnerability"));
        }
        claims.push(claim);
    }
    Ok(claims)
}

fn claim(decoder: &mut Decoder<'_>, origins: &[Arc<str>]) -> Result<Claim, Malformed> {
    let id = id(decoder)?;
    let urgency = severity(decoder)?;
    let origin = decoder.number("a source")?;
    let source = usize::try_from(origin).ok().and_then(|origin| origins.get(origin));
    let source = source.ok_or_else(|| decoder.malformed("a source"))?.clone();
    let module = decoder.optional("a module")?.map(Arc::from);
    let architectures = decoder.list("an architecture")?;
    let bulletins = ids(decoder)?;
    let symbols = decoder.list("a symbol")?;
    let status = match decoder.number("the number of ranges")?.checked_sub(1) {
        None => Status::NotAffected,
        Some(count) => Status::Affected((0..count).map(|_| range(decoder)).collect::<Result<_, _>>()?),
    };
    Ok(Claim { id, module, architectures, bulletins, status, urgency, symbols, source })
}

fn range(decoder: &mut Decoder<'_>) -> Result<Range, Malformed> {
    let from = decoder.optional("a version")?.map(Arc::from);
    let end = decoder.byte("the end of a range")?;
    let mut version = || decoder.text("a version").map(Arc::from);
    let end = match end {
        0 => End::NotFixed,
        1 => End::WillNotFix,
        2 => End::Fixed(version()?),
        3 => End::FixedElsewhere(version()?),
        4 => End::Last(version()?),
        _ => return Err(decoder.malformed("the end of a range")),
    };
    Ok(Range { from, end })
}

/// Writes what is known about a vulnerability.
pub(super) fn put_vulnerability(out: &mut Vec<u8>, vulnerability: &Vulnerability) {
    let Vulnerability { aliases, severity, cvss, exploitation, title } = vulnerability;
    out.push(severity_number(*severity));
    put_optional(out, title.as_deref());
    put_list(out, aliases.iter());
    put_number(out, cvss.len() as u64);
    for CvssScore { vector, tenths } in cvss {
        put_text(out, vector);
        out.push(*tenths);
    }
    let Exploitation { known, epss } = exploitation;
    out.push(u8::from(*known) + 2 * u8::from(epss.is_some()));
    if let Some(Epss { probability, percentile }) = epss {
        put_number(out, u64::from(*probability));
        put_number(out, u64::from(*percentile));
    }
}

/// Reads what is known about a vulnerability.
pub(super) fn vulnerability(value: &[u8]) -> Result<Vulnerability, Malformed> {
    let mut decoder = Decoder::new(value);
    let severity = severity(&mut decoder)?;
    let title = decoder.optional("a title")?.map(Arc::from);
    let aliases = ids(&mut decoder)?.into_iter().collect();
    let mut cvss = BTreeSet::new();
    for _ in 0..decoder.count("the number of scores")? {
        let vector = decoder.text("a CVSS vector")?.into();
        cvss.insert(CvssScore { vector, tenths: decoder.byte("a score")? });
    }
    let exploitation = exploitation(&mut decoder)?;
    decoder.end()?;
    Ok(Vulnerability { aliases, severity, cvss, exploitation, title })
}

fn exploitation(decoder: &mut Decoder<'_>) -> Result<Exploitation, Malformed> {
    let marks = decoder.byte("marks of exploitation")?;
    let mut share = || {
        let share = decoder.number("a share")?;
        u32::try_from(share).map_err(|_| decoder.malformed("a share"))
    };
    let epss = match marks {
        0 | 1 => None,
        2 | 3 => Some(Epss { probability: share()?, percentile: share()? }),
        _ => return Err(decoder.malformed("marks of exploitation")),
    };
    Ok(Exploitation { known: marks & 1 == 1, epss })
}

fn severity_number(severity: Severity) -> u8 {
    let number = Severity::ALL.iter().position(|other| *other == severity).expect("all are there");
    u8::try_from(number).expect("there are few")
}

fn severity(decoder: &mut Decoder<'_>) -> Result<Severity, Malformed> {
    let number = decoder.byte("a severity")?;
    Severity::ALL.get(usize::from(number)).copied().ok_or_else(|| decoder.malformed("a severity"))
}

fn id(decoder: &mut Decoder<'_>) -> Result<Arc<str>, Malformed> {
    let text = decoder.text("an id")?;
    text.parse::<AdvisoryId>().map(|_| text.into()).map_err(|_| decoder.malformed("an id"))
}

fn ids(decoder: &mut Decoder<'_>) -> Result<Vec<Arc<str>>, Malformed> {
    (0..decoder.count("the number of ids")?).map(|_| id(decoder)).collect()
}
