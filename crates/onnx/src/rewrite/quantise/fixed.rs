//! Products and convolutions between `QuantizeLinear` and `DequantizeLinear` (QDQ), with the ranges that data has shown: activations as
//! UINT8 about a zero point, weights as INT8 with a scale for each output channel, biases as INT32 in the product of both scales.
//! Nothing else is quantised: engines differ, or go wrong, in what else there could be.

use std::collections::{HashMap, HashSet};

use super::watch::{Point, points};
use super::{Ranges, by_name, codes, node, tensor_named};
use crate::names::Fresh;
use crate::proto::{GraphProto, NodeProto, TensorProto, data_type};
use crate::rewrite::int8::dequantize;
use crate::rewrite::{Refused, dead, full, lost};
use crate::store::Store;

/// Since when `DequantizeLinear` has an axis.
const SINCE: i64 = 13;

/// Of UINT8.
const MOST: f32 = 255.0;

/// How many products and convolutions have INT8 on both sides now.
pub(in crate::rewrite) fn rewrite(
    graph: &mut GraphProto,
    opset: i64,
    (ranges, store): (&Ranges, &mut Store),
) -> Result<usize, Refused> {
    if opset < SINCE {
        return Err(Refused(format!(
            "the model has operator set {opset}; a scale for each channel needs {SINCE} or newer (export it again)"
        )));
    }
    let mut fresh = Fresh::of(graph);
    let mut points = points(graph);
    points.retain(|point| ranges.contains_key(&point.input));
    let (weights, mut front) = quantise_weights(graph, &points, (&mut fresh, store))?;
    points.retain(|point| weights.contains_key(&graph.node[point.at].input[1]));
    let mut scales: HashMap<String, f32> = HashMap::new();
    // Behind each tensor's maker, or before everything: its nodes, and the name that readers take.
    let mut pairs: HashMap<String, ([NodeProto; 2], String)> = HashMap::new();
    let mut whole: HashSet<String> = HashSet::new();
    for point in &points {
        whole.extend(point.output.clone().filter(|name| ranges.contains_key(name)));
        for name in [&point.input].into_iter().chain(&point.output) {
            if let Some(range) = ranges.get(name).filter(|_| !pairs.contains_key(name)) {
                let (scale, zero) = steps(*range);
                scales.insert(name.clone(), scale);
                let (nodes, output) = pair(graph, &mut fresh, (name, scale, zero));
                pairs.insert(name.clone(), (nodes, output));
            }
        }
    }
    for point in &points {
        let biased = point.bias.map(|(node, slot)| (node, slot, graph.node[node].input[slot].clone()));
        let (name, by) = &weights[&graph.node[point.at].input[1]];
        graph.node[point.at].input[1].clone_from(name);
        if let Some((node, slot, bias)) = biased
            && let Some((dequantized, name)) = bias_of(graph, &bias, (scales[&point.input], by, &mut fresh))?
        {
            front.push(dequantized);
            graph.node[node].input[slot] = name;
        }
        if let Some((_, output)) = pairs.get(&point.input) {
            graph.node[point.at].input[0].clone_from(output);
        }
    }
    // What a convolution gives is read as it was rounded, by everybody.
    for node in &mut graph.node {
        for input in node.input.iter_mut().filter(|input| whole.contains(*input)) {
            input.clone_from(&pairs[input].1);
        }
    }
    place(graph, front, pairs);
    dead::rewrite(graph);
    Ok(points.len())
}

type Stored = HashMap<String, (String, Vec<f32>)>;

/// Puts the weights of the points beside the old ones, as INT8: by the old name, the new one and its scales, and the nodes for them.
fn quantise_weights(
    graph: &mut GraphProto,
    points: &[Point],
    (fresh, store): (&mut Fresh, &mut Store),
) -> Result<(Stored, Vec<NodeProto>), Refused> {
    let known = by_name(graph);
    let (mut made, mut front) = (Stored::new(), Vec::new());
    for point in points {
        let name = graph.node[point.at].input[1].clone();
        let Some(weight) = known.get(&name).filter(|_| !made.contains_key(&name)) else { continue };
        let Some((codes, scale)) = codes(graph, *weight)? else { continue };
        let dims = graph.initializer[weight.at].dims.clone();
        let names = ["int8", "scale", "zero_point", "dequantized"].map(|what| fresh.name(&format!("{name}_{what}")));
        let raw = codes.iter().map(|code| code.cast_unsigned()).collect();
        let stored = TensorProto::of_bytes(names[0].clone(), data_type::INT8, dims.clone(), raw);
        graph.initializer.push(store.keep(stored).map_err(|error| full(&error))?);
        graph.initializer.push(TensorProto::of_floats(names[1].clone(), vec![dims[weight.axis]], &scale));
        // Zeros, which the operator would take anyway: ONNX Runtime fuses nothing without them.
        let zeros = TensorProto::of_bytes(names[2].clone(), data_type::INT8, vec![dims[weight.axis]], vec![0; scale.len()]);
        graph.initializer.push(zeros);
        let label = fresh.name(&format!("{name}_dequantize"));
        front.push(dequantize(label, &names[..3], names[3].clone(), weight.axis));
        made.insert(name, (names[3].clone(), scale));
    }
    Ok((made, front))
}

