//! What is known of small graphs.

use tract_onnx::tract_core::ops::binary::TypedBinOp;
use tract_onnx::tract_core::ops::change_axes::wire_rank_broadcast;
use tract_onnx::tract_core::ops::logic::{Iff, comp_eq};
use tract_onnx::tract_core::ops::math;
use tract_onnx::tract_core::ops::math::is_nan;
use tract_onnx::tract_core::ops::nn::{self, Reduce, Reducer, Softmax, SoftmaxKind};
use tract_onnx::tract_core::ops::scan::{InputMapping, OutputMapping, Scan, ScanInfo};

use super::super::{Care, first, last};
use super::*;
use crate::engine::tract::ops::numbers::slice;

/// A graph of one input, [3, 4], in the making.
struct Graph(TypedModel);

impl Graph {
    fn node(&mut self, op: impl Into<Box<dyn TypedOp>>, inputs: &[OutletId]) -> OutletId {
        let name = format!("n{}", self.0.nodes.len());
        let inputs = wire_rank_broadcast(&name, &mut self.0, inputs).unwrap();
        self.0.wire_node(format!("{name}.op"), op, &inputs).unwrap()[0]
    }

    fn number(&mut self, number: f32) -> OutletId {
        self.constant(tensor0(number))
    }

    fn constant(&mut self, tensor: Tensor) -> OutletId {
        let name = format!("n{}", self.0.nodes.len());
        self.0.add_const(name, tensor).unwrap()
    }

    fn sum(&mut self, x: OutletId) -> OutletId {
        self.node(Reduce::new(tvec!(1), Reducer::Sum), &[x])
    }
}

/// What is known of what `build` makes of finite numbers.
fn known(build: impl FnOnce(&mut Graph, OutletId) -> OutletId) -> Known {
    let mut graph = Graph(TypedModel::default());
    let x = graph.0.add_source("x", f32::fact([3, 4])).unwrap();
    let y = build(&mut graph, x);
    graph.0.select_output_outlets(&[y]).unwrap();
    Values::of(&graph.0, &[Known::FINITE]).unwrap().get(y)
}

#[track_caller]
fn safe(build: impl FnOnce(&mut Graph, OutletId) -> OutletId) {
    let found = known(build);
    assert!(!found.lacks(), "{found:?}");
}

#[track_caller]
fn lacks(build: impl FnOnce(&mut Graph, OutletId) -> OutletId) {
    let found = known(build);
    assert!(found.lacks(), "{found:?}");
}

type Each = fn() -> ElementWise;
type ElementWise = tract_onnx::tract_core::ops::element_wise::ElementWiseOp;

#[test]
fn what_may_lie_outside_of_a_domain_lacks_numbers() {
    let ops: [Each; 10] = [
        math::ln,
        math::sqrt,
        math::rsqrt,
        math::recip,
        math::acos,
        math::asin,
        math::acosh,
        math::atanh,
        || math::pow_const(0.5),
        || math::pow_const(-2.0),
    ];
    for op in ops {
        lacks(|g, x| g.node(op(), &[x]));
        // What is carried on is not lost, whatever computes with it.
        lacks(|g, x| {
            let y = g.node(op(), &[x]);
            let y = g.node(math::mul(), &[y, x]);
            g.sum(y)
        });
    }
    for op in [math::div(), math::rem(), math::pow()] {
        lacks(|g, x| {
            let y = g.node(nn::sigmoid(), &[x]);
            g.node(op, &[x, y])
        });
    }
}

#[test]
fn what_is_never_outside_of_it_lacks_none() {
    let ops: [Each; 11] = [
        math::exp,
        math::abs,
        math::square,
        math::tanh,
        math::erf,
        math::cos,
        math::atan,
        math::neg,
        nn::sigmoid,
        || math::pow_const(3.0),
        || nn::leaky_relu(0.1),
    ];
    for op in ops {
        safe(|g, x| g.node(op(), &[x]));
    }
    let not_negative: [Each; 5] = [math::exp, math::abs, math::square, nn::sigmoid, || math::pow_const(4.0)];
    for op in not_negative {
        for root in [math::sqrt, || math::pow_const(0.5)] {
            safe(|g, x| {
                let y = g.node(op(), &[x]);
                let y = g.sum(y);
                g.node(root(), &[y])
            });
        }
        // With something added, it is not 0.
        safe(|g, x| {
            let (y, few) = (g.node(op(), &[x]), g.number(1e-12));
            let y = g.node(math::add(), &[y, few]);
            let y = g.node(math::rsqrt(), &[y]);
            g.node(math::mul(), &[x, y])
        });
    }
    // Of a number that is 0 in this datatype.
    lacks(|g, x| {
        let (y, few) = (g.node(math::abs(), &[x]), g.number(1e-12));
        let y = g.node(math::add(), &[y, few]);
        let y = g.node(tract_core::ops::cast::cast(f16::datum_type()), &[y]);
        g.node(math::recip(), &[y])
    });
}

