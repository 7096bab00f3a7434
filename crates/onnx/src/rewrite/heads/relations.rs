//! Where a node has the heads, given where one of its tensors has them: each operator that leaves heads to themselves, and no other.

use super::find::{is_fused, turned};
use super::reshape;
use super::walk::{Edit, Lay, Walk, Why, shown};
use crate::proto::NodeProto;
use crate::rewrite::flow::{ELEMENTWISE, PAIRS};

/// Says of all other tensors of a node where they have the heads, and what has to change.
pub(super) fn relate(walk: &mut Walk<'_>, at: usize) -> Result<(), Why> {
    let node = &walk.view.graph.node[at];
    if is_fused(node) {
        return super::fused::relate(walk, at);
    }
    if !matches!(node.domain(), "" | "ai.onnx") {
        return Err(format!("{} of domain '{}' has the heads", shown(node), node.domain()));
    }
    match node.op_type() {
        "Reshape" => reshape::relate(walk, at),
        "MatMul" => product(walk, at),
        "Gemm" => dense(walk, at),
        "Transpose" => transpose(walk, at),
        "Split" => split(walk, at),
        "Gather" | "Squeeze" => first_of(walk, at),
        "Slice" | "Concat" => beside(walk, at),
        "Shape" => counts(walk, at),
        "Softmax" | "LayerNormalization" => along(walk, at),
        "Where" => broadcast(walk, at),
        "Cast" | "IsNaN" => same(walk, at),
        operator if PAIRS.contains(&operator) || operator == "Equal" => broadcast(walk, at),
        operator if ELEMENTWISE.contains(&operator) => same(walk, at),
        _ => Err(format!("{} is not known to leave heads to themselves", shown(node))),
    }
}

fn name_of(node: &NodeProto, slot: usize) -> String {
    node.input_at(slot).unwrap_or("").to_owned()
}

fn output_of(node: &NodeProto) -> String {
    node.output.first().cloned().unwrap_or_default()
}

/// The heads lie in what a node gives where they lie in what it takes.
fn through(walk: &mut Walk<'_>, input: &str, output: &str) -> Result<(), Why> {
    let Some(lay) = walk.lay(input).or_else(|| walk.lay(output)) else { return Ok(()) };
    walk.put(input, lay)?;
    walk.put(output, lay)
}

/// Both ends have the heads in the same place, and further inputs are numbers for all.
fn same(walk: &mut Walk<'_>, at: usize) -> Result<(), Why> {
    let node = &walk.view.graph.node[at];
    let (input, output) = (name_of(node, 0), output_of(node));
    if node.input.iter().skip(1).any(|name| walk.lay(name).is_some()) {
        return Err(format!("{} takes the heads as a number", shown(node)));
    }
    through(walk, &input, &output)
}

/// An operator along the last dimension, which the heads are not in.
fn along(walk: &mut Walk<'_>, at: usize) -> Result<(), Why> {
    let node = &walk.view.graph.node[at];
    let (input, output) = (name_of(node, 0), output_of(node));
    let Some(lay) = walk.lay(&input).or_else(|| walk.lay(&output)) else { return Ok(()) };
    let axis = node.attribute_named("axis").map_or(-1, |one| one.i());
    // Heads have a dimension of their own among four, whose last is number 3.
    let last = axis == -1 || (axis == 3 && lay.back == 3);
    if !last || lay.back == 1 || node.output.len() > 1 {
        return Err(format!("{} goes over the heads", shown(node)));
    }
    walk.put(&input, lay)?;
    walk.put(&output, lay)
}

/// Several tensors, of which those without heads are the same for all of them.
fn broadcast(walk: &mut Walk<'_>, at: usize) -> Result<(), Why> {
    let node = &walk.view.graph.node[at];
    let output = output_of(node);
    let lay = walk.lay(&output).or_else(|| node.input.iter().find_map(|name| walk.lay(name)));
    let Some(lay) = lay else { return Ok(()) };
    let inputs: Vec<String> = node.input.clone();
    for (slot, name) in inputs.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
        match walk.view.size(name, lay.back) {
            _ if walk.lay(name).is_some() => walk.put(name, lay)?,
            Some(1) => {}
            Some(_) if walk.view.tensors.contains_key(name.as_str()) => {
                let axis = walk.view.rank(name).and_then(|rank| rank.checked_sub(lay.back)).unwrap_or(0);
                walk.weight((at, slot, axis), lay, false)?;
            }
            size => {
                let node = &walk.view.graph.node[at];
                if size.is_none() && !walk.view.makers.contains_key(name.as_str()) {
                    return Err(format!("input '{name}' of {} may have a part for each head", shown(node)));
                }
                walk.put(name, lay).map_err(|why| format!("{}: {why}", shown(&walk.view.graph.node[at])))?;
            }
        }
    }
    walk.put(&output, lay)
}

