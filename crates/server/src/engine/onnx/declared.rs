//! What a graph declares of its inputs and outputs, and which of its dimensions is the batch.

use modelyard_wire::DataType;
use tract_onnx::pb::tensor_proto::DataType as Code;
use tract_onnx::pb::tensor_shape_proto::dimension::Value;
use tract_onnx::pb::{GraphProto, ValueInfoProto, type_proto};

use crate::signature::{Signature, TensorSpec};

/// The inputs that a request gives, and the outputs, in the graph's order.
pub(in crate::engine) struct Declared {
    pub(in crate::engine) inputs: Vec<Port>,
    pub(in crate::engine) outputs: Vec<Port>,
}

/// One declared tensor, as far as it is declared.
pub(in crate::engine) struct Port {
    pub(in crate::engine) name: String,
    pub(in crate::engine) datatype: Option<DataType>,
    pub(in crate::engine) shape: Option<Vec<Dim>>,
}

/// One declared dimension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Dim {
    /// Always this size.
    Fixed(usize),
    /// Free, and the same wherever the name stands.
    Named(String),
    /// Free.
    Free,
}

impl Declared {
    /// Those of a graph; an input that an initializer fills is none of a request's.
    pub(in crate::engine) fn of(graph: &GraphProto) -> Self {
        let weights: std::collections::HashSet<&str> = graph.initializer.iter().map(|one| one.name.as_str()).collect();
        Self {
            inputs: graph.input.iter().filter(|input| !weights.contains(input.name.as_str())).map(Port::of).collect(),
            outputs: graph.output.iter().map(Port::of).collect(),
        }
    }

    /// The dimension that counts rows: the first of every input, where all are the same name, or all are nameless.
    pub(in crate::engine) fn batch(&self) -> Option<&Dim> {
        let mut firsts = self.inputs.iter().map(|input| input.shape.as_deref()?.first());
        let batch = firsts.next()??;
        (!matches!(batch, Dim::Fixed(_)) && firsts.all(|first| first == Some(batch))).then_some(batch)
    }

    /// Whether a dimension other than the batch is free.
    pub(in crate::engine) fn has_other_free(&self) -> bool {
        self.dims().any(|(at, dim)| !matches!(dim, Dim::Fixed(_)) && !self.is_batch(at, dim))
    }

    /// Whether no dimension of any input is free.
    pub(in crate::engine) fn is_fixed(&self) -> bool {
        self.dims().all(|(_, dim)| matches!(dim, Dim::Fixed(_)))
    }

    /// The inputs' shapes where the batch is `rows`, and every other free dimension `other`.
    pub(in crate::engine) fn shapes(&self, rows: usize, other: usize) -> Vec<Vec<usize>> {
        let size = |(at, dim): (usize, &Dim)| match dim {
            Dim::Fixed(size) => *size,
            _ if self.is_batch(at, dim) => rows,
            _ => other,
        };
        let dims = |input: &Port| input.shape.iter().flatten().enumerate().map(size).collect();
        self.inputs.iter().map(dims).collect()
    }

    /// The signature as the file alone gives it; `None` where it declares too little.
    pub(in crate::engine) fn signature(&self) -> Option<Signature> {
        let specs = |ports: &[Port]| ports.iter().map(Port::spec).collect::<Option<Vec<_>>>();
        let batch = self.batch();
        let follows = |output: &Port| batch.is_some() && output.shape.as_ref().and_then(|shape| shape.first()) == batch;
        let batched = self.outputs.iter().all(follows);
        Some(Signature { inputs: specs(&self.inputs)?, outputs: specs(&self.outputs)?, batched })
    }

    fn is_batch(&self, at: usize, dim: &Dim) -> bool {
        match self.batch() {
            Some(Dim::Free) => at == 0,
            batch => batch == Some(dim),
        }
    }

    fn dims(&self) -> impl Iterator<Item = (usize, &Dim)> {
        self.inputs.iter().flat_map(|input| input.shape.iter().flatten().enumerate())
    }
}

impl Port {
    fn of(value: &ValueInfoProto) -> Self {
        let kind = value.r#type.as_ref().and_then(|kind| kind.value.as_ref());
        let tensor = kind.map(|type_proto::Value::TensorType(tensor)| tensor);
        let shape = tensor.and_then(|tensor| tensor.shape.as_ref());
        Self {
            name: value.name.clone(),
            datatype: tensor.and_then(|tensor| wire_datatype(tensor.elem_type)),
            shape: shape.map(|shape| shape.dim.iter().map(|dim| Dim::of(dim.value.as_ref())).collect()),
        }
    }

    /// The declaration in the server's terms.
    pub(in crate::engine) fn spec(&self) -> Option<TensorSpec> {
        let dims = self.shape.as_ref()?.iter();
        let shape = dims.map(|dim| if let Dim::Fixed(size) = dim { i64::try_from(*size).unwrap_or(-1) } else { -1 }).collect();
        Some(TensorSpec { name: self.name.clone(), datatype: self.datatype?, shape })
    }
}

impl Dim {
    /// A size of 0 or less is how some exporters say "free", and so are the names that tf2onnx makes up.
    fn of(value: Option<&Value>) -> Self {
        match value {
            Some(Value::DimValue(size)) if *size > 0 => usize::try_from(*size).map_or(Self::Free, Self::Fixed),
            Some(Value::DimParam(name)) if !name.is_empty() && name != "?" && !name.starts_with("unk__") => {
                Self::Named(name.clone())
            }
            _ => Self::Free,
        }
    }
}

fn wire_datatype(code: i32) -> Option<DataType> {
    Some(match Code::try_from(code).ok()? {
        Code::Bool => DataType::Bool,
        Code::Uint8 => DataType::Uint8,
        Code::Uint16 => DataType::Uint16,
        Code::Uint32 => DataType::Uint32,
        Code::Uint64 => DataType::Uint64,
        Code::Int8 => DataType::Int8,
        Code::Int16 => DataType::Int16,
        Code::Int32 => DataType::Int32,
        Code::Int64 => DataType::Int64,
        Code::Float16 => DataType::Fp16,
        Code::Bfloat16 => DataType::Bf16,
        Code::Float => DataType::Fp32,
        Code::Double => DataType::Fp64,
        Code::String => DataType::Bytes,
        _ => return None,
    })
}
