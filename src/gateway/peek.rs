//! The name of the model in the first bytes of a gRPC message: protobuf is read just far enough to find one field.

use std::borrow::Cow;

use super::message::{Encoding, HEAD, head};

/// Bytes of a first message that are looked through at most. Every serialiser writes fields by number, so the name comes first.
pub(super) const MAX_PEEK: usize = 64 << 10;

/// What a look found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// The field.
    Found(String),
    /// All of the message is here, and it has no such field.
    Missing,
    /// The message goes on beyond what is here.
    More,
    /// This is no protobuf, or no gRPC.
    Malformed(Cow<'static, str>),
}

/// Looks for the field at the end of `path` in the first message of `stream`, whose compression, if it has one, is `encoding`.
pub(super) fn look(stream: &[u8], path: &[u64], encoding: Encoding) -> Look {
    let (compressed, length) = match head(stream) {
        Ok(Some(head)) => head,
        Ok(None) => return Look::More,
        Err(why) => return Look::Malformed(why.into()),
    };
    let here = &stream[HEAD..stream.len().min(HEAD + length)];
    let whole = here.len() == length;
    match (compressed, encoding) {
        (false, _) => find(here, whole, path),
        (true, Encoding::Identity) => malformed("a message is flagged as compressed, and the call has no grpc-encoding"),
        (true, encoding) => {
            // An error only says that the end is not here; what came before it stands.
            let (plain, _) = encoding.inflate(here, MAX_PEEK as u64);
            find(&plain, whole && plain.len() < MAX_PEEK, path)
        }
    }
}

const fn malformed(why: &'static str) -> Look {
    Look::Malformed(Cow::Borrowed(why))
}

fn find(mut rest: &[u8], whole: bool, path: &[u64]) -> Look {
    let Some((wanted, deeper)) = path.split_first() else { return malformed("no field is looked for") };
    let ended = || if whole { malformed("the message ends within a field") } else { Look::More };
    while !rest.is_empty() {
        let Some(key) = varint(&mut rest) else { return ended() };
        let skip = match key & 7 {
            0 => match varint(&mut rest) {
                Some(_) => 0,
                None => return ended(),
            },
            1 => 8,
            5 => 4,
            2 => match varint(&mut rest) {
                Some(length) => usize::try_from(length).unwrap_or(usize::MAX),
                None => return ended(),
            },
            _ => return malformed("the message is no protobuf"),
        };
        if key == (wanted << 3 | 2) {
            let content = &rest[..rest.len().min(skip)];
            let all = content.len() == skip;
            return match (deeper, all) {
                ([], true) => match std::str::from_utf8(content) {
                    Ok(text) => Look::Found(text.to_owned()),
                    Err(_) => malformed("the model's name is not UTF-8"),
                },
                ([], false) => ended(),
                (deeper, all) => match find(content, all, deeper) {
                    Look::More if whole => malformed("the message ends within a field"),
                    look => look,
                },
            };
        }
        match rest.get(skip..) {
            Some(after) => rest = after,
            None => return ended(),
        }
    }
    if whole { Look::Missing } else { Look::More }
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for (index, byte) in rest.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index).min(63);
        if byte & 0x80 == 0 {
            *rest = &rest[index + 1..];
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(message: &[u8], compressed: u8) -> Vec<u8> {
        let mut bytes = vec![compressed];
        bytes.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(message);
        bytes
    }

    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        let mut bytes = vec![number << 3 | 2, u8::try_from(content.len()).unwrap()];
        bytes.extend_from_slice(content);
        bytes
    }

    #[test]
    fn the_name_is_found_wherever_it_is() {
        let found = || Look::Found("mnist".to_owned());
        let flat = field(1, b"mnist");
        assert_eq!(look(&framed(&[flat.clone(), field(5, b"tensor")].concat(), 0), &[1], Encoding::Identity), found());
        let second = [field(1, b"repository"), vec![3 << 3, 0x96, 1], field(2, b"mnist")].concat();
        assert_eq!(look(&framed(&second, 0), &[2], Encoding::Identity), found());
        let spec = field(1, &[field(1, b"mnist"), field(3, b"serving_default")].concat());
        assert_eq!(look(&framed(&spec, 0), &[1, 1], Encoding::Identity), found());
        assert_eq!(look(&framed(&field(1, &spec), 0), &[1, 1, 1], Encoding::Identity), found());
        assert_eq!(look(&framed(&field(5, b"x"), 0), &[1], Encoding::Identity), Look::Missing);
        assert_eq!(look(&framed(b"", 0), &[1], Encoding::Identity), Look::Missing);
    }

    #[test]
    fn every_prefix_asks_for_more_until_the_name_is_there() {
        let stream = framed(&[field(1, &field(1, b"mnist")), field(2, &[7; 100])].concat(), 0);
        let needed = 5 + 2 + 2 + 5;
        for end in 0..stream.len() {
            let expected = if end < needed { Look::More } else { Look::Found("mnist".to_owned()) };
            assert_eq!(look(&stream[..end], &[1, 1], Encoding::Identity), expected, "{end}");
        }
    }

    #[test]
    fn compressed_messages_are_read_and_rubbish_is_refused() {
        use std::io::Write;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&field(1, b"mnist")).unwrap();
        let packed = encoder.finish().unwrap();
        assert_eq!(look(&framed(&packed, 1), &[1], Encoding::Gzip), Look::Found("mnist".to_owned()));
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&field(1, b"mnist")).unwrap();
        let deflated = encoder.finish().unwrap();
        assert_eq!(look(&framed(&deflated, 1), &[1], Encoding::Deflate), Look::Found("mnist".to_owned()));
        assert!(matches!(look(&framed(&packed, 2), &[1], Encoding::Gzip), Look::Malformed(_)));
        assert!(matches!(look(&framed(&packed, 1), &[1], Encoding::Identity), Look::Malformed(_)));
        assert!(matches!(look(&framed(&[0xff; 20], 0), &[1], Encoding::Identity), Look::Malformed(_)));
        assert!(matches!(look(&framed(&[1 << 3 | 2, 9, b'x'], 0), &[1], Encoding::Identity), Look::Malformed(_)));
        assert!(matches!(look(&framed(&field(1, &[0xff, 0xfe]), 0), &[1], Encoding::Identity), Look::Malformed(_)));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..64), which in 0..3_usize) {
            look(&bytes, &[1, 1, 1], [Encoding::Identity, Encoding::Gzip, Encoding::Deflate][which]);
        }
    }
}
