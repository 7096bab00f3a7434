//! Weights as FP16: half the file. A `Cast` makes them FP32 again, so what is computed stays FP32.

use ::half::f16;

use super::weights::weights;
use super::{Refused, full, lost};
use crate::names::Fresh;
use crate::proto::{ATTRIBUTE_INT, AttributeProto, GraphProto, NodeProto, TensorProto, data_type};
use crate::store::Store;

/// Weights beyond what FP16 holds (65504) stay as they are; how many changed.
pub(super) fn rewrite(graph: &mut GraphProto, store: &mut Store) -> Result<usize, Refused> {
    let mut fresh = Fresh::of(graph);
    let mut casts = Vec::new();
    for weight in weights(graph) {
        let tensor = &mut graph.initializer[weight.at];
        let Some(values) = tensor.fetched().map_err(|error| lost(tensor, &error))? else { continue };
        let halves: Vec<f16> = values.iter().map(|value| f16::from_f32(*value)).collect();
        if halves.iter().zip(&values).any(|(half, value)| half.is_finite() != value.is_finite()) {
            continue;
        }
        let output = tensor.name().to_owned();
        let stored = fresh.name(&format!("{output}_f16"));
        let raw = halves.iter().flat_map(|half| half.to_le_bytes()).collect();
        let made = TensorProto::of_bytes(stored.clone(), data_type::FLOAT16, tensor.dims.clone(), raw);
        *tensor = store.keep(made).map_err(|error| full(&error))?;
        casts.push(cast(fresh.name(&format!("{output}_cast")), stored, output));
    }
    let changed = casts.len();
    graph.node.splice(0..0, casts);
    Ok(changed)
}

fn cast(name: String, input: String, output: String) -> NodeProto {
    let to = AttributeProto {
        name: Some("to".to_owned()),
        r#type: Some(ATTRIBUTE_INT),
        i: Some(i64::from(data_type::FLOAT)),
        ..AttributeProto::default()
    };
    NodeProto {
        name: Some(name),
        op_type: Some("Cast".to_owned()),
        input: vec![input],
        output: vec![output],
        attribute: vec![to],
        ..NodeProto::default()
    }
}
