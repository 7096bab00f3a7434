//! What one node of tract's makes of its inputs, by what it is.

use tract_onnx::tract_core::ops::array::{OneHot, Pad, PadMode, ScatterElements, ScatterNd, ScatterReduction};
use tract_onnx::tract_core::ops::binary::TypedBinOp;
use tract_onnx::tract_core::ops::cast::Cast;
use tract_onnx::tract_core::ops::change_axes::AxisOp;
use tract_onnx::tract_core::ops::element_wise::ElementWiseOp;
use tract_onnx::tract_core::ops::math::IsNan;
use tract_onnx::tract_core::ops::nn::{Reduce, Reducer, RmsNorm, Softmax};
use tract_onnx::tract_core::ops::quant::DequantizeLinearF32;
use tract_onnx::tract_hir::internal::*;

use super::known::Known;
use super::{Values, constant, each, pairs};

/// Operators whose elements are some of their inputs'.
const MOVES: [&str; 17] = [
    "AddAxis",
    "Concat",
    "Downsample",
    "DynSlice",
    "DynTile",
    "Gather",
    "GatherElements",
    "GatherNd",
    "Identity",
    "IntoShape",
    "MoveAxis",
    "MultiBroadcastTo",
    "Reshape",
    "RmAxis",
    "Slice",
    "StridedSlice",
    "Tile",
];

/// Operators that compute finite numbers of finite ones: sums of products with weights, and what saturates.
const STEADY: [&str; 14] = [
    "Conv",
    "CumSum",
    "Deconv",
    "EinSum",
    "GridSample",
    "GruEpilogue",
    "GruSeq",
    "Lrn",
    "LstmEpilogue",
    "NearestUpsample",
    "Random",
    "Range",
    "Resize",
    "SumPool",
];

/// Those of them that make no negative number of others.
const GROW: [&str; 6] = ["Conv", "CumSum", "Deconv", "EinSum", "NearestUpsample", "SumPool"];

/// A node, and what is known around it.
pub(super) struct Node<'a> {
    pub(super) model: &'a TypedModel,
    pub(super) node: &'a TypedNode,
    pub(super) values: &'a Values,
    pub(super) inputs: &'a [Known],
}

