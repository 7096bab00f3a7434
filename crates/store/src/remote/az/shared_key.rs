//! Shared Key authorization, as Microsoft's documentation of Blob Storage describes it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, RANGE};
use http::uri::Uri;
use percent_encoding::percent_decode_str;
use ring::hmac;

use crate::StoreError;
use crate::remote::sign::Asking;

/// Signs a GET without a body; `x-ms-date` and `x-ms-version` are there.
pub(super) fn sign(request: &mut Asking, account: &str, key: &[u8]) -> Result<(), StoreError> {
    let text = to_sign(request.uri(), request.headers(), account);
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes());
    let value = format!("SharedKey {account}:{}", STANDARD.encode(signature));
    let bad = |_| StoreError::Unauthorized("the name of the Azure account holds bytes that no header can have".to_owned());
    let mut value = HeaderValue::from_str(&value).map_err(bad)?;
    value.set_sensitive(true);
    request.headers_mut().insert(AUTHORIZATION, value);
    Ok(())
}

fn to_sign(uri: &Uri, headers: &HeaderMap, account: &str) -> String {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    // The verb, eleven standard headers of which a GET of ours has at most three, then those of Azure, then what is asked for.
    let standard = ["GET", "", "", "", "", "", "", text(IF_MODIFIED_SINCE), "", text(IF_NONE_MATCH), "", text(RANGE)];
    let mut own: Vec<_> = headers.iter().filter(|(name, _)| name.as_str().starts_with("x-ms-")).collect();
    own.sort_by_key(|(name, _)| name.as_str());
    let own: String = own.iter().map(|(name, value)| format!("{name}:{}\n", value.to_str().unwrap_or_default())).collect();
    format!("{}\n{own}{}", standard.join("\n"), resource(uri, account))
}

/// The account, the path as it is sent, and the decoded parameters, sorted.
fn resource(uri: &Uri, account: &str) -> String {
    let parameters = uri.query().unwrap_or_default().split('&').filter_map(|one| one.split_once('='));
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let mut parameters: Vec<_> =
        parameters.map(|(name, value)| format!("\n{}:{}", decoded(name).to_ascii_lowercase(), decoded(value))).collect();
    parameters.sort();
    format!("/{account}{}{}", uri.path(), parameters.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the documentation, "Authorize with Shared Key", for a listing of a container.
    #[test]
    fn what_is_signed_is_that_of_the_published_example() {
        let uri =
            "http://myaccount.blob.core.windows.net/mycontainer?comp=metadata&restype=container&timeout=20".parse().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("x-ms-version", HeaderValue::from_static("2015-02-21"));
        headers.insert("x-ms-date", HeaderValue::from_static("Fri, 26 Jun 2015 23:39:12 GMT"));
        let expected = "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\nx-ms-version:2015-02-21\n\
                        /myaccount/mycontainer\ncomp:metadata\nrestype:container\ntimeout:20";
        assert_eq!(to_sign(&uri, &headers, "myaccount"), expected);
        headers.insert(RANGE, HeaderValue::from_static("bytes=5-"));
        assert!(to_sign(&uri, &headers, "myaccount").starts_with("GET\n\n\n\n\n\n\n\n\n\n\nbytes=5-\nx-ms-date"));
    }
}
