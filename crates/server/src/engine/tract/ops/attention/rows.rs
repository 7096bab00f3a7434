//! Queries, keys and values as rows of numbers, wherever they lie: heads beside one another or after one another, past rows apart.

use tract_onnx::tract_hir::internal::*;

use super::super::numbers::{elements, tensor};

/// Rows of several heads, of four dimensions, or of three where the heads of a row follow one another.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    data: &'a [f32],
    pub(super) shape: [usize; 4],
    interleaved: bool,
}

impl<'a> Rows<'a> {
    pub(super) fn of(data: &'a [f32], shape: [usize; 4]) -> TractResult<Self> {
        let count = shape.iter().product::<usize>();
        ensure!(count == data.len(), "an input has {} elements; expected {shape:?} ({count})", data.len());
        Ok(Self { data, shape, interleaved: false })
    }

    pub(super) const fn laid(self, interleaved: bool) -> Self {
        Self { interleaved, ..self }
    }

    pub(super) fn row(&self, batch: usize, head: usize, row: usize) -> &'a [f32] {
        let [_, heads, rows, size] = self.shape;
        let at = if self.interleaved { (batch * rows + row) * heads + head } else { (batch * heads + head) * rows + row };
        &self.data[at * size..(at + 1) * size]
    }
}

/// The rows of the past, and the new ones.
pub(super) struct Cached<'a> {
    past: Option<Rows<'a>>,
    pub(super) rows: Rows<'a>,
}

impl<'a> Cached<'a> {
    pub(super) fn of(past: Option<(&'a [f32], &[usize])>, rows: Rows<'a>) -> TractResult<Self> {
        let past = match past {
            Some((data, &[batch, heads, count, size])) => {
                let expected = rows.shape;
                ensure!(
                    [batch, heads, size] == [expected[0], expected[1], expected[3]],
                    "a past of shape {:?} does not go with new rows of {expected:?}",
                    [batch, heads, count, size]
                );
                Some(Rows::of(data, [batch, heads, count, size])?)
            }
            Some((_, shape)) => bail!("a past has {} dimensions; expected four", shape.len()),
            None => None,
        };
        Ok(Self { past, rows })
    }

    pub(super) fn old(&self) -> usize {
        self.past.map_or(0, |past| past.shape[2])
    }

    pub(super) fn count(&self) -> usize {
        self.old() + self.rows.shape[2]
    }

    pub(super) fn row(&self, batch: usize, head: usize, row: usize) -> &'a [f32] {
        match self.past {
            Some(past) if row < past.shape[2] => past.row(batch, head, row),
            _ => self.rows.row(batch, head, row - self.old()),
        }
    }

    /// Past and new rows together.
    pub(super) fn whole(&self) -> TractResult<Tensor> {
        let [batch, heads, _, size] = self.rows.shape;
        let shape = [batch, heads, self.count(), size];
        let mut all = Vec::with_capacity(elements(&shape, size_of::<f32>())?);
        for at in 0..batch * heads * self.count() {
            let (block, row) = (at / self.count(), at % self.count());
            all.extend_from_slice(self.row(block / heads, block % heads, row));
        }
        tensor(&shape, all)
    }
}

/// `batch x heads x queries x width` with the heads of a query beside one another.
pub(super) fn interleaved(answer: &[f32], [batch, heads, queries, _]: [usize; 4], width: usize) -> Vec<f32> {
    let rows = Rows { data: answer, shape: [batch, heads, queries, width], interleaved: false };
    (0..batch * queries * heads)
        .flat_map(|at| rows.row(at / heads / queries, at % heads, at / heads % queries))
        .copied()
        .collect()
}
