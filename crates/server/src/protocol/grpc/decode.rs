//! Reading a protobuf message from a client: bounded before it is decoded.

use bytes::{Buf, Bytes};
use prost::{Message, Name};

use crate::fault::Fault;

/// Fields of one message at most. Two bytes of an empty field can cost hundreds once decoded, so their number is bounded: a
/// request of so many tensors is none that a model takes.
const MAX_FIELDS: usize = 65_536;

/// The message that `bytes` encode; its fields of bytes share their memory.
///
/// # Errors
/// `INVALID_ARGUMENT` that names the message and, where it is known, the field.
pub(super) fn message<M: Message + Default + Name>(bytes: Bytes) -> Result<M, Fault> {
    let invalid = |why: String| Fault::invalid(format!("the message is not a valid {}: {why}", M::full_name()));
    count_fields(&bytes).map_err(|why| invalid(why.to_owned()))?;
    M::decode(bytes).map_err(|error| invalid(error.to_string()))
}

/// Walks the outermost fields of a message without decoding them.
fn count_fields(mut rest: &[u8]) -> Result<(), &'static str> {
    const CUT: &str = "it ends within a field";
    for _ in 0..MAX_FIELDS {
        if rest.is_empty() {
            return Ok(());
        }
        let key = varint(&mut rest).ok_or(CUT)?;
        let size = match key & 7 {
            0 => varint(&mut rest).map(|_| 0).ok_or(CUT)?,
            1 => 8,
            2 => varint(&mut rest).ok_or(CUT)?,
            5 => 4,
            _ => return Err("it has a group, which proto3 does not"),
        };
        rest = usize::try_from(size).ok().and_then(|size| rest.get(size..)).ok_or(CUT)?;
    }
    if rest.is_empty() { Ok(()) } else { Err("it has more than 65536 fields") }
}

/// A varint, moved past; `None` where it is cut short or longer than ten bytes.
pub(super) fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..70).step_by(7) {
        if rest.is_empty() {
            return None;
        }
        let byte = rest.get_u8();
        value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use modelyard_wire::proto::inference::ModelInferRequest;

    use super::*;

    #[test]
    fn tiny_fields_cannot_fill_the_memory() {
        let fault = message::<ModelInferRequest>([0x2a, 0].repeat(MAX_FIELDS + 1).into()).unwrap_err();
        assert_eq!(fault.message, "the message is not a valid inference.ModelInferRequest: it has more than 65536 fields");
        assert!(message::<ModelInferRequest>([0x2a, 0].repeat(1000).into()).is_ok());
    }

    #[test]
    fn what_is_cut_short_is_refused() {
        for bytes in
            [&[0x0a][..], &[0x0a, 5, b'a'], &[0x80], &[0x0b], &[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]]
        {
            assert!(message::<ModelInferRequest>(Bytes::copy_from_slice(bytes)).is_err(), "{bytes:?}");
        }
    }
}
