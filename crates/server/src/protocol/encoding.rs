//! Content encodings: gzip and deflate in, gzip out. What comes out of a decompressor is bounded as the body itself is.

use std::io::{Read, Write};

use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use flate2::{Compression, Decompress, FlushDecompress, Status};
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, HeaderValue, VARY};
use http::{HeaderMap, Response};
use http_body::Body;

use super::read::{too_large, whole};
use super::{Inbound, Reply};
use crate::fault::{Code, Fault};

/// What a request's body may be encoded with, as `Accept-Encoding` of a refusal names them.
pub const UNDERSTOOD: &str = "gzip, deflate";

/// Shorter answers are sent as they are: the packet is the same.
const WORTH_COMPRESSING: u64 = 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Identity,
    Gzip,
    Deflate,
}

/// Reads a request's body and decodes it as its head says. Neither the body nor what it decodes to may pass `limit` bytes.
///
/// # Errors
/// `RESOURCE_EXHAUSTED` past the limit, 415 for an unknown encoding, `INVALID_ARGUMENT` for a body that is not what its head says,
/// `CANCELLED` where the client went away.
pub async fn read(headers: &HeaderMap, body: Inbound, limit: u64) -> Result<Bytes, Fault> {
    let encoding = declared(headers)?;
    decode(encoding, whole(body, limit).await?, limit)
}

fn declared(headers: &HeaderMap) -> Result<Encoding, Fault> {
    let mut found = Encoding::Identity;
    for value in headers.get_all(CONTENT_ENCODING) {
        let text = String::from_utf8_lossy(value.as_bytes());
        let encoding = match text.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => continue,
            "gzip" | "x-gzip" => Encoding::Gzip,
            "deflate" => Encoding::Deflate,
            _ => return Err(unknown(&text)),
        };
        if found != Encoding::Identity {
            return Err(unknown("more than one encoding"));
        }
        found = encoding;
    }
    Ok(found)
}

fn unknown(found: &str) -> Fault {
    let shown: String = found.chars().take(40).collect();
    Fault::new(Code::UnsupportedMediaType, format!("Content-Encoding: expected one of {UNDERSTOOD}, found '{shown}'"))
}

fn decode(encoding: Encoding, body: Bytes, limit: u64) -> Result<Bytes, Fault> {
    match encoding {
        Encoding::Identity => Ok(body),
        Encoding::Gzip => gunzip(&body, limit),
        // RFC 9110 means the zlib format; some clients send the bare stream, which no zlib header looks like.
        Encoding::Deflate => inflate(&body, has_zlib_header(&body), limit),
    }
}

/// RFC 1950: method 8 in the low nibble, and the first two bytes a multiple of 31.
fn has_zlib_header(body: &[u8]) -> bool {
    body.first_chunk::<2>().is_some_and(|head| head[0] & 0x0f == 8 && u16::from_be_bytes(*head) % 31 == 0)
}

fn gunzip(body: &[u8], limit: u64) -> Result<Bytes, Fault> {
    let mut decoded = Vec::new();
    MultiGzDecoder::new(body).take(limit.saturating_add(1)).read_to_end(&mut decoded).map_err(|error| unsound("gzip", &error))?;
    if decoded.len() as u64 > limit {
        return Err(too_large(limit));
    }
    Ok(decoded.into())
}

/// Unlike flate2's readers, which take a stream that is cut short for one that ends, this asks for the end.
fn inflate(body: &[u8], zlib: bool, limit: u64) -> Result<Bytes, Fault> {
    let most = usize::try_from(limit).unwrap_or(usize::MAX).saturating_add(1);
    let mut stream = Decompress::new(zlib);
    let (mut decoded, mut read) = (Vec::new(), 0);
    loop {
        decoded.reserve_exact(decoded.len().clamp(4096, 1 << 20).min(most - decoded.len()));
        let (before, had) = (read, decoded.len());
        let status = stream
            .decompress_vec(&body[read..], &mut decoded, FlushDecompress::None)
            .map_err(|error| unsound("deflate", &error))?;
        read = usize::try_from(stream.total_in()).unwrap_or(body.len());
        if decoded.len() >= most {
            return Err(too_large(limit));
        }
        match status {
            Status::StreamEnd if read < body.len() => return Err(unsound("deflate", &"bytes follow its end")),
            Status::StreamEnd => return Ok(decoded.into()),
            _ if read == before && decoded.len() == had => return Err(unsound("deflate", &"it is cut short")),
            _ => {}
        }
    }
}

fn unsound(name: &str, why: &dyn std::fmt::Display) -> Fault {
    Fault::invalid(format!("Content-Encoding says {name}, and the body is not: {why}"))
}

