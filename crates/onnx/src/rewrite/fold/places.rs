//! Operators that put elements into other places and compute none.

use super::elementwise::{sources, stretched};
use super::layout::{places, strides};
use super::make::{Call, count};
use super::value::{Numbers, Value};

/// An axis that may count from the end.
pub(super) fn axis(given: i64, rank: usize) -> Option<usize> {
    let end = i64::try_from(rank).ok()?;
    usize::try_from(if given < 0 { given.checked_add(end)? } else { given }).ok().filter(|at| *at < rank)
}

pub(super) fn output(call: &Call<'_>) -> Option<Value> {
    let value = call.input(0)?;
    match call.node.op_type() {
        "Concat" => concat(call),
        "Expand" => {
            let wanted = sizes(call.input(1)?)?;
            spread(value, &stretched(&value.dims, &wanted)?, call.most)
        }
        "Flatten" => {
            let at = call.int("axis", 1);
            let at = if usize::try_from(at) == Ok(value.dims.len()) { value.dims.len() } else { axis(at, value.dims.len())? };
            let side = |dims: &[usize]| dims.iter().product();
            Some(Value { dims: vec![side(&value.dims[..at]), side(&value.dims[at..])], ..value.clone() })
        }
        "Gather" => gather(call),
        "Reshape" => reshape(call),
        "Slice" => slice(call),
        "Squeeze" => {
            let axes = match call.list(1, "axes") {
                Some(axes) => axes.iter().map(|at| axis(*at, value.dims.len())).collect::<Option<Vec<_>>>()?,
                None => (0..value.dims.len()).filter(|at| value.dims[*at] == 1).collect(),
            };
            if axes.iter().any(|at| value.dims[*at] != 1) {
                return None;
            }
            let dims = (0..value.dims.len()).filter(|at| !axes.contains(at)).map(|at| value.dims[at]).collect();
            Some(Value { dims, ..value.clone() })
        }
        "Tile" => tile(call),
        "Transpose" => transpose(call),
        "Unsqueeze" => unsqueeze(call),
        _ => None,
    }
}

fn sizes(value: &Value) -> Option<Vec<usize>> {
    value.as_whole()?.iter().map(|size| usize::try_from(*size).ok()).collect()
}

fn spread(value: &Value, dims: &[usize], most: usize) -> Option<Value> {
    let all = count(dims, most)?;
    Some(value.picked(dims.to_vec(), sources(&value.dims, dims, all)))
}

fn concat(call: &Call<'_>) -> Option<Value> {
    let parts = call.inputs.iter().map(Option::as_ref).collect::<Option<Vec<&Value>>>()?;
    let first = *parts.first()?;
    let along = axis(call.attribute("axis")?.i(), first.dims.len())?;
    let mut dims = first.dims.clone();
    dims[along] = 0;
    for part in &parts {
        let alike = |at: usize| at == along || part.dims[at] == first.dims[at];
        if part.datatype != first.datatype || part.dims.len() != dims.len() || !(0..dims.len()).all(alike) {
            return None;
        }
        dims[along] = dims[along].checked_add(part.dims[along])?;
    }
    count(&dims, call.most)?;
    let outer: usize = dims[..along].iter().product();
    let inner: usize = dims[along + 1..].iter().product();
    let stretches = || (0..outer).flat_map(|row| parts.iter().map(move |part| (row * part.dims[along] * inner, part)));
    let numbers = match first.numbers {
        Numbers::Whole(_) => Numbers::Whole(
            stretches()
                .filter_map(|(at, part)| part.as_whole()?.get(at..at + part.dims[along] * inner))
                .flatten()
                .copied()
                .collect(),
        ),
        Numbers::Real(_) => Numbers::Real(
            stretches()
                .filter_map(|(at, part)| part.as_real()?.get(at..at + part.dims[along] * inner))
                .flatten()
                .copied()
                .collect(),
        ),
    };
    Some(Value { datatype: first.datatype, dims, numbers })
}

fn gather(call: &Call<'_>) -> Option<Value> {
    let (value, which) = (call.input(0)?, call.input(1)?);
    let along = axis(call.int("axis", 0), value.dims.len())?;
    let size = value.dims[along];
    let at = which.as_whole()?.iter().map(|at| axis(*at, size)).collect::<Option<Vec<usize>>>()?;
    let dims = [&value.dims[..along], &which.dims, &value.dims[along + 1..]].concat();
    count(&dims, call.most)?;
    let outer: usize = value.dims[..along].iter().product();
    let inner: usize = value.dims[along + 1..].iter().product();
    let (at, rows) = (&at, 0..outer);
    let places = rows.flat_map(|row| at.iter().flat_map(move |at| (row * size + at) * inner..(row * size + at + 1) * inner));
    Some(value.picked(dims, places))
}

