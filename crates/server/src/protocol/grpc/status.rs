//! How a call ends, and how long it may take: `grpc-status`, `grpc-message`, `grpc-timeout`.

use std::fmt::Write as _;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Response};

use super::super::Reply;
use crate::fault::{Code, Fault};

/// The content type of every answer.
pub(super) const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/grpc+proto");
/// The encodings that are understood, for clients that used another.
const ACCEPTED: HeaderValue = HeaderValue::from_static("identity,gzip,deflate");

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
/// The encoding of a body's messages.
pub(super) const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
/// The encodings that the sender understands.
pub(super) const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");

/// Characters of a message at most: trailers are headers, and clients bound those.
const MESSAGE_LIMIT: usize = 1024;

/// The trailers of a call that was answered.
pub(super) fn success() -> HeaderMap {
    let mut map = HeaderMap::with_capacity(1);
    map.insert(STATUS, HeaderValue::from_static("0"));
    map
}

/// The trailers of a call that was not.
pub(super) fn failure(fault: &Fault) -> HeaderMap {
    let mut map = HeaderMap::with_capacity(2);
    map.insert(STATUS, HeaderValue::from(fault.code.grpc()));
    if let Ok(message) = HeaderValue::from_str(&percent_encoded(&fault.message)) {
        map.insert(MESSAGE, message);
    }
    map
}

/// The answer to a call that fails before its first message: headers alone, which are its trailers too.
pub(super) fn refused(fault: &Fault) -> Response<Reply> {
    let mut response = Response::new(Reply::Empty);
    *response.headers_mut() = failure(fault);
    response.headers_mut().insert(CONTENT_TYPE, MEDIA_TYPE);
    if fault.code == Code::Unimplemented {
        response.headers_mut().insert(ACCEPT_ENCODING, ACCEPTED);
    }
    response
}

/// Everything but printable ASCII, and the per cent sign, as `%XX` of its UTF-8 bytes.
fn percent_encoded(message: &str) -> String {
    let mut text = String::with_capacity(message.len().min(MESSAGE_LIMIT) + 16);
    let mut buffer = [0; 4];
    for one in message.chars().take(MESSAGE_LIMIT) {
        if matches!(one, ' '..='~') && one != '%' {
            text.push(one);
            continue;
        }
        for byte in one.encode_utf8(&mut buffer).bytes() {
            // Writing to a string cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// What the client gave the call: up to eight digits and a unit of `H`, `M`, `S`, `m`, `u` or `n`.
pub(super) fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, Fault> {
    let Some(value) = headers.get(TIMEOUT) else { return Ok(None) };
    read_timeout(value.as_bytes()).map(Some).ok_or_else(|| {
        let found: String = String::from_utf8_lossy(value.as_bytes()).chars().take(40).collect();
        Fault::invalid(format!("grpc-timeout '{found}': expected up to 8 digits and a unit of H, M, S, m, u or n"))
    })
}

fn read_timeout(text: &[u8]) -> Option<Duration> {
    let (unit, digits) = text.split_last()?;
    if digits.is_empty() || digits.len() > 8 {
        return None;
    }
    let mut count = 0_u64;
    for digit in digits {
        count = count * 10 + u64::from(char::from(*digit).to_digit(10)?);
    }
    Some(match unit {
        b'H' => Duration::from_secs(count * 3600),
        b'M' => Duration::from_secs(count * 60),
        b'S' => Duration::from_secs(count),
        b'm' => Duration::from_millis(count),
        b'u' => Duration::from_micros(count),
        b'n' => Duration::from_nanos(count),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_in_every_unit() {
        for (text, found) in [
            ("2H", Some(Duration::from_secs(7200))),
            ("3M", Some(Duration::from_secs(180))),
            ("99999999S", Some(Duration::from_secs(99_999_999))),
            ("250m", Some(Duration::from_millis(250))),
            ("1u", Some(Duration::from_micros(1))),
            ("0n", Some(Duration::ZERO)),
            ("", None),
            ("S", None),
            ("100000000S", None),
            ("-1S", None),
            ("1.5S", None),
            ("10s", None),
            ("10", None),
        ] {
            assert_eq!(read_timeout(text.as_bytes()), found, "{text}");
        }
    }

    #[test]
    fn messages_are_percent_encoded_and_bounded() {
        assert_eq!(percent_encoded("a 'b' ~"), "a 'b' ~");
        assert_eq!(percent_encoded("50%\n\u{e9}"), "50%25%0A%C3%A9");
        assert_eq!(percent_encoded(&"x".repeat(5000)).len(), MESSAGE_LIMIT);
    }
}
