//! One vector of many: what a model says of each token becomes what it says of the text.

use modelyard_core::steps::Pooling;
use modelyard_wire::DataType;

use super::column::{Column, Refused, Table};
use super::scope::Scope;
use super::{Action, Compiled, is_float};

struct Pool {
    /// Where a column comes from and goes to, and its name.
    columns: Vec<(usize, usize, String)>,
    pooling: Pooling,
    mask: Option<usize>,
}

/// Columns `[-1, tokens, width]` become columns `[-1, width]` beside them; a token whose mask is 0 does not count.
pub(super) fn compile(
    scope: &mut Scope,
    columns: &[String],
    to: &[String],
    (pooling, mask): (Pooling, Option<&str>),
) -> Result<Compiled, String> {
    let mask = match mask {
        Some(name) => {
            let port = scope.seen(name)?.numeric()?;
            if port.shape.len() != 2 {
                return Err(port.fault(format!("expected a mask, [-1, tokens], its shape is {:?}", port.shape)));
            }
            Some(port.slot)
        }
        None => None,
    };
    let mut compiled = Vec::with_capacity(columns.len());
    for (port, name) in scope.all(columns)?.into_iter().zip(to) {
        let &[_, _, width] = port.numeric()?.shape.as_slice() else {
            return Err(
                port.fault(format!("expected a vector for each token, [-1, tokens, width], its shape is {:?}", port.shape))
            );
        };
        let datatype = if is_float(port.datatype) { port.datatype } else { DataType::Fp32 };
        compiled.push((port.slot, scope.add(name, datatype, vec![-1, width])?, port.name));
    }
    Ok(Some(Box::new(Pool { columns: compiled, pooling, mask })))
}

impl Action for Pool {
    fn run(&self, table: &mut Table) -> Result<(), Refused> {
        let mask = self.mask.map(|slot| (table.shape(slot), table.numbers(slot).clone()));
        for (slot, to, name) in &self.columns {
            let shape = table.shape(*slot);
            let &[rows, tokens, width] = shape.as_slice() else { continue };
            if let Some((shape, _)) = &mask
                && *shape != [rows, tokens]
            {
                let message = format!("it has {rows} x {tokens} vectors, the mask's shape is {shape:?}");
                return Err(Refused { row: 0, column: name.clone(), message });
            }
            let counts = |row: usize, token: usize| match &mask {
                Some((_, mask)) => mask.get(row * tokens + token).is_some_and(|one| *one != 0.0),
                None => true,
            };
            let mut pooled = Vec::with_capacity(rows * width);
            let numbers = table.numbers(*slot);
            for (row, vectors) in numbers.chunks_exact((tokens * width).max(1)).enumerate() {
                let vectors = vectors.chunks_exact(width.max(1)).enumerate();
                let kept = vectors.filter(|(token, _)| counts(row, *token)).map(|(_, vector)| vector);
                pooled.extend(self.pool(kept, width));
            }
            table.put(*to, Column::numbers(vec![rows, width], pooled));
        }
        Ok(())
    }
}

impl Pool {
    /// The vectors as one; of none zeros.
    fn pool<'a>(&self, mut vectors: impl Iterator<Item = &'a [f64]>, width: usize) -> Vec<f64> {
        let Some(first) = vectors.next() else { return vec![0.0; width] };
        let mut one = first.to_vec();
        match self.pooling {
            Pooling::First => {}
            Pooling::Max => {
                for vector in vectors {
                    one.iter_mut().zip(vector).for_each(|(most, x)| *most = most.max(*x));
                }
            }
            Pooling::Mean => {
                let mut count = 1.0;
                for vector in vectors {
                    one.iter_mut().zip(vector).for_each(|(sum, x)| *sum += x);
                    count += 1.0;
                }
                one.iter_mut().for_each(|sum| *sum /= count);
            }
        }
        one
    }
}

struct Normalise {
    slots: Vec<usize>,
}

/// Each row divided by its length, the root of the sum of squares; zeros stay zeros.
pub(super) fn normalise(scope: &mut Scope, columns: &[String]) -> Result<Compiled, String> {
    let ports = scope.all(columns)?;
    for port in &ports {
        if !is_float(port.numeric()?.datatype) {
            scope.turn(&port.name, DataType::Fp32, port.shape.clone())?;
        }
    }
    Ok(Some(Box::new(Normalise { slots: ports.iter().map(|port| port.slot).collect() })))
}

/// What a length is at least, so that nothing is divided by zero: as torch's `normalize`.
const SHORTEST: f64 = 1e-12;

impl Action for Normalise {
    fn run(&self, table: &mut Table) -> Result<(), Refused> {
        for slot in &self.slots {
            let width = table.shape(*slot).iter().skip(1).product::<usize>().max(1);
            for row in table.numbers(*slot).chunks_exact_mut(width) {
                let length = row.iter().map(|x| x * x).sum::<f64>().sqrt().max(SHORTEST);
                row.iter_mut().for_each(|x| *x /= length);
            }
        }
        Ok(())
    }
}