fn reshape(call: &Call<'_>) -> Option<Value> {
    let value = call.input(0)?;
    let copies = call.int("allowzero", 0) == 0;
    let wanted = call.list(1, "shape")?;
    let open = wanted.iter().filter(|size| **size == -1).count();
    let size = |(at, size): (usize, &i64)| match size {
        -1 => Some(1),
        0 if copies => value.dims.get(at).copied(),
        size => usize::try_from(*size).ok(),
    };
    let mut dims = wanted.iter().enumerate().map(size).collect::<Option<Vec<usize>>>()?;
    let all = dims.iter().try_fold(1_usize, |all, dim| all.checked_mul(*dim))?;
    if open == 1 && all > 0 {
        let at = wanted.iter().position(|size| *size == -1)?;
        dims[at] = value.count() / all;
    }
    let fits = open < 2 && dims.iter().try_fold(1_usize, |all, dim| all.checked_mul(*dim)) == Some(value.count());
    fits.then(|| Value { dims, ..value.clone() })
}

fn slice(call: &Call<'_>) -> Option<Value> {
    let value = call.input(0)?;
    let rank = value.dims.len();
    let (from, to) = (call.list(1, "starts")?, call.list(2, "ends")?);
    let axes = match call.list(3, "axes") {
        Some(axes) => axes,
        None => (0..i64::try_from(from.len()).ok()?).collect(),
    };
    let steps = call.list(4, "steps").unwrap_or_else(|| vec![1; axes.len()]);
    if [from.len(), to.len(), steps.len()].iter().any(|length| *length != axes.len()) {
        return None;
    }
    let mut kept: Vec<Vec<usize>> = value.dims.iter().map(|size| (0..*size).collect()).collect();
    for (at, given) in axes.iter().enumerate() {
        let along = axis(*given, rank)?;
        let size = i64::try_from(value.dims[along]).ok()?;
        let place = |at: i64| if at < 0 { at.saturating_add(size) } else { at };
        kept[along] = match steps[at] {
            0 => return None,
            step if step > 0 => {
                let (from, to) = (place(from[at]).clamp(0, size), place(to[at]).clamp(0, size));
                (from..to).step_by(usize::try_from(step).ok()?).filter_map(|at| usize::try_from(at).ok()).collect()
            }
            step => {
                // Down to what lies before `to`; the beginning is reached by what is less than minus the size.
                let (from, to) = (place(from[at]).clamp(-1, size - 1), place(to[at]).clamp(-1, size - 1));
                let by = usize::try_from(step.unsigned_abs()).ok()?;
                (to + 1..=from).rev().step_by(by).filter_map(|at| usize::try_from(at).ok()).collect()
            }
        };
    }
    let dims: Vec<usize> = kept.iter().map(Vec::len).collect();
    let (all, strides) = (count(&dims, call.most)?, strides(&value.dims));
    let from = places(&dims, all, |axis, at| kept[axis][at] * strides[axis]);
    Some(value.picked(dims.clone(), from))
}

fn tile(call: &Call<'_>) -> Option<Value> {
    let value = call.input(0)?;
    let times = sizes(call.input(1)?)?;
    if times.len() != value.dims.len() {
        return None;
    }
    let dims = value.dims.iter().zip(&times).map(|(dim, times)| dim.checked_mul(*times)).collect::<Option<Vec<usize>>>()?;
    let (all, strides) = (count(&dims, call.most)?, strides(&value.dims));
    let from = places(&dims, all, |axis, at| at % value.dims[axis] * strides[axis]);
    Some(value.picked(dims.clone(), from))
}

fn transpose(call: &Call<'_>) -> Option<Value> {
    let value = call.input(0)?;
    let rank = value.dims.len();
    let order: Vec<usize> = match call.attribute("perm") {
        Some(order) => order.ints.iter().map(|at| usize::try_from(*at).ok()).collect::<Option<_>>()?,
        None => (0..rank).rev().collect(),
    };
    let mut sorted = order.clone();
    sorted.sort_unstable();
    if sorted != (0..rank).collect::<Vec<_>>() {
        return None;
    }
    let dims: Vec<usize> = order.iter().map(|at| value.dims[*at]).collect();
    let (all, strides) = (count(&dims, call.most)?, strides(&value.dims));
    let from = places(&dims, all, |axis, at| at * strides[order[axis]]);
    Some(value.picked(dims.clone(), from))
}

fn unsqueeze(call: &Call<'_>) -> Option<Value> {
    let value = call.input(0)?;
    let axes = call.list(1, "axes")?;
    let rank = value.dims.len().checked_add(axes.len()).filter(|rank| *rank <= 64)?;
    let axes = axes.iter().map(|at| axis(*at, rank)).collect::<Option<Vec<_>>>()?;
    let mut old = value.dims.iter();
    let dims = (0..rank).map(|at| if axes.contains(&at) { Some(1) } else { old.next().copied() }).collect::<Option<Vec<_>>>()?;
    // Where an axis is told twice there are too many.
    let fits = dims.iter().try_fold(1_usize, |all, dim| all.checked_mul(*dim)) == Some(value.count()) && old.next().is_none();
    fits.then(|| Value { dims, ..value.clone() })
}
