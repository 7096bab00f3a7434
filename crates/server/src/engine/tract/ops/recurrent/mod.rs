//! `LSTM`, `GRU` and `RNN` in the forms that tract answers wrongly or not at all: backwards, rows of their own lengths, other
//! activations, clipping, coupled gates. tract's operators keep the others.
//!
//! All of it is [`Recurrent`]: the inputs' layout, directions and lengths here, one step of a cell in [`cell`].

use std::borrow::Cow;

use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;

use super::kernel::{Fact, Kernel, Own};
use super::numbers::{elements, floats, slice, tensor};
use super::repair::Known;
use super::softmax::of_tract;
use super::{Entry, check};
use crate::engine::onnx::attributes::{Attributes, Wrong};

mod activation;
mod cell;

use activation::Activation;
use cell::{Cell, Kind, Memory};

/// The inputs, by their place in the operators' definitions.
const X: usize = 0;
const W: usize = 1;
const R: usize = 2;
const B: usize = 3;
const LENGTHS: usize = 4;
const INITIAL_H: usize = 5;
const INITIAL_C: usize = 6;
const PEEPHOLES: usize = 7;

/// The operator.
#[derive(Debug)]
pub(super) struct Recurrent {
    kind: Kind,
    /// For each direction: whether it runs backwards, and its activations.
    directions: Vec<(bool, Vec<Activation>)>,
    clip: Option<f32>,
    coupled: bool,
    linear_before_reset: bool,
    batch_first: bool,
    places: [Option<usize>; PEEPHOLES + 1],
    wanted: Vec<usize>,
}

/// The entry of one of the three.
pub(super) const fn entry(name: &'static str) -> Entry {
    Entry { domain: "ai.onnx", name, check: check::<Recurrent>, build }
}

/// tract's operator for a node, or ours.
fn build(context: &ParsingContext<'_>, node: &NodeProto) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let recurrent = Recurrent::read(&Attributes::of(node)).map_err(TractError::msg)?;
    match of_tract(&node.op_type) {
        Some(tracts) if recurrent.is_tracts() => tracts(context, node),
        _ => Ok((expand(Own::plain(recurrent)), Vec::new())),
    }
}

impl Recurrent {
    /// Whether tract answers this node rightly.
    fn is_tracts(&self) -> bool {
        let usual = self.directions.iter().all(|(_, activations)| activations == self.kind.usual());
        let forward = self.directions.first().is_some_and(|(backwards, _)| !backwards);
        usual && forward && self.clip.is_none() && !self.coupled && self.places[LENGTHS].is_none()
    }

    /// Time, rows and columns of an input as it lies.
    fn split<'a, D>(&self, shape: &'a [D]) -> TractResult<[&'a D; 3]> {
        match shape {
            [rows, time, columns] if self.batch_first => Ok([time, rows, columns]),
            [time, rows, columns] => Ok([time, rows, columns]),
            _ => bail!("X has {} dimensions; expected three", shape.len()),
        }
    }

    /// The shape of output `at`.
    fn shape<D: Clone>(&self, at: usize, [time, rows, hidden]: [D; 3], directions: D) -> TVec<D> {
        match (at, self.batch_first) {
            (0, false) => tvec!(time, directions, rows, hidden),
            (0, true) => tvec!(rows, time, directions, hidden),
            (_, false) => tvec!(directions, rows, hidden),
            (_, true) => tvec!(rows, directions, hidden),
        }
    }

    /// Where the values of a row begin in output `at`, in units of the hidden size.
    fn offset(&self, at: usize, [step, row, direction]: [usize; 3], [time, rows]: [usize; 2]) -> usize {
        let directions = self.directions.len();
        match (at, self.batch_first) {
            (0, false) => (step * directions + direction) * rows + row,
            (0, true) => (row * time + step) * directions + direction,
            (_, false) => direction * rows + row,
            (_, true) => row * directions + direction,
        }
    }
}

impl Kernel for Recurrent {
    const NAME: &'static str = "Recurrent";

    fn outputs(&self) -> usize {
        self.wanted.len()
    }

    fn read(attributes: &Attributes<'_>) -> Result<Self, Wrong> {
        let kind = match attributes.operator() {
            "LSTM" => Kind::Lstm,
            "GRU" => Kind::Gru,
            _ => Kind::Rnn,
        };
        let backwards = match attributes.text("direction", "forward")? {
            "forward" => &[false][..],
            "reverse" => &[true],
            "bidirectional" => &[false, true],
            found => return Err(format!("attribute direction is '{found}'; expected forward, reverse or bidirectional")),
        };
        let activations = Activation::read(attributes, kind.usual(), backwards.len())?;
        let clip = attributes.has("clip").then(|| attributes.float("clip", 0.0)).transpose()?;
        if let Some(clip) = clip.filter(|clip| clip.is_nan() || *clip < 0.0) {
            return Err(format!("attribute clip is {clip}; expected a number from 0"));
        }
        let places = attributes.places();
        if places[..3].contains(&None) {
            return Err("the inputs X, W and R are expected".to_owned());
        }
        if kind != Kind::Lstm && (places[INITIAL_C].is_some() || places[PEEPHOLES].is_some()) {
            return Err(format!("inputs 6 and 7 are given; {} has none", attributes.operator()));
        }
        Ok(Self {
            kind,
            directions: backwards.iter().copied().zip(activations).collect(),
            clip: clip.filter(|clip| *clip > 0.0),
            coupled: kind == Kind::Lstm && attributes.flag("input_forget", false)?,
            linear_before_reset: kind == Kind::Gru && attributes.flag("linear_before_reset", false)?,
            batch_first: attributes.flag("layout", false)?,
            places,
            wanted: attributes.wanted(),
        })
    }

