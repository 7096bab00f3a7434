//! Weights stored small (INT8 with scales, FP16, BF16), made FP32 when the file is read: what the file has a node for at each run is done
//! once. It is exact: the node would give the same numbers.
//!
//! Engines are faster for it, several times where a product's weights are concerned, and know more files: a chain of layers with weights
//! of INT8 is one of FP32 then.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use half::{bf16, f16};
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, TensorProto};

use super::attributes::Attributes;
use super::facts::{bodies, full_domain};
use super::weights::{element_count, stored};
use crate::engine::LoadError;

/// The largest tensor that is made, in elements.
const MOST: u64 = 1 << 30;

/// Puts a tensor of FP32 in the place of each node that makes one of stored weights.
///
/// # Errors
/// [`LoadError::Invalid`] or [`LoadError::Read`] for weights that are not as their shape says.
pub(super) fn fold(model: &mut ModelProto, folder: &Path) -> Result<(), LoadError> {
    let Some(graph) = &mut model.graph else { return Ok(()) };
    if !graph.node.iter().any(is_candidate) {
        return Ok(());
    }
    let leaving: HashSet<&str> = graph.output.iter().map(|output| output.name.as_str()).collect();
    let tensors: HashMap<&str, &TensorProto> = graph.initializer.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect();
    let mut made = HashMap::new();
    for node in graph.node.iter().filter(|node| is_candidate(node) && !leaving.contains(node.output[0].as_str())) {
        if let Some(tensor) = widened(node, &tensors, folder)? {
            made.insert(node.output[0].clone(), tensor);
        }
    }
    let mut spent = HashSet::new();
    graph.node.retain(|node| {
        let folded = is_candidate(node) && made.contains_key(&node.output[0]);
        if folded {
            spent.extend(node.input.iter().cloned());
        }
        !folded
    });
    let mut read = HashSet::new();
    readers(graph, &mut read);
    spent.retain(|name| !read.contains(name.as_str()));
    graph.input.retain(|input| !spent.contains(&input.name));
    graph.initializer.retain(|tensor| !spent.contains(&tensor.name));
    let mut made: Vec<TensorProto> = made.into_values().collect();
    made.sort_by(|a, b| a.name.cmp(&b.name));
    graph.initializer.extend(made);
    Ok(())
}

fn is_candidate(node: &NodeProto) -> bool {
    let known = matches!(node.op_type.as_str(), "DequantizeLinear" | "Cast");
    known && full_domain(&node.domain) == "ai.onnx" && node.output.len() == 1 && !node.output[0].is_empty()
}

fn readers<'a>(graph: &'a GraphProto, read: &mut HashSet<&'a str>) {
    read.extend(graph.output.iter().map(|output| output.name.as_str()));
    for node in &graph.node {
        read.extend(node.input.iter().map(String::as_str));
        bodies(node).for_each(|body| readers(body, read));
    }
}

/// What the node makes; `None` where it reads anything but stored weights, or makes anything but FP32 of them.
fn widened(node: &NodeProto, tensors: &HashMap<&str, &TensorProto>, folder: &Path) -> Result<Option<TensorProto>, LoadError> {
    let input = |at: usize| node.input.get(at).filter(|name| !name.is_empty()).map(|name| tensors.get(name.as_str()).copied());
    let Some(Some(tensor)) = input(0) else { return Ok(None) };
    if element_count(&tensor.dims).is_none_or(|count| count > MOST) {
        return Ok(None);
    }
    let attributes = Attributes::of(node);
    let values = if node.op_type == "Cast" {
        if attributes.int("to", 0) != Ok(i64::from(DataType::Float as i32)) {
            return Ok(None);
        }
        halves(tensor, folder)?
    } else {
        let (Some(Some(scale)), zero) = (input(1), input(2)) else { return Ok(None) };
        if zero.is_some_and(|zero| zero.is_none()) || attributes.int("output_dtype", 0).unwrap_or(-1) & !1 != 0 {
            return Ok(None);
        }
        let Some(steps) = Steps::of(&attributes, &tensor.dims, &scale.dims) else { return Ok(None) };
        dequantised((tensor, scale, zero.flatten()), &steps, folder)?
    };
    Ok(values.map(|values| TensorProto {
        name: node.output[0].clone(),
        dims: tensor.dims.clone(),
        data_type: DataType::Float as i32,
        raw_data: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        ..TensorProto::default()
    }))
}

