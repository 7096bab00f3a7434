//! Pruning by magnitude: the smallest values of each weight become zero (Han et al., 2015, "Learning both Weights and Connections").

use super::weights::weights;
use crate::proto::{GraphProto, TensorProto};

/// Zeroes `fraction` (0 to 1) of each weight; how many weights that changed.
pub(super) fn rewrite(graph: &mut GraphProto, fraction: f64) -> usize {
    let mut changed = 0;
    for weight in weights(graph) {
        let tensor = &mut graph.initializer[weight.at];
        let Some(mut values) = tensor.floats() else { continue };
        let zeros = ((values.len() as f64) * fraction.clamp(0.0, 1.0)) as usize;
        let Some(last) = zeros.checked_sub(1) else { continue };
        let mut order: Vec<usize> = (0..values.len()).collect();
        // Of equal ones the first go, so that the same file gives the same answer.
        let by_size = |one: &usize, other: &usize| values[*one].abs().total_cmp(&values[*other].abs()).then(one.cmp(other));
        order.select_nth_unstable_by(last, by_size);
        order.truncate(zeros);
        order.iter().for_each(|at| values[*at] = 0.0);
        *tensor = TensorProto::of_floats(tensor.name().to_owned(), tensor.dims.clone(), &values);
        changed += 1;
    }
    changed
}
