//! JSON that people have at hand: an Open Inference Protocol request, TensorFlow Serving's `instances` or `inputs`, a bare array,
//! or an object of arrays by input name.

use modelyard_wire::json::{Cursor, Elements, JsonError, Kind};
use modelyard_wire::{DataType, Tensor};

use super::{Bound, InputError, Named, Reading, bind, fit};
use crate::client::TensorSpec;

/// Reads a body of any of the protocols, or the request of a sample.
pub(super) fn read(bytes: &[u8], reading: Reading<'_>) -> Result<Bound, InputError> {
    let specs = reading.specs;
    let mut document = Cursor::new(bytes);
    let (body, outputs) = body(&mut document, reading)?;
    document.end()?;
    let mut notes = Vec::new();
    let inputs = match body {
        Body::Inference(value) => return Ok(Bound { outputs, ..bind::arrays(inference(value)?, specs)? }),
        Body::Rows(value) => rows(value, specs, &mut notes)?,
        Body::Columns(value) => columns(value, specs, &mut notes)?,
    };
    Ok(Bound { inputs, notes, outputs })
}

/// What a document is, with the cursor at the values.
enum Body<'a> {
    /// `inputs` of an Open Inference Protocol request.
    Inference(Cursor<'a>),
    /// A list of rows.
    Rows(Cursor<'a>),
    /// Whole tensors by name, or the only one.
    Columns(Cursor<'a>),
}

/// What the document is, and the outputs that it asks for.
fn body<'a>(document: &mut Cursor<'a>, reading: Reading<'_>) -> Result<(Body<'a>, Vec<String>), InputError> {
    if document.kind()? != Kind::Object {
        let value = document.clone();
        document.skip_value()?;
        return Ok((if holds_objects(&value) { Body::Rows(value) } else { Body::Columns(value) }, Vec::new()));
    }
    let whole = document.clone();
    // What a model calls its inputs is no part of a protocol where the document is their values by name.
    let is_input = |key: &str| reading.specs.is_some_and(|specs| specs.iter().any(|spec| spec.name == key));
    let (mut inputs, mut instances, mut request, mut signature, mut outputs) = (None, None, None, None, None);
    document.object(|key, cursor| {
        let found = Some(cursor.clone());
        match &*key {
            "inputs" => inputs = found,
            "instances" => instances = found,
            "request" => request = found,
            "signature_name" => signature = found,
            "outputs" => outputs = found,
            _ => {}
        }
        cursor.skip_value()
    })?;
    let body = match (inputs, instances) {
        (Some(_), Some(_)) => {
            let both = "expected exactly one of 'instances' and 'inputs', found 'inputs' and 'instances'";
            return Err(InputError::Content(both.to_owned()));
        }
        (Some(value), _) if holds_objects(&value) => Body::Inference(value),
        (Some(value), _) => Body::Columns(value),
        (None, Some(value)) => Body::Rows(value),
        (None, None) => match request {
            // A sample, as the server keeps it beside a model: a request and its right answer.
            Some(request) if !is_input("request") && request.clone().kind()? == Kind::Object => {
                return body(&mut request.clone(), reading);
            }
            _ => return Ok((Body::Columns(whole), Vec::new())),
        },
    };
    if let Some(mut signature) = signature {
        check_signature(&signature.string()?)?;
    }
    let outputs = match (&body, outputs) {
        (Body::Inference(_), Some(value)) => wanted(value, reading.outputs)?,
        _ => Vec::new(),
    };
    Ok((body, outputs))
}

/// The only signature there is, as the server names it.
const SIGNATURE: &str = "serving_default";

/// Refuses another signature in the server's words: it would answer by none.
fn check_signature(name: &str) -> Result<(), InputError> {
    match name {
        "" | SIGNATURE => Ok(()),
        _ => Err(InputError::Content(format!("Serving signature key \"{name}\" not found; the model has \"{SIGNATURE}\""))),
    }
}

/// The names in `outputs` of an Open Inference Protocol request; an unknown one is refused where the model's are known.
fn wanted(mut value: Cursor<'_>, known: Option<&[TensorSpec]>) -> Result<Vec<String>, InputError> {
    let mut names = Vec::new();
    value.array(|element| {
        let at = element.position();
        let mut name = None;
        element.object(|key, cursor| {
            if key == "name" {
                name = Some(cursor.string()?.into_owned());
                return Ok(());
            }
            cursor.skip_value()
        })?;
        let name = name.ok_or_else(|| InputError::Content(format!("byte {at}: an output lacks 'name'")))?;
        if let Some(known) = known.filter(|known| !known.iter().any(|spec| spec.name == name)) {
            let known = bind::names(known.iter().map(|spec| spec.name.as_str()));
            return Err(InputError::Content(format!("unknown output '{name}'; the model has {known}")));
        }
        names.push(name);
        Ok::<_, InputError>(())
    })?;
    Ok(names)
}

/// Whether the value is a list whose first element is an object.
fn holds_objects(value: &Cursor<'_>) -> bool {
    let mut value = value.clone();
    let mut first = None;
    let _ = value.array(|element| {
        first = Some(element.kind()?);
        // One look is enough: any error ends the walk.
        Err::<(), _>(element.unexpected("the first element only"))
    });
    first == Some(Kind::Object)
}

/// The inputs of an Open Inference Protocol request.
fn inference(mut value: Cursor<'_>) -> Result<Vec<Named>, InputError> {
    let mut inputs = Vec::new();
    value.array(|element| {
        let (mut name, mut datatype, mut shape, mut data) = (None, None, None, None);
        let at = element.position();
        element.object(|key, cursor| {
            match &*key {
                "name" => name = Some(cursor.string()?.into_owned()),
                "datatype" => datatype = Some(cursor.string()?.into_owned()),
                "shape" => shape = Some(dims(cursor)?),
                "data" => {
                    data = Some(cursor.clone());
                    cursor.skip_value()?;
                }
                _ => cursor.skip_value()?,
            }
            Ok::<_, JsonError>(())
        })?;
        let lacks = |what: &str| InputError::Content(format!("byte {at}: an input lacks '{what}'"));
        let name = name.ok_or_else(|| lacks("name"))?;
        let datatype: DataType = datatype
            .ok_or_else(|| lacks("datatype"))?
            .parse()
            .map_err(|unknown| InputError::Content(format!("input '{name}': {unknown}")))?;
        let mut data = data.ok_or_else(|| lacks("data"))?;
        let mut elements = Elements::new(datatype);
        let nesting = elements.read(&mut data)?;
        let shape = match shape {
            Some(shape) => shape,
            None => regular(&nesting)?,
        };
        let tensor = elements.finish(shape).map_err(|error| InputError::Content(format!("input '{name}': {error}")))?;
        inputs.push((name, tensor));
        Ok::<_, InputError>(())
    })?;
    Ok(inputs)
}

fn dims(cursor: &mut Cursor<'_>) -> Result<Vec<usize>, JsonError> {
    let mut dims = Vec::new();
    cursor.array(|cursor| {
        let at = cursor.position();
        let dim = cursor.u64()?;
        dims.push(usize::try_from(dim).map_err(|_| JsonError::new(at, "a dimension", dim.to_string()))?);
        Ok::<_, JsonError>(())
    })?;
    Ok(dims)
}

/// Rows: bare values for an only input, objects by name for any.
fn rows(value: Cursor<'_>, specs: Option<&[TensorSpec]>, notes: &mut Vec<String>) -> Result<Vec<Named>, InputError> {
    let named =
        holds_objects(&value) && specs.is_none_or(|specs| specs[0].datatype != DataType::Bytes || named_rows(&value, specs));
    if !named {
        return columns(value, specs, notes);
    }
    let Some(specs) = specs else { return Err(InputError::NeedsModel("rows do not say their datatypes".to_owned())) };
    let mut parts: Vec<(Elements, Option<Vec<usize>>)> =
        specs.iter().map(|spec| (Elements::new(spec.datatype).with_base64(), None)).collect();
    let mut count = 0;
    let mut value = value;
    value.array(|row| {
        let mut seen = 0;
        row.object(|key, cursor| {
            let Some(at) = specs.iter().position(|spec| spec.name == *key) else {
                let known = bind::names(specs.iter().map(|spec| spec.name.as_str()));
                return Err(InputError::Content(format!("row {count}: unknown input '{key}'; the model has {known}")));
            };
            let (elements, shape) = &mut parts[at];
            let found = regular(&elements.read(cursor)?)?;
            seen += 1;
            match shape {
                Some(shape) if *shape != found => Err(InputError::Content(format!(
                    "row {count}: input '{key}' has shape {found:?}, the rows before have {shape:?}"
                ))),
                _ => {
                    *shape = Some(found);
                    Ok(())
                }
            }
        })?;
        if seen != specs.len() {
            return Err(InputError::Content(format!("row {count}: {seen} inputs, the model takes {}", specs.len())));
        }
        count += 1;
        Ok(())
    })?;
    let mut inputs = Vec::new();
    for (spec, (elements, shape)) in specs.iter().zip(parts) {
        let shape = [&[count], shape.unwrap_or_default().as_slice()].concat();
        inputs.push((spec.name.clone(), fit(spec, elements.finish(shape)?, notes)?));
    }
    Ok(inputs)
}

/// A `BYTES` input's rows may be `{"b64": ...}`, which is a value and no named row.
fn named_rows(value: &Cursor<'_>, specs: &[TensorSpec]) -> bool {
    let mut value = value.clone();
    let mut named = false;
    let _ = value.array(|row| {
        row.object(|key, cursor| {
            named = specs.iter().any(|spec| spec.name == *key);
            cursor.skip_value()
        })?;
        Err::<(), _>(row.unexpected("the first row only"))
    });
    named
}

/// Whole tensors: bare for an only input, an object by name for any.
fn columns(mut value: Cursor<'_>, specs: Option<&[TensorSpec]>, notes: &mut Vec<String>) -> Result<Vec<Named>, InputError> {
    if value.kind()? != Kind::Object {
        let spec = bind::only(specs, "the JSON does not name its input")?;
        let tensor = tensor(&mut value, spec)?;
        return Ok(vec![(spec.name.clone(), fit(spec, tensor, notes)?)]);
    }
    let Some(specs) = specs else { return Err(InputError::NeedsModel("the JSON does not say its datatypes".to_owned())) };
    let mut inputs = Vec::new();
    value.object(|key, cursor| {
        let Some(spec) = specs.iter().find(|spec| spec.name == *key) else {
            notes.push(format!("left out: '{key}'"));
            return Ok::<_, InputError>(cursor.skip_value()?);
        };
        let tensor = tensor(cursor, spec)?;
        inputs.push((spec.name.clone(), fit(spec, tensor, notes)?));
        Ok(())
    })?;
    if let Some(missing) = specs.iter().find(|spec| !inputs.iter().any(|(name, _)| *name == spec.name)) {
        return Err(InputError::Content(format!("input '{}' is missing", missing.name)));
    }
    Ok(inputs)
}

fn tensor(cursor: &mut Cursor<'_>, spec: &TensorSpec) -> Result<Tensor, InputError> {
    let mut elements = Elements::new(spec.datatype).with_base64();
    let nesting = elements.read(cursor)?;
    Ok(elements.finish(regular(&nesting)?)?)
}

fn regular(nesting: &modelyard_wire::json::Nesting) -> Result<Vec<usize>, InputError> {
    nesting.shape().map_err(|at| InputError::Content(format!("byte {at}: this list has another length than those before it")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn specs(count: usize) -> Vec<TensorSpec> {
        let spec = |name: &str, shape: &[i64]| TensorSpec { name: name.into(), datatype: DataType::Fp32, shape: shape.into() };
        [spec("a", &[-1, 2]), spec("b", &[-1])][..count].to_vec()
    }

    fn reading(specs: &[TensorSpec]) -> Reading<'_> {
        Reading { specs: Some(specs), outputs: Some(specs), ..Reading::default() }
    }

    fn read_one(text: &str) -> Bound {
        read(text.as_bytes(), reading(&specs(1))).unwrap()
    }

    #[test]
    fn every_body_gives_the_same_tensor() {
        let tensor = Tensor::from_f32(vec![2, 2], &[1.0, 2.0, 3.0, 4.5]).unwrap();
        for text in [
            "[[1, 2], [3, 4.5]]",
            r#"{"instances": [[1, 2], [3, 4.5]]}"#,
            r#"{"instances": [{"a": [1, 2]}, {"a": [3, 4.5]}]}"#,
            r#"[{"a": [1, 2]}, {"a": [3, 4.5]}]"#,
            r#"{"signature_name": "serving_default", "inputs": [[1, 2], [3, 4.5]]}"#,
            r#"{"inputs": {"a": [[1, 2], [3, 4.5]]}}"#,
            r#"{"request": {"instances": [[1, 2], [3, 4.5]]}, "response": {"predictions": [[1]]}, "tolerance": 0.1}"#,
            r#"{"a": [[1, 2], [3, 4.5]]}"#,
            r#"{"inputs": [{"name": "a", "shape": [2, 2], "datatype": "FP32", "data": [1, 2, 3, 4.5]}]}"#,
            r#"{"inputs": [{"name": "a", "shape": [2, 2], "datatype": "FP64", "data": [[1, 2], [3, 4.5]]}]}"#,
        ] {
            assert_eq!(read_one(text).inputs, [("a".to_owned(), tensor.clone())], "{text}");
        }
    }

    #[test]
    fn one_row_becomes_a_batch() {
        let bound = read_one("[1, 2]");
        assert_eq!(bound.inputs[0].1.shape(), [1, 2]);
        assert_eq!(bound.notes, ["input 'a': shape [2] sent as [1, 2]"]);
    }

    #[test]
    fn several_inputs_go_by_name() {
        let rows = read(br#"{"instances": [{"b": 7, "a": [1, 2]}]}"#, reading(&specs(2))).unwrap();
        assert_eq!(rows.inputs[1], ("b".to_owned(), Tensor::from_f32(vec![1], &[7.0]).unwrap()));
    }

    #[test]
    fn an_inference_request_needs_no_model() {
        let text = br#"{"inputs": [{"name": "t", "shape": [1], "datatype": "BYTES", "data": ["hi"]}]}"#;
        assert_eq!(read(text, Reading::default()).unwrap().inputs[0].0, "t");
        assert!(
            read(b"[1]", Reading::default())
                .unwrap_err()
                .to_string()
                .starts_with("the JSON does not name its input; ask a running server")
        );
    }

    #[test]
    fn faults_say_where() {
        let message = |text: &str, count| read(text.as_bytes(), reading(&specs(count))).unwrap_err().to_string();
        assert_eq!(message("[[1, 2], [3]]", 1), "byte 11: this list has another length than those before it");
        assert!(message("[[1, 2], [3, \"x\"]]", 1).starts_with("byte 13: expected"));
        assert!(message("[[1, 2], [3", 1).starts_with("byte 11"));
        assert!(message(r#"[{"c": 1}]"#, 2).contains("row 0: unknown input 'c'; the model has 'a', 'b'"));
        assert!(message("[1, 2, 3]", 1).contains("shape [3] does not fit [-1, 2]"));
        assert!(message("[[1, 2]]", 2).contains("the model has 2: 'a', 'b'"));
        let missing = r#"{"inputs": [{"name": "a", "shape": [1, 2], "data": [1, 2]}]}"#;
        assert!(message(missing, 1).contains("an input lacks 'datatype'"));
    }

    #[test]
    fn what_the_server_would_refuse_is_refused_in_its_words() {
        let inputs = r#""inputs": [{"name": "a", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]"#;
        for (text, words) in [
            (
                r#"{"inputs": [[1, 2]], "signature_name": "foo"}"#.to_owned(),
                r#"Serving signature key "foo" not found; the model has "serving_default""#,
            ),
            (format!(r#"{{{inputs}, "outputs": [{{"name": "nope"}}]}}"#), "unknown output 'nope'; the model has 'a'"),
            (format!(r#"{{{inputs}, "outputs": [{{}}]}}"#), "an output lacks 'name'"),
            (format!(r#"{{{inputs}, "instances": [[1, 2]]}}"#), "expected exactly one of 'instances' and 'inputs'"),
            (format!(r#"{{"request": {{{inputs}, "instances": [[1, 2]]}}}}"#), "expected exactly one of"),
        ] {
            let error = read(text.as_bytes(), reading(&specs(1))).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
        let text = format!(r#"{{{inputs}, "outputs": [{{"name": "a", "parameters": {{}}}}]}}"#);
        assert_eq!(read_one(&text).outputs, ["a"]);
    }
}
