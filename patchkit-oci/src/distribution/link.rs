//! The next page (RFC 8288, as the distribution specification uses it).

use std::collections::HashSet;

use patchkit_core::{Context, Error, Result};
use reqwest::header::LINK;
use url::Url;

use super::{
    client::Inner,
    exchange::{Ask, Reply},
};

/// The most bytes that are read of one list.
const MAX_LIST: usize = 64 << 20;

impl Inner {
    /// Asks for every page of a list, in order.
    pub(super) async fn pages(&self, ask: Ask<'_>, cx: &Context) -> Result<Vec<Reply>> {
        let (mut ask, mut seen, mut pages, mut bytes) = (ask, HashSet::new(), Vec::new(), 0);
        loop {
            let page = self.ask(&ask, cx).await?;
            let next = next_page(&page)?;
            // An empty page counts too, so that endless ones end.
            bytes += page.body.len().max(1 << 10);
            pages.push(page);
            let Some(next) = next else { return Ok(pages) };
            if bytes > MAX_LIST || !seen.insert(next.clone()) {
                return Err(Error::unexpected(format!("the list does not end after {} pages", pages.len())));
            }
            ask = ask.at(next);
        }
    }
}

fn next_page(page: &Reply) -> Result<Option<Url>> {
    let links = page.headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
    let Some(target) = links.filter_map(next_of).next() else { return Ok(None) };
    let url = page.url.join(target).map_err(|error| Error::unexpected("the next page has no URL").because(error))?;
    if url.origin() != page.url.origin() {
        return Err(Error::unexpected("the next page is on another host"));
    }
    Ok(Some(url))
}

/// The target of the link with `rel=next` in the text of a `Link` header.
pub(super) fn next_of(header: &str) -> Option<&str> {
    let mut rest = header;
    loop {
        let (_, after) = rest.split_once('<')?;
        let (target, after) = after.split_once('>')?;
        let end = end_of_parameters(after);
        if after[..end].split(';').any(is_next) {
            return Some(target);
        }
        rest = &after[end..];
    }
}

/// Where the parameters of a link end: at a comma that is not quoted.
fn end_of_parameters(text: &str) -> usize {
    let mut quoted = false;
    let is_end = |c: char| {
        quoted ^= c == '"';
        c == ',' && !quoted
    };
    text.find(is_end).unwrap_or(text.len())
}

fn is_next(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else { return false };
    let is_rel = name.trim().eq_ignore_ascii_case("rel");
    is_rel && value.trim().trim_matches('"').split_ascii_whitespace().any(|rel| rel.eq_ignore_ascii_case("next"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_next_page() {
        for (header, target) in [
            (r#"</v2/a/tags/list?last=b&n=2>; rel="next""#, Some("/v2/a/tags/list?last=b&n=2")),
            (r#"<https://example.org/x>; rel=next"#, Some("https://example.org/x")),
            (r#"</first>; rel="first"; title="a, b", </n>;rel="prev next""#, Some("/n")),
            (r#"</first>; rel="first""#, None),
            ("</a", None),
            ("", None),
            ("é<é>é;rel=next", Some("é")),
        ] {
            assert_eq!(next_of(header), target, "{header}");
        }
    }
}
