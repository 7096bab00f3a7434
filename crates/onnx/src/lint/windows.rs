//! Windows that go over a tensor's dimensions, and what is put around it: the lists of numbers of convolutions, pools and `Pad`.

use super::rules::Call;

/// Operators whose windows have the size of a weight, and which input that is.
const CONVOLUTIONS: [(&str, usize); 4] = [("Conv", 1), ("ConvInteger", 1), ("ConvTranspose", 1), ("QLinearConv", 3)];
const POOLS: [&str; 3] = ["AveragePool", "LpPool", "MaxPool"];

/// Looks at what a node's definition asks of its numbers, whatever it is applied to.
///
/// # Errors
/// The attribute or input, what was found and what was expected.
pub(super) fn check(call: &Call<'_>) -> Result<(), String> {
    let operator = call.node.op_type();
    match CONVOLUTIONS.iter().find(|(name, _)| *name == operator) {
        Some((_, weight)) => window(call, call.shape(*weight).map(Vec::len)),
        None if POOLS.contains(&operator) => window(call, None),
        None if operator == "Pad" => padding(call),
        None => Ok(()),
    }
}

/// `weight` is how many dimensions the weight has, where it is one.
fn window(call: &Call<'_>, weight: Option<usize>) -> Result<(), String> {
    let list = |name: &str| call.attribute(name).map(|one| one.ints.as_slice());
    let of_weight = weight.and_then(|rank| rank.checked_sub(2)).filter(|rank| *rank > 0);
    let rank = of_weight.or(list("kernel_shape").map(<[i64]>::len));
    for (name, least) in [("kernel_shape", 1), ("strides", 1), ("dilations", 1), ("output_padding", 0)] {
        let Some(found) = list(name) else { continue };
        if let Some(rank) = rank.filter(|rank| *rank != found.len()) {
            return Err(format!(
                "attribute '{name}': {found:?}; expected {}, one for each dimension of the window",
                entries(rank)
            ));
        }
        if found.iter().any(|one| *one < least) {
            return Err(format!("attribute '{name}': {found:?}; expected {least} or more each"));
        }
    }
    if let Some(group) = call.attribute("group").map(|one| one.i()).filter(|group| *group < 1) {
        return Err(format!("attribute 'group': {group}; expected 1 or more"));
    }
    let Some(pads) = list("pads") else { return Ok(()) };
    if pads.iter().any(|one| *one < 0) {
        return Err(format!("attribute 'pads': {pads:?}; expected 0 or more each"));
    }
    // Beside another way to pad, numbers are not read.
    let by_numbers = call.attribute("auto_pad").is_none_or(|one| matches!(one.s(), b"" | b"NOTSET"));
    match rank.filter(|rank| by_numbers && pads.len() != 2 * rank) {
        Some(rank) => Err(both_sides("attribute 'pads'", pads, (&entries(2 * rank), "dimension of the window"))),
        None => Ok(()),
    }
}

fn padding(call: &Call<'_>) -> Result<(), String> {
    let integers = |at: usize| call.constants.get(at).copied().flatten().and_then(|one| one.integers());
    let (place, pads) = match (call.attribute("pads"), integers(1)) {
        (Some(pads), _) => ("attribute 'pads'".to_owned(), pads.ints.clone()),
        (None, Some(pads)) => (format!("input[1] '{}'", call.node.input_at(1).unwrap_or_default()), pads),
        (None, None) => return Ok(()),
    };
    let (rank, of) = match call.node.input_at(3) {
        Some(_) => (integers(3).map(|axes| axes.len()), "axis"),
        None => (call.shape(0).map(Vec::len), "dimension of the input"),
    };
    let expected = match rank {
        Some(rank) if Some(pads.len()) != rank.checked_mul(2) => entries(2 * rank),
        None if !pads.len().is_multiple_of(2) => "an even number of entries".to_owned(),
        _ => return Ok(()),
    };
    Err(both_sides(&place, &pads, (&expected, of)))
}

fn both_sides(place: &str, pads: &[i64], (expected, of): (&str, &str)) -> String {
    format!("{place}: {pads:?}; expected {expected}, a begin and an end for each {of}")
}

fn entries(count: usize) -> String {
    format!("{count} {}", if count == 1 { "entry" } else { "entries" })
}
