//! Pruning by magnitude: the smallest values of each weight become zero (Han et al., 2015, "Learning both Weights and Connections").

use super::weights::weights;
use super::{Refused, full, lost};
use crate::proto::{GraphProto, TensorProto};
use crate::store::Store;

/// Zeroes `fraction` (0 to 1) of each weight; how many weights that changed.
pub(super) fn rewrite(graph: &mut GraphProto, fraction: f64, store: &mut Store) -> Result<usize, Refused> {
    let mut changed = 0;
    for weight in weights(graph) {
        let tensor = &mut graph.initializer[weight.at];
        let Some(mut values) = tensor.fetched().map_err(|error| lost(tensor, &error))? else { continue };
        let zeros = ((values.len() as f64) * fraction.clamp(0.0, 1.0)) as usize;
        let Some(last) = zeros.checked_sub(1) else { continue };
        let mut order: Vec<usize> = (0..values.len()).collect();
        // Of equal ones the first go, so that the same file gives the same answer.
        let by_size = |one: &usize, other: &usize| values[*one].abs().total_cmp(&values[*other].abs()).then(one.cmp(other));
        order.select_nth_unstable_by(last, by_size);
        order.truncate(zeros);
        order.iter().for_each(|at| values[*at] = 0.0);
        let made = TensorProto::of_floats(tensor.name().to_owned(), tensor.dims.clone(), &values);
        *tensor = store.keep(made).map_err(|error| full(&error))?;
        changed += 1;
    }
    Ok(changed)
}
