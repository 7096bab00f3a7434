//! How long a model runs, measured at load: whether rows should be stacked or fanned out, and whether a run is shorter than
//! the hop to another thread, are decided by it.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use half::f16;
use modelyard_wire::{DataType, Tensor, element_count};

use super::{Engine, RunError, Stop};
use crate::signature::TensorSpec;

/// The whole measurement takes no longer than this, but for the plan or operator that crosses it.
const BUDGET: Duration = Duration::from_millis(200);

/// How long the first run may take: whoever waits for it has a bound of its own.
const PATIENCE: Duration = Duration::from_secs(600);

/// Runs per batch size, where they fit into the budget. The least counts: everything else is noise of the machine.
const RUNS: usize = 20;

/// The largest input that is made up.
const MOST_ELEMENTS: usize = 1 << 24;

/// How long one run takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// With one row; or of a model that is not batched, with its free dimensions 1. `None` where the model could not be tried.
    pub one: Option<Duration>,
    /// With eight rows; `None` for a model that is not batched, that refused, or is too slow to be run again.
    pub eight: Option<Duration>,
}

/// Runs the model on made-up inputs, free dimensions other than the batch being 1.
pub fn measure(engine: &dyn Engine) -> Measured {
    let end = Instant::now() + BUDGET;
    let Some(one) = fastest(engine, 1, Instant::now() + BUDGET / 2) else { return Measured::default() };
    let batched = engine.signature().batched;
    // Eight rows cost up to eight times one, and a plan first.
    let affordable = one.saturating_mul(8) < BUDGET / 2;
    let eight = if batched && affordable { fastest(engine, 8, end) } else { None };
    Measured { one: Some(one), eight }
}

/// The shortest time of one row, as far as `budget` lets it be found; `None` where the model could not be tried.
pub(super) fn one_row(engine: &dyn Engine, budget: Duration) -> Option<Duration> {
    fastest(engine, 1, Instant::now() + budget)
}

/// Runs the model once, with one row and then with two: whatever comes of it.
pub fn first_run(engine: &dyn Engine) {
    for rows in [1, 2] {
        let specs = &engine.signature().inputs;
        let shapes: Vec<Vec<usize>> = specs.iter().map(|spec| shape_of(spec, rows, engine.signature().batched)).collect();
        if shapes.iter().all(|shape| element_count(shape).is_some_and(|count| count <= MOST_ELEMENTS)) {
            drop(engine.run(&example(specs, &shapes, Fill::Zero), &Stop::at(Instant::now() + PATIENCE)));
        }
    }
}

/// The shortest of several runs; the first, which may build a plan, only counts alone.
fn fastest(engine: &dyn Engine, rows: usize, end: Instant) -> Option<Duration> {
    let specs = &engine.signature().inputs;
    let shapes: Vec<Vec<usize>> = specs.iter().map(|spec| shape_of(spec, rows, engine.signature().batched)).collect();
    if shapes.iter().any(|shape| element_count(shape).is_none_or(|count| count > MOST_ELEMENTS)) {
        return None;
    }
    // Zeros are refused by divisions, ones by tables of one row.
    [Fill::Zero, Fill::One].into_iter().find_map(|fill| repeat(engine, &example(specs, &shapes, fill), end))
}

/// A model that is still running when the time is up took at least that long, which is all that matters of it.
fn repeat(engine: &dyn Engine, inputs: &[Tensor], end: Instant) -> Option<Duration> {
    let stop = Stop::at(end);
    let (mut least, mut runs) = (None, 0);
    while runs <= RUNS && (least.is_none() || Instant::now() < end) {
        let begun = Instant::now();
        let result = engine.run(inputs, &stop);
        let spent = begun.elapsed();
        match result {
            Ok(_) => least = Some(least.map_or(spent, |least: Duration| least.min(spent))),
            Err(RunError::DeadlineExceeded) => return least.or(Some(spent)),
            Err(_) => return None,
        }
        runs += 1;
    }
    least
}

fn shape_of(spec: &TensorSpec, rows: usize, batched: bool) -> Vec<usize> {
    let size = |(at, dim): (usize, &i64)| match usize::try_from(*dim) {
        Ok(size) => size,
        Err(_) if at == 0 && batched => rows,
        Err(_) => 1,
    };
    spec.shape.iter().enumerate().map(size).collect()
}

/// What made-up inputs hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fill {
    /// Zeros.
    Zero,
    /// Ones.
    One,
    /// Numbers in 0..1 that differ from element to element; ones where a datatype has no such numbers.
    Varied,
}

/// Made-up inputs of the given shapes.
pub(crate) fn example(specs: &[TensorSpec], shapes: &[Vec<usize>], fill: Fill) -> Vec<Tensor> {
    specs.iter().zip(shapes).filter_map(|(spec, shape)| filled(spec.datatype, shape, fill)).collect()
}

fn filled(datatype: DataType, shape: &[usize], fill: Fill) -> Option<Tensor> {
    let count = element_count(shape)?;
    let Some(size) = datatype.size() else {
        return Tensor::strings(shape.to_vec(), vec![Bytes::new(); count]).ok();
    };
    let mut raw = BytesMut::with_capacity(count * size);
    for at in 0..count {
        // Multiples of an odd number modulo a prime: different, and the same on every machine.
        let value = match fill {
            Fill::Zero => 0.0,
            Fill::One => 1.0,
            Fill::Varied => (at * 7919 % 1009) as f32 / 1009.0,
        };
        match datatype {
            DataType::Fp16 => raw.extend_from_slice(&f16::from_f32(value).to_le_bytes()),
            DataType::Bf16 => raw.extend_from_slice(&half::bf16::from_f32(value).to_le_bytes()),
            DataType::Fp32 => raw.extend_from_slice(&value.to_le_bytes()),
            DataType::Fp64 => raw.extend_from_slice(&f64::from(value).to_le_bytes()),
            _ => raw.extend_from_slice(&u64::from(fill != Fill::Zero).to_le_bytes()[..size]),
        }
    }
    Tensor::new(datatype, shape.to_vec(), raw.freeze()).ok()
}
