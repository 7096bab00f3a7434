//! Messages in a body: one byte that says whether it is compressed, four of length (big-endian), the message.
//!
//! A message that lies within one piece of the body is handed on without a copy; one that spans several is put together, once.

use std::io::Read;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use flate2::Compression;
use flate2::read::{GzDecoder, GzEncoder, ZlibDecoder, ZlibEncoder};
use http::{HeaderMap, HeaderValue};
use http_body_util::BodyExt;
use prost::Message;

use super::super::Inbound;
use super::status::{ACCEPT_ENCODING, ENCODING};
use crate::fault::{Code, Fault};

/// Bytes before each message.
const PREFIX: usize = 5;
/// Room that a declared length gets before its bytes come.
const TRUSTED: usize = 1 << 20;

/// How the messages of one direction are compressed, where their flag says that they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// Not at all.
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
    /// `UNIMPLEMENTED` for one that is not understood, as the protocol wants it.
    pub(super) fn of_request(headers: &HeaderMap) -> Result<Self, Fault> {
        match headers.get(ENCODING).map(HeaderValue::as_bytes) {
            None | Some(b"identity") => Ok(Self::Identity),
            Some(b"gzip") => Ok(Self::Gzip),
            Some(b"deflate") => Ok(Self::Deflate),
            Some(other) => {
                let found: String = String::from_utf8_lossy(other).chars().take(40).collect();
                let message = format!("grpc-encoding '{found}' is not understood; expected identity, gzip or deflate");
                Err(Fault::new(Code::Unimplemented, message))
            }
        }
    }

    /// The encoding of the answer: the request's own, if the client takes it back. Who does not compress is not sent compressed
    /// messages, though most clients declare that they could read them: it would cost more than it saves.
    pub(super) fn of_reply(self, headers: &HeaderMap) -> Self {
        let accepted = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
        let named = accepted.flat_map(|list| list.split(',')).any(|one| one.trim() == self.as_str());
        if named { self } else { Self::Identity }
    }

    /// The name in headers.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
        }
    }

    /// The message behind a compressed one, `limit` bytes at most.
    fn decompressed(self, message: &[u8], limit: u64) -> Result<Bytes, Fault> {
        let mut plain = Vec::new();
        let bound = limit.saturating_add(1);
        let read = match self {
            Self::Identity => {
                return Err(Fault::invalid("a message is flagged as compressed, and the call has no grpc-encoding"));
            }
            Self::Gzip => GzDecoder::new(message).take(bound).read_to_end(&mut plain),
            Self::Deflate => ZlibDecoder::new(message).take(bound).read_to_end(&mut plain),
        };
        read.map_err(|error| Fault::invalid(format!("a message is not valid {}: {error}", self.as_str())))?;
        if plain.len() as u64 > limit {
            return Err(too_large(&format!("more than {limit}"), limit));
        }
        Ok(plain.into())
    }

    /// A message as it is sent: prefix and all, in one allocation where it is not compressed.
    ///
    /// # Errors
    /// `RESOURCE_EXHAUSTED` for a message whose length the prefix cannot hold.
    pub(super) fn framed(self, message: &impl Message) -> Result<Bytes, Fault> {
        let length = message.encoded_len();
        if self == Self::Identity {
            let mut frame = BytesMut::with_capacity(PREFIX + length);
            put_prefix(&mut frame, 0, length)?;
            message.encode_raw(&mut frame);
            return Ok(frame.freeze());
        }
        let plain = message.encode_to_vec();
        let mut packed = Vec::new();
        let read = match self {
            Self::Deflate => ZlibEncoder::new(&plain[..], Compression::fast()).read_to_end(&mut packed),
            Self::Identity | Self::Gzip => GzEncoder::new(&plain[..], Compression::fast()).read_to_end(&mut packed),
        };
        read.map_err(|error| Fault::internal(format!("the answer cannot be compressed: {error}")))?;
        let mut frame = BytesMut::with_capacity(PREFIX + packed.len());
        put_prefix(&mut frame, 1, packed.len())?;
        frame.extend_from_slice(&packed);
        Ok(frame.freeze())
    }
}

