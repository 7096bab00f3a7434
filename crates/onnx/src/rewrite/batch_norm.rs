//! Batch normalisation after a convolution, as weights of the convolution: `scale / sqrt(var + epsilon)` times each output channel's
//! kernel, and `(bias - mean) * that + shift` for its bias (ONNX, `BatchNormalization`, inference). Computed in FP64.

use std::collections::HashMap;

use super::{Refused, full, lost};
use crate::names::{self, Fresh};
use crate::proto::{GraphProto, NodeProto, TensorProto};
use crate::store::Store;

pub(super) fn rewrite(graph: &mut GraphProto, store: &mut Store) -> Result<usize, Refused> {
    let (fixed, used) = (names::fixed(graph), names::uses(graph));
    let makers: HashMap<String, usize> =
        graph.node.iter().enumerate().flat_map(|(at, node)| node.output.iter().map(move |name| (name.clone(), at))).collect();
    let mut fresh = Fresh::of(graph);
    let (mut gone, mut folded) = (Vec::new(), Vec::new());
    for (at, norm) in graph.node.iter().enumerate() {
        let Some(conv) = norm.input_at(0).and_then(|name| makers.get(name)).copied() else { continue };
        let alone = norm.input_at(0).is_some_and(|name| used.get(name) == Some(&1) && !fixed.contains(name));
        if !alone || !infers(norm) || !graph.node[conv].is("Conv") {
            continue;
        }
        if let Some((kernel, bias)) = fold(graph, &graph.node[conv], norm)? {
            let kernel = store.keep(kernel).map_err(|error| full(&error))?;
            folded.push((conv, kernel, bias, norm.output[0].clone()));
            gone.push(at);
        }
    }
    for (conv, mut kernel, mut bias, output) in folded {
        let node = &mut graph.node[conv];
        let base = node.input[1].clone();
        (kernel.name, bias.name) = (Some(fresh.name(&format!("{base}_normalized"))), Some(fresh.name(&format!("{base}_shift"))));
        node.input.truncate(1);
        node.input.extend([kernel.name().to_owned(), bias.name().to_owned()]);
        node.output = vec![output];
        graph.initializer.extend([kernel, bias]);
    }
    let mut at = 0;
    graph.node.retain(|_| {
        at += 1;
        !gone.contains(&(at - 1))
    });
    Ok(gone.len())
}

/// Whether it normalises by what was learnt, and gives nothing else.
fn infers(node: &NodeProto) -> bool {
    let zero = |name| node.attribute_named(name).is_none_or(|one| one.i() == 0);
    let spatial = node.attribute_named("spatial").is_none_or(|one| one.i() == 1);
    node.is("BatchNormalization") && node.output.len() == 1 && zero("training_mode") && spatial
}

/// The kernel [M, C/group, ...] and the bias [M] of both in one.
fn fold(graph: &GraphProto, conv: &NodeProto, norm: &NodeProto) -> Result<Option<(TensorProto, TensorProto)>, Refused> {
    let tensor = |name: &str| graph.initializer.iter().find(|one| one.name() == name);
    let Some(kernel) = conv.input_at(1).and_then(tensor) else { return Ok(None) };
    let weights = kernel.fetched().map_err(|error| lost(kernel, &error))?;
    Ok(weights.and_then(|weights| scaled(graph, (conv, norm), (kernel, weights))))
}

fn scaled(
    graph: &GraphProto,
    (conv, norm): (&NodeProto, &NodeProto),
    (kernel, mut weights): (&TensorProto, Vec<f32>),
) -> Option<(TensorProto, TensorProto)> {
    let tensor = |name: &str| graph.initializer.iter().find(|one| one.name() == name);
    let channels = *kernel.shape().first()?;
    let row = |node: &NodeProto, at: usize| tensor(node.input_at(at)?)?.floats().filter(|values| values.len() == channels);
    let bias = match conv.input_at(2) {
        Some(_) => row(conv, 2)?,
        None => vec![0.0; channels],
    };
    let (scale, shift, mean, variance) = (row(norm, 1)?, row(norm, 2)?, row(norm, 3)?, row(norm, 4)?);
    let epsilon = f64::from(norm.attribute_named("epsilon").map_or(1e-5, |one| one.f()));
    let size = weights.len().checked_div(channels)?;
    let mut shifts = Vec::with_capacity(channels);
    for channel in 0..channels {
        let factor = f64::from(scale[channel]) / (f64::from(variance[channel]) + epsilon).sqrt();
        for weight in &mut weights[channel * size..][..size] {
            *weight = (f64::from(*weight) * factor) as f32;
        }
        shifts.push(((f64::from(bias[channel]) - f64::from(mean[channel])) * factor + f64::from(shift[channel])) as f32);
    }
    let name = String::new;
    Some((
        TensorProto::of_floats(name(), kernel.dims.clone(), &weights),
        TensorProto::of_floats(name(), vec![*kernel.dims.first()?], &shifts),
    ))
}
