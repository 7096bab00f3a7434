//! Sequences: requests that belong together, for models that keep state from one to the next. No model here does.
//! Source: Triton's sequence extension.

use crate::fault::Fault;

/// Refuses a request that is one of a sequence: answered as if it were alone, it would be answered wrongly. `says_nothing`: the
/// parameter's value is 0, the empty string or false, as in requests that are of no sequence.
///
/// # Errors
/// `INVALID_ARGUMENT` that names the parameter.
pub(in crate::protocol) fn refuse(name: &str, says_nothing: bool) -> Result<(), Fault> {
    if says_nothing || !matches!(name, "sequence_id" | "sequence_start" | "sequence_end") {
        return Ok(());
    }
    Err(Fault::invalid(format!("parameter '{name}': this model keeps no sequence state; leave the parameter out")))
}
