//! What operators that pick, stretch and gather dimensions make of types and shapes.

use super::rules::{Call, axis};
use super::shapes::{Dim, Known, broadcast};
use crate::proto::data_type;

const REDUCTIONS: [&str; 10] = [
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceProd",
    "ReduceSum",
    "ReduceSumSquare",
];

/// Dimensions that are still followed: a few nodes could make any number of them.
const RANKS: usize = 64;

pub(super) fn outputs(call: &Call<'_>) -> Result<Vec<Known>, String> {
    let Some(first) = call.inputs.first() else { return Ok(Vec::new()) };
    let shape = match call.node.op_type() {
        "Shape" => return Ok(vec![Known::new(data_type::INT64, vec![stretch(call)])]),
        "Size" => return Ok(vec![Known::new(data_type::INT64, Vec::new())]),
        "Gather" => gather(call)?,
        "Unsqueeze" => unsqueeze(call)?,
        "Squeeze" => squeeze(call),
        "Slice" => slice(call)?,
        "Expand" => expand(call)?,
        "ConstantOfShape" => {
            let kind = call.attribute("value").and_then(|one| one.t.as_ref()).map_or(data_type::FLOAT, |one| one.data_type());
            return Ok(vec![Known { datatype: kind, shape: sized(call, 0) }]);
        }
        "Range" => Some(vec![None]),
        "Not" | "CumSum" | "Trilu" => first.shape.clone(),
        operator if REDUCTIONS.contains(&operator) => reduce(call),
        _ => return Ok(Vec::new()),
    };
    Ok(vec![Known { datatype: first.datatype, shape }])
}

/// The shape that an input of integers spells out; where they are not in the file, only how many there are.
pub(super) fn sized(call: &Call<'_>, at: usize) -> Option<Vec<Dim>> {
    if let Some(told) = constant(call, at) {
        return Some(told.into_iter().map(|size| (size >= 0).then_some(size)).collect());
    }
    match call.shape(at)?.as_slice() {
        [Some(rank)] => Some(vec![None; usize::try_from(*rank).ok().filter(|rank| *rank <= RANKS)?]),
        _ => None,
    }
}

fn constant(call: &Call<'_>, at: usize) -> Option<Vec<i64>> {
    call.constants.get(at).copied().flatten().and_then(|one| one.integers())
}

/// Axes, of the attribute in old operator sets, of an input in new ones; `Err` where they are not in the file.
fn axes(call: &Call<'_>) -> Result<Option<Vec<i64>>, ()> {
    if let Some(told) = call.attribute("axes") {
        return Ok(Some(told.ints.clone()));
    }
    match call.node.input_at(1) {
        Some(_) => constant(call, 1).map(Some).ok_or(()),
        None => Ok(None),
    }
}

/// How many dimensions a `Shape` tells of.
fn stretch(call: &Call<'_>) -> Dim {
    let rank = i64::try_from(call.shape(0)?.len()).ok()?;
    let place = |name: &str, default: i64| {
        let at = call.int(name, default);
        if at < 0 { at.saturating_add(rank) } else { at }.clamp(0, rank)
    };
    Some((place("end", rank) - place("start", 0)).max(0))
}

fn gather(call: &Call<'_>) -> Result<Option<Vec<Dim>>, String> {
    let (Some(data), Some(which)) = (call.shape(0), call.shape(1)) else { return Ok(None) };
    let along = axis(call.int("axis", 0), data.len()).map_err(|what| format!("attribute 'axis': {what}"))?;
    if data.len() + which.len() > RANKS {
        return Ok(None);
    }
    Ok(Some([&data[..along], which, &data[along + 1..]].concat()))
}

fn unsqueeze(call: &Call<'_>) -> Result<Option<Vec<Dim>>, String> {
    let (Some(data), Ok(Some(axes))) = (call.shape(0), axes(call)) else { return Ok(None) };
    let rank = data.len() + axes.len();
    if rank > RANKS {
        return Ok(None);
    }
    let axes = axes.iter().map(|at| axis(*at, rank)).collect::<Result<Vec<_>, _>>().map_err(|what| format!("axes: {what}"))?;
    let mut old = data.iter().copied();
    // Where an axis is told twice too few are left.
    Ok((0..rank).map(|at| if axes.contains(&at) { Some(Some(1)) } else { old.next() }).collect())
}

