//! Headers on their way through: those of one hop stay behind, those of proxies are added (RFC 9110, section 7.6.1).

use std::net::IpAddr;

use http::header::{CONNECTION, EXPECT, HOST, HeaderName, HeaderValue, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION};
use http::header::{TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, Uri};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Makes a client's headers those of the request to a replica.
pub(super) fn onward(headers: &mut HeaderMap, uri: &Uri, peer: IpAddr) {
    let trailers = headers.get(TE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"trailers"));
    strip(headers);
    headers.remove(TE);
    headers.remove(EXPECT);
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    // HTTP/2 has the host in `:authority`.
    if !headers.contains_key(HOST)
        && let Some(host) = uri.authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok())
    {
        headers.insert(HOST, host);
    }
    if let Some(host) = headers.get(HOST).cloned()
        && !headers.contains_key(FORWARDED_HOST)
    {
        headers.insert(FORWARDED_HOST, host);
    }
    if !headers.contains_key(FORWARDED_PROTO) {
        headers.insert(FORWARDED_PROTO, HeaderValue::from_static("http"));
    }
    let mut so_far: Vec<&[u8]> = headers.get_all(FORWARDED_FOR).iter().map(HeaderValue::as_bytes).collect();
    let peer = peer.to_canonical().to_string();
    so_far.push(peer.as_bytes());
    if let Ok(list) = HeaderValue::from_bytes(&so_far.join(b", ".as_slice())) {
        headers.insert(FORWARDED_FOR, list);
    }
}

/// Makes a replica's headers those of the response to the client.
pub(super) fn back(headers: &mut HeaderMap) {
    strip(headers);
}

/// Removes what belongs to one connection: the known names, and those that `Connection` lists.
fn strip(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        let listed: Vec<HeaderName> = headers
            .get_all(CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|name| name.trim().parse().ok())
            .collect();
        for name in listed {
            headers.remove(name);
        }
        headers.remove(CONNECTION);
    }
    for name in [KEEP_ALIVE, PROXY_CONNECTION, TRANSFER_ENCODING, UPGRADE, TRAILER, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION] {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn one_hop_stays_behind_and_proxies_are_noted() {
        let mut headers = map(&[
            ("host", "models.example"),
            ("connection", "keep-alive, X-Private"),
            ("keep-alive", "timeout=5"),
            ("x-private", "1"),
            ("transfer-encoding", "chunked"),
            ("te", "gzip"),
            ("expect", "100-continue"),
            ("x-forwarded-for", "10.0.0.1"),
            ("x-kept", "yes"),
        ]);
        onward(&mut headers, &Uri::from_static("/v2"), "::ffff:127.0.0.9".parse().unwrap());
        let expected = map(&[
            ("host", "models.example"),
            ("x-forwarded-host", "models.example"),
            ("x-forwarded-for", "10.0.0.1, 127.0.0.9"),
            ("x-forwarded-proto", "http"),
            ("x-kept", "yes"),
        ]);
        assert_eq!(headers, expected);
    }

    #[test]
    fn http2_gives_its_authority_and_grpc_keeps_its_trailers() {
        let mut headers = map(&[("te", "trailers")]);
        onward(&mut headers, &Uri::from_static("http://models.example/x"), "127.0.0.1".parse().unwrap());
        assert_eq!((&headers["host"], &headers["te"]), (&"models.example".parse().unwrap(), &"trailers".parse().unwrap()));
    }
}