/// Whether the client would rather have gzip than the bytes as they are (RFC 9110, 12.5.3).
pub fn wants_gzip(headers: &HeaderMap) -> bool {
    let (mut gzip, mut identity, mut any) = (None, None, None);
    for value in headers.get_all(ACCEPT_ENCODING) {
        let Ok(text) = value.to_str() else { continue };
        for item in text.split(',') {
            let mut pieces = item.split(';').map(str::trim);
            let slot = match pieces.next().map(str::to_ascii_lowercase).as_deref() {
                Some("gzip" | "x-gzip") => &mut gzip,
                Some("identity") => &mut identity,
                Some("*") => &mut any,
                _ => continue,
            };
            let quality = pieces.find_map(|piece| piece.strip_prefix("q=").or_else(|| piece.strip_prefix("Q=")));
            *slot = Some(quality.map_or(1.0, |text| text.parse::<f32>().unwrap_or(0.0)));
        }
    }
    let gzip = gzip.or(any).unwrap_or(0.0);
    gzip > 0.0 && gzip >= identity.unwrap_or(0.0)
}

/// The answer in gzip, if that is worth it. An answer that comes frame by frame stays as it is.
pub fn gzip(mut response: Response<Reply>) -> Response<Reply> {
    if response.body().size_hint().lower() <= WORTH_COMPRESSING || response.headers().contains_key(CONTENT_ENCODING) {
        return response;
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let written = match response.body() {
        Reply::One(Some(bytes)) => encoder.write_all(bytes),
        Reply::Pieces(pieces, None) => pieces.iter().try_for_each(|bytes| encoder.write_all(bytes)),
        Reply::One(None) | Reply::Pieces(..) | Reply::Empty | Reply::Stream(_) => return response,
    };
    // Writing to memory does not fail; if it did, the plain answer is still here.
    if let (Ok(()), Ok(body)) = (written, encoder.finish()) {
        *response.body_mut() = Reply::from(body);
        let headers = response.headers_mut();
        headers.remove(CONTENT_LENGTH);
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        headers.append(VARY, HeaderValue::from_static("accept-encoding"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: http::header::HeaderName, values: &[&str]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for value in values {
            map.append(&name, value.parse().unwrap());
        }
        map
    }

    fn packed(mut encoder: impl Write, bytes: &[u8]) {
        encoder.write_all(bytes).unwrap();
    }

    #[test]
    fn qualities_are_weighed() {
        for (value, wanted) in [
            ("gzip", true),
            ("gzip, deflate, br", true),
            ("deflate, gzip;q=0.5", true),
            ("gzip;q=0", false),
            ("gzip;q=0.5, identity;q=0.9", false),
            ("GZIP ; q=0.5, identity;q=0.5", true),
            ("*", true),
            ("*;q=0", false),
            ("gzip;q=0, *", false),
            ("br", false),
            ("gzip;q=x", false),
            ("", false),
        ] {
            assert_eq!(wants_gzip(&headers(ACCEPT_ENCODING, &[value])), wanted, "{value}");
        }
        assert!(!wants_gzip(&HeaderMap::new()));
    }

    #[test]
    fn bodies_are_decoded_within_the_limit() {
        let text = vec![b'a'; 5000];
        let (mut gz, mut zlib, mut bare) = (Vec::new(), Vec::new(), Vec::new());
        packed(GzEncoder::new(&mut gz, Compression::fast()), &text);
        packed(flate2::write::ZlibEncoder::new(&mut zlib, Compression::fast()), &text);
        packed(flate2::write::DeflateEncoder::new(&mut bare, Compression::fast()), &text);
        for (encoding, body) in [(Encoding::Gzip, &gz), (Encoding::Deflate, &zlib), (Encoding::Deflate, &bare)] {
            let decoded = |limit| decode(encoding, Bytes::copy_from_slice(body), limit);
            assert_eq!(decoded(5000).unwrap(), text);
            assert_eq!(decoded(4999).unwrap_err().code, Code::PayloadTooLarge);
            let cut = Bytes::copy_from_slice(&body[..body.len() / 2]);
            assert_eq!(decode(encoding, cut, 5000).unwrap_err().code, Code::InvalidArgument, "{encoding:?}");
        }
        zlib.push(0);
        assert_eq!(decode(Encoding::Deflate, zlib.into(), 5000).unwrap_err().code, Code::InvalidArgument);
        assert_eq!(decode(Encoding::Gzip, Bytes::from_static(b"{}"), 5000).unwrap_err().code, Code::InvalidArgument);
    }

    #[test]
    fn unknown_encodings_are_named() {
        let declared = |values: &[&str]| declared(&headers(CONTENT_ENCODING, values));
        assert_eq!(declared(&["identity", "GZIP"]), Ok(Encoding::Gzip));
        for values in [&["br"][..], &["gzip, deflate"], &["gzip", "deflate"]] {
            assert_eq!(declared(values).unwrap_err().code, Code::UnsupportedMediaType);
        }
        assert_eq!(declared(&["br"]).unwrap_err().message, "Content-Encoding: expected one of gzip, deflate, found 'br'");
    }
}
