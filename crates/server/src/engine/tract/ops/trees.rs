//! TreeEnsembleClassifier, TreeEnsembleRegressor and TreeEnsemble among other operators: our kernel as a node of tract's.

use std::sync::{Arc, OnceLock};

use tract_onnx::model::{OnnxOpRegister, ParsingContext};
use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::tract_ndarray::{ArrayD, IxDyn};
use tract_onnx::tract_hir::internal::*;

use crate::engine::onnx::labels::Labels;
use crate::engine::onnx::trees::{OPERATORS, Source};
use crate::engine::trees::{Model, Rows};

pub(super) fn register(register: &mut OnnxOpRegister) {
    OPERATORS.iter().for_each(|operator| register.insert(operator, parse));
}

fn parse(_: &ParsingContext, node: &NodeProto) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let source = Source::read(node).map_err(TractError::msg)?;
    let ensemble = Arc::new(Ensemble { source, single: OnceLock::new(), double: OnceLock::new() });
    Ok((expand(Trees { ensemble }), vec![]))
}

/// The node's attributes, and the models made of them: every plan shares those.
struct Ensemble {
    source: Source,
    single: OnceLock<Result<Arc<Model>, String>>,
    double: OnceLock<Result<Arc<Model>, String>>,
}

impl Ensemble {
    fn model(&self, double: bool) -> TractResult<Arc<Model>> {
        let made = if double { &self.double } else { &self.single };
        made.get_or_init(|| self.source.model(double, None).map(Arc::new)).clone().map_err(TractError::msg)
    }

    fn scores(&self, input: DatumType) -> DatumType {
        if self.source.as_input && input == DatumType::F64 { DatumType::F64 } else { DatumType::F32 }
    }

    fn labels(&self) -> Option<DatumType> {
        self.source.labels.as_ref().map(Labels::kind)
    }
}

/// The node before its input is known.
#[derive(Clone)]
struct Trees {
    ensemble: Arc<Ensemble>,
}

impl std::fmt::Debug for Trees {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Trees")
    }
}

impl Expansion for Trees {
    fn name(&self) -> StaticName {
        "TreeEnsemble".into()
    }

    fn nboutputs(&self) -> TractResult<usize> {
        Ok(if self.ensemble.labels().is_some() { 2 } else { 1 })
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 1)?;
        check_output_arity(outputs, self.nboutputs()?)?;
        let scores = outputs.len() - 1;
        s.equals(&inputs[0].rank, 2)?;
        if let Some(labels) = self.ensemble.labels() {
            s.equals(&outputs[0].datum_type, labels)?;
            s.equals(&outputs[0].rank, 1)?;
            s.equals(&outputs[0].shape[0], &inputs[0].shape[0])?;
        }
        s.equals(&outputs[scores].rank, 2)?;
        s.equals(&outputs[scores].shape[0], &inputs[0].shape[0])?;
        s.equals(&outputs[scores].shape[1], self.ensemble.source.width().to_dim())?;
        s.given(&inputs[0].datum_type, move |s, input| s.equals(&outputs[scores].datum_type, self.ensemble.scores(input)))
    }

    fn wire(&self, prefix: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let input = model.outlet_fact(inputs[0])?;
        let (datatype, columns) = (input.datum_type, input.shape.get(1).and_then(|dim| dim.to_usize().ok()));
        let made = self.ensemble.model(datatype == DatumType::F64)?;
        if let Some(columns) = columns.filter(|columns| *columns < made.columns()) {
            bail!("rows have {columns} values; the trees ask for {}", made.columns());
        }
        let op = Run { ensemble: self.ensemble.clone(), model: made, input: datatype };
        model.wire_node(prefix, op, inputs)
    }
}

/// The node, ready.
#[derive(Clone)]
struct Run {
    ensemble: Arc<Ensemble>,
    model: Arc<Model>,
    input: DatumType,
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Trees of {:?}", self.input)
    }
}

impl PartialEq for Run {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.ensemble, &other.ensemble) && self.input == other.input
    }
}

impl Eq for Run {}

impl Op for Run {
    fn name(&self) -> StaticName {
        "TreeEnsemble".into()
    }

    op_as_typed_op!();
}

impl EvalOp for Run {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let input = args_1!(inputs);
        let [rows, width] = input.shape() else { bail!("the trees take a matrix, found shape {:?}", input.shape()) };
        let (rows, width) = (*rows, *width);
        if width < self.model.columns() {
            bail!("rows have {width} values; the trees ask for {}", self.model.columns());
        }
        let answer = if input.datum_type() == DatumType::F64 {
            self.model.run(Rows::F64(input.try_as_plain_ram()?.as_slice()?), width, &|| true)
        } else {
            let input = input.cast_to::<f32>()?;
            self.model.run(Rows::F32(input.try_as_plain_ram()?.as_slice()?), width, &|| true)
        };
        let Some(answer) = answer else { bail!("the trees were stopped") };
        let mut outputs: TVec<TValue> = tvec!();
        if let Some(labels) = &self.ensemble.source.labels {
            outputs.push(labels.of(&answer.best)?.into());
        }
        let shape = IxDyn(&[rows, self.model.width()]);
        outputs.push(match self.ensemble.scores(self.input) {
            DatumType::F64 => Tensor::from(ArrayD::from_shape_vec(shape, answer.scores.into_f64())?).into(),
            _ => Tensor::from(ArrayD::from_shape_vec(shape, answer.scores.into_f32())?).into(),
        });
        Ok(outputs)
    }
}

impl TypedOp for Run {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let rows = inputs[0].shape[0].clone();
        let scores = self.ensemble.scores(self.input).fact(&[rows.clone(), self.model.width().to_dim()]);
        Ok(match self.ensemble.labels() {
            Some(labels) => tvec!(labels.fact(&[rows]), scores),
            None => tvec!(scores),
        })
    }

    as_op!();
}
