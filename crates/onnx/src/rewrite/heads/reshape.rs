//! Heads through a `Reshape`: from a dimension that they share with their places into one of their own, and back.

use super::find::FAR;
use super::sizes::{Size, sizes};
use super::walk::{Edit, Lay, MOST, View, Walk, Why, shown};

/// The size of a tensor's last dimension, where the nodes before it tell.
pub(super) fn width(view: &View<'_>, name: &str, left: usize) -> Option<usize> {
    if let Some(size) = view.rank(name).filter(|rank| *rank > 0).and_then(|_| view.size(name, 1)) {
        return Some(size);
    }
    let node = &view.graph.node[*view.makers.get(name).filter(|_| left > 0)?];
    let columns = |back: usize| {
        let dims = view.constant(node, 1)?.shape();
        dims.len().checked_sub(back).and_then(|at| dims.get(at)).copied()
    };
    match node.op_type() {
        "MatMul" => columns(1),
        "Gemm" => columns(if node.attribute_named("transB").is_none_or(|one| one.i() == 0) { 1 } else { 2 }),
        "Reshape" => sizes(view, node).first().and_then(|size| size.fixed()),
        "Add" | "Mul" | "Div" | "Sub" | "Cast" | "Identity" | "Dropout" => {
            let data = node.input.iter().find(|name| view.makers.contains_key(name.as_str()))?;
            width(view, data, left - 1)
        }
        "Split" => {
            let parts = node.output.len();
            let sizes = view.integers(node, 1).or_else(|| node.attribute_named("split").map(|one| one.ints.clone()));
            let at = node.output.iter().position(|output| output == name)?;
            match sizes {
                Some(sizes) => usize::try_from(*sizes.get(at)?).ok(),
                None => width(view, node.input_at(0)?, left - 1).filter(|all| all % parts == 0).map(|all| all / parts),
            }
        }
        _ => None,
    }
}

pub(super) fn relate(walk: &mut Walk<'_>, at: usize) -> Result<(), Why> {
    let node = &walk.view.graph.node[at];
    let (input, output) = (node.input_at(0).unwrap_or("").to_owned(), node.output.first().cloned().unwrap_or_default());
    let of_shape = node.input_at(1).is_some_and(|name| walk.lay(name).is_some());
    if of_shape || node.attribute_named("allowzero").is_some_and(|one| one.i() != 0) {
        return Err(format!("{} has a shape that is not understood", shown(node)));
    }
    let sizes = sizes(walk.view, node);
    match (walk.lay(&input), walk.lay(&output)) {
        (_, Some(lay)) => before(walk, at, (&sizes, lay)),
        (Some(lay), None) => after(walk, at, (&sizes, lay)),
        (None, None) => Ok(()),
    }
}

/// Of what it gives, the heads lie there; where in what it takes?
fn before(walk: &mut Walk<'_>, at: usize, (sizes, lay): (&[Size], Lay)) -> Result<(), Why> {
    let node = &walk.view.graph.node[at];
    let input = node.input_at(0).unwrap_or("").to_owned();
    let odd = || format!("{} has a shape that is not understood", shown(node));
    let last = width(walk.view, &input, FAR);
    let maker = walk.view.makers.get(input.as_str()).map(|at| &walk.view.graph.node[*at]);
    if let Some(maker) = maker.filter(|maker| matches!(maker.op_type(), "Expand" | "Tile")) {
        return Err(format!("{} repeats keys or values: several heads read the same (grouped queries)", shown(maker)));
    }
    if lay.back == 1 {
        // Rows may be put together or apart; else the heads had a dimension of their own.
        let whole = lay.outer * lay.block * walk.heads;
        let stays =
            last == Some(whole) || (lay.block == 0 && last.is_some_and(|last| sizes.first() == Some(&Size::Is(last as i64))));
        entry(walk, at, (sizes, 1), lay.outer * lay.block)?;
        return match stays {
            true => walk.put(&input, lay),
            false if lay.outer == 1 => walk.put(&input, Lay::own(2)),
            false => Err(odd()),
        };
    }
    let right = sizes.get(..lay.back - 1).ok_or_else(odd)?;
    let inner = right.iter().try_fold(1_usize, |all, size| all.checked_mul(size.fixed()?)).filter(|inner| *inner <= MOST);
    let inner = inner.ok_or_else(odd)?;
    let outer = match last {
        Some(last) if last == inner && lay.back == 2 => return Err(odd()),
        Some(last) if last % (inner * walk.heads) == 0 => last / (inner * walk.heads),
        _ => return Err(format!("{} makes heads of {inner} places out of {last:?}", shown(node))),
    };
    if lay.outer != 1 || lay.block > 1 || (outer > 1 && sizes.get(lay.back) != Some(&Size::Is(outer as i64))) {
        return Err(odd());
    }
    entry(walk, at, (sizes, lay.back), 1)?;
    walk.put(&input, Lay::new(1, outer, inner))
}

