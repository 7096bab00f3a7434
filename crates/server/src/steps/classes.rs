//! What scores of classes become: probabilities, indices, names, the best few, yes or no.

use std::cmp::Ordering;

use bytes::Bytes;
use modelyard_wire::DataType;

use super::column::{Column, Refused, Table};
use super::expect::rounded;
use super::scope::{Port, Scope};
use super::{Action, Compiled, is_float};

/// Scores a row, over which classes compete.
fn scores(port: &Port) -> Result<&Port, String> {
    if port.numeric()?.shape.len() == 2 {
        Ok(port)
    } else {
        Err(port.fault(format!("expected rows of scores, [-1, classes]; its shape is {:?}", port.shape)))
    }
}

/// Rows of that many scores; none where there are no scores.
fn rows(numbers: &[f64], width: usize) -> std::slice::ChunksExact<'_, f64> {
    numbers.chunks_exact(width.max(1))
}

fn width(shape: &[usize]) -> usize {
    shape.iter().skip(1).product()
}

/// Over the last dimension: the classes of a row, or of each box of a row.
struct Softmax {
    slots: Vec<usize>,
}

pub(super) fn softmax(scope: &mut Scope, columns: &[String]) -> Result<Compiled, String> {
    let ports = scope.all(columns)?;
    for port in &ports {
        if port.numeric()?.shape.len() < 2 {
            return Err(port.fault(format!("expected rows of scores, [-1, classes]; its shape is {:?}", port.shape)));
        }
        if !is_float(port.datatype) {
            scope.turn(&port.name, DataType::Fp32, port.shape.clone())?;
        }
    }
    Ok(Some(Box::new(Softmax { slots: ports.iter().map(|port| port.slot).collect() })))
}

impl Action for Softmax {
    fn run(&self, table: &mut Table) -> Result<(), Refused> {
        for slot in &self.slots {
            let width = table.shape(*slot).last().copied().unwrap_or(1).max(1);
            for row in table.numbers(*slot).chunks_exact_mut(width) {
                let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                row.iter_mut().for_each(|x| *x = (*x - most).exp());
                let sum: f64 = row.iter().sum();
                row.iter_mut().for_each(|x| *x /= sum);
            }
        }
        Ok(())
    }
}

/// The index of the greatest; of equal ones the first, and NaN never.
fn greatest(row: &[f64]) -> usize {
    let better = |best: usize, at: usize| if row[at] > row[best] || row[best].is_nan() && !row[at].is_nan() { at } else { best };
    (1..row.len()).fold(0, better)
}

struct Argmax {
    columns: Vec<(usize, usize)>,
}

pub(super) fn argmax(scope: &mut Scope, columns: &[String], to: &[String]) -> Result<Compiled, String> {
    let mut compiled = Vec::with_capacity(columns.len());
    for (port, name) in scope.all(columns)?.iter().zip(to) {
        compiled.push((scores(port)?.slot, scope.add(name, DataType::Int64, vec![-1])?));
    }
    Ok(Some(Box::new(Argmax { columns: compiled })))
}

impl Action for Argmax {
    fn run(&self, table: &mut Table) -> Result<(), Refused> {
        for (slot, to) in &self.columns {
            let width = width(&table.shape(*slot));
            let best: Vec<f64> = rows(table.numbers(*slot), width).map(|row| greatest(row) as f64).collect();
            table.put(*to, Column::numbers(vec![best.len()], best));
        }
        Ok(())
    }
}

/// Names by index.
pub(super) struct Names(Vec<Bytes>);

impl Names {
    /// Those of the step, or the model's.
    pub(super) fn of(port: &Port, texts: &[String], classes: &[String]) -> Result<Self, String> {
        let names = if texts.is_empty() { classes } else { texts };
        if names.is_empty() {
            return Err(port.fault("nothing names its classes: write texts, or the model's classes"));
        }
        let names = Self(names.iter().map(|name| Bytes::copy_from_slice(name.as_bytes())).collect());
        names.many(port, port.width().filter(|_| port.shape.len() == 2))?;
        Ok(names)
    }

    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }

    /// Refuses another number of scores, where that is known.
    pub(super) fn many(&self, port: &Port, scores: Option<usize>) -> Result<(), String> {
        match scores {
            Some(scores) if scores != self.0.len() => {
                Err(port.fault(format!("it has {scores} scores, there are {} names", self.0.len())))
            }
            _ => Ok(()),
        }
    }

    /// The name; the number itself where there is none.
    pub(super) fn at(&self, index: f64) -> Bytes {
        let found = (index >= 0.0 && index.fract() == 0.0).then(|| self.0.get(index as usize)).flatten();
        found.cloned().unwrap_or_else(|| Bytes::from(index.to_string()))
    }
}

struct Labels {
    columns: Vec<(usize, usize, Names)>,
}