#[test]
fn the_patterns_of_networks_lack_none() {
    // Softmax by hand, and its logarithm.
    safe(|g, x| {
        let most = g.node(Reduce::new(tvec!(1), Reducer::Max), &[x]);
        let y = g.node(math::sub(), &[x, most]);
        let y = g.node(math::exp(), &[y]);
        let sum = g.sum(y);
        let log = g.node(math::ln(), &[sum]);
        let shares = g.node(math::div(), &[y, sum]);
        g.node(math::add(), &[shares, log])
    });
    // The mean over as many as there are, at least a few.
    safe(|g, x| {
        let (mask, few) = (g.node(nn::sigmoid(), &[x]), g.number(1e-9));
        let count = g.sum(mask);
        let count = g.node(math::max(), &[count, few]);
        g.node(math::div(), &[x, count])
    });
    lacks(|g, x| {
        let mask = g.node(nn::sigmoid(), &[x]);
        let count = g.sum(mask);
        g.node(math::div(), &[x, count])
    });
    // Constant divisors, which are 0 or not.
    for (divisor, whether) in [(2.5, false), (-1.0, false), (0.0, true)] {
        let found = known(|g, x| {
            let divisor = g.number(divisor);
            g.node(math::div(), &[x, divisor])
        });
        assert_eq!(found.lacks(), whether, "{divisor}: {found:?}");
    }
    // Within the bounds of what is asked for.
    safe(|g, x| {
        let (low, high) = (g.number(-1.0), g.number(1.0));
        let y = g.node(math::max(), &[x, low]);
        let y = g.node(math::min(), &[y, high]);
        g.node(math::acos(), &[y])
    });
}

#[test]
fn infinities_of_a_file_are_seen() {
    let endless = |g: &mut Graph| g.constant(tensor2(&[[0.0, f32::NEG_INFINITY, 0.0, 0.0]; 3]));
    let hidden = |g: &mut Graph| g.constant(tensor2(&[[f32::NEG_INFINITY; 4]; 3]));
    let softmax = || Softmax { axes: tvec!(1), quant_output_dt: None, kind: SoftmaxKind::Softmax };
    // What is left in each row has a share; what is taken out has none.
    safe(|g, x| {
        let mask = endless(g);
        let y = g.node(math::add(), &[x, mask]);
        g.node(softmax(), &[y])
    });
    lacks(|g, x| {
        let mask = hidden(g);
        let y = g.node(math::add(), &[x, mask]);
        g.node(softmax(), &[y])
    });
    // A mask along the other axis may hide a row.
    lacks(|g, x| {
        let mask = g.constant(tensor2(&[[0.0], [f32::NEG_INFINITY], [0.0]]));
        let y = g.node(math::add(), &[x, mask]);
        g.node(softmax(), &[y])
    });
    let found = known(|g, x| {
        let mask = endless(g);
        g.node(math::add(), &[x, mask])
    });
    assert!(found.infinite && !found.nan, "{found:?}");
    let found = known(|g, x| {
        let mask = endless(g);
        g.node(math::mul(), &[x, mask])
    });
    assert!(found.nan, "{found:?}");
    let found = known(|g, x| {
        let weights = g.constant(tensor1(&vec![f32::NAN; 5000]).into_shape(&[1, 5000]).unwrap());
        let column = g.sum(x);
        g.node(math::mul(), &[column, weights])
    });
    assert!(found.nan, "{found:?}");
}

#[test]
fn what_a_condition_says_is_heeded() {
    let nothing_divided = |g: &mut Graph, x: OutletId, swapped: bool| {
        let (zero, one) = (g.number(0.0), g.number(1.0));
        let none = g.node(TypedBinOp(comp_eq(), None), &[x, zero]);
        let divisor = if swapped { g.node(Iff, &[none, x, one]) } else { g.node(Iff, &[none, one, x]) };
        g.node(math::div(), &[x, divisor])
    };
    safe(|g, x| nothing_divided(g, x, false));
    lacks(|g, x| nothing_divided(g, x, true));
    let found = known(|g, x| {
        let (y, zero) = (g.node(math::ln(), &[x]), g.number(0.0));
        let missing = g.node(is_nan(), &[y]);
        g.node(Iff, &[missing, zero, y])
    });
    assert!(!found.nan && found.infinite, "{found:?}");
}