fn put_prefix(frame: &mut BytesMut, flag: u8, length: usize) -> Result<(), Fault> {
    let Ok(length) = u32::try_from(length) else {
        return Err(Fault::new(Code::PayloadTooLarge, format!("the answer has {length} bytes, more than a message can have")));
    };
    frame.put_u8(flag);
    frame.put_u32(length);
    Ok(())
}

fn too_large(found: &str, limit: u64) -> Fault {
    let message = format!("a message has {found} bytes; the limit is {limit} (serving.maxRequestBytes)");
    Fault::new(Code::PayloadTooLarge, message)
}

/// The messages of a request, as they come.
pub(super) struct Messages {
    body: Inbound,
    encoding: Encoding,
    limit: u64,
    /// What is left of the last piece.
    rest: Bytes,
    /// The beginning of a message that spans pieces, with its prefix.
    held: BytesMut,
}

impl Messages {
    /// The messages of `body`, each of `limit` bytes at most.
    pub(super) fn new(body: Inbound, encoding: Encoding, limit: u64) -> Self {
        Self { body, encoding, limit, rest: Bytes::new(), held: BytesMut::new() }
    }

    /// The next message, decompressed; `None` after the last. What has come is kept if this is dropped half-way.
    ///
    /// # Errors
    /// `RESOURCE_EXHAUSTED` past the limit, `INVALID_ARGUMENT` for a body that is no sequence of messages, `CANCELLED` where the
    /// client went away.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        loop {
            if let Some((compressed, message)) = self.take()? {
                return if compressed { self.encoding.decompressed(&message, self.limit).map(Some) } else { Ok(Some(message)) };
            }
            let Some(frame) = self.body.frame().await else {
                let left = self.held.len() + self.rest.len();
                return if left == 0 { Ok(None) } else { Err(self.cut_short(left)) };
            };
            let frame = frame.map_err(Fault::from)?;
            if let Ok(piece) = frame.into_data() {
                self.push(piece);
            }
        }
    }

    /// Adds a piece of the body after what is left of the one before.
    fn push(&mut self, piece: Bytes) {
        if !self.rest.is_empty() {
            let wanted = self.rest.first_chunk().map_or(PREFIX, |prefix: &[u8; PREFIX]| PREFIX + length(prefix));
            self.held.reserve(wanted.min(TRUSTED).max(self.rest.len()));
            self.held.extend_from_slice(&self.rest);
        }
        self.rest = piece;
    }

    /// The next message, if all of it has come.
    fn take(&mut self) -> Result<Option<(bool, Bytes)>, Fault> {
        if self.held.is_empty() {
            let Some(prefix) = self.rest.first_chunk() else { return Ok(None) };
            let compressed = self.check(prefix)?;
            let end = PREFIX + length(prefix);
            if self.rest.len() < end {
                return Ok(None);
            }
            let mut message = self.rest.split_to(end);
            message.advance(PREFIX);
            return Ok(Some((compressed, message)));
        }
        self.hold(PREFIX);
        let Some(prefix) = self.held.first_chunk() else { return Ok(None) };
        let (compressed, end) = (self.check(prefix)?, PREFIX + length(prefix));
        self.hold(end);
        if self.held.len() < end {
            return Ok(None);
        }
        let mut message = self.held.split().freeze();
        message.advance(PREFIX);
        Ok(Some((compressed, message)))
    }

    /// Moves bytes of the last piece to the held message until that has `end` of them.
    fn hold(&mut self, end: usize) {
        let missing = end.saturating_sub(self.held.len()).min(self.rest.len());
        if self.held.capacity() < end {
            self.held.reserve(missing.max(end.min(TRUSTED).saturating_sub(self.held.len())));
        }
        self.held.extend_from_slice(&self.rest.split_to(missing));
    }

    /// Whether the message is compressed; its declared length is checked before anything is kept for it.
    fn check(&self, prefix: &[u8; PREFIX]) -> Result<bool, Fault> {
        let length = length(prefix);
        if length as u64 > self.limit {
            return Err(too_large(&length.to_string(), self.limit));
        }
        match prefix[0] {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(Fault::invalid(format!("a message begins with flag {other}; expected 0 (plain) or 1 (compressed)"))),
        }
    }

    fn cut_short(&self, left: usize) -> Fault {
        let begun = if self.held.is_empty() { &self.rest[..] } else { &self.held[..] };
        let expected = begun.first_chunk().map_or(PREFIX, |prefix: &[u8; PREFIX]| PREFIX + length(prefix));
        Fault::invalid(format!("the body ends within a message: expected {expected} bytes with its prefix, found {left}"))
    }
}