/// The name of the greatest score of a row, or of the number of a class.
pub(super) fn labels(
    scope: &mut Scope,
    columns: &[String],
    to: &[String],
    names: (&[String], &[String]),
) -> Result<Compiled, String> {
    let mut compiled = Vec::with_capacity(columns.len());
    for (port, name) in scope.all(columns)?.iter().zip(to) {
        if port.shape.len() != 1 || is_float(port.numeric()?.datatype) {
            scores(port)?;
        }
        let names = Names::of(port, names.0, names.1)?;
        compiled.push((port.slot, scope.add(name, DataType::Bytes, vec![-1])?, names));
    }
    Ok(Some(Box::new(Labels { columns: compiled })))
}

impl Action for Labels {
    fn run(&self, table: &mut Table) -> Result<(), Refused> {
        for (slot, to, names) in &self.columns {
            let shape = table.shape(*slot);
            let numbers = table.numbers(*slot);
            let named: Vec<Bytes> = if shape.len() == 1 {
                numbers.iter().map(|index| names.at(*index)).collect()
            } else {
                rows(numbers, width(&shape)).map(|row| names.at(greatest(row) as f64)).collect()
            };
            table.put(*to, Column::texts(vec![named.len()], named));
        }
        Ok(())
    }
}

struct TopK {
    slot: usize,
    k: usize,
    values: usize,
    indices: usize,
    names: Option<(usize, Names)>,
}

/// A row's `k` best scores, their indices, and with a third name the names of their classes.
pub(super) fn top_k(
    scope: &mut Scope,
    (column, to): (&str, &[String]),
    k: i32,
    names: (&[String], &[String]),
) -> Result<Compiled, String> {
    let port = scores(scope.port(column)?)?.clone();
    let kept = match port.width() {
        Some(width) if usize::try_from(k).is_ok_and(|k| k > width) => {
            return Err(port.fault(format!("k is {k}; it has {width} scores")));
        }
        Some(_) => i64::from(k),
        None => -1,
    };
    let slots = |scope: &mut Scope, at: usize, datatype| match to.get(at) {
        Some(name) => scope.add(name, datatype, vec![-1, kept]).map(Some),
        None => Ok(None),
    };
    let values = slots(scope, 0, port.datatype)?.unwrap_or_default();
    let indices = slots(scope, 1, DataType::Int64)?.unwrap_or_default();
    let names = match slots(scope, 2, DataType::Bytes)? {
        Some(slot) => Some((slot, Names::of(&port, names.0, names.1)?)),
        None => None,
    };
    Ok(Some(Box::new(TopK { slot: port.slot, k: usize::try_from(k).unwrap_or(1), values, indices, names })))
}

impl Action for TopK {
    fn run(&self, table: &mut Table) -> Result<(), Refused> {
        let width = width(&table.shape(self.slot));
        let kept = self.k.min(width);
        let numbers = table.numbers(self.slot);
        let (mut values, mut indices) = (Vec::new(), Vec::new());
        for row in rows(numbers, width) {
            for at in best(row, kept) {
                values.push(row[at]);
                indices.push(at as f64);
            }
        }
        let shape = vec![values.len().checked_div(kept).unwrap_or(0), kept];
        if let Some((slot, names)) = &self.names {
            table.put(*slot, Column::texts(shape.clone(), indices.iter().map(|index| names.at(*index)).collect()));
        }
        table.put(self.values, Column::numbers(shape.clone(), values));
        table.put(self.indices, Column::numbers(shape, indices));
        Ok(())
    }
}

/// The indices of the `kept` best, best first; of equal ones the first, and NaN last.
fn best(row: &[f64], kept: usize) -> Vec<usize> {
    let better = |left: &usize, right: &usize| {
        let (l, r) = (row[*left], row[*right]);
        let order = l.is_nan().cmp(&r.is_nan()).then(r.partial_cmp(&l).unwrap_or(Ordering::Equal));
        order.then(left.cmp(right))
    };
    let mut order: Vec<usize> = (0..row.len()).collect();
    if kept > 0 && kept < order.len() {
        order.select_nth_unstable_by(kept - 1, better);
    }
    order.truncate(kept);
    order.sort_unstable_by(better);
    order
}

struct Threshold {
    /// Of each column where it is, where the answer goes, and the threshold as the column has it.
    columns: Vec<(usize, usize, f64)>,
}

/// Whether each number is at least `at`.
pub(super) fn threshold(scope: &mut Scope, columns: &[String], to: &[String], at: f64) -> Result<Compiled, String> {
    let mut compiled = Vec::with_capacity(columns.len());
    for (port, name) in scope.all(columns)?.iter().zip(to) {
        let slot = port.numeric()?.slot;
        compiled.push((slot, scope.add(name, DataType::Bool, port.shape.clone())?, rounded(at, port.datatype)));
    }
    Ok(Some(Box::new(Threshold { columns: compiled })))
}

impl Action for Threshold {
    fn run(&self, table: &mut Table) -> Result<(), Refused> {
        for (slot, to, at) in &self.columns {
            let shape = table.shape(*slot);
            let above = table.numbers(*slot).iter().map(|x| f64::from(u8::from(x >= at))).collect();
            table.put(*to, Column::numbers(shape, above));
        }
        Ok(())
    }
}