/// A state that is halved and to which `step` adds something of the input, at each of three steps.
fn scanned(step: fn(&mut Graph, OutletId, OutletId) -> OutletId) -> Known {
    known(|g, x| {
        let mut body = Graph(TypedModel::default());
        let state = body.0.add_source("state", f32::fact([1, 4])).unwrap();
        let part = body.0.add_source("part", f32::fact([1, 4])).unwrap();
        let next = step(&mut body, state, part);
        body.0.select_output_outlets(&[next]).unwrap();
        let first = g.constant(tensor2(&[[1_f32; 4]]));
        let scan = Scan {
            body: body.0,
            input_mapping: vec![InputMapping::State, InputMapping::Scan(ScanInfo { axis: 0, chunk: 1 })],
            output_mapping: vec![OutputMapping {
                scan: Some((0, ScanInfo { axis: 0, chunk: 1 })),
                full_dim_hint: None,
                last_value_slot: None,
                state: true,
            }],
            ..Scan::default()
        };
        g.0.wire_node("scan", scan, &[first, x]).unwrap()[0]
    })
}

#[test]
fn what_a_step_hands_on_comes_back() {
    let found = scanned(|g, state, part| {
        let part = g.node(math::abs(), &[part]);
        g.node(math::add(), &[state, part])
    });
    assert!(found.least >= 0.0 && !found.lacks(), "{found:?}");
    // Not the first step's state is outside, but the second's.
    let found = scanned(|g, state, part| {
        let root = g.node(math::sqrt(), &[state]);
        g.node(math::sub(), &[root, part])
    });
    assert!(found.nan, "{found:?}");
    let found = scanned(|g, state, part| {
        let shrunk = g.node(nn::sigmoid(), &[state]);
        g.node(math::add(), &[shrunk, part])
    });
    assert!(!found.lacks(), "{found:?}");
}

/// Not its neighbour, which takes the same input as it is.
#[test]
fn only_what_may_lack_a_number_is_guarded() {
    let guarded = |care: fn(&TypedModel) -> Care, build: fn(&mut Graph, OutletId) -> Vec<OutletId>| {
        let mut graph = Graph(TypedModel::default());
        let x = graph.0.add_source("x", f32::fact([3, 4])).unwrap();
        let outputs = build(&mut graph, x);
        graph.0.select_output_outlets(&outputs).unwrap();
        let care = care(&graph.0);
        first(&mut graph.0, &care).unwrap();
        let names = super::super::guarded(&graph.0);
        let at = |output: &OutletId| names.contains(&graph.0.node(output.node).name);
        outputs.iter().map(at).collect::<Vec<_>>()
    };
    let two: fn(&mut Graph, OutletId) -> Vec<OutletId> = |g, x| {
        let (log, zero) = (g.node(math::ln(), &[x]), g.number(0.0));
        vec![
            g.node(math::max(), &[log, zero]),
            g.node(math::max(), &[x, zero]),
            g.node(math::tanh(), &[log]),
            g.node(math::tanh(), &[x]),
        ]
    };
    assert_eq!(guarded(Care::finite, two), [true, false, true, false]);
    assert_eq!(guarded(|_| Care::Any, two), [true; 4]);
    // tract would take these out of the plan.
    let products: fn(&mut Graph, OutletId) -> Vec<OutletId> = |g, x| {
        let (log, zero) = (g.node(math::ln(), &[x]), g.number(0.0));
        vec![g.node(math::mul(), &[log, zero]), g.node(math::mul(), &[x, zero])]
    };
    assert_eq!(guarded(Care::finite, products), [true, false]);
    let roots: fn(&mut Graph, OutletId) -> Vec<OutletId> = |g, x| {
        let size = g.node(math::abs(), &[x]);
        vec![g.node(math::sqrt(), &[x]), g.node(math::sqrt(), &[size])]
    };
    assert_eq!(guarded(Care::finite, roots), [true, false]);
}

/// An operator that nobody told of may do anything.
#[test]
fn what_is_not_known_may_be_anything() {
    lacks(|g, x| g.node(tract_core::ops::nn::ClampedSwiGlu { alpha: 1.0, limit: 1.0 }, &[x, x]));
}

/// What a plan gives.
fn run(mut model: TypedModel, care: &Care, x: &TValue, optimised: bool) -> TractResult<TVec<TValue>> {
    first(&mut model, care)?;
    if optimised {
        model = model.into_decluttered()?.into_optimized()?;
    }
    last(&mut model);
    TypedSimplePlan::new(model)?.run(tvec!(x.clone()))
}

/// Where NaN is.
fn missing(tensor: &Tensor) -> Vec<bool> {
    slice::<f32>(tensor).unwrap().iter().map(|value| value.is_nan()).collect()
}

