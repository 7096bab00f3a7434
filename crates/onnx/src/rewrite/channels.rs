//! Pruning of whole channels: rows of dense layers and filters of convolutions go, with what follows of them, so tensors shrink and runs
//! shorten. A channel's worth is the length of its own weights times the length of the weights that read it (the norm of Li et al., 2016,
//! "Pruning Filters for Efficient ConvNets", on both sides: a layer may be scaled up where the next is scaled down). The least go.

use std::collections::HashMap;

use super::flow::{Cut, Group, group};
use super::{Refused, full, lost};
use crate::names;
use crate::proto::{GraphProto, NodeProto, TensorProto};
use crate::store::Store;

/// Channels that kernels compute side by side: with 12 of 16 left ONNX Runtime was measured to be slower, with 8 faster.
const LANES: usize = 8;

/// Removes `share` (0 to 1), or what makes the rest whole eights, of the channels of each layer that can lose some; how many channels that were.
pub(super) fn rewrite(graph: &mut GraphProto, share: f64, store: &mut Store) -> Result<usize, Refused> {
    let mut gone = 0;
    for producer in 0..graph.node.len() {
        let Some(group) = group(graph, producer) else { continue };
        let leave = (group.channels as f64 * share.clamp(0.0, 1.0)) as usize;
        let stay = (group.channels - leave.min(group.channels)).max(1);
        let stay = if group.channels > LANES { stay.next_multiple_of(LANES) } else { stay };
        if stay >= group.channels {
            continue;
        }
        let kept = best(graph, &group, stay)?;
        cut(graph, &group, &kept, store)?;
        gone += group.channels - stay;
    }
    Ok(gone)
}

fn initializer(graph: &GraphProto, name: &str) -> Option<usize> {
    graph.initializer.iter().position(|one| one.name() == name)
}

/// The `count` channels of most worth, in their order.
fn best(graph: &GraphProto, group: &Group, count: usize) -> Result<Vec<usize>, Refused> {
    let (mut own, mut readers) = (vec![0.0_f64; group.channels], vec![0.0_f64; group.channels]);
    for (cuts, sums) in [(&group.made, &mut own), (&group.read, &mut readers)] {
        for cut in cuts {
            let Some(at) = initializer(graph, &cut.name) else { continue };
            let tensor = &graph.initializer[at];
            let Some(values) = tensor.fetched().map_err(|error| lost(tensor, &error))? else { continue };
            let (inner, size) = (inner(tensor, cut), group.channels);
            values.iter().enumerate().for_each(|(at, value)| sums[at / inner % size] += f64::from(*value).powi(2));
        }
    }
    let worth: Vec<f64> = own.iter().zip(&readers).map(|(own, readers)| own.sqrt() * readers.sqrt()).collect();
    let mut order: Vec<usize> = (0..group.channels).collect();
    order.sort_by(|one, other| worth[*other].total_cmp(&worth[*one]).then(one.cmp(other)));
    order.truncate(count);
    order.sort_unstable();
    Ok(order)
}

/// Elements of one channel that lie beside each other.
fn inner(tensor: &TensorProto, cut: &Cut) -> usize {
    tensor.shape()[cut.axis + 1..].iter().product::<usize>() * cut.block
}

fn cut(graph: &mut GraphProto, group: &Group, kept: &[usize], store: &mut Store) -> Result<(), Refused> {
    for cut in group.made.iter().chain(&group.read).chain(&group.beside) {
        let Some(at) = initializer(graph, &cut.name) else { continue };
        let tensor = &graph.initializer[at];
        let Some(values) = tensor.fetched().map_err(|error| lost(tensor, &error))? else { continue };
        let inner = inner(tensor, cut);
        let mut left = Vec::with_capacity(values.len() / group.channels * kept.len());
        for whole in values.chunks_exact(inner * group.channels) {
            kept.iter().for_each(|channel| left.extend_from_slice(&whole[channel * inner..][..inner]));
        }
        let mut dims = tensor.dims.clone();
        dims[cut.axis] = size(kept.len() * cut.block);
        let made = TensorProto::of_floats(tensor.name().to_owned(), dims, &left);
        graph.initializer[at] = store.keep(made).map_err(|error| full(&error))?;
    }
    for node in &group.grouped {
        let groups = graph.node[*node].attribute.iter_mut().find(|one| one.name() == "group");
        groups.into_iter().for_each(|one| one.i = Some(size(kept.len())));
    }
    // What was said of these tensors' shapes is no longer so.
    graph.value_info.retain(|one| !group.names.contains(one.name()));
    Ok(())
}

fn size(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Counts of uses, and initializers, of a graph: what a walk along its channels looks at.
pub(super) struct Known<'a> {
    pub(super) uses: HashMap<String, usize>,
    pub(super) tensors: HashMap<&'a str, &'a TensorProto>,
}

impl<'a> Known<'a> {
    pub(super) fn of(graph: &'a GraphProto) -> Self {
        let tensors = graph.initializer.iter().map(|one| (one.name(), one)).collect();
        Self { uses: names::uses(graph), tensors }
    }

    /// The FP32 weight that a node alone has at that input.
    pub(super) fn own(&self, node: &NodeProto, at: usize) -> Option<&'a TensorProto> {
        let name = node.input_at(at)?;
        (self.uses.get(name) == Some(&1))
            .then(|| self.tensors.get(name).copied())?
            .filter(|one| one.is_floats() && one.count() != Some(0))
    }
}