fn squeeze(call: &Call<'_>) -> Option<Vec<Dim>> {
    let data = call.shape(0)?;
    let axes = axes(call).ok()??;
    let axes = axes.iter().map(|at| axis(*at, data.len())).collect::<Result<Vec<_>, _>>().ok()?;
    Some(data.iter().enumerate().filter(|(at, _)| !axes.contains(at)).map(|(_, dim)| *dim).collect())
}

/// The sizes that are sliced are known where the places are and the size is.
fn slice(call: &Call<'_>) -> Result<Option<Vec<Dim>>, String> {
    let Some(data) = call.shape(0) else { return Ok(None) };
    let list = |at: usize, name: &str| constant(call, at).or_else(|| call.attribute(name).map(|one| one.ints.clone()));
    let axes = match list(3, "axes") {
        Some(axes) => axes,
        None if call.node.input_at(3).is_none() => (0..data.len()).filter_map(|at| i64::try_from(at).ok()).collect(),
        None => return Ok(Some(vec![None; data.len()])),
    };
    let (from, to) = (list(1, "starts"), list(2, "ends"));
    let steps = constant(call, 4);
    let mut shape = data.clone();
    for (at, given) in axes.iter().enumerate() {
        let along = match axis(*given, data.len()) {
            Ok(along) => along,
            // Without axes there may be fewer places than dimensions.
            Err(what) => return Err(format!("axes: {what}")),
        };
        let step =
            if call.node.input_at(4).is_some() { steps.as_ref().and_then(|steps| steps.get(at)).copied() } else { Some(1) };
        let place = |list: &Option<Vec<i64>>| list.as_ref().map(|list| list.get(at).copied());
        shape[along] = match (place(&from), place(&to), step, data[along]) {
            (Some(None), ..) => data[along],
            (Some(Some(from)), Some(Some(to)), Some(1), Some(size)) => {
                let clamped = |at: i64| if at < 0 { at.saturating_add(size) } else { at }.clamp(0, size);
                Some((clamped(to) - clamped(from)).max(0))
            }
            _ => None,
        };
    }
    Ok(Some(shape))
}

fn expand(call: &Call<'_>) -> Result<Option<Vec<Dim>>, String> {
    let (Some(data), Some(wanted)) = (call.shape(0), sized(call, 1)) else { return Ok(None) };
    // What a run finds may be 1, and then the other's size stays.
    let open = |from_end: usize| wanted.len().checked_sub(from_end + 1).is_some_and(|at| wanted[at].is_none());
    let mut both = broadcast(data, &wanted).map_err(|what| format!("input[1]: {what}"))?;
    let rank = both.len();
    for (at, dim) in both.iter_mut().enumerate() {
        let from_end = rank - 1 - at;
        let own = data.len().checked_sub(from_end + 1).map_or(Some(1), |at| data[at]);
        if open(from_end) && own.is_none_or(|own| own <= 1) {
            *dim = None;
        }
    }
    Ok(Some(both))
}

fn reduce(call: &Call<'_>) -> Option<Vec<Dim>> {
    let data = call.shape(0)?;
    let axes = match axes(call).ok()? {
        Some(axes) if !axes.is_empty() => axes.iter().map(|at| axis(*at, data.len())).collect::<Result<Vec<_>, _>>().ok()?,
        _ if call.int("noop_with_empty_axes", 0) != 0 => return Some(data.clone()),
        _ => (0..data.len()).collect(),
    };
    let keep = call.int("keepdims", 1) != 0;
    let dims = data.iter().enumerate();
    Some(dims.filter_map(|(at, dim)| if axes.contains(&at) { keep.then_some(Some(1)) } else { Some(*dim) }).collect())
}
