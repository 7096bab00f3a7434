//! gRPC's messages as the protocol frames them: how they are compressed, and the one message of a call that the gateway itself
//! answers. The server's own answers to what is no such call (`crates/server/src/protocol/grpc`), in the same words.

use std::io::{self, Read};

use flate2::read::{GzDecoder, ZlibDecoder};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Version};
use prost::{Message, Name};

use super::fault::{Fault, Kind};

/// Bytes before a message: whether it is compressed, and its length.
pub(super) const HEAD: usize = 5;
/// Bytes of a message that the gateway itself answers, at most.
const MAX_PLAIN: u64 = 1 << 20;

/// How a call's messages are compressed, where their flag says that they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 1950, which HTTP calls deflate.
    Deflate,
}

impl Encoding {
    /// The encoding of a request's messages.
    ///
    /// # Errors
    /// One that is not understood.
    pub(super) fn of_request(headers: &HeaderMap) -> Result<Self, Fault> {
        match headers.get("grpc-encoding").map(HeaderValue::as_bytes) {
            None | Some(b"identity") => Ok(Self::Identity),
            Some(b"gzip") => Ok(Self::Gzip),
            Some(b"deflate") => Ok(Self::Deflate),
            Some(other) => {
                let found: String = String::from_utf8_lossy(other).chars().take(40).collect();
                let message = format!("grpc-encoding '{found}' is not understood; expected identity, gzip or deflate");
                Err(Fault::new(Kind::Unimplemented, message))
            }
        }
    }

    /// What `bytes` inflate to, `most` bytes of it at most, and how that ended: where they are not all here, the start is good.
    pub(super) fn inflate(self, bytes: &[u8], most: u64) -> (Vec<u8>, io::Result<usize>) {
        let mut plain = Vec::new();
        let read = match self {
            Self::Identity => io::Read::take(bytes, most).read_to_end(&mut plain),
            Self::Gzip => GzDecoder::new(bytes).take(most).read_to_end(&mut plain),
            Self::Deflate => ZlibDecoder::new(bytes).take(most).read_to_end(&mut plain),
        };
        (plain, read)
    }
}

/// Whether the first message is compressed, and its length; `None` while its head is not here.
///
/// # Errors
/// The flag is none.
pub(super) fn head(stream: &[u8]) -> Result<Option<(bool, usize)>, String> {
    let Some(&[flag, a, b, c, d]) = stream.first_chunk() else { return Ok(None) };
    match flag {
        0 | 1 => Ok(Some((flag == 1, u32::from_be_bytes([a, b, c, d]) as usize))),
        other => Err(format!("a message begins with flag {other}; expected 0 (plain) or 1 (compressed)")),
    }
}

/// Refuses, in HTTP's words, what is not a gRPC call for all its content type: its client would not find gRPC's trailers.
///
/// # Errors
/// Another format than protobuf, another version of HTTP, another method.
pub(super) fn carries_grpc(parts: &Parts) -> Result<(), Fault> {
    let kind = parts.headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let format = kind["application/grpc".len().min(kind.len())..].split(|byte| *byte == b';').next().unwrap_or_default();
    if !matches!(format.trim_ascii(), b"" | b"+proto") {
        let found: String = String::from_utf8_lossy(kind).chars().take(80).collect();
        let message = format!("content type '{found}' is not spoken here; expected application/grpc or application/grpc+proto");
        return Err(Fault::new(Kind::MediaType, message));
    }
    if parts.version != Version::HTTP_2 {
        let message = format!("gRPC needs HTTP/2, and this request came over {:?}", parts.version);
        return Err(Fault::new(Kind::MediaType, message));
    }
    if parts.method != Method::POST {
        return Err(Fault::new(Kind::Method, format!("a gRPC call is a POST, found {}", parts.method)));
    }
    Ok(())
}

/// The one message of a call whose whole body is here.
///
/// # Errors
/// None, more than one, or one that is no `M`.
pub(super) fn only<M: Message + Default + Name>(stream: &[u8], encoding: Encoding) -> Result<M, Fault> {
    let invalid = |message: String| Fault::new(Kind::Invalid, message);
    if stream.is_empty() {
        return Err(invalid("the call has no message; expected one".to_owned()));
    }
    let cut = || invalid("the call ends before its first message does".to_owned());
    let (compressed, length) = head(stream).map_err(invalid)?.ok_or_else(cut)?;
    let message = stream.get(HEAD..HEAD + length).ok_or_else(cut)?;
    if stream.len() > HEAD + length {
        return Err(invalid("the call has more than one message; expected one".to_owned()));
    }
    let decoded = match (compressed, encoding) {
        (false, _) => M::decode(message),
        (true, Encoding::Identity) => {
            return Err(invalid("a message is flagged as compressed, and the call has no grpc-encoding".to_owned()));
        }
        (true, encoding) => {
            let (plain, read) = encoding.inflate(message, MAX_PLAIN + 1);
            read.map_err(|error| invalid(format!("a message is not valid {encoding:?}: {error}")))?;
            if plain.len() as u64 > MAX_PLAIN {
                return Err(Fault::new(Kind::TooLarge, format!("a message has more than {MAX_PLAIN} bytes")));
            }
            M::decode(&*plain)
        }
    };
    decoded.map_err(|error| invalid(format!("the message is not a valid {}: {error}", M::full_name())))
}

#[cfg(test)]
mod tests {
    use modelyard_wire::proto::inference::ModelReadyRequest;

    use super::*;

    #[test]
    fn one_message_is_read_and_what_is_none_is_named() {
        let plain = [&[0, 0, 0, 0, 3][..], b"\x0a\x01m"].concat();
        let read = |stream: &[u8]| only::<ModelReadyRequest>(stream, Encoding::Identity).map_err(|fault| fault.message);
        assert_eq!(read(&plain).unwrap().name, "m");
        assert_eq!(read(&[0; 5]).unwrap().name, "");
        for (stream, words) in [
            (&b""[..], "no message"),
            (&plain[..4], "ends before"),
            (&plain[..7], "ends before"),
            (&[&plain[..], &plain].concat(), "more than one"),
            (&[2, 0, 0, 0, 0], "flag 2"),
            (&[1, 0, 0, 0, 0], "no grpc-encoding"),
            (&[0, 0, 0, 0, 1, 0x0a], "not a valid inference.ModelReadyRequest"),
        ] {
            let message = read(stream).unwrap_err();
            assert!(message.contains(words), "{stream:?}: {message}");
        }
    }
}
