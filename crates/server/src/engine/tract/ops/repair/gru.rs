//! A GRU over a whole sequence, in plain arithmetic: tract's operator for it keeps its gates to itself, and they lose NaN.

use tract_onnx::tract_core::ops::gru_seq::GruSeq;
use tract_onnx::tract_hir::internal::*;

use crate::engine::tract::ops::numbers::{dot, slice, tensor};

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// The states of all steps, [rows, time, hidden] (no step where they are not asked for), and the last, [rows, 1, hidden]. The inputs are
/// what comes in, [rows, time, columns], its weights [3 * hidden, columns], the state's [3 * hidden, hidden], in the order z, r, h;
/// the biases of both, 6 * hidden, if there are any; and the first state, [rows, 1, hidden].
pub(super) fn run(net: &GruSeq, inputs: &[TValue]) -> TractResult<TVec<TValue>> {
    let &[rows, time, columns] = inputs[0].shape() else { bail!("X has {} dimensions; expected three", inputs[0].rank()) };
    let hidden = net.hidden;
    let (x, w, r) = (slice::<f32>(&inputs[0])?, slice::<f32>(&inputs[1])?, slice::<f32>(&inputs[2])?);
    let biases = if net.has_bias { slice::<f32>(&inputs[3])? } else { &[] };
    let bias = |at: usize| biases.get(at).copied().unwrap_or(0.0);
    let mut state = slice::<f32>(&inputs[inputs.len() - 1])?.to_vec();
    let steps = if net.emit_y { time } else { 0 };
    let mut all = vec![0.0; rows * steps * hidden];
    for step in 0..time {
        let at = if net.chunk < 0 { time - 1 - step } else { step };
        for row in 0..rows {
            let now = &x[(row * time + at) * columns..][..columns];
            let before = state[row * hidden..][..hidden].to_vec();
            let given = |gate: usize| dot(now, &w[gate * columns..][..columns]) + bias(gate);
            let kept = |gate: usize| dot(&before, &r[gate * hidden..][..hidden]) + bias(3 * hidden + gate);
            for unit in 0..hidden {
                let update = sigmoid(given(unit) + kept(unit));
                let reset = sigmoid(given(hidden + unit) + kept(hidden + unit));
                let new = (given(2 * hidden + unit) + reset * kept(2 * hidden + unit)).tanh();
                state[row * hidden + unit] = new + update * (before[unit] - new);
            }
            if net.emit_y {
                all[(row * time + at) * hidden..][..hidden].copy_from_slice(&state[row * hidden..][..hidden]);
            }
        }
    }
    Ok(tvec!(tensor(&[rows, steps, hidden], all)?.into_tvalue(), tensor(&[rows, 1, hidden], state)?.into_tvalue()))
}
