//! Requests that a model answers as they stand: zeros (or empty strings) of its own shapes, one row where any number is taken.

use modelyard_wire::DataType;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::{Map, Value, json};

use crate::signature::{Signature, TensorSpec};

/// A command whose data is longer than this is told to make it rather than to spell it.
const SPELLED: usize = 64;
/// An example in the OpenAPI document has at most so many elements.
const IN_DOCUMENT: usize = 4096;

/// What a model's name may not carry into a path: RFC 3986's unreserved characters pass.
const SEGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}')
    .add(b'/')
    .add(b':')
    .add(b'\'')
    .add(b'&');

/// A name as one segment of a path.
pub(super) fn segment(name: &str) -> String {
    utf8_percent_encode(name, SEGMENT).to_string()
}

/// The declared shape with one for every free dimension.
pub(super) fn shape(spec: &TensorSpec) -> Vec<u64> {
    spec.shape.iter().map(|dim| u64::try_from(*dim).unwrap_or(1)).collect()
}

/// Elements of [`shape`]; past the largest number, the largest.
pub(super) fn elements(spec: &TensorSpec) -> usize {
    let count = shape(spec).iter().try_fold(1_u64, |all, dim| all.checked_mul(*dim)).unwrap_or(u64::MAX);
    usize::try_from(count).unwrap_or(usize::MAX)
}

fn zero(datatype: DataType) -> Value {
    match datatype {
        DataType::Bool => json!(false),
        DataType::Bytes => json!(""),
        DataType::Fp16 | DataType::Bf16 | DataType::Fp32 | DataType::Fp64 => json!(0.0),
        _ => json!(0),
    }
}

fn nested(datatype: DataType, shape: &[u64]) -> Value {
    match shape {
        [] => zero(datatype),
        [first, rest @ ..] => Value::Array((0..*first).map(|_| nested(datatype, rest)).collect()),
    }
}

/// Whether the examples of a model are small enough to be spelled in a document.
pub(super) fn fits_document(signature: &Signature) -> bool {
    signature.inputs.iter().all(|spec| elements(spec) <= IN_DOCUMENT)
}

/// Whether the tensors can be cut into rows, as many of each.
pub(super) fn have_rows(specs: &[TensorSpec]) -> bool {
    let rows = specs.first().map(|spec| spec.shape.first());
    rows.is_none_or(|rows| rows.is_some() && specs.iter().all(|spec| spec.shape.first() == rows))
}

/// TensorFlow Serving's body: rows where inputs and outputs have them, columns where one has none.
pub(super) fn tfs(signature: &Signature) -> Value {
    let alike = have_rows(&signature.inputs) && have_rows(&signature.outputs);
    let rows = signature.inputs.first().and_then(|spec| shape(spec).first().copied()).filter(|_| alike);
    match (signature.inputs.as_slice(), rows) {
        ([only], Some(1..)) => json!({ "instances": nested(only.datatype, &shape(only)) }),
        ([_, _, ..], Some(rows @ 1..)) => {
            let row: Map<_, _> =
                signature.inputs.iter().map(|spec| (spec.name.clone(), nested(spec.datatype, &shape(spec)[1..]))).collect();
            json!({ "instances": (0..rows).map(|_| Value::Object(row.clone())).collect::<Vec<_>>() })
        }
        (inputs, _) => {
            let columns: Map<_, _> = inputs.iter().map(|spec| (spec.name.clone(), nested(spec.datatype, &shape(spec)))).collect();
            json!({ "inputs": columns })
        }
    }
}

/// The Open Inference Protocol's body.
pub(super) fn oip(signature: &Signature) -> Value {
    let inputs: Vec<_> = signature
        .inputs
        .iter()
        .map(|spec| {
            let data: Vec<_> = (0..elements(spec)).map(|_| zero(spec.datatype)).collect();
            json!({ "name": spec.name, "shape": shape(spec), "datatype": spec.datatype.as_str(), "data": data })
        })
        .collect();
    json!({ "inputs": inputs })
}

/// A command for a POSIX shell that gets a prediction from the model at `base`.
pub(super) fn curl(base: &str, name: &str, signature: &Signature) -> String {
    let name = segment(name);
    if signature.inputs.iter().map(elements).fold(0, usize::saturating_add) <= SPELLED {
        return format!("curl -s {base}/v1/models/{name}:predict -d {}", quoted(&tfs(signature).to_string()));
    }
    // The zeros are made by the shell: flat, as the Open Inference Protocol takes them.
    let mut parts = Vec::new();
    let mut text = r#"{"inputs":["#.to_owned();
    for (index, spec) in signature.inputs.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let head = json!({ "name": spec.name, "shape": shape(spec), "datatype": spec.datatype.as_str() }).to_string();
        text.push_str(&format!("{comma}{},\"data\":[", head.trim_end_matches('}')));
        let zeros = quoted(&zero(spec.datatype).to_string());
        parts.push(format!("printf %s {}; yes {zeros} | head -n {} | paste -sd, -", quoted(&text), elements(spec)));
        text = "]}".to_owned();
    }
    text.push_str("]}");
    parts.push(format!("printf %s {}", quoted(&text)));
    format!("{{ {}; }} |\n  curl -s {base}/v2/models/{name}/infer --data-binary @-", parts.join("; "))
}

/// One word of a POSIX shell, whatever it holds.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(name: &str, datatype: DataType, shape: &[i64]) -> TensorSpec {
        TensorSpec { name: name.to_owned(), datatype, shape: shape.to_vec() }
    }

    fn signature(inputs: Vec<TensorSpec>) -> Signature {
        Signature { inputs, outputs: vec![], batched: true }
    }

    #[test]
    fn rows_where_there_are_rows() {
        for (inputs, want) in [
            (vec![spec("x", DataType::Fp32, &[-1, 2])], r#"{"instances":[[0.0,0.0]]}"#),
            (vec![spec("x", DataType::Int64, &[3])], r#"{"instances":[0,0,0]}"#),
            (vec![spec("x", DataType::Bool, &[])], r#"{"inputs":{"x":false}}"#),
            (
                vec![spec("a", DataType::Bytes, &[-1]), spec("b", DataType::Fp32, &[-1, 1])],
                r#"{"instances":[{"a":"","b":[0.0]}]}"#,
            ),
            (vec![spec("a", DataType::Int8, &[-1]), spec("b", DataType::Int8, &[2])], r#"{"inputs":{"a":[0],"b":[0,0]}}"#),
        ] {
            assert_eq!(tfs(&signature(inputs)).to_string(), want);
        }
    }

    #[test]
    fn a_shell_makes_the_body_that_was_meant() {
        let both = signature(vec![spec("it's", DataType::Fp32, &[-1, 100]), spec("b", DataType::Bytes, &[-1])]);
        let command = curl("http://h", "m", &both);
        let (make, _) = command.split_once(" |\n").unwrap();
        let made = std::process::Command::new("sh").args(["-c", make]).output().unwrap().stdout;
        assert_eq!(serde_json::from_slice::<Value>(&made).unwrap(), oip(&both));
    }

    #[test]
    fn names_stay_one_segment() {
        assert_eq!(segment("a b/c:d{e}?'é"), "a%20b%2Fc%3Ad%7Be%7D%3F%27%C3%A9");
    }

    #[test]
    fn huge_shapes_are_counted_without_being_made() {
        let huge = signature(vec![spec("x", DataType::Fp32, &[i64::MAX, i64::MAX])]);
        assert_eq!(elements(&huge.inputs[0]), usize::MAX);
        assert!(!fits_document(&huge));
        assert!(curl("http://h", "m", &huge).contains("head -n"));
    }
}
