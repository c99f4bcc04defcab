//! Control data: a stanza read again from its own bytes has the same fields.

use patchkit_scan::debian::control::{Stanza, Stanzas};

fuzz_target!(|data: &[u8]| {
    for stanza in Stanzas::strict(data).map_while(Result::ok) {
        let again = Stanzas::strict(stanza.bytes()).next().and_then(Result::ok);
        assert_eq!(again.as_ref().map(fields), Some(fields(&stanza)));
    }
    for stanza in Stanzas::lenient(data).map_while(Result::ok) {
        let again = Stanzas::lenient(stanza.bytes()).next().and_then(Result::ok);
        assert_eq!(again.as_ref().map(fields), Some(fields(&stanza)));
    }
});

fn fields<'s>(stanza: &'s Stanza<'_>) -> Vec<(&'s str, &'s [u8], usize)> {
    stanza.fields().iter().map(|field| (field.name(), field.value(), field.lines().count())).collect()
}
