//! One step of a recurrent cell. The formulas, and the order of the gates in the weights, are ONNX's.

use tract_onnx::tract_hir::internal::*;

use super::super::numbers::dot;
use super::Recurrent;
use super::activation::Activation;

/// Which cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Lstm,
    Gru,
    Rnn,
}

impl Kind {
    /// The activations where a node names none.
    pub(super) const fn usual(self) -> &'static [Activation] {
        match self {
            Self::Lstm => &[Activation::Sigmoid, Activation::Tanh, Activation::Tanh],
            Self::Gru => &[Activation::Sigmoid, Activation::Tanh],
            Self::Rnn => &[Activation::Tanh],
        }
    }

    const fn gates(self) -> usize {
        match self {
            Self::Lstm => 4,
            Self::Gru => 3,
            Self::Rnn => 1,
        }
    }
}

/// The sizes of a step's input and of the state.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    pub(super) columns: usize,
    pub(super) hidden: usize,
}

/// W, R, B and P.
type Weights<'a> = [Option<&'a [f32]>; 4];

/// The cell of one direction.
pub(super) struct Cell<'a> {
    net: &'a Recurrent,
    activations: &'a [Activation],
    sizes: Sizes,
    w: &'a [f32],
    r: &'a [f32],
    /// Of the input, then of the state; empty where there is none.
    bias: &'a [f32],
    peepholes: &'a [f32],
}

/// What a cell remembers, and where it works.
pub(super) struct Memory {
    pub(super) h: Vec<f32>,
    pub(super) c: Vec<f32>,
    gates: Vec<f32>,
    next: Vec<f32>,
}

impl Memory {
    pub(super) fn new(h: Vec<f32>, c: Vec<f32>, kind: Kind) -> Self {
        Self { gates: vec![0.0; kind.gates() * h.len()], next: vec![0.0; h.len()], h, c }
    }
}

impl<'a> Cell<'a> {
    /// That of direction `at` of `count`, its part of the weights checked.
    pub(super) fn of(
        net: &'a Recurrent,
        activations: &'a [Activation],
        (weights, at, count): (Weights<'a>, usize, usize),
        sizes: Sizes,
    ) -> TractResult<Self> {
        let rows = net.kind.gates() * sizes.hidden;
        let part = |name: &str, all: Option<&'a [f32]>, size: usize| match all {
            Some(all) if all.len() == size * count => Ok(&all[at * size..(at + 1) * size]),
            Some(all) => bail!("{name} has {} elements; expected {count} times {size}", all.len()),
            None => Ok(&[][..]),
        };
        let [w, r, bias, peepholes] = weights;
        Ok(Self {
            net,
            activations,
            sizes,
            w: part("W", w, rows * sizes.columns)?,
            r: part("R", r, rows * sizes.hidden)?,
            bias: part("B", bias, 2 * rows)?,
            peepholes: part("P", peepholes, 3 * sizes.hidden)?,
        })
    }

    /// One step with input `x`.
    pub(super) fn step(&self, x: &[f32], memory: &mut Memory) {
        match self.net.kind {
            Kind::Lstm => self.lstm(x, memory),
            Kind::Gru => self.gru(x, memory),
            Kind::Rnn => self.rnn(x, memory),
        }
    }

    /// `W x + b` of one row of the gates.
    fn input(&self, row: usize, x: &[f32]) -> f32 {
        let columns = self.sizes.columns;
        dot(&self.w[row * columns..(row + 1) * columns], x) + self.bias.get(row).unwrap_or(&0.0)
    }

    /// `R h + b` of one row of the gates.
    fn state(&self, row: usize, h: &[f32]) -> f32 {
        let (hidden, rows) = (self.sizes.hidden, self.net.kind.gates() * self.sizes.hidden);
        dot(&self.r[row * hidden..(row + 1) * hidden], h) + self.bias.get(rows + row).unwrap_or(&0.0)
    }

    fn activate(&self, which: usize, x: f32) -> f32 {
        let x = self.net.clip.map_or(x, |clip| x.clamp(-clip, clip));
        self.activations[which].of(x)
    }

    fn lstm(&self, x: &[f32], memory: &mut Memory) {
        let Memory { h, c, gates, .. } = memory;
        gates.iter_mut().enumerate().for_each(|(row, gate)| *gate = self.input(row, x) + self.state(row, h));
        let hidden = self.sizes.hidden;
        let peephole = |gate: usize, at: usize, c: f32| self.peepholes.get(gate * hidden + at).map_or(0.0, |weight| weight * c);
        for at in 0..hidden {
            // The gates lie in the order i, o, f, c; the peepholes in i, o, f.
            let [i, o, f, g] = [0, 1, 2, 3].map(|gate| gates[gate * hidden + at]);
            let old = c[at];
            let i = self.activate(0, i + peephole(0, at, old));
            let f = if self.net.coupled { 1.0 - i } else { self.activate(0, f + peephole(2, at, old)) };
            c[at] = f * old + i * self.activate(1, g);
            let o = self.activate(0, o + peephole(1, at, c[at]));
            h[at] = o * self.activations[2].of(c[at]);
        }
    }

    fn gru(&self, x: &[f32], memory: &mut Memory) {
        let (hidden, Memory { h, gates, next, .. }) = (self.sizes.hidden, memory);
        // The gates lie in the order z, r, h.
        for (row, gate) in gates[..2 * hidden].iter_mut().enumerate() {
            *gate = self.activate(0, self.input(row, x) + self.state(row, h));
        }
        if !self.net.linear_before_reset {
            next.iter_mut().enumerate().for_each(|(at, reset)| *reset = gates[hidden + at] * h[at]);
        }
        for at in 0..hidden {
            let row = 2 * hidden + at;
            let state =
                if self.net.linear_before_reset { gates[hidden + at] * self.state(row, h) } else { self.state(row, next) };
            gates[row] = self.activate(1, self.input(row, x) + state);
        }
        for at in 0..hidden {
            let z = gates[at];
            h[at] = (1.0 - z) * gates[2 * hidden + at] + z * h[at];
        }
    }

    fn rnn(&self, x: &[f32], memory: &mut Memory) {
        let Memory { h, gates, .. } = memory;
        gates.iter_mut().enumerate().for_each(|(row, gate)| *gate = self.input(row, x) + self.state(row, h));
        h.iter_mut().zip(gates).for_each(|(h, gate)| *h = self.activate(0, *gate));
    }
}