/// Graphs of a few operators, thrown together: no value is what is said that it cannot be, and an optimised plan loses no NaN of it. Overflows
/// are left out, as they are there.
#[test]
fn what_is_known_is_so() {
    let mut dice = 5_u64;
    let mut roll = |sides: usize| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (dice >> 33) as usize % sides
    };
    const NUMBERS: [f32; 11] = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 0.001, 3.0, f32::NEG_INFINITY];
    let (mut seen, mut lacking) = (0, 0);
    for _ in 0..3000 {
        let mut graph = Graph(TypedModel::default());
        let mut values = vec![graph.0.add_source("x", f32::fact([2, 3])).unwrap()];
        for _ in 0..7 {
            let (a, b) = (values[roll(values.len())], values[roll(values.len())]);
            let next = match roll(8) {
                0 => graph.constant(tensor2(&[[NUMBERS[roll(NUMBERS.len())]; 3]])),
                1 => {
                    let axis = roll(2);
                    let reducer = [Reducer::Sum, Reducer::Max, Reducer::Min, Reducer::Prod, Reducer::MeanOfSquares][roll(5)];
                    graph.node(Reduce::new(tvec!(axis), reducer), &[a])
                }
                2 => {
                    let asked = graph.node(TypedBinOp(comp_eq(), None), &[a, b]);
                    graph.node(Iff, &[asked, b, a])
                }
                3 | 4 => {
                    let pairs: [fn() -> TypedBinOp; 8] =
                        [math::add, math::sub, math::mul, math::div, math::min, math::max, math::pow, math::rem];
                    graph.node(pairs[roll(8)](), &[a, b])
                }
                _ => {
                    let ops: [Each; 29] = [
                        math::abs,
                        math::exp,
                        math::ln,
                        math::square,
                        math::sqrt,
                        math::recip,
                        math::rsqrt,
                        math::ceil,
                        math::floor,
                        math::round_half_to_even,
                        math::cos,
                        math::sin,
                        math::tan,
                        math::acos,
                        math::asin,
                        math::atan,
                        math::cosh,
                        math::sinh,
                        math::tanh,
                        math::erf,
                        math::acosh,
                        math::asinh,
                        math::atanh,
                        math::neg,
                        math::sign,
                        nn::sigmoid,
                        nn::hard_swish,
                        || nn::leaky_relu(0.1),
                        || math::pow_const(-1.5),
                    ];
                    graph.node(ops[roll(29)](), &[a])
                }
            };
            values.push(next);
        }
        let outlets: Vec<OutletId> = graph.0.nodes.iter().map(|node| node.id.into()).collect();
        graph.0.select_output_outlets(&outlets).unwrap();
        let known = Values::of(&graph.0, &[Known::FINITE]).unwrap();
        let x: Vec<f32> = (0..6).map(|_| NUMBERS[roll(NUMBERS.len() - 1)]).collect();
        let x = tensor1(&x).into_shape(&[2, 3]).unwrap().into_tvalue();
        let found = run(graph.0.clone(), &Care::finite(&graph.0), &x, false).unwrap();
        let floats = outlets.iter().zip(&found).filter(|(_, tensor)| tensor.datum_type() == f32::datum_type());
        let floats: Vec<_> = floats.map(|(outlet, tensor)| (*outlet, slice::<f32>(tensor).unwrap())).collect();
        let plain = |value: &f32| !value.is_finite() || *value == 0.0 || (1e-12..1e12).contains(&value.abs());
        let powers = graph.0.nodes.iter().filter(|node| ["Exp", "Cosh", "Sinh", "Pow"].contains(&&*node.op.name()));
        let near = |node: &TypedNode| {
            node.inputs.iter().all(|input| {
                floats.iter().find(|(outlet, _)| outlet == input).is_some_and(|(_, values)| {
                    values.iter().all(|value| value.is_infinite() || value.is_nan() || value.abs() < 25.0)
                })
            })
        };
        if !floats.iter().all(|(_, values)| values.iter().all(plain)) || !powers.clone().all(near) {
            continue;
        }
        seen += 1;
        let end = values.pop().unwrap();
        graph.0.select_output_outlets(&[end]).unwrap();
        // Both are optimised: a division is rounded otherwise then. Of what tract cannot optimise there is no plan.
        let plans = [Care::finite(&graph.0), Care::Any].map(|care| run(graph.0.clone(), &care, &x, true));
        let [Ok(one), Ok(other)] = plans else { continue };
        assert_eq!(missing(&one[0]), missing(&other[0]), "{:#?}", graph.0.nodes);
        for (outlet, values) in floats {
            let Known { least, most, zero, infinite, nan } = known.get(outlet);
            lacking += usize::from(infinite || nan);
            for value in values.iter().map(|value| f64::from(*value)) {
                let may_be = match value {
                    value if value.is_nan() => nan,
                    value if value.is_infinite() => infinite && value >= least && value <= most,
                    value => value >= least && value <= most && (zero || value != 0.0),
                };
                let node = graph.0.node(outlet.node);
                assert!(may_be, "{value} of {node}, of which {:?} was known, in\n{:#?}", known.get(outlet), graph.0.nodes);
            }
        }
    }
    assert!(seen > 1000 && lacking > 1000, "{lacking} in {seen}");
}
