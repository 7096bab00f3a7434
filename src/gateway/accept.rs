//! Whether a client would rather have a page than JSON. Source: RFC 9110, section 12.5.1.

use http::HeaderMap;
use http::header::ACCEPT;

/// Whether it would: browsers do, `*/*` and silence do not.
pub(super) fn prefers_html(headers: &HeaderMap) -> bool {
    let ranges: Vec<&str> = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let ranges = ranges.join(",");
    quality(&ranges, ("text", "html")) > quality(&ranges, ("application", "json"))
}

/// The quality of a media type by the most specific range that covers it.
fn quality(ranges: &str, (kind, subkind): (&str, &str)) -> f32 {
    let covering = ranges.split(',').filter_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let (left, right) = parts.next()?.split_once('/')?;
        let specific = match (left.eq_ignore_ascii_case(kind), right.eq_ignore_ascii_case(subkind)) {
            (true, true) => 3,
            (true, false) if right == "*" => 2,
            _ if (left, right) == ("*", "*") => 1,
            _ => return None,
        };
        let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        Some((specific, weight.map_or(1.0, |text| text.parse().unwrap_or(0.0))))
    });
    covering.max_by_key(|(specific, _)| *specific).map_or(0.0, |(_, weight)| weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_get_a_page_and_tools_get_json() {
        for (accept, page) in [
            ("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", true),
            ("TEXT/HTML", true),
            ("*/*", false),
            ("application/json, text/html;q=0.5", false),
            ("text/*;q=0.9, application/json;q=0.8", true),
            ("text/html;q=0, */*", false),
            ("text/html;q=nonsense", false),
            (",;/;q", false),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT, accept.parse().unwrap())]);
            assert_eq!(prefers_html(&headers), page, "{accept}");
        }
        assert!(!prefers_html(&HeaderMap::new()));
    }
}
