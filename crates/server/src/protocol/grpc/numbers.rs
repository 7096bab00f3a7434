//! Numbers of protobuf's lists as a tensor's bytes: protobuf has no integer narrower than 32 bits, tensors do.

use std::fmt::Display;

use bytes::{Bytes, BytesMut};
use modelyard_wire::DataType;

use crate::fault::Fault;

/// The little-endian bytes of `values`, each as a `T`.
///
/// # Errors
/// `INVALID_ARGUMENT` for a value that `datatype` cannot hold.
pub(super) fn packed<V, T, const N: usize>(datatype: DataType, values: &[V], bytes: fn(T) -> [u8; N]) -> Result<Bytes, Fault>
where
    V: Copy + Display,
    T: TryFrom<V>,
{
    let mut raw = BytesMut::with_capacity(values.len() * N);
    for (index, value) in values.iter().enumerate() {
        let Ok(fitting) = T::try_from(*value) else {
            return Err(Fault::invalid(format!("element {index} is {value}, which {datatype} cannot hold")));
        };
        raw.extend_from_slice(&bytes(fitting));
    }
    Ok(raw.freeze())
}

/// A tensor's dimensions.
///
/// # Errors
/// `INVALID_ARGUMENT` for a negative one.
pub(super) fn dimensions(sizes: impl ExactSizeIterator<Item = i64>) -> Result<Vec<usize>, Fault> {
    let mut shape = Vec::with_capacity(sizes.len());
    for (index, size) in sizes.enumerate() {
        let Ok(size) = usize::try_from(size) else {
            return Err(Fault::invalid(format!("dimension {index} of its shape is {size}; expected 0 or more")));
        };
        shape.push(size);
    }
    Ok(shape)
}

/// A fault of one input, named.
pub(super) fn of_input(name: &str, mut fault: Fault) -> Fault {
    fault.message = format!("input '{}': {}", super::shown(name), fault.message);
    fault
}

/// One byte, 0 or 1.
pub(super) fn flags(values: &[bool]) -> Bytes {
    values.iter().map(|value| u8::from(*value)).collect::<Vec<u8>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narrow_numbers_are_checked() {
        let raw = packed(DataType::Int8, &[-128, 127], i8::to_le_bytes).unwrap();
        assert_eq!(raw, [0x80, 0x7f].as_slice());
        let fault = packed(DataType::Uint8, &[0, 256], u8::to_le_bytes).unwrap_err();
        assert_eq!(fault.message, "element 1 is 256, which UINT8 cannot hold");
        assert_eq!(dimensions([2, -1].into_iter()).unwrap_err().message, "dimension 1 of its shape is -1; expected 0 or more");
    }
}
