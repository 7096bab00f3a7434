//! AWS Signature Version 4, as its documentation describes it for S3: the path is encoded once, and every request has a hash of its
//! body, which is empty here.

use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue, RANGE};
use http::uri::{Scheme, Uri};
use jiff::Timestamp;
use modelyard_core::digest::hex;
use ring::hmac;

use super::credentials::Keys;
use crate::StoreError;
use crate::digest;
use crate::remote::sign::Asking;

/// The hash of no bytes.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const CONTENT: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// Signs a request without a body, at that time.
pub(super) fn sign(request: &mut Asking, keys: &Keys, region: &str, at: Timestamp) -> Result<(), StoreError> {
    let time = at.strftime("%Y%m%dT%H%M%SZ").to_string();
    let bad = |_| StoreError::Unauthorized("AWS credentials hold bytes that no header can have".to_owned());
    let method = request.method().to_string();
    let uri = request.uri().clone();
    let headers = request.headers_mut();
    headers.insert(DATE, HeaderValue::from_str(&time).map_err(bad)?);
    headers.insert(CONTENT, HeaderValue::from_static(EMPTY));
    if let Some(token) = &keys.session {
        let mut token = HeaderValue::from_str(token).map_err(bad)?;
        token.set_sensitive(true);
        headers.insert(TOKEN, token);
    }
    let (names, lines) = signed(&uri, headers);
    let (path, query) = (uri.path(), canonical_query(uri.query().unwrap_or_default()));
    let canonical = format!("{method}\n{path}\n{query}\n{lines}\n{names}\n{EMPTY}");
    let scope = format!("{}/{region}/s3/aws4_request", &time[..8]);
    let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", digest::of_bytes(canonical.as_bytes()));
    let mut key = format!("AWS4{}", keys.secret).into_bytes();
    for part in [&time[..8], region, "s3", "aws4_request"] {
        key = mac(&key, part);
    }
    let signature = hex(&mac(&key, &to_sign));
    let credential = format!("{}/{scope}", keys.id);
    let value = format!("AWS4-HMAC-SHA256 Credential={credential},SignedHeaders={names},Signature={signature}");
    let mut value = HeaderValue::from_str(&value).map_err(bad)?;
    value.set_sensitive(true);
    headers.insert(AUTHORIZATION, value);
    Ok(())
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

/// The headers that are signed: their names, and their lines. Conditions stay out: the client may leave one out on its way.
fn signed(uri: &Uri, headers: &HeaderMap) -> (String, String) {
    let mut all = vec![("host".to_owned(), host(uri))];
    for (name, value) in headers {
        if name == RANGE || name.as_str().starts_with("x-amz-") {
            all.push((name.to_string(), value.to_str().unwrap_or_default().trim().to_owned()));
        }
    }
    all.sort();
    let names: Vec<_> = all.iter().map(|(name, _)| name.as_str()).collect();
    let lines: String = all.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    (names.join(";"), lines)
}

/// What the client writes as `Host`: without the port that the scheme has by itself.
fn host(uri: &Uri) -> String {
    let host = uri.host().unwrap_or_default();
    let usual = if uri.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 };
    match uri.port_u16().filter(|port| *port != usual) {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// Sorted, and each name with its `=`. The values of ours are encoded already.
fn canonical_query(query: &str) -> String {
    let mut all: Vec<_> = query.split('&').filter(|one| !one.is_empty()).collect();
    all.sort_unstable();
    let with_equals = all.into_iter().map(|one| if one.contains('=') { one.to_owned() } else { format!("{one}=") });
    with_equals.collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of Amazon's documentation, "Authenticating Requests: Using the Authorization Header".
    /// Compared with what botocore 1.44.8 computes (S3SigV4Auth).
    #[test]
    fn the_published_examples_have_their_signatures() {
        let keys = Keys {
            id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
            session: None,
        };
        let at: Timestamp = "2013-05-24T00:00:00Z".parse().unwrap();
        for (target, range, names, signature) in [
            (
                "test.txt",
                Some("bytes=0-9"),
                "host;range;x-amz-content-sha256;x-amz-date",
                "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
            ),
            (
                "?lifecycle",
                None,
                "host;x-amz-content-sha256;x-amz-date",
                "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
            ),
            (
                "?max-keys=2&prefix=J",
                None,
                "host;x-amz-content-sha256;x-amz-date",
                "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
            ),
        ] {
            let mut request = Asking::default();
            *request.uri_mut() = format!("https://examplebucket.s3.amazonaws.com/{target}").parse().unwrap();
            if let Some(range) = range {
                request.headers_mut().insert(RANGE, HeaderValue::from_static(range));
            }
            sign(&mut request, &keys, "us-east-1", at).unwrap();
            let expected = format!(
                "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders={names},\
                 Signature={signature}"
            );
            assert_eq!(request.headers()[AUTHORIZATION], expected, "{target}");
            assert!(!format!("{:?}", request.headers()).contains(signature), "a signature is shown to nobody");
        }
    }

    #[test]
    fn a_port_is_part_of_the_host_unless_it_is_the_schemes_own() {
        for (url, of) in
            [("http://a:9000/x", "a:9000"), ("https://a:443/x", "a"), ("http://a:80", "a"), ("https://[::1]:80", "[::1]:80")]
        {
            assert_eq!(host(&url.parse().unwrap()), of, "{url}");
        }
    }
}
