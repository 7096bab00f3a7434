//! Heads of the operators that do attention as a whole: `Attention` of ONNX 23, and two of ONNX Runtime's own domain.

use super::walk::{Edit, Lay, Walk, Why, shown};

pub(super) fn relate(walk: &mut Walk<'_>, at: usize) -> Result<(), Why> {
    let node = &walk.view.graph.node[at];
    let given = |slot: usize| node.input_at(slot).is_some();
    let onnx = node.is("Attention");
    let packed = !onnx && node.op_type() == "Attention";
    let pasts: &[usize] = if onnx {
        &[4, 5]
    } else if packed {
        &[4]
    } else {
        &[6, 7]
    };
    let beyond = node.output.iter().skip(1).any(|name| !name.is_empty());
    if beyond || pasts.iter().any(|slot| given(*slot)) {
        return Err(format!("{} keeps keys from run to run", shown(node)));
    }
    let (lay, mask) = (Lay::new(1, 1, 0), if onnx { 3 } else { 5 });
    let masked = node.input_at(mask).is_some_and(|name| walk.view.size(name, 3) != Some(1));
    if masked {
        return Err(format!("the mask of {} may have a part for each head", shown(node)));
    }
    let inputs: Vec<String> = node.input.iter().take(3).cloned().collect();
    if packed {
        if node.attribute_named("qkv_hidden_sizes").is_some() {
            return Err(format!("{} has heads of different sizes", shown(node)));
        }
        // One weight for queries, keys and values.
        walk.weight((at, 1, 1), Lay { outer: 3, ..lay }, false)?;
        if given(2) {
            walk.weight((at, 2, 0), Lay { outer: 3, ..lay }, false)?;
        }
    } else {
        if inputs.len() < 3 || inputs.iter().any(String::is_empty) {
            return Err(format!("{} takes queries, keys and values as one", shown(node)));
        }
        if !onnx && given(3) {
            walk.weight((at, 3, 0), Lay { outer: 3, ..lay }, false)?;
        }
        if let Some(name) = inputs.iter().find(|name| walk.view.rank(name).is_some_and(|rank| rank != 3)) {
            return Err(format!("'{name}' has its heads in a dimension of their own"));
        }
        inputs.iter().try_for_each(|name| walk.put(name, lay))?;
    }
    let counts: &[&'static str] = if onnx { &["q_num_heads", "kv_num_heads"] } else { &["num_heads"] };
    counts.iter().for_each(|attribute| walk.edit(Edit::Count { node: at, attribute }));
    let output = walk.view.graph.node[at].output.first().cloned().unwrap_or_default();
    walk.put(&output, lay)
}