/// A product with a weight makes or reads heads; one of two activations is made for each.
fn product(walk: &mut Walk<'_>, at: usize) -> Result<(), Why> {
    let node = &walk.view.graph.node[at];
    let (one, other, output) = (name_of(node, 0), name_of(node, 1), output_of(node));
    if let Some(weight) = walk.view.constant(node, 1) {
        if weight.dims.len() != 2 {
            return Err(format!("{} has a weight of {} dimensions", shown(node), weight.dims.len()));
        }
        if let Some(lay) = walk.lay(&output) {
            match lay.back {
                1 => walk.weight((at, 1, 1), lay, false)?,
                _ => walk.put(&one, lay)?,
            }
        }
        if let Some(lay) = walk.lay(&one) {
            match lay.back {
                1 => walk.weight((at, 1, 0), lay, true)?,
                _ => walk.put(&output, lay)?,
            }
        }
        return Ok(());
    }
    let lays = [&one, &other, &output].map(|name| walk.lay(name));
    let Some(lay) = lays.into_iter().flatten().next() else { return Ok(()) };
    if lay.back < 3 {
        return Err(format!("{} mixes the heads", shown(node)));
    }
    let shared = [&one, &other].into_iter().find(|name| walk.view.size(name, lay.back) == Some(1));
    if let Some(shared) = shared {
        return Err(format!("{} gives all heads the same '{shared}' (one head of keys)", shown(node)));
    }
    [&one, &other, &output].into_iter().try_for_each(|name| walk.put(name, lay))
}

fn dense(walk: &mut Walk<'_>, at: usize) -> Result<(), Why> {
    let node = &walk.view.graph.node[at];
    let flag = |name: &str| node.attribute_named(name).is_some_and(|one| one.i() != 0);
    let columns = usize::from(!flag("transB"));
    let (input, output, biased) = (name_of(node, 0), output_of(node), node.input_at(2).is_some());
    if flag("transA") {
        return Err(format!("{} takes its input transposed", shown(node)));
    }
    if let Some(lay) = walk.lay(&output) {
        if lay.back != 1 {
            return Err(format!("{} has heads as rows", shown(node)));
        }
        walk.weight((at, 1, columns), lay, false)?;
        // A bias that is one number for all stays.
        let name = name_of(&walk.view.graph.node[at], 2);
        if biased && walk.view.size(&name, 1) != Some(1) {
            let axis = walk.view.rank(&name).and_then(|rank| rank.checked_sub(1)).unwrap_or(0);
            walk.weight((at, 2, axis), lay, false)?;
        }
    }
    match walk.lay(&input) {
        Some(lay) if lay.back == 1 => walk.weight((at, 1, 1 - columns), lay, true),
        Some(_) => Err(format!("{} has heads as rows", shown(&walk.view.graph.node[at]))),
        None => Ok(()),
    }
}

fn transpose(walk: &mut Walk<'_>, at: usize) -> Result<(), Why> {
    let node = &walk.view.graph.node[at];
    let (input, output) = (name_of(node, 0), output_of(node));
    let odd = || format!("{} has no order that is understood", shown(node));
    if let Some(lay) = walk.lay(&output) {
        let back = turned(node, lay.back).ok_or_else(odd)?;
        walk.put(&input, Lay { back, ..lay })
    } else if let Some(lay) = walk.lay(&input) {
        let rank = node.attribute_named("perm").map_or(0, |one| one.ints.len());
        let back = (1..=rank).find(|back| turned(node, *back) == Some(lay.back)).ok_or_else(odd)?;
        walk.put(&output, Lay { back, ..lay })
    } else {
        Ok(())
    }
}

/// The axis of a node, counted from the end; `None` where the rank would have to be known, and is not.
fn axis_back(walk: &Walk<'_>, node: &NodeProto, axis: i64) -> Option<usize> {
    if axis < 0 {
        return usize::try_from(axis.checked_neg()?).ok();
    }
    let names = node.input.first().into_iter().chain(node.output.first());
    let rank = names.filter_map(|name| walk.view.rank(name)).next()?;
    rank.checked_sub(usize::try_from(axis).ok()?).filter(|back| *back > 0)
}

/// Equal parts of the dimension that the heads lie in, or parts of another one.
fn split(walk: &mut Walk<'_>, at: usize) -> Result<(), Why> {
    let node = &walk.view.graph.node[at];
    let (input, outputs) = (name_of(node, 0), node.output.clone());
    let odd = || format!("{} has parts that are not understood", shown(node));
    if outputs.is_empty() {
        return Err(odd());
    }
    let axis = axis_back(walk, node, node.attribute_named("axis").map_or(0, |one| one.i()));
    let of_part = outputs.iter().find_map(|name| walk.lay(name));
    let Some(own) = walk.lay(&input).or(of_part) else { return Ok(()) };
    // The first dimension of one that has four or more is left of the heads.
    let first = node.attribute_named("axis").is_none_or(|one| one.i() == 0);
    let Some(axis) = axis.or_else(|| first.then_some(usize::MAX)) else { return Err(odd()) };
    if axis != own.back {
        return [&input].into_iter().chain(&outputs).try_for_each(|name| walk.put(name, own));
    }
    let told = walk.view.integers(node, 1).or_else(|| node.attribute_named("split").map(|one| one.ints.clone()));
    let even = told.as_ref().is_none_or(|sizes| sizes.windows(2).all(|pair| pair[0] == pair[1]));
    if !even || own.block == 0 {
        return Err(format!("{} has parts of different sizes (fewer heads of keys than of queries)", shown(node)));
    }
    let (whole, part) = match walk.lay(&input) {
        Some(lay) if lay.outer % outputs.len() == 0 => (lay, Lay { outer: lay.outer / outputs.len(), ..lay }),
        None => (Lay { outer: own.outer * outputs.len(), ..own }, own),
        Some(_) => return Err(odd()),
    };
    if told.is_some() {
        walk.edit(Edit::Split { node: at, per: part.outer * part.block });
    }
    walk.put(&input, whole)?;
    outputs.iter().try_for_each(|name| walk.put(name, part))
}