/// The values of FP16 or BF16.
fn halves(tensor: &TensorProto, folder: &Path) -> Result<Option<Vec<f32>>, LoadError> {
    let widen: fn([u8; 2]) -> f32 = match DataType::try_from(tensor.data_type) {
        Ok(DataType::Float16) => |bytes| f16::from_le_bytes(bytes).to_f32(),
        Ok(DataType::Bfloat16) => |bytes| bf16::from_le_bytes(bytes).to_f32(),
        _ => return Ok(None),
    };
    let raw = stored(tensor, 2, folder)?;
    Ok(Some(raw.as_chunks().0.iter().map(|bytes| widen(*bytes)).collect()))
}

/// The integers of a tensor as they are; `None` for another datatype.
fn integers(tensor: &TensorProto, folder: &Path) -> Result<Option<Vec<i32>>, LoadError> {
    let Ok(kind) = DataType::try_from(tensor.data_type) else { return Ok(None) };
    let size = match kind {
        DataType::Int8 | DataType::Uint8 => 1,
        DataType::Int16 | DataType::Uint16 => 2,
        DataType::Int32 => 4,
        _ => return Ok(None),
    };
    let raw = stored(tensor, size, folder)?;
    Ok(Some(match kind {
        DataType::Int8 => raw.iter().map(|byte| i32::from(byte.cast_signed())).collect(),
        DataType::Uint8 => raw.iter().map(|byte| i32::from(*byte)).collect(),
        DataType::Int16 => raw.as_chunks().0.iter().map(|bytes| i32::from(i16::from_le_bytes(*bytes))).collect(),
        DataType::Uint16 => raw.as_chunks().0.iter().map(|bytes| i32::from(u16::from_le_bytes(*bytes))).collect(),
        _ => raw.as_chunks().0.iter().map(|bytes| i32::from_le_bytes(*bytes)).collect(),
    }))
}

/// Which scale an element has.
struct Steps {
    /// Elements behind the axis.
    inner: usize,
    /// The axis' size.
    size: usize,
    /// How many of the axis share a scale.
    block: usize,
    /// Scales along the axis, and whether what lies before and behind it has scales of its own.
    scales: usize,
    whole: bool,
}

impl Steps {
    /// One scale, one for each place of an axis, or one for each block of an axis.
    fn of(attributes: &Attributes<'_>, dims: &[i64], scales: &[i64]) -> Option<Self> {
        let sizes = dims.iter().map(|dim| usize::try_from(*dim).ok()).collect::<Option<Vec<_>>>()?;
        let block = usize::try_from(attributes.int("block_size", 0).ok()?).ok()?;
        if block == 0 && (scales.is_empty() || scales == [1]) {
            return Some(Self { inner: 1, size: 1, block: 1, scales: 1, whole: false });
        }
        let rank = i64::try_from(dims.len()).ok()?;
        let axis = attributes.int("axis", 1).ok()?;
        let axis = usize::try_from(if axis < 0 { axis + rank } else { axis }).ok().filter(|axis| *axis < sizes.len())?;
        let (size, inner) = (sizes[axis], sizes[axis + 1..].iter().product());
        if block == 0 {
            return (scales == [dims[axis]]).then_some(Self { inner, size, block: 1, scales: size, whole: false });
        }
        let mut expected = dims.to_vec();
        expected[axis] = i64::try_from(size.div_ceil(block)).ok()?;
        (scales == expected).then(|| Self { inner, size, block, scales: size.div_ceil(block), whole: true })
    }

    /// The scale of element `at`.
    const fn place(&self, at: usize) -> usize {
        let along = at / self.inner % self.size / self.block;
        if !self.whole {
            return along;
        }
        (at / self.inner / self.size * self.scales + along) * self.inner + at % self.inner
    }
}

/// `(q - zero) * scale`; `None` for datatypes that are not these.
fn dequantised(
    (tensor, scale, zero): (&TensorProto, &TensorProto, Option<&TensorProto>),
    steps: &Steps,
    folder: &Path,
) -> Result<Option<Vec<f32>>, LoadError> {
    let (Some(values), Some(scale)) = (integers(tensor, folder)?, super::weights::floats(scale, folder)?) else {
        return Ok(None);
    };
    let zero = match zero {
        Some(zero) if zero.data_type == tensor.data_type => integers(zero, folder)?,
        Some(_) => return Ok(None),
        None => Some(vec![0; scale.len()]),
    };
    let Some(zero) = zero.filter(|zero| zero.len() == scale.len()) else { return Ok(None) };
    let one = |(at, value): (usize, &i32)| {
        let place = steps.place(at);
        let (zero, scale) = (zero.get(place)?, scale.get(place)?);
        // As INT32, which is what ONNX Runtime subtracts in.
        Some(value.wrapping_sub(*zero) as f32 * scale)
    };
    Ok(values.iter().enumerate().map(one).collect())
}
