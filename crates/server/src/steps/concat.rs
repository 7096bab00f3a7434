//! Columns of numbers side by side: what most models take.

use modelyard_wire::DataType;

use super::column::{Column, Refused, Table};
use super::scope::Scope;
use super::{Action, Compiled};

struct Concat {
    /// Slot and width of each.
    parts: Vec<(usize, usize)>,
    width: usize,
    to: usize,
}

/// The columns as one, in their order; they are gone then.
pub(super) fn compile(scope: &mut Scope, columns: &[String], (to, datatype): (&str, DataType)) -> Result<Compiled, String> {
    let mut parts = Vec::with_capacity(columns.len());
    for name in columns {
        let port = scope.remove(name)?;
        let width = port.numeric()?.width();
        let width = width.ok_or_else(|| port.fault(format!("expected a known width, its shape is {:?}", port.shape)))?;
        parts.push((port.slot, width));
    }
    let width: usize = parts.iter().map(|(_, width)| width).sum();
    let to = scope.add(to, datatype, vec![-1, i64::try_from(width).unwrap_or(i64::MAX)])?;
    Ok(Some(Box::new(Concat { parts, width, to })))
}

impl Action for Concat {
    fn run(&self, table: &mut Table) -> Result<(), Refused> {
        let rows = self.parts.first().and_then(|(slot, _)| table.shape(*slot).first().copied()).unwrap_or(0);
        let mut whole = vec![0.0; rows * self.width];
        let mut from = 0;
        for (slot, width) in &self.parts {
            let numbers = table.numbers(*slot);
            for (row, values) in whole.chunks_exact_mut(self.width.max(1)).zip(numbers.chunks_exact((*width).max(1))) {
                row[from..from + width].copy_from_slice(values);
            }
            from += width;
        }
        table.put(self.to, Column::numbers(vec![rows, self.width], whole));
        Ok(())
    }
}
