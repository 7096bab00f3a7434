//! From a list of steps to what is done for each request.

use modelyard_core::steps::{Step, Unknown};
use modelyard_wire::DataType;

use super::categories::Other;
use super::expect::Rules;
use super::numbers::{Function, Parameters, each};
use super::scope::Scope;
use super::{
    Action, Around, Compiled, StepError, boxes, buckets, bytes, cast, categories, classes, concat, datatype, expect, image,
    numbers, pool, texts, tokens,
};

/// The steps of a list, in order, over the columns of `scope`, which become those that the last one leaves.
pub(super) fn compile(
    list: &'static str,
    steps: &[Step],
    scope: &mut Scope,
    around: &Around<'_>,
) -> Result<Vec<Box<dyn Action>>, StepError> {
    let mut actions = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        let fault = |message: String| StepError::Step { list, at, op: step.op(), message };
        match step {
            Step::Cast { columns, datatype: to } => {
                actions.extend(datatype(*to).and_then(|to| cast::compile(scope, columns, to)).map_err(fault)?);
            }
            Step::DateParts { columns, parts } => actions.extend(texts::date_parts(scope, columns, parts).map_err(fault)?),
            _ => actions.extend(one(step, scope, around).map_err(fault)?),
        }
    }
    Ok(actions)
}

fn one(step: &Step, scope: &mut Scope, around: &Around<'_>) -> Result<Compiled, String> {
    let names = around.classes;
    match step {
        // Declared before the first step is compiled; [`compile`] has seen to what is several actions.
        Step::Input { .. } | Step::Cast { .. } | Step::DateParts { .. } => Ok(None),
        Step::Rename { .. } | Step::Select { .. } | Step::Drop { .. } => arrange(step, scope),
        Step::Concat { columns, to, datatype: wanted } => {
            let datatype = wanted.map_or(Ok(DataType::Fp32), datatype)?;
            concat::compile(scope, columns, (&to[0], datatype))
        }
        Step::OneHot { columns, values, texts, unknown } => {
            let other = if *unknown == Some(Unknown::Ignore) { Other::Be(0.0) } else { Other::Refuse };
            categories::one_hot(scope, columns, (values, texts, other))
        }
        Step::Ordinal { columns, values, texts, unknown_value, .. } => {
            let other = unknown_value.map_or(Other::Refuse, |value| Other::Be(value as f64));
            categories::ordinal(scope, columns, (values, texts, other))
        }
        Step::Bucketise { columns, edges } => buckets::compile(scope, columns, edges),
        Step::Expect { columns, min, max, values, texts, pattern, not_null, to, .. } => {
            let not_null = *not_null == Some(true);
            expect::compile(scope, columns, &Rules { min, max, values, texts, pattern: pattern.as_ref(), not_null, flags: to })
        }
        Step::Image { .. } => image::compile(step, scope),
        Step::Bytes { .. } => bytes::compile(step, scope),
        Step::Tokenize { .. } => tokens::compile(step, scope, around.folder),
        Step::Pool { columns, to, pooling, mask } => {
            pool::compile(scope, columns, to, (pooling.unwrap_or_default(), mask.as_deref()))
        }
        Step::NormaliseL2 { columns } => pool::normalise(scope, columns),
        Step::Hash { columns, buckets } => texts::hash(scope, columns, *buckets),
        Step::Softmax { columns } => classes::softmax(scope, columns),
        Step::Argmax { columns, to } => classes::argmax(scope, columns, to),
        Step::Labels { columns, to, texts } => classes::labels(scope, columns, to, (texts, names)),
        Step::TopK { columns, to, k, texts } => classes::top_k(scope, (&columns[0], to), *k, (texts, names)),
        Step::Boxes { .. } => boxes::compile(step, scope, names),
        Step::Threshold { columns, to, at } => classes::threshold(scope, columns, to, *at),
        Step::Fill { columns, texts, values } if values.is_empty() => numbers::fill_texts(scope, columns, texts),
        _ => scale(step, scope),
    }
}

/// What changes names and order alone.
fn arrange(step: &Step, scope: &mut Scope) -> Result<Compiled, String> {
    match step {
        Step::Rename { columns, to } => {
            // All at once, so that two may change places.
            let indices = columns.iter().map(|name| scope.index(name)).collect::<Result<Vec<_>, _>>()?;
            for (index, name) in indices.iter().zip(to) {
                scope.ports[*index].name.clone_from(name);
            }
            for name in to {
                if scope.ports.iter().filter(|port| port.name == *name).count() > 1 {
                    return Err(format!("column '{name}': there is one of this name already"));
                }
            }
        }
        Step::Select { columns } => {
            let mut kept = scope.all(columns)?;
            // Before a model what goes past it is on its way; nothing has to select it.
            kept.extend(scope.ports.drain(..).filter(|port| port.beside && !columns.contains(&port.name)));
            scope.ports = kept;
        }
        _ => {
            for name in step.columns() {
                scope.remove(name)?;
            }
        }
    }
    Ok(None)
}

/// What makes of each number another.
fn scale(step: &Step, scope: &mut Scope) -> Result<Compiled, String> {
    let with = |scope: &mut Scope, lists: &[(&'static str, &[f64])], function: &dyn Fn(&[f64]) -> Function| {
        each(scope, step.columns(), &Parameters { lists, function })
    };
    match step {
        Step::Fill { values, .. } => {
            let whole =
                step.columns().iter().find_map(|name| scope.port(name).ok().filter(|port| !super::is_float(port.datatype)));
            if let Some(port) = whole {
                return Err(
                    port.fault(format!("it is {}, which has no missing values; texts are filled with texts", port.datatype))
                );
            }
            with(scope, &[("values", values)], &|list| Function::Fill(list[0]))
        }
        Step::Clip { min, max, .. } => with(scope, &[("min", min), ("max", max)], &|list| {
            let bound = |number: f64, none: f64| if number.is_nan() { none } else { number };
            Function::Clip(bound(list[0], f64::NEG_INFINITY), bound(list[1], f64::INFINITY))
        }),
        Step::Standardise { mean, scale, .. } => {
            with(scope, &[("mean", mean), ("scale", scale)], &|list| Function::Centre(list[0], list[1]))
        }
        Step::Robust { center, scale, .. } => {
            with(scope, &[("center", center), ("scale", scale)], &|list| Function::Centre(list[0], list[1]))
        }
        Step::MinMax { min, max, low, high, .. } => {
            let (low, high) = (low.unwrap_or(0.0), high.unwrap_or(1.0));
            with(scope, &[("min", min), ("max", max)], &|list| {
                let slope = (high - low) / (list[1] - list[0]);
                Function::Line(slope, low - list[0] * slope)
            })
        }
        Step::Denormalise { mean, scale, .. } => {
            with(scope, &[("mean", mean), ("scale", scale)], &|list| Function::Line(list[1], list[0]))
        }
        Step::Log { offset, .. } => with(scope, &[], &|_| Function::Log(offset.unwrap_or(0.0))),
        Step::Exp { offset, .. } => with(scope, &[], &|_| Function::Exp(offset.unwrap_or(0.0))),
        _ => with(scope, &[], &|_| Function::Sigmoid),
    }
}
