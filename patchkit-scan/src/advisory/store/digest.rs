use std::{collections::BTreeMap, sync::Arc};

use patchkit_core::{Digest, Epss, Exploitation, Hasher};

use super::{Claim, Packages, Vulnerability};
use crate::advisory::{End, Scope, Status};

/// The digest of everything in its order, each text with its length, so that no two contents look the same.
pub(super) fn digest(
    scopes: &BTreeMap<Scope, Packages>,
    vulnerabilities: &BTreeMap<Arc<str>, Vulnerability>,
) -> Digest {
    let mut content = Content { hasher: Hasher::default(), buffer: Vec::with_capacity(1 << 16) };
    for (scope, packages) in scopes {
        content.list([scope.ecosystem(), scope.release().unwrap_or_default()]);
        for (package, claims) in packages {
            content.text(package);
            claims.iter().for_each(|claim| content.claim(claim));
        }
    }
    for (id, Vulnerability { aliases, severity, cvss, exploitation, title }) in vulnerabilities {
        content.list([id, severity.as_str(), title.as_deref().unwrap_or_default()]);
        content.list(aliases.iter().map(|alias| &**alias));
        content.list(cvss.iter().map(|score| &*score.vector));
        content.exploitation(*exploitation);
    }
    content.hasher.update(&content.buffer);
    content.hasher.finish()
}

struct Content {
    hasher: Hasher,
    buffer: Vec<u8>,
}

impl Content {
    fn text(&mut self, text: &str) {
        self.buffer.extend((text.len() as u64).to_le_bytes());
        self.buffer.extend(text.as_bytes());
        if self.buffer.len() > 1 << 16 {
            self.hasher.update(&self.buffer);
            self.buffer.clear();
        }
    }

    fn list<'a>(&mut self, texts: impl IntoIterator<Item = &'a str>) {
        texts.into_iter().for_each(|text| self.text(text));
        self.buffer.push(b';');
    }

    fn exploitation(&mut self, exploitation: Exploitation) {
        let Exploitation { known, epss } = exploitation;
        self.buffer.push(known.into());
        if let Some(Epss { probability, percentile }) = epss {
            self.buffer.extend([probability.to_le_bytes(), percentile.to_le_bytes()].concat());
        }
        self.buffer.push(b';');
    }

    fn claim(&mut self, claim: &Claim) {
        let Claim { id, module, architectures, bulletins, status, urgency, symbols, source } = claim;
        self.list([id, urgency.as_str(), source, module.as_deref().unwrap_or_default()]);
        self.list(architectures.iter().map(|name| &**name));
        self.list(symbols.iter().map(|name| &**name));
        self.list(bulletins.iter().map(|id| &**id));
        let Status::Affected(ranges) = status else { return self.text("not affected") };
        for range in ranges {
            let kind = match range.end {
                End::Fixed(_) => "fixed",
                End::FixedElsewhere(_) => "fixed elsewhere",
                End::Last(_) => "last",
                End::NotFixed => "not fixed",
                End::WillNotFix => "will not fix",
            };
            let version = range.end.version().map_or("", |version| &**version);
            self.list([range.from.as_deref().unwrap_or_default(), kind, version]);
        }
    }
}