    fn facts(&self, inputs: &[Fact], _free: &[TDim]) -> TractResult<TVec<Fact>> {
        let input = |at: usize| self.places[at].and_then(|at| inputs.get(at)).context("an input is missing");
        let kind = input(X)?.kind;
        ensure!(matches!(kind, DatumType::F32 | DatumType::F16), "X is {kind:?}; expected FP32 or FP16");
        let [time, rows, _] = self.split(&input(X)?.shape)?;
        let hidden = input(R)?.shape.get(2).context("R has not three dimensions")?;
        let sizes = [time.clone(), rows.clone(), hidden.clone()];
        let directions = self.directions.len().to_dim();
        Ok(self.wanted.iter().map(|at| Fact::new(kind, self.shape(*at, sizes.clone(), directions.clone()))).collect())
    }

    fn known(&self, inputs: &[Known]) -> Known {
        Known::computed(inputs)
    }

    fn run(&self, inputs: &[&Tensor]) -> TractResult<TVec<Tensor>> {
        let input = |at: usize| self.places[at].and_then(|at| inputs.get(at).copied());
        let values = |at: usize| input(at).map(floats).transpose();
        let (x, recurrence) = (input(X).context("X is missing")?, input(R).context("R is missing")?);
        let (&[time, rows, columns], &[_, _, hidden]) = (&self.split(x.shape())?.map(|size| *size), recurrence.shape()) else {
            bail!("R has {} dimensions; expected three", recurrence.rank());
        };
        let sizes = cell::Sizes { columns, hidden };
        let weights = [values(W)?, values(R)?, values(B)?, values(PEEPHOLES)?];
        let weights = weights.each_ref().map(Option::as_deref);
        let (initial_h, initial_c, x) = (values(INITIAL_H)?, values(INITIAL_C)?, (floats(x)?, x.datum_type()));
        let lengths = self.lengths(input(LENGTHS), time, rows)?;
        let count = |at: usize| elements(&self.shape(at, [time, rows, hidden], self.directions.len()), size_of::<f32>());
        let mut outputs = [vec![0.0; count(0)?], vec![0.0; count(1)?], vec![0.0; count(1)?]];
        for (direction, (backwards, activations)) in self.directions.iter().enumerate() {
            let cell = Cell::of(self, activations, (weights, direction, self.directions.len()), sizes)?;
            // A row without a step has zeros for its last state, not the first one: ONNX Runtime's reading.
            for (row, length) in lengths.iter().enumerate().filter(|(_, length)| **length > 0) {
                let place = |at: usize, step: usize| {
                    let from = self.offset(at, [step, row, direction], [time, rows]) * hidden;
                    from..from + hidden
                };
                let begin = |initial: &Option<Cow<'_, [f32]>>| -> TractResult<Vec<f32>> {
                    match initial {
                        Some(initial) => Ok(initial.get(place(1, 0)).context("an initial state is too small")?.to_vec()),
                        None => Ok(vec![0.0; hidden]),
                    }
                };
                let mut memory = Memory::new(begin(&initial_h)?, begin(&initial_c)?, self.kind);
                for step in 0..*length {
                    let step = if *backwards { length - 1 - step } else { step };
                    let from = if self.batch_first { row * time + step } else { step * rows + row } * columns;
                    cell.step(&x.0[from..from + columns], &mut memory);
                    outputs[0][place(0, step)].copy_from_slice(&memory.h);
                }
                outputs[1][place(1, 0)].copy_from_slice(&memory.h);
                outputs[2][place(1, 0)].copy_from_slice(&memory.c);
            }
        }
        let shape = |at: usize| self.shape(at, [time, rows, hidden], self.directions.len());
        let given = self.wanted.iter().map(|at| {
            let values = outputs.get(*at).with_context(|| format!("output {at} is asked for; there are three"))?;
            Ok(tensor(&shape(*at), values.clone())?.cast_to_dt(x.1)?.into_owned())
        });
        given.collect()
    }
}

impl Recurrent {
    /// How many steps each row has.
    fn lengths(&self, given: Option<&Tensor>, time: usize, rows: usize) -> TractResult<Vec<usize>> {
        let Some(given) = given else { return Ok(vec![time; rows]) };
        let given = given.cast_to::<i64>()?;
        let given = slice::<i64>(&given)?;
        ensure!(given.len() == rows, "sequence_lens has {} elements; expected {rows}", given.len());
        let length = |length: &i64| usize::try_from(*length).ok().filter(|length| *length <= time);
        let check = |given: &i64| length(given).with_context(|| format!("sequence_lens holds {given}; expected 0 to {time}"));
        given.iter().map(check).collect()
    }
}
