//! Dense: chains of fully connected layers, the multilayer perceptron, as packed matrix products with bias and activation.
//!
//! Such models answer in about a microsecond, and what a general engine does around its products costs several times that. So a
//! graph that is one such chain ([`chain`] tells) is run here: any number of rows with the same packed weights ([`matrix`], [`kernel`]), no
//! plan per shape, no copy of the request. Everything else is another engine's.

use bytes::Bytes;
use modelyard_wire::{Data, DataType, Tensor};
use pulp::bytemuck;

use super::onnx::declared::{Declared, Dim, Port};
use super::onnx::facts;
use super::onnx::file::File;
use super::{Engine, Facts, LoadError, RunError, Stop};
use crate::signature::{Signature, TensorSpec};

mod activation;
mod chain;
mod exponential;
mod kernel;
mod matrix;

pub(super) use activation::Activation;
use chain::Layer;
#[cfg(test)]
pub(super) use matrix::tests::processors;
pub(super) use matrix::{Matrix, Rows};

/// Rows that go through all layers together: their values between two layers stay in the processor's cache.
const BLOCK: usize = 48;

/// A chain of fully connected layers.
pub(super) struct Dense {
    signature: Signature,
    facts: Facts,
    layers: Vec<Layer>,
    depth: usize,
    width: usize,
}

impl Dense {
    /// The model of a file; `None` where the graph is anything but one chain of layers over rows of FP32.
    ///
    /// # Errors
    /// [`LoadError::Invalid`] or [`LoadError::Read`] for a file that no engine could run.
    pub(super) fn of(file: &File) -> Result<Option<Self>, LoadError> {
        let declared = Declared::of(file.graph());
        let ([input], [output]) = (&declared.inputs[..], &declared.outputs[..]) else { return Ok(None) };
        let Some([rows, columns]) = input.shape.as_deref() else { return Ok(None) };
        if input.datatype != Some(DataType::Fp32) || output.datatype.is_some_and(|datatype| datatype != DataType::Fp32) {
            return Ok(None);
        }
        let Some(layers) = chain::of(file, (&input.name, &output.name))? else { return Ok(None) };
        let (Some(first), Some(last)) = (layers.first(), layers.last()) else { return Ok(None) };
        let (depth, width) = (first.depth(), last.width());
        if matches!(columns, Dim::Fixed(size) if *size != depth) || contradicts(output, rows, width) {
            return Ok(None);
        }
        let fixed = if let Dim::Fixed(rows) = rows { i64::try_from(*rows).ok() } else { None };
        let spec = |name: &str, size: usize| {
            let shape = vec![fixed.unwrap_or(-1), i64::try_from(size).unwrap_or(-1)];
            TensorSpec { name: name.to_owned(), datatype: DataType::Fp32, shape }
        };
        let (inputs, outputs) = (vec![spec(&input.name, depth)], vec![spec(&output.name, width)]);
        let signature = Signature { inputs, outputs, batched: fixed.is_none() };
        Ok(Some(Self { signature, facts: facts::collect(file, "Dense"), layers, depth, width }))
    }

    /// The values of `rows` rows, `rows x width`.
    fn compute(&self, elements: &[[u8; 4]], rows: usize, stop: &Stop) -> Result<Vec<u8>, RunError> {
        let mut answer = Vec::with_capacity(rows * self.width * size_of::<f32>());
        let widest = self.layers.iter().map(Layer::padded).max().unwrap_or(0);
        let room = vec![0.0_f32; widest * rows.min(BLOCK)];
        let (mut values, mut next) = (room.clone(), room);
        for block in elements.chunks(BLOCK * self.depth) {
            let count = block.len() / self.depth;
            let mut stride = self.depth;
            for (at, layer) in self.layers.iter().enumerate() {
                if let Some(reason) = stop.reason() {
                    return Err(reason);
                }
                let rows = if at == 0 { Rows { elements: block, count, stride } } else { Rows::of(&values, count, stride) };
                layer.run(rows, &mut next);
                std::mem::swap(&mut values, &mut next);
                stride = layer.padded();
            }
            for row in values.chunks_exact(stride).take(count) {
                answer.extend_from_slice(bytemuck::cast_slice(&row[..self.width]));
            }
        }
        Ok(answer)
    }
}

/// Whether a declared output is not what the chain computes: the declaration is wrong then, and another engine may know better.
fn contradicts(output: &Port, rows: &Dim, width: usize) -> bool {
    let Some(shape) = output.shape.as_deref() else { return false };
    let [first, second] = shape else { return true };
    matches!((first, rows), (Dim::Fixed(a), Dim::Fixed(b)) if a != b) || matches!(second, Dim::Fixed(size) if *size != width)
}

impl Engine for Dense {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn run(&self, inputs: &[Tensor], stop: &Stop) -> Result<Vec<Tensor>, RunError> {
        let [input] = inputs else { return Err(RunError::Internal(format!("one input is expected, found {}", inputs.len()))) };
        let Data::Raw(raw) = input.data() else { return Err(RunError::Internal("the input holds strings".to_owned())) };
        if input.is_empty() {
            return Err(RunError::empty(&self.signature.inputs[0].name, input.shape()));
        }
        let rows = input.shape()[0];
        let answer = self.compute(raw.as_chunks().0, rows, stop)?;
        let output = Tensor::new(DataType::Fp32, vec![rows, self.width], Bytes::from(answer));
        Ok(vec![output.map_err(|error| RunError::Internal(error.to_string()))?])
    }
}