/// The length that a prefix declares.
fn length(prefix: &[u8; PREFIX]) -> usize {
    let [_, bytes @ ..] = prefix;
    u32::from_be_bytes(*bytes) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn body(messages: &[Vec<u8>]) -> Bytes {
        let mut all = BytesMut::new();
        for one in messages {
            put_prefix(&mut all, 0, one.len()).unwrap();
            all.extend_from_slice(one);
        }
        all.freeze()
    }

    fn reader(limit: u64) -> Messages {
        Messages::new(Inbound::Whole(None), Encoding::Identity, limit)
    }

    proptest! {
        /// However the body is cut into pieces, the messages are the same.
        #[test]
        fn pieces_do_not_matter(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..6),
            cuts in prop::collection::vec(1_usize..12, 1..40),
        ) {
            let mut whole = body(&messages);
            let mut reader = reader(1000);
            let mut found = Vec::new();
            let mut cuts = cuts.iter().cycle();
            while !whole.is_empty() {
                let cut = (*cuts.next().unwrap()).min(whole.len());
                reader.push(whole.split_to(cut));
                while let Some((_, message)) = reader.take().unwrap() {
                    found.push(message.to_vec());
                }
            }
            prop_assert_eq!(found, messages);
            prop_assert_eq!(reader.held.len() + reader.rest.len(), 0);
        }
    }

    #[test]
    fn a_message_in_one_piece_is_not_copied() {
        let whole = body(&[vec![7; 100]]);
        let mut reader = reader(1000);
        reader.push(whole.clone());
        let (_, message) = reader.take().unwrap().unwrap();
        assert_eq!(message.as_ptr(), whole[PREFIX..].as_ptr());
    }

    #[test]
    fn a_declared_length_reserves_little() {
        let mut reader = reader(1 << 31);
        reader.push(Bytes::from_static(&[0, 0x40, 0, 0, 0, 1]));
        assert!(reader.take().unwrap().is_none());
        reader.push(Bytes::from_static(&[2]));
        assert!(reader.take().unwrap().is_none());
        assert!(reader.held.capacity() <= 2 * TRUSTED, "{}", reader.held.capacity());
    }

    #[test]
    fn limits_and_flags_are_checked_before_the_message_comes() {
        for (prefix, limit, code) in [([0, 0, 0, 0, 9], 8, Code::PayloadTooLarge), ([2, 0, 0, 0, 1], 8, Code::InvalidArgument)] {
            let mut reader = reader(limit);
            reader.push(Bytes::copy_from_slice(&prefix));
            assert_eq!(reader.take().unwrap_err().code, code);
        }
    }

    #[test]
    fn compression_reads_back_and_is_bounded() {
        let message = modelyard_wire::proto::inference::ModelReadyRequest { name: "m".repeat(5000), version: String::new() };
        for encoding in [Encoding::Gzip, Encoding::Deflate] {
            let framed = encoding.framed(&message).unwrap();
            assert!(framed.len() < 200, "{}", framed.len());
            let plain = encoding.decompressed(&framed[PREFIX..], 6000).unwrap();
            assert_eq!(plain, message.encode_to_vec());
            assert_eq!(encoding.decompressed(&framed[PREFIX..], 4000).unwrap_err().code, Code::PayloadTooLarge);
            assert_eq!(encoding.decompressed(b"nonsense", 4000).unwrap_err().code, Code::InvalidArgument);
        }
    }
}