impl Node<'_> {
    /// What is known of all its outputs.
    pub(super) fn known(&self) -> Known {
        let (node, inputs) = (self.node, self.inputs);
        let kind = node.outputs[0].fact.datum_type;
        match inputs {
            [x] if node.op_is::<ElementWiseOp>() => {
                return node.op_as::<ElementWiseOp>().map_or(Known::ANYTHING, |op| each::known(&*op.0, *x));
            }
            [x, y] if node.op_is::<TypedBinOp>() => {
                let same = node.inputs[0] == node.inputs[1];
                return node.op_as::<TypedBinOp>().map_or(Known::ANYTHING, |op| pairs::known(op.0.name(), (*x, *y), same, kind));
            }
            [x] if node.op_is::<Cast>() => return self.cast(*x, kind),
            [x] if node.op_is::<Softmax>() => return self.softmax(*x),
            _ => {}
        }
        if let (Some(reduce), [x]) = (node.op_as::<Reduce>(), inputs) {
            return self.reduced(reduce, *x);
        }
        self.others().unwrap_or_else(|| self.by_name())
    }

    fn by_name(&self) -> Known {
        let name = self.node.op.name();
        let steady = Known::computed(self.inputs);
        match &*name {
            "Iff" => self.chosen(),
            "MaxPool" | "Topk" => self.inputs[0],
            "Trilu" => self.inputs[0].or(Known::only(0.0)),
            name if MOVES.contains(&name) => self.moved(),
            name if GROW.contains(&name) && self.inputs.iter().all(|input| input.least >= 0.0) => Known { least: 0.0, ..steady },
            name if STEADY.contains(&name) => steady,
            _ if !self.node.outputs[0].fact.datum_type.is_float() => Known::of(self.node.outputs[0].fact.datum_type),
            _ => Known::ANYTHING,
        }
    }

    /// Operators with numbers of their own.
    fn others(&self) -> Option<Known> {
        let node = self.node;
        if let Some(pad) = node.op_as::<Pad>() {
            return Some(match &pad.mode {
                PadMode::Constant(value) => self.inputs[0].or(constant::known(value)),
                PadMode::Reflect | PadMode::Edge => self.inputs[0],
            });
        }
        if let Some(hot) = node.op_as::<OneHot>() {
            return Some(constant::known(&hot.on).or(constant::known(&hot.off)));
        }
        let elements = || node.op_as::<ScatterElements>().map(|op| &op.reduction);
        if let Some(reduction) = node.op_as::<ScatterNd>().map(|op| &op.reduction).or_else(elements) {
            return Some(if *reduction == ScatterReduction::None { self.moved() } else { Known::computed(self.inputs) });
        }
        if let Some(op) = node.op_as::<DequantizeLinearF32>() {
            return Some(if op.scale.is_finite() { Known::FINITE } else { Known::ANYTHING });
        }
        if let Some(op) = node.op_as::<RmsNorm>() {
            let safe = constant::known(&op.eps).least > 0.0;
            return Some(if safe { Known::computed(self.inputs) } else { Known::ANYTHING });
        }
        None
    }

    /// Any of the inputs' elements.
    fn moved(&self) -> Known {
        let kind = self.node.outputs[0].fact.datum_type;
        let alike = self.node.inputs.iter().zip(self.inputs);
        let alike = alike.filter(|(outlet, _)| self.model.outlet_fact(**outlet).is_ok_and(|fact| fact.datum_type == kind));
        alike.map(|(_, known)| *known).reduce(Known::or).unwrap_or(Known::ANYTHING)
    }

    fn cast(&self, x: Known, kind: DatumType) -> Known {
        let from = self.model.outlet_fact(self.node.inputs[0]).map(|fact| fact.datum_type);
        match from {
            Ok(DatumType::String) | Err(_) => Known::ANYTHING,
            Ok(from) if from.is_quantized() => Known::FINITE,
            Ok(_) if kind.is_float() => x,
            // A part of a number is cut off.
            Ok(from) if from.is_float() => Known::of(kind),
            // What does not fit begins again at the other end.
            Ok(_) => {
                let of_kind = Known::of(kind);
                if x.least >= of_kind.least && x.most <= of_kind.most { x } else { of_kind }
            }
        }
    }

    /// NaN where all of a row is minus infinity, or something is infinity.
    fn softmax(&self, x: Known) -> Known {
        let axes = self.node.op_as::<Softmax>().map(|op| &*op.axes);
        let rank = self.node.outputs[0].fact.rank();
        let last = axes == Some(&[rank.wrapping_sub(1)]);
        let nan = x.nan || (x.infinite && !(last && self.is_alive(self.node.inputs[0])));
        Known { nan, ..Known::within(0.0, 1.0) }
    }

    /// Whether no row along the last axis is minus infinity as a whole: scores with a mask of the file's own, which leaves something in each.
    fn is_alive(&self, outlet: OutletId) -> bool {
        let node = self.model.node(outlet.node);
        let width = |outlet: OutletId| self.model.outlet_fact(outlet).ok().and_then(|fact| fact.shape.last().cloned());
        if !self.values.get(outlet).lacks() {
            return true;
        }
        if let Some(konst) = self.model.outlet_fact(outlet).ok().and_then(|fact| fact.konst.clone()) {
            return constant::is_alive(&konst);
        }
        match (node.op_as::<AxisOp>(), node.op_as::<TypedBinOp>(), &*node.inputs) {
            (Some(AxisOp::Add(axis)), _, [input]) => *axis + 1 < node.outputs[0].fact.rank() && self.is_alive(*input),
            (_, Some(op), [a, b]) if op.0.name() == "Add" => {
                let finite = |outlet: &OutletId| !self.values.get(*outlet).lacks();
                let mask = if finite(a) { b } else { a };
                (finite(a) || finite(b)) && width(*mask) == width(outlet) && self.is_alive(*mask)
            }
            _ => false,
        }
    }

    /// Of two values one, each where a condition holds: where it says that one is no NaN, or not 0, that is so.
    fn chosen(&self) -> Known {
        let (&[condition, then, other], &[_, mut held, mut rest]) = (&*self.node.inputs, self.inputs) else {
            return Known::ANYTHING;
        };
        let asked = self.model.node(condition.node);
        let asks = |outlet: OutletId| asked.inputs.contains(&outlet);
        if asked.op_as::<ElementWiseOp>().is_some_and(|op| op.0.is::<IsNan>()) && asks(other) {
            rest.nan = false;
        }
        if let Some(op) = asked.op_as::<TypedBinOp>() {
            let nothing = |outlet: &OutletId| self.values.get(*outlet) == Known::NOTHING;
            let beside = |kept: OutletId| asks(kept) && asked.inputs.iter().any(|outlet| *outlet != kept && nothing(outlet));
            match op.0.name() {
                "Eq" if beside(other) => rest.zero = false,
                "NE" if beside(then) => held.zero = false,
                _ => {}
            }
        }
        held.or(rest)
    }

    fn reduced(&self, reduce: &Reduce, x: Known) -> Known {
        let sizes = self.model.outlet_fact(self.node.inputs[0]).ok().map(|fact| &fact.shape);
        let some = |axis: &usize| {
            sizes.is_some_and(|sizes| sizes.get(*axis).is_some_and(|size| size.to_usize().is_ok_and(|size| size > 0)))
        };
        // Where it may be over nothing, a sum is 0 and a maximum is infinite.
        let full = reduce.axes.iter().all(some);
        let both = x.low() && x.high();
        match reduce.reducer {
            Reducer::Sum => {
                Known { zero: x.zero || !full || (x.least < 0.0 && x.most > 0.0), nan: x.nan || both, ..summed(x, full) }
                    .settled()
            }
            Reducer::MeanOfSquares => Known { most: f64::INFINITY, nan: x.nan || !full, ..x.squared().signed() },
            Reducer::Prod => {
                let least = if x.least >= 0.0 { 0.0 } else { f64::NEG_INFINITY };
                Known { least, most: f64::INFINITY, nan: x.nan || (x.infinite && x.zero), ..x }.settled()
            }
            Reducer::Max | Reducer::Min if full => x,
            Reducer::Max | Reducer::Min => Known { infinite: true, nan: x.nan, ..Known::FINITE },
            _ => Known::of(self.node.outputs[0].fact.datum_type),
        }
    }
}

/// A sum of at least one keeps what its terms have in common.
fn summed(x: Known, full: bool) -> Known {
    let least = match x.least {
        least if least >= 0.0 && full => least,
        least if least >= 0.0 => 0.0,
        _ => f64::NEG_INFINITY,
    };
    Known { least, most: if x.most <= 0.0 { 0.0 } else { f64::INFINITY }, ..x }
}
