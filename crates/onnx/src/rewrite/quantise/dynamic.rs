//! Products whose activations become INT8 as they come: `DynamicQuantizeLinear`, `MatMulInteger`, and the scales of both sides. The
//! nodes stand as ONNX Runtime's own tool writes them, so that it makes one kernel of them.

use std::collections::HashMap;

use super::{by_name, codes, is_plain, node};
use crate::names::Fresh;
use crate::proto::{ATTRIBUTE_INT, AttributeProto, GraphProto, NodeProto, TensorProto, data_type};
use crate::rewrite::weights::Weight;
use crate::rewrite::{Refused, dead, full};
use crate::store::Store;

/// Since when there is `DynamicQuantizeLinear`.
const SINCE: i64 = 11;

struct Rewrite<'a> {
    graph: &'a mut GraphProto,
    store: &'a mut Store,
    fresh: Fresh,
    /// Codes, scale and zero point of each activation.
    quantised: HashMap<String, [String; 3]>,
    /// Codes and scales of each weight.
    weights: HashMap<(String, bool), [String; 2]>,
}

/// How many products were rewritten.
pub(in crate::rewrite) fn rewrite(graph: &mut GraphProto, opset: i64, store: &mut Store) -> Result<usize, Refused> {
    if opset < SINCE {
        return Err(Refused(format!(
            "the model has operator set {opset}; DynamicQuantizeLinear needs {SINCE} or newer (export it again)"
        )));
    }
    let known = by_name(graph);
    let fresh = Fresh::of(graph);
    let old = std::mem::take(&mut graph.node);
    let mut rewrite = Rewrite { graph, store, fresh, quantised: HashMap::new(), weights: HashMap::new() };
    let (mut nodes, mut changed) = (Vec::with_capacity(old.len()), 0);
    for product in old {
        let weight = product.input_at(1).and_then(|name| known.get(name)).copied();
        let flat = |weight: &Weight| rewrite.graph.initializer[weight.at].dims.len() == 2;
        let fits = is_plain(&product) && matches!(product.op_type(), "MatMul" | "Gemm");
        let made = match weight.filter(|weight| fits && flat(weight)) {
            Some(weight) => rewrite.product(&product, weight, &mut nodes)?,
            None => false,
        };
        changed += usize::from(made);
        if !made {
            nodes.push(product);
        }
    }
    graph.node = nodes;
    dead::rewrite(graph);
    Ok(changed)
}

impl Rewrite<'_> {
    /// Puts the nodes of a product in INT8 behind `nodes`; whether it could.
    fn product(&mut self, product: &NodeProto, weight: Weight, nodes: &mut Vec<NodeProto>) -> Result<bool, Refused> {
        let (Some(input), [output]) = (product.input_at(0), &*product.output) else { return Ok(false) };
        let Some([stored, by]) = self.weight(product, weight)? else { return Ok(false) };
        let [values, scale, zero] = self.activation(input, nodes);
        let base = product.label().to_owned();
        let mut name = |what: &str| self.fresh.name(&format!("{base}_{what}"));
        let (sums, plain, scales) = (name("int32"), name("float"), name("scales"));
        let bias = product.input_at(2);
        let scaled = if bias.is_some() { name("scaled") } else { output.clone() };
        let to = AttributeProto {
            name: Some("to".to_owned()),
            r#type: Some(ATTRIBUTE_INT),
            i: Some(i64::from(data_type::FLOAT)),
            ..AttributeProto::default()
        };
        nodes.push(node("MatMulInteger", name("multiply"), &[&values, &stored, &zero], &[&sums]));
        nodes.push(NodeProto { attribute: vec![to], ..node("Cast", name("cast"), &[&sums], &[&plain]) });
        nodes.push(node("Mul", name("scale_both"), &[&scale, &by], &[&scales]));
        nodes.push(node("Mul", name("scale"), &[&plain, &scales], &[&scaled]));
        if let Some(bias) = bias {
            nodes.push(node("Add", name("add"), &[&scaled, bias], &[output]));
        }
        Ok(true)
    }

    fn activation(&mut self, input: &str, nodes: &mut Vec<NodeProto>) -> [String; 3] {
        if let Some(known) = self.quantised.get(input) {
            return known.clone();
        }
        let mut name = |what: &str| self.fresh.name(&format!("{input}_{what}"));
        let made = [name("codes"), name("scale"), name("zero_point")];
        let outputs = [&*made[0], &*made[1], &*made[2]];
        nodes.push(node("DynamicQuantizeLinear", name("quantize"), &[input], &outputs));
        self.quantised.insert(input.to_owned(), made.clone());
        made
    }

    /// The weight as [K, N] in INT8, and its scales [N].
    fn weight(&mut self, product: &NodeProto, weight: Weight) -> Result<Option<[String; 2]>, Refused> {
        let transposed = weight.axis == 0;
        let key = (product.input[1].clone(), transposed);
        if let Some(known) = self.weights.get(&key) {
            return Ok(Some(known.clone()));
        }
        let Some((codes, scales)) = codes(self.graph, weight)? else { return Ok(None) };
        let [first, second] = *self.graph.initializer[weight.at].shape() else { return Ok(None) };
        let (rows, columns) = if transposed { (second, first) } else { (first, second) };
        let place = |at: usize| if transposed { at % columns * rows + at / columns } else { at };
        let raw = (0..codes.len()).map(|at| codes[place(at)].cast_unsigned()).collect();
        let size = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let made = [self.fresh.name(&format!("{}_int8", key.0)), self.fresh.name(&format!("{}_scale", key.0))];
        let stored = TensorProto::of_bytes(made[0].clone(), data_type::INT8, vec![size(rows), size(columns)], raw);
        self.graph.initializer.push(self.store.keep(stored).map_err(|error| full(&error))?);
        self.graph.initializer.push(TensorProto::of_floats(made[1].clone(), vec![size(columns)], &scales));
        self.weights.insert(key, made.clone());
        Ok(Some(made))
    }
}