/// One of the first dimension: of queries, keys and values.
fn first_of(walk: &mut Walk<'_>, at: usize) -> Result<(), Why> {
    let node = &walk.view.graph.node[at];
    let axes = match node.op_type() {
        "Gather" => {
            let number = walk.view.constant(node, 1).is_some_and(|one| one.dims.is_empty());
            let axis = node.attribute_named("axis").map_or(0, |one| one.i());
            if number { Some(vec![axis]) } else { None }
        }
        _ => walk.view.integers(node, 1).or_else(|| node.attribute_named("axes").map(|one| one.ints.clone())),
    };
    if axes.as_deref() != Some(&[0]) {
        return Err(format!("{} takes something out of the heads", shown(node)));
    }
    let (input, output) = (name_of(node, 0), output_of(node));
    through(walk, &input, &output)
}

/// Parts of other dimensions than the heads', taken out or put together.
fn beside(walk: &mut Walk<'_>, at: usize) -> Result<(), Why> {
    let node = &walk.view.graph.node[at];
    let slices = node.is("Slice");
    let axes = match slices {
        true => walk.view.integers(node, 3).or_else(|| node.attribute_named("axes").map(|one| one.ints.clone())),
        false => node.attribute_named("axis").map(|one| vec![one.i()]),
    };
    let output = output_of(node);
    let inputs: Vec<String> = if slices { vec![name_of(node, 0)] } else { node.input.clone() };
    let lay = walk.lay(&output).or_else(|| inputs.iter().find_map(|name| walk.lay(name)));
    let Some(lay) = lay else { return Ok(()) };
    let backs = axes.and_then(|axes| axes.iter().map(|axis| axis_back(walk, node, *axis)).collect::<Option<Vec<_>>>());
    if backs.is_none_or(|backs| backs.contains(&lay.back)) {
        return Err(format!("{} takes the heads apart, or puts more beside them", shown(node)));
    }
    inputs.iter().chain([&output]).try_for_each(|name| walk.put(name, lay))
}

/// A Shape whose readers take no number of heads out of it.
fn counts(walk: &mut Walk<'_>, at: usize) -> Result<(), Why> {
    let node = &walk.view.graph.node[at];
    let Some(lay) = walk.lay(&name_of(node, 0)) else { return Ok(()) };
    let view = &walk.view;
    let rank = view.rank(&name_of(node, 0)).or(if lay.back == 3 { Some(4) } else { None });
    let own = rank.and_then(|rank| rank.checked_sub(lay.back));
    let output = output_of(node);
    let taken = |reader: &NodeProto| match reader.op_type() {
        "Gather" => view.integers(reader, 1).filter(|_| reader.attribute_named("axis").is_none_or(|one| one.i() == 0)),
        "Slice" => {
            let (from, to) = (view.integers(reader, 1)?, view.integers(reader, 2)?);
            let [from, to] = [*from.first()?, *to.first()?];
            let end = i64::try_from(rank?).ok()?;
            let place = |at: i64| if at < 0 { at + end } else { at }.clamp(0, end);
            Some((place(from)..place(to)).collect())
        }
        _ => None,
    };
    let harmless = |reader: &usize| {
        let (Some(own), Some(taken)) = (own, taken(&view.graph.node[*reader])) else { return false };
        let end = rank.unwrap_or(0);
        taken.iter().all(|at| usize::try_from(if *at < 0 { *at + end as i64 } else { *at }).is_ok_and(|at| at != own))
    };
    if !node.attribute.is_empty() {
        let apart = own.zip(rank).is_some_and(|(own, rank)| !node.stretch(rank).contains(&own));
        return if apart { Ok(()) } else { Err(format!("{} is asked how many heads there are", shown(node))) };
    }
    let plain = view.readers.get(output.as_str()).is_none_or(|all| all.iter().all(harmless));
    let seen = view.readers.get(output.as_str()).map_or(0, Vec::len) == view.uses.get(&output).copied().unwrap_or(0);
    if plain && seen { Ok(()) } else { Err(format!("{} is asked how many heads there are", shown(node))) }
}
