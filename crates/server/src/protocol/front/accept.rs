//! Which of two media types a client would rather have. Source: RFC 9110, section 12.5.1.

use http::HeaderMap;
use http::header::ACCEPT;

/// Whether the client prefers a page to JSON: browsers do, `*/*` and silence do not.
pub(super) fn prefers_html(headers: &HeaderMap) -> bool {
    let ranges = || headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    quality(ranges(), "text", "html") > quality(ranges(), "application", "json")
}

/// The quality of `kind/subkind`, in thousandths, by the most specific range that matches.
fn quality<'a>(ranges: impl Iterator<Item = &'a str>, kind: &str, subkind: &str) -> u16 {
    let mut best = (0, 0);
    for range in ranges {
        let mut parts = range.split(';').map(str::trim);
        let Some((left, right)) = parts.next().and_then(|name| name.split_once('/')) else { continue };
        let specific = match (left, right) {
            ("*", "*") => 1,
            (left, "*") if left.eq_ignore_ascii_case(kind) => 2,
            (left, right) if left.eq_ignore_ascii_case(kind) && right.eq_ignore_ascii_case(subkind) => 3,
            _ => continue,
        };
        let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        let weight = weight.map_or(1.0, |text| text.parse::<f32>().unwrap_or(0.0)).clamp(0.0, 1.0);
        if specific > best.0 {
            best = (specific, (weight * 1000.0) as u16);
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_get_a_page_and_tools_get_json() {
        for (accept, page) in [
            ("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", true),
            ("text/html", true),
            ("*/*", false),
            ("", false),
            ("application/json", false),
            ("application/json, text/html;q=0.5", false),
            ("application/json;q=0.2, TEXT/HTML;q=0.5", true),
            ("text/*;q=0.9, application/json;q=0.8", true),
            ("text/html;q=0, */*", false),
            ("text/html;q=nonsense", false),
            (",;/;q", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, accept.parse().unwrap());
            assert_eq!(prefers_html(&headers), page, "{accept}");
        }
        assert!(!prefers_html(&HeaderMap::new()));
    }
}
