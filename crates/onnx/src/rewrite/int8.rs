//! Weights as INT8 with a scale for each output channel, symmetric about zero: a quarter of the file. `DequantizeLinear` makes them FP32
//! again, so what is computed stays FP32.

use super::weights::{Weight, weights};
use super::{Refused, full, lost};
use crate::names::Fresh;
use crate::proto::{ATTRIBUTE_INT, AttributeProto, GraphProto, NodeProto, TensorProto, data_type};
use crate::store::Store;

/// Since when `DequantizeLinear` has an axis.
const SINCE: i64 = 13;

/// The largest value: -128 is not used, so that both signs are alike.
const MOST: f32 = 127.0;

pub(super) fn rewrite(graph: &mut GraphProto, opset: i64, store: &mut Store) -> Result<usize, Refused> {
    if opset < SINCE {
        return Err(Refused(format!(
            "the model has operator set {opset}; a scale for each channel needs {SINCE} or newer (export it again)"
        )));
    }
    let mut fresh = Fresh::of(graph);
    let (mut nodes, mut scales) = (Vec::new(), Vec::new());
    for weight in weights(graph) {
        let tensor = &mut graph.initializer[weight.at];
        let values = tensor.fetched().map_err(|error| lost(tensor, &error))?;
        let Some(values) = values.filter(|values| values.iter().all(|value| value.is_finite())) else { continue };
        let (codes, scale) = quantize(&values, &tensor.shape(), weight);
        let output = tensor.name().to_owned();
        let (stored, by) = (fresh.name(&format!("{output}_int8")), fresh.name(&format!("{output}_scale")));
        let raw = codes.iter().map(|code| code.cast_unsigned()).collect();
        scales.push(TensorProto::of_floats(by.clone(), vec![tensor.dims[weight.axis]], &scale));
        let made = TensorProto::of_bytes(stored.clone(), data_type::INT8, tensor.dims.clone(), raw);
        *tensor = store.keep(made).map_err(|error| full(&error))?;
        nodes.push(dequantize(fresh.name(&format!("{output}_dequantize")), &[stored, by], output, weight.axis));
    }
    let changed = nodes.len();
    graph.node.splice(0..0, nodes);
    graph.initializer.extend(scales);
    Ok(changed)
}

/// Codes and scales: `value` is about `code * scale[channel]`, to half a scale.
pub(super) fn quantize(values: &[f32], shape: &[usize], weight: Weight) -> (Vec<i8>, Vec<f32>) {
    let channels = shape[weight.axis];
    let inner: usize = shape[weight.axis + 1..].iter().product();
    let channel = |at: usize| at / inner % channels;
    let mut scales = vec![0.0_f32; channels];
    for (at, value) in values.iter().enumerate() {
        let scale = &mut scales[channel(at)];
        *scale = scale.max(value.abs() / MOST);
    }
    // A channel of zeros, or of numbers that no scale can tell from zero, is zeros.
    scales.iter_mut().filter(|scale| !scale.is_normal()).for_each(|scale| *scale = 1.0);
    let code = |(at, value): (usize, &f32)| (value / scales[channel(at)]).round_ties_even().clamp(-MOST, MOST) as i8;
    (values.iter().enumerate().map(code).collect(), scales)
}

pub(super) fn dequantize(name: String, inputs: &[String], output: String, axis: usize) -> NodeProto {
    let axis = AttributeProto {
        name: Some("axis".to_owned()),
        r#type: Some(ATTRIBUTE_INT),
        i: i64::try_from(axis).ok(),
        ..AttributeProto::default()
    };
    NodeProto {
        name: Some(name),
        op_type: Some("DequantizeLinear".to_owned()),
        input: inputs.to_vec(),
        output: vec![output],
        attribute: vec![axis],
        ..NodeProto::default()
    }
}
