//! The plan that answers requests beside one that nothing was optimised in: tract rewrites a graph in many ways, and a wrong one is not
//! told by an error. Seen: quantised Softmax, before it was ours.

use std::time::Instant;

use tract_onnx::prelude::InferenceModel;

use super::plan::Plan;
use super::probe::Probed;
use crate::engine::selfcheck::{self, Outcome, Pair};
use crate::engine::{Facts, LoadError, madeup};

/// Compares the plans for one row of a model that has been loading since then.
///
/// # Errors
/// [`LoadError::Unsupported`] where their answers differ.
pub(super) fn check(source: &InferenceModel, probed: &Probed, (facts, since): (&Facts, Instant)) -> Result<Outcome, LoadError> {
    if let Some(outcome) = selfcheck::exempt(facts) {
        return Ok(outcome);
    }
    let Probed { signature, shapes, plan } = probed;
    if !madeup::are_small(shapes) {
        return Ok(Outcome::NoVerdict("its inputs are too large to be made up".to_owned()));
    }
    let end = selfcheck::end(since);
    let plain = match Plan::unoptimised(source, shapes) {
        Ok(plain) => plain,
        Err(reason) => return Ok(Outcome::NoVerdict(format!("tract has no plan of it without optimisation: {reason}"))),
    };
    let pair = Pair {
        names: ("tract's plan", "the same without optimisation"),
        found: &|inputs, stop| plan.run(inputs, signature, stop),
        expected: &|inputs, stop| plain.run(inputs, signature, stop),
        signature,
        shapes,
        facts,
        advice: "Name another engine (engine.name: OnnxRuntime)",
    };
    selfcheck::compare(&pair, end)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::engine::onnx::declared::Declared;
    use crate::engine::onnx::facts;
    use crate::engine::onnx::file::File;
    use crate::engine::tract::plans::Plans;
    use crate::engine::tract::{parse, probe};

    fn checked(read: impl Fn(&File) -> InferenceModel) -> Result<Outcome, String> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/models/qdq_softmax.onnx");
        let file = File::read(&path).unwrap();
        let plans = Plans::new(read(&file), file.bytes());
        let probed = probe::settle(&Declared::of(file.graph()), &plans, &[]).unwrap();
        let facts = facts::collect(&file, "Tract");
        // As if it had loaded for a minute: the time for comparing is a share of that, and a full machine needs it.
        let since = Instant::now().checked_sub(Duration::from_secs(60)).unwrap();
        check(&plans.source().unwrap(), &probed, (&facts, since)).map_err(|error| error.to_string())
    }

    /// tract 0.23 optimises a Softmax among quantised values into another function; ours stands in its place.
    #[test]
    fn a_plan_that_tract_optimises_wrongly_is_refused() {
        let tracts = |file: &File| tract_onnx::onnx().with_ignore_value_info(true).parse(file.proto(), None).unwrap().model;
        let refused = checked(tracts).unwrap_err();
        assert!(refused.contains("self-check failed") && refused.contains("tract's plan"), "{refused}");
        let ours = checked(|file| parse(file).unwrap()).unwrap();
        assert!(matches!(ours, Outcome::Alike { .. }), "{ours:?}");
    }
}
