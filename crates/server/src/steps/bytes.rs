//! Files and texts as the numbers of their bytes, for models that read those.

use modelyard_core::steps::{Datatype, Step};
use modelyard_wire::DataType;

use super::column::{Column, Refused, Table, bounded};
use super::scope::Scope;
use super::{Action, Compiled};

struct Numbers {
    columns: Vec<(usize, String)>,
    head: usize,
    tail: usize,
    /// Bytes at each end that are looked at.
    block: usize,
    strip: bool,
    fill: f64,
}

/// Columns of BYTES become columns of their first and last bytes, `[-1, head + tail]`.
pub(super) fn compile(step: &Step, scope: &mut Scope) -> Result<Compiled, String> {
    let Step::Bytes { columns, head, tail, block, strip, fill, datatype } = step else { return Ok(None) };
    let size = |bytes: Option<i32>, none: usize| bytes.map_or(none, |bytes| usize::try_from(bytes).unwrap_or(0));
    let (head, tail) = (size(*head, 0), size(*tail, 0));
    let datatype = if *datatype == Some(Datatype::Int64) { DataType::Int64 } else { DataType::Int32 };
    let width = i64::try_from(head + tail).unwrap_or(i64::MAX);
    let ports = scope.all(columns)?;
    for port in &ports {
        if port.single()?.datatype != DataType::Bytes {
            return Err(port.fault(format!("it is {}; expected BYTES", port.datatype)));
        }
        scope.turn(&port.name, datatype, vec![-1, width])?;
    }
    Ok(Some(Box::new(Numbers {
        columns: ports.into_iter().map(|port| (port.slot, port.name)).collect(),
        head,
        tail,
        block: size(*block, usize::MAX),
        strip: *strip == Some(true),
        fill: f64::from(fill.unwrap_or(0)),
    })))
}

impl Action for Numbers {
    fn run(&self, table: &mut Table) -> Result<(), Refused> {
        for (slot, name) in &self.columns {
            let texts = table.texts(*slot);
            let rows = texts.len();
            bounded(rows, (self.head + self.tail) * size_of::<f64>(), name)?;
            let mut numbers = Vec::with_capacity(rows * (self.head + self.tail));
            texts.iter().for_each(|text| self.add(text, &mut numbers));
            table.put(*slot, Column::numbers(vec![rows, self.head + self.tail], numbers));
        }
        Ok(())
    }
}

impl Numbers {
    fn add(&self, text: &[u8], numbers: &mut Vec<f64>) {
        let (mut first, mut last) = (&text[..text.len().min(self.block)], &text[text.len().saturating_sub(self.block)..]);
        if self.strip {
            let is_space = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
            first = &first[first.iter().position(|byte| !is_space(byte)).unwrap_or(first.len())..];
            last = &last[..last.iter().rposition(|byte| !is_space(byte)).map_or(0, |at| at + 1)];
        }
        let (first, last) = (&first[..first.len().min(self.head)], &last[last.len().saturating_sub(self.tail)..]);
        let fill = |count: usize| std::iter::repeat_n(self.fill, count);
        numbers.extend(first.iter().map(|byte| f64::from(*byte)).chain(fill(self.head - first.len())));
        numbers.extend(fill(self.tail - last.len()).chain(last.iter().map(|byte| f64::from(*byte))));
    }
}
