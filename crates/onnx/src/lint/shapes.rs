//! Types and shapes as far as they are known.

use crate::proto::{TypeProto, tensor_shape_proto::dimension::Value, type_proto};

/// A dimension: its size, or `None`.
pub(crate) type Dim = Option<i64>;

/// What is known of a tensor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Known {
    /// `TensorProto.DataType`; 0 where it is not known.
    pub(crate) datatype: i32,
    /// `None` where not even the rank is known.
    pub(crate) shape: Option<Vec<Dim>>,
}

impl Known {
    pub(super) fn new(datatype: i32, shape: Vec<Dim>) -> Self {
        Self { datatype, shape: Some(shape) }
    }

    /// As a file declares it; `None` for what is no tensor. Named dimensions are not known.
    pub(super) fn declared(kind: Option<&TypeProto>) -> Option<Self> {
        let Some(type_proto::Value::TensorType(tensor)) = kind.and_then(|kind| kind.value.as_ref()) else { return None };
        let size = |dim: &crate::proto::tensor_shape_proto::Dimension| match dim.value {
            Some(Value::DimValue(size)) => Some(size),
            _ => None,
        };
        let shape = tensor.shape.as_ref().map(|shape| shape.dim.iter().map(size).collect());
        Some(Self { datatype: tensor.elem_type(), shape })
    }

    /// Elements, where all dimensions are known.
    pub(super) fn count(&self) -> Option<i64> {
        self.shape.as_ref()?.iter().try_fold(1_i64, |all, dim| all.checked_mul((*dim)?))
    }
}

/// A shape as it is shown.
pub(super) fn shown(shape: &[Dim]) -> String {
    let dims: Vec<String> = shape.iter().map(|dim| dim.map_or_else(|| "?".to_owned(), |size| size.to_string())).collect();
    format!("[{}]", dims.join(", "))
}

/// A data type as the specification names it.
pub(super) fn datatype(code: i32) -> String {
    const NAMES: [&str; 27] = [
        "UNDEFINED",
        "FLOAT",
        "UINT8",
        "INT8",
        "UINT16",
        "INT16",
        "INT32",
        "INT64",
        "STRING",
        "BOOL",
        "FLOAT16",
        "DOUBLE",
        "UINT32",
        "UINT64",
        "COMPLEX64",
        "COMPLEX128",
        "BFLOAT16",
        "FLOAT8E4M3FN",
        "FLOAT8E4M3FNUZ",
        "FLOAT8E5M2",
        "FLOAT8E5M2FNUZ",
        "UINT4",
        "INT4",
        "FLOAT4E2M1",
        "FLOAT8E8M0",
        "UINT2",
        "INT2",
    ];
    usize::try_from(code).ok().and_then(|at| NAMES.get(at)).map_or_else(|| code.to_string(), |name| (*name).to_owned())
}

/// The shape of both after broadcasting; an error for dimensions that do not fit. An unknown one beside a size that is not 1 is that size.
pub(super) fn broadcast(one: &[Dim], other: &[Dim]) -> Result<Vec<Dim>, String> {
    let rank = one.len().max(other.len());
    let at = |shape: &[Dim], from_end: usize| shape.len().checked_sub(from_end + 1).map_or(Some(1), |at| shape[at]);
    let pair = |from_end: usize| match (at(one, from_end), at(other, from_end)) {
        (Some(1), dim) | (dim, Some(1)) => Ok(dim),
        (Some(a), Some(b)) if a == b => Ok(Some(a)),
        (Some(_), Some(_)) => Err(format!("shapes {} and {} do not broadcast", shown(one), shown(other))),
        (Some(size), None) | (None, Some(size)) => Ok(Some(size)),
        (None, None) => Ok(None),
    };
    (0..rank).rev().map(pair).collect()
}
