//! Bodies that run once for each step: what they hand on to the next step comes back in.

use tract_onnx::tract_core::ops::scan::{InputMapping, Scan};
use tract_onnx::tract_hir::internal::*;

use super::{Known, Values};

/// Rounds in which bounds are waited for; after them there are none, and what is left of the rest can only grow.
const PATIENCE: usize = 2;

/// What goes into the body, at any step.
pub(in crate::engine::tract::ops::repair) fn entering(scan: &Scan, inputs: &[Known]) -> TractResult<TVec<Known>> {
    settled(scan, inputs).map(|(entering, _)| entering)
}

/// What comes out of the node.
pub(super) fn leaving(scan: &Scan, inputs: &[Known]) -> TractResult<TVec<Known>> {
    let (entering, last) = settled(scan, inputs)?;
    let mut states = states(scan).map(|at| entering[at]);
    let mut outputs: TVec<Option<Known>> = tvec!();
    for (mapping, known) in scan.output_mapping.iter().zip(last) {
        // Without a step a state is what it was.
        let known = if mapping.state { states.next().map_or(known, |state| state.or(known)) } else { known };
        for slot in mapping.last_value_slot.into_iter().chain(mapping.scan.map(|(slot, _)| slot)) {
            if outputs.len() <= slot {
                outputs.resize(slot + 1, None);
            }
            outputs[slot] = Some(outputs[slot].map_or(known, |other| other.or(known)));
        }
    }
    Ok(outputs.into_iter().map(|known| known.unwrap_or(Known::ANYTHING)).collect())
}

fn states(scan: &Scan) -> impl Iterator<Item = usize> + '_ {
    scan.input_mapping.iter().enumerate().filter(|(_, mapping)| **mapping == InputMapping::State).map(|(at, _)| at)
}

/// What goes into the body and what comes out of it, when another step changes nothing.
fn settled(scan: &Scan, inputs: &[Known]) -> TractResult<(TVec<Known>, TVec<Known>)> {
    let mut entering: TVec<Known> = inputs.into();
    for round in 0.. {
        let values = Values::of(&scan.body, &entering)?;
        let outputs: TVec<Known> = scan.body.output_outlets()?.iter().map(|outlet| values.get(*outlet)).collect();
        let handed = scan.output_mapping.iter().zip(&outputs).filter(|(mapping, _)| mapping.state).map(|(_, known)| *known);
        let mut next = entering.clone();
        for (at, handed) in states(scan).zip(handed) {
            next[at] = entering[at].or(handed);
            if round >= PATIENCE && next[at] != entering[at] {
                let Known { infinite, nan, .. } = next[at];
                next[at] = Known { infinite, nan, ..Known::FINITE };
            }
        }
        if next == entering {
            return Ok((entering, outputs));
        }
        entering = next;
    }
    bail!("a body is never at rest")
}
