//! Pruning of attention heads (Michel et al., 2019, "Are Sixteen Heads Really Better than One?"): a head's columns of the weights that make
//! queries, keys and values go, its rows of the weight that reads what attention gives, and its part of every size in between.
//!
//! [`find`] looks for the heads of each attention, [`relations`] follows them from tensor to tensor through one node, [`walk`] through all of
//! them, [`sizes`] reads the shapes of `Reshape`, [`cut`] changes what the walk found, [`masks`] lets a server leave heads out for a trial.

mod cut;
mod find;
mod fused;
mod masks;
mod relations;
mod reshape;
mod sizes;
mod walk;

use std::collections::BTreeMap;

use super::{Change, Refused, lost};
use crate::proto::{GraphProto, ModelProto};
use crate::store::Store;
use find::seeds;
use walk::{Block, View, block};

pub use masks::{Mask, masked};

/// Which heads go.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Heads {
    /// Of all heads of the model, the share that goes.
    pub share: f64,
    /// What the answers lose without each head, by the attention's name; where it is not told a head's worth is that of its weights.
    pub losses: BTreeMap<String, Vec<f64>>,
}

/// The heads of one attention.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attention {
    /// The node that gives what the heads found.
    pub name: String,
    /// How many there are.
    pub heads: usize,
}

/// The attentions whose heads can go, and of the others why not.
#[must_use]
pub fn attentions(model: &ModelProto) -> (Vec<Attention>, Vec<String>) {
    let Some(graph) = &model.graph else { return (Vec::new(), Vec::new()) };
    let (blocks, left) = blocks(graph, model.opset());
    (blocks.into_iter().map(|block| Attention { name: block.name, heads: block.heads }).collect(), left)
}

fn blocks(graph: &GraphProto, opset: i64) -> (Vec<Block>, Vec<String>) {
    let (mut found, mut left): (Vec<Block>, Vec<String>) = (Vec::new(), Vec::new());
    let seeds = seeds(graph);
    if seeds.is_empty() {
        return (found, left);
    }
    let view = View::of(graph, opset);
    for seed in seeds {
        // Two that read the same keys are one.
        if found.iter().any(|block| block.lays.contains_key(&seed.output)) {
            continue;
        }
        match block(&view, &seed) {
            Ok(block) => found.push(block),
            Err(why) => left.push(format!("{}: {why}", seed.name)),
        }
    }
    (found, left)
}

/// Removes the heads of least worth, at least one of each attention stays.
pub(super) fn rewrite(graph: &mut GraphProto, opset: i64, plan: &Heads, store: &mut Store) -> Result<Change, Refused> {
    let (blocks, left) = blocks(graph, opset);
    let all: usize = blocks.iter().map(|block| block.heads).sum();
    if all == 0 {
        return if left.is_empty() {
            Ok(Change::default())
        } else {
            Err(Refused(format!("no head can go: {}", left.join("; "))))
        };
    }
    let wanted = (all as f64 * plan.share.clamp(0.0, 1.0)) as usize;
    if wanted == 0 {
        return Err(Refused(format!("a share of {} of {all} heads is less than one head", plan.share)));
    }
    let worths: Vec<Vec<f64>> = blocks.iter().map(|block| worth(graph, block, plan)).collect::<Result<_, _>>()?;
    let gone = least(&worths, wanted);
    let (mut count, mut rest) = (0, Vec::new());
    for (block, gone) in blocks.iter().zip(&gone) {
        let kept: Vec<usize> = (0..block.heads).filter(|head| !gone.contains(head)).collect();
        count += gone.len();
        rest.push(kept.len().to_string());
        if !gone.is_empty() {
            // Cuts before it have moved nodes: it is looked for again.
            let seed = seeds(graph).into_iter().find(|seed| seed.output == block.output);
            let now = seed.and_then(|seed| self::block(&View::of(graph, opset), &seed).ok());
            let Some(now) = now.filter(|now| now.heads == block.heads) else {
                return Err(Refused(format!("{}: it is entangled with another attention", block.name)));
            };
            cut::cut(graph, &now, &kept, store)?;
        }
    }
    let others = if left.is_empty() { String::new() } else { format!("; left as they are: {}", left.join("; ")) };
    Ok(Change { count, note: format!("of {all} heads {} are left: {}{others}", all - count, rest.join(", ")) })
}

/// Of each attention, the heads of least worth, as many in all, so that each keeps one.
fn least(worths: &[Vec<f64>], wanted: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<(usize, usize)> =
        worths.iter().enumerate().flat_map(|(at, heads)| (0..heads.len()).map(move |head| (at, head))).collect();
    order.sort_by(|one, other| worths[one.0][one.1].total_cmp(&worths[other.0][other.1]).then(one.cmp(other)));
    let mut gone: Vec<Vec<usize>> = vec![Vec::new(); worths.len()];
    let mut left = wanted;
    for (at, head) in order {
        if left > 0 && gone[at].len() + 1 < worths[at].len() {
            gone[at].push(head);
            left -= 1;
        }
    }
    gone
}

/// What each head is worth: what the answers lose without it where that is told; else the length of its parts of all weights, as a share of
/// the length of the attention's whole weights, as Michel et al. compare layers: by magnitude alone, whole layers would go first.
fn worth(graph: &GraphProto, block: &Block, plan: &Heads) -> Result<Vec<f64>, Refused> {
    if !plan.losses.is_empty() {
        let told = plan.losses.get(&block.name).filter(|losses| losses.len() == block.heads);
        return told.cloned().ok_or_else(|| Refused(format!("{}: what its heads are worth is not told", block.name)));
    }
    let mut sums = vec![0.0_f64; block.heads];
    for weight in block.weights() {
        let found = cut::initializer(graph, &weight.name).map(|at| &graph.initializer[at]);
        // A bias of scores, by positions, is no weight of the head.
        let Some(tensor) = found.filter(|tensor| tensor.dims.len() <= 2) else { continue };
        let Some(values) = tensor.fetched().map_err(|error| lost(tensor, &error))? else { continue };
        let inner = cut::inner(&tensor.shape(), weight.axis) * weight.block;
        values.iter().enumerate().for_each(|(at, value)| sums[at / inner % block.heads] += f64::from(*value).powi(2));
    }
    let whole: f64 = sums.iter().sum();
    Ok(sums.iter().map(|one| if whole > 0.0 { (one / whole).sqrt() } else { 0.0 }).collect())
}

#[cfg(test)]
mod tests;
