//! What served models answer, as numbers: to take ranges from, and to compare with another model's.

use std::path::Path;

use anyhow::{Context, bail};
use modelyard_wire::Tensor;

use super::server::Server;
use crate::client::{Metadata, TensorSpec};
use crate::inputs::{self, Named, Reading};

/// Rows of one request, where the model takes any number.
const BATCH: usize = 32;

/// The inputs of a data file, cut into requests.
pub(super) struct Requests {
    inputs: Vec<Named>,
    rows: usize,
    batch: usize,
}

impl Requests {
    /// Reads a file for a model; truths that are in it stay out.
    pub(super) fn read(data: &Path, labels: Option<&str>, metadata: &Metadata) -> anyhow::Result<Self> {
        let mut specs: Vec<TensorSpec> = metadata.inputs.clone();
        let fixed = specs.iter().filter_map(|spec| spec.shape.first()).copied().find(|dim| *dim > 0);
        specs.iter_mut().filter_map(|spec| spec.shape.first_mut()).for_each(|dim| *dim = -1);
        let inputs = match inputs::dataset(data, labels, &specs) {
            Ok(dataset) => dataset.bound.inputs,
            // Without truths it is a file of inputs.
            Err(_) if labels.is_none() => {
                let reading = Reading { specs: Some(&specs), ..Reading::default() };
                inputs::read(data, reading)?.inputs
            }
            Err(error) => return Err(error.into()),
        };
        let rows = inputs.iter().map(|(_, tensor)| tensor.shape().first().copied().unwrap_or(1)).min().unwrap_or(0);
        let batch = fixed.and_then(|dim| usize::try_from(dim).ok()).unwrap_or(BATCH);
        if rows == 0 || (fixed.is_some() && rows < batch) {
            bail!("{} has {rows} rows; a request takes {batch}", data.display());
        }
        Ok(Self { inputs, rows, batch: batch.min(rows) })
    }

    /// How many requests they make. What is left over of a last one is not sent.
    pub(super) const fn count(&self) -> usize {
        self.rows / self.batch
    }

    /// Rows of each request.
    pub(super) const fn batch(&self) -> usize {
        self.batch
    }

    fn at(&self, number: usize) -> anyhow::Result<Vec<Named>> {
        let (from, to) = (number * self.batch, (number + 1) * self.batch);
        let slice = |(name, tensor): &Named| Ok((name.clone(), inputs::slice_rows(tensor, from, to)?));
        self.inputs.iter().map(slice).collect()
    }

    /// Sends those requests to a server, one after the other, and hands over what is answered.
    pub(super) async fn send(
        &self,
        server: &Server,
        which: &[usize],
        take: impl FnMut(Vec<Named>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        self.send_with(server, (which, &[]), take).await
    }

    /// As [`Requests::send`], with further inputs in each request.
    pub(super) async fn send_with(
        &self,
        server: &Server,
        (which, beside): (&[usize], &[Named]),
        mut take: impl FnMut(Vec<Named>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut session = server.open().await?;
        for number in which {
            let mut inputs = self.at(*number)?;
            inputs.extend_from_slice(beside);
            let answer = session.infer(&inputs).await.with_context(|| format!("request {number} of the data"))?;
            take(answer.outputs)?;
        }
        Ok(())
    }
}

/// The mean cosine of rows with the same rows of another answer, over the outputs of floating-point numbers.
#[derive(Debug, Default)]
pub(super) struct Cosine {
    sum: f64,
    count: usize,
}

impl Cosine {
    /// Takes in two answers to the same request of `rows` rows.
    pub(super) fn add(&mut self, (one, other): (&[Named], &[Named]), rows: usize) -> anyhow::Result<()> {
        let floats = |tensor: &Tensor| matches!(tensor.datatype().as_str(), "FP16" | "BF16" | "FP32" | "FP64");
        let mut compared = false;
        for (name, tensor) in one.iter().filter(|(_, tensor)| floats(tensor)) {
            let Some((_, twin)) = other.iter().find(|(other, twin)| other == name && twin.shape() == tensor.shape()) else {
                bail!("output '{name}' has another shape than the original's");
            };
            let (Some(tensor), Some(twin)) = (tensor.to_f64(), twin.to_f64()) else { bail!("output '{name}' is no numbers") };
            let width = (tensor.len() / rows.max(1)).max(1);
            for (a, b) in tensor.chunks(width).zip(twin.chunks(width)) {
                self.sum += cosine(a, b);
                self.count += 1;
            }
            compared = true;
        }
        if !compared {
            bail!("no output is of floating-point numbers, which a cosine is taken of");
        }
        Ok(())
    }

    /// The mean.
    pub(super) fn mean(&self) -> f64 {
        self.sum / (self.count.max(1) as f64)
    }
}

/// Of two vectors: 1 for the same direction. Two that are zero have the same.
fn cosine(one: &[f64], other: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let length = (dot(one, one) * dot(other, other)).sqrt();
    if length > 0.0 || !length.is_finite() {
        return dot(one, other) / length;
    }
    if one.iter().chain(other).all(|value| *value == 0.0) { 1.0 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_compared_by_direction() {
        let answer = |values: &[f32]| vec![("y".to_owned(), Tensor::from_f32(vec![2, 2], values).unwrap())];
        let mut same = Cosine::default();
        same.add((&answer(&[1.0, 2.0, 0.0, 0.0]), &answer(&[2.0, 4.0, 0.0, 0.0])), 2).unwrap();
        assert!((same.mean() - 1.0).abs() < 1e-12);
        let mut half = Cosine::default();
        half.add((&answer(&[1.0, 0.0, 1.0, 0.0]), &answer(&[0.0, 1.0, 1.0, 0.0])), 2).unwrap();
        assert!((half.mean() - 0.5).abs() < 1e-12);
        let mut gone = Cosine::default();
        gone.add((&answer(&[1.0, 0.0, f32::NAN, 0.0]), &answer(&[1.0, 0.0, 1.0, 0.0])), 2).unwrap();
        assert!(gone.mean().is_nan());
        assert!(gone.add((&answer(&[1.0; 4]), &[]), 2).unwrap_err().to_string().contains("another shape"));
    }
}