/// Scale and zero point of UINT8 for a range, which zero is always in: it has to be told from nothing else.
fn steps((low, high): (f32, f32)) -> (f32, u8) {
    let (low, high) = (low.min(0.0), high.max(0.0));
    let scale = (high - low) / MOST;
    if !scale.is_normal() {
        return (1.0, 0);
    }
    (scale, (-low / scale).round_ties_even().clamp(0.0, MOST) as u8)
}

/// The two nodes of a tensor, and the name of what they give.
fn pair(graph: &mut GraphProto, fresh: &mut Fresh, (name, scale, zero): (&str, f32, u8)) -> ([NodeProto; 2], String) {
    let [by, at, codes, output] =
        ["scale", "zero_point", "codes", "dequantized"].map(|what| fresh.name(&format!("{name}_{what}")));
    graph.initializer.push(TensorProto::of_floats(by.clone(), Vec::new(), &[scale]));
    graph.initializer.push(TensorProto::of_bytes(at.clone(), data_type::UINT8, Vec::new(), vec![zero]));
    let quantize = node("QuantizeLinear", fresh.name(&format!("{name}_quantize")), &[name, &by, &at], &[&codes]);
    let back = node("DequantizeLinear", fresh.name(&format!("{name}_dequantize")), &[&codes, &by, &at], &[&output]);
    ([quantize, back], output)
}

/// A bias [N] as INT32, and its node and name; `None` where it is no constant of that shape, and stays.
fn bias_of(
    graph: &mut GraphProto,
    name: &str,
    (scale, by, fresh): (f32, &[f32], &mut Fresh),
) -> Result<Option<(NodeProto, String)>, Refused> {
    let Some(tensor) = tensor_named(graph, name) else { return Ok(None) };
    let values = tensor.fetched().map_err(|error| lost(tensor, &error))?;
    let Some(values) = values.filter(|values| tensor.dims.len() == 1 && values.len() == by.len()) else { return Ok(None) };
    let scales: Vec<f32> = by.iter().map(|one| one * scale).collect();
    let codes: Vec<f64> =
        values.iter().zip(&scales).map(|(one, by)| (f64::from(*one) / f64::from(*by)).round_ties_even()).collect();
    if !codes.iter().all(|one| one.abs() < f64::from(i32::MAX)) {
        return Ok(None);
    }
    let raw = codes.iter().flat_map(|one| (*one as i32).to_le_bytes()).collect();
    let (dims, names) =
        (tensor.dims.clone(), ["int32", "scale", "zero_point", "dequantized"].map(|what| fresh.name(&format!("{name}_{what}"))));
    graph.initializer.push(TensorProto::of_bytes(names[0].clone(), data_type::INT32, dims.clone(), raw));
    graph.initializer.push(TensorProto::of_floats(names[1].clone(), dims.clone(), &scales));
    graph.initializer.push(TensorProto::of_bytes(names[2].clone(), data_type::INT32, dims, vec![0; 4 * scales.len()]));
    let label = fresh.name(&format!("{name}_dequantize"));
    Ok(Some((dequantize(label, &names[..3], names[3].clone(), 0), names[3].clone())))
}

/// Puts nodes where what they read is there: those of weights and of the graph's inputs first, the others behind their tensor's maker.
fn place(graph: &mut GraphProto, front: Vec<NodeProto>, mut pairs: HashMap<String, ([NodeProto; 2], String)>) {
    let old = std::mem::take(&mut graph.node);
    let made: HashSet<String> = old.iter().flat_map(|node| &node.output).cloned().collect();
    graph.node = front;
    let mut given: Vec<String> = pairs.keys().filter(|name| !made.contains(*name)).cloned().collect();
    given.sort();
    graph.node.extend(given.iter().filter_map(|name| pairs.remove(name)).flat_map(|(nodes, _)| nodes));
    for node in old {
        let outputs = node.output.clone();
        graph.node.push(node);
        graph.node.extend(outputs.iter().filter_map(|name| pairs.remove(name)).flat_map(|(nodes, _)| nodes));
    }
}