/// Of what it takes, the heads lie there; where in what it gives?
fn after(walk: &mut Walk<'_>, at: usize, (sizes, lay): (&[Size], Lay)) -> Result<(), Why> {
    let node = &walk.view.graph.node[at];
    let (input, output) = (node.input_at(0).unwrap_or("").to_owned(), node.output.first().cloned().unwrap_or_default());
    let odd = || format!("{} has a shape that is not understood", shown(node));
    let (heads, first) = (walk.heads, *sizes.first().ok_or_else(odd)?);
    if lay.back == 2 && lay == Lay::own(2) {
        // The heads' places come together.
        let block = match (first, width(walk.view, &input, FAR)) {
            (Size::Is(-1), block) => block.unwrap_or(0),
            (Size::Is(size), block) => {
                let found = usize::try_from(size).ok().filter(|size| size % heads == 0).map(|size| size / heads);
                found.filter(|found| *found > 0 && block.is_none_or(|block| block == *found)).ok_or_else(odd)?
            }
            (Size::Open, _) => return Err(format!("{} computes the size that its heads have together", shown(node))),
        };
        entry(walk, at, (sizes, 1), block)?;
        return walk.put(&output, Lay::new(1, 1, block));
    }
    if lay.back != 1 || lay.block == 0 {
        return Err(odd());
    }
    let whole = lay.outer * lay.block * heads;
    if first == Size::Is(whole as i64) {
        entry(walk, at, (sizes, 1), lay.outer * lay.block)?;
        return walk.put(&output, lay);
    }
    // Each head's places are the last dimension; where there are queries, keys and values, these come before the heads.
    let split = first == Size::Is(lay.block as i64)
        && matches!(sizes.get(1), Some(Size::Is(size)) if *size == -1 || *size == heads as i64);
    if !split || (lay.outer > 1 && sizes.get(2) != Some(&Size::Is(lay.outer as i64))) {
        return Err(odd());
    }
    entry(walk, at, (sizes, 2), 1)?;
    walk.put(&output, Lay::own(2))
}

/// An entry of the shape that has to change: `per` for each head, unless it is left open.
fn entry(walk: &mut Walk<'_>, at: usize, (sizes, back): (&[Size], usize), per: usize) -> Result<(), Why> {
    let node = &walk.view.graph.node[at];
    match sizes.get(back - 1) {
        Some(Size::Is(-1)) => Ok(()),
        Some(Size::Is(size)) if usize::try_from(*size) == Ok(per * walk.heads) && per > 0 => {
            walk.edit(Edit::Size { node: at, back, per });
            Ok(())
        }
        Some(Size::Is(size)) => Err(format!("{} has {size} in its shape, not {}", shown(node), per * walk.heads)),
        _ => Err(format!("{} computes the size of the dimension that its heads lie in", shown(node))),
    }
}
