//! A model's self-check: `sample.json` beside it holds a request and the answer that it must give, both in the JSON of the
//! Open Inference Protocol. A model that answers its own sample wrongly never becomes ready.

use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use half::{bf16, f16};
use modelyard_wire::{Data, DataType, Tensor};
use serde::Deserialize;
use serde_json::Value;

use super::{Engine, RunError, Stop};

/// The sample's file name.
pub const FILE: &str = "sample.json";

/// The largest sample.
const MAX_BYTES: u64 = 64 << 20;

/// Relative and absolute difference allowed where the sample says nothing.
const TOLERANCE: f64 = 1e-4;

/// How long a sample may run: a model slower than this could serve nobody.
const PATIENCE: Duration = Duration::from_secs(300);

/// Runs that are timed, if the first was short.
const RUNS: usize = 5;

/// A sample that was answered as expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Proof {
    /// Outputs compared.
    pub outputs: usize,
    /// Nanoseconds of the shortest run.
    pub nanos: u64,
}

/// Why a sample proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum SampleError {
    /// The file is there and cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not a sample.
    #[error("sample.json is not a sample: {0}")]
    Invalid(String),
    /// The model does not answer it.
    #[error("the model does not answer its sample: {0}")]
    Refused(#[from] RunError),
    /// The model answers something else.
    #[error("the model answers its sample wrongly: {0}")]
    Mismatch(String),
}

/// What the protocol has besides, and what a request or an answer that was copied from elsewhere may have: of no use here.
type Unused = serde::de::IgnoredAny;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sample {
    request: Request,
    response: Response,
    #[serde(default)]
    tolerance: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    inputs: Vec<Named>,
    #[serde(default, rename = "id")]
    _id: Unused,
    #[serde(default, rename = "parameters")]
    _parameters: Unused,
    #[serde(default, rename = "outputs")]
    _outputs: Unused,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Response {
    outputs: Vec<Named>,
    #[serde(default, rename = "model_name")]
    _model_name: Unused,
    #[serde(default, rename = "model_version")]
    _model_version: Unused,
    #[serde(default, rename = "id")]
    _id: Unused,
    #[serde(default, rename = "parameters")]
    _parameters: Unused,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    name: String,
    datatype: String,
    shape: Vec<usize>,
    data: Value,
    #[serde(default, rename = "parameters")]
    _parameters: Unused,
}

/// Runs the sample in `folder` and compares the answer; `None` where there is no sample.
///
/// # Errors
/// See [`SampleError`]; a mismatch names the output, the element, what was found and what was expected.
pub fn prove(engine: &dyn Engine, folder: &Path) -> Result<Option<Proof>, SampleError> {
    let Some(text) = slurp(&folder.join(FILE))? else { return Ok(None) };
    let sample: Sample = serde_json::from_slice(&text).map_err(|error| SampleError::Invalid(error.to_string()))?;
    let tolerance = sample.tolerance.unwrap_or(TOLERANCE);
    if !(tolerance >= 0.0 && tolerance.is_finite()) {
        return Err(SampleError::Invalid(format!("tolerance is {tolerance}; expected a number from 0")));
    }
    if sample.response.outputs.is_empty() {
        return Err(SampleError::Invalid("response.outputs is empty: nothing to compare".to_owned()));
    }
    let given = sample.request.inputs.into_iter().map(|one| Ok((one.name.clone(), one.tensor("request.inputs")?)));
    let given = given.collect::<Result<Vec<_>, SampleError>>()?;
    let signature = engine.signature();
    let inputs = signature.bind(given).map_err(|fault| SampleError::Invalid(fault.message))?;
    let stop = Stop::at(Instant::now() + PATIENCE);
    let (found, nanos) = fastest(engine, &inputs, &stop)?;
    for expected in sample.response.outputs.iter() {
        let at = signature.output(&expected.name).map_err(|fault| SampleError::Invalid(fault.message))?;
        compare(&expected.name, &found[at], &expected.tensor("response.outputs")?, tolerance)?;
    }
    Ok(Some(Proof { outputs: sample.response.outputs.len(), nanos }))
}

fn slurp(path: &Path) -> Result<Option<Vec<u8>>, SampleError> {
    let failed = |source| SampleError::Read { path: path.display().to_string(), source };
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut text = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut text).map_err(failed)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(SampleError::Invalid(format!("it is larger than {MAX_BYTES} bytes")));
    }
    Ok(Some(text))
}

/// The answer, and the shortest of a few runs (one, where it is long). The first may build the plan.
fn fastest(engine: &dyn Engine, inputs: &[Tensor], stop: &Stop) -> Result<(Vec<Tensor>, u64), SampleError> {
    let mut least = Duration::MAX;
    let mut found = Vec::new();
    for run in 0..=RUNS {
        let begun = Instant::now();
        found = engine.run(inputs, stop)?;
        least = least.min(begun.elapsed());
        if run > 0 && least > Duration::from_millis(20) {
            break;
        }
    }
    Ok((found, u64::try_from(least.as_nanos()).unwrap_or(u64::MAX)))
}

impl Named {
    /// The tensor; `place` is where it stands in the file.
    fn tensor(&self, place: &str) -> Result<Tensor, SampleError> {
        let invalid = |what: String| SampleError::Invalid(format!("{place} '{}': {what}", self.name));
        let datatype: DataType = self.datatype.parse().map_err(|error| invalid(format!("{error}")))?;
        let mut flat = Vec::new();
        flatten(&self.data, &mut flat);
        if datatype == DataType::Bytes {
            let text = |value: &&Value| value.as_str().map(|text| Bytes::copy_from_slice(text.as_bytes()));
            let texts = flat.iter().map(|value| text(value).ok_or_else(|| invalid(format!("{value} is not a string"))));
            return Tensor::strings(self.shape.clone(), texts.collect::<Result<_, _>>()?)
                .map_err(|error| invalid(error.to_string()));
        }
        let mut raw = BytesMut::with_capacity(flat.len() * datatype.size().unwrap_or(0));
        for (at, value) in flat.iter().enumerate() {
            if put(&mut raw, datatype, value).is_none() {
                return Err(invalid(format!("element {at} is {value}; expected {datatype}")));
            }
        }
        Tensor::new(datatype, self.shape.clone(), raw.freeze()).map_err(|error| invalid(error.to_string()))
    }
}

/// Row-major elements of a flat or nested array.
fn flatten<'a>(value: &'a Value, into: &mut Vec<&'a Value>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| flatten(value, into)),
        value => into.push(value),
    }
}

/// Appends one element; `None` where the value is not one of that datatype.
fn put(raw: &mut BytesMut, datatype: DataType, value: &Value) -> Option<()> {
    macro_rules! integer {
        ($number:ty, $read:ident) => {
            raw.extend_from_slice(&<$number>::try_from(value.$read()?).ok()?.to_le_bytes())
        };
    }
    match datatype {
        DataType::Bool => raw.extend_from_slice(&[u8::from(value.as_bool().or_else(|| Some(value.as_u64()? != 0))?)]),
        DataType::Uint8 => integer!(u8, as_u64),
        DataType::Uint16 => integer!(u16, as_u64),
        DataType::Uint32 => integer!(u32, as_u64),
        DataType::Uint64 => integer!(u64, as_u64),
        DataType::Int8 => integer!(i8, as_i64),
        DataType::Int16 => integer!(i16, as_i64),
        DataType::Int32 => integer!(i32, as_i64),
        DataType::Int64 => integer!(i64, as_i64),
        DataType::Fp16 => raw.extend_from_slice(&f16::from_f64(float(value)?).to_le_bytes()),
        DataType::Bf16 => raw.extend_from_slice(&bf16::from_f64(float(value)?).to_le_bytes()),
        DataType::Fp32 => raw.extend_from_slice(&(float(value)? as f32).to_le_bytes()),
        DataType::Fp64 => raw.extend_from_slice(&float(value)?.to_le_bytes()),
        DataType::Bytes => return None,
    }
    Some(())
}

/// A JSON number; or, since JSON has none, the names of the three values that are not finite.
fn float(value: &Value) -> Option<f64> {
    match value.as_str() {
        Some("NaN") => Some(f64::NAN),
        Some("Infinity") => Some(f64::INFINITY),
        Some("-Infinity") => Some(f64::NEG_INFINITY),
        Some(_) => None,
        None => value.as_f64(),
    }
}

fn compare(name: &str, found: &Tensor, expected: &Tensor, tolerance: f64) -> Result<(), SampleError> {
    let differ = |what: String| Err(SampleError::Mismatch(format!("output '{name}' {what}")));
    if found.datatype() != expected.datatype() {
        return differ(format!("is {}, expected {}", found.datatype(), expected.datatype()));
    }
    if found.shape() != expected.shape() {
        return differ(format!("has shape {:?}, expected {:?}", found.shape(), expected.shape()));
    }
    if matches!(found.datatype(), DataType::Fp16 | DataType::Bf16 | DataType::Fp32 | DataType::Fp64) {
        let values = found.to_f64().zip(expected.to_f64()).unwrap_or_default();
        return match values.0.iter().zip(&values.1).position(|(found, expected)| !close(*found, *expected, tolerance)) {
            Some(at) => differ(format!("element {at} is {}, expected {} within {tolerance}", values.0[at], values.1[at])),
            None => Ok(()),
        };
    }
    let (found, expected) = (elements(found), elements(expected));
    match found.iter().zip(&expected).position(|(found, expected)| found != expected) {
        Some(at) => differ(format!("element {at} is {}, expected {}", found[at], expected[at])),
        None => Ok(()),
    }
}

/// `|found - expected| <= tolerance + tolerance * |expected|`; NaN equals NaN, and an infinity itself alone.
fn close(found: f64, expected: f64, tolerance: f64) -> bool {
    let near = || expected.is_finite() && (found - expected).abs() <= tolerance * (1.0 + expected.abs());
    found == expected || (found.is_nan() && expected.is_nan()) || near()
}

/// Exact elements as text, for datatypes that are compared exactly.
fn elements(tensor: &Tensor) -> Vec<String> {
    let raw = match tensor.data() {
        Data::Strings(strings) => return strings.iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect(),
        Data::Raw(raw) => raw,
    };
    let size = tensor.datatype().size().unwrap_or(1);
    let signed = matches!(tensor.datatype(), DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64);
    let integer = |bytes: &[u8]| {
        let fill = if signed && bytes.last().is_some_and(|byte| byte & 0x80 != 0) { 0xff } else { 0 };
        let mut wide = [fill; 16];
        wide[..bytes.len()].copy_from_slice(bytes);
        i128::from_le_bytes(wide).to_string()
    };
    raw.chunks(size).map(integer).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tensor(datatype: &str, shape: &[usize], data: Value) -> Result<Tensor, SampleError> {
        let (name, datatype, shape) = ("x".to_owned(), datatype.to_owned(), shape.to_vec());
        Named { name, datatype, shape, data, _parameters: Unused::default() }.tensor("request.inputs")
    }

    #[test]
    fn a_difference_names_output_and_element() {
        let float = |data| tensor("FP32", &[2], data).unwrap();
        let text =
            |found: &Tensor, expected: &Tensor, tolerance| compare("y", found, expected, tolerance).unwrap_err().to_string();
        let (a, b) = (float(json!([1.0, 2.0])), float(json!([1.0, 2.5])));
        assert!(text(&a, &b, 1e-4).ends_with("output 'y' element 1 is 2, expected 2.5 within 0.0001"));
        assert!(compare("y", &a, &b, 0.2).is_ok());
        assert!(compare("y", &float(json!(["NaN", "-Infinity"])), &float(json!(["NaN", "-Infinity"])), 0.0).is_ok());
        assert!(compare("y", &float(json!(["NaN", 0])), &float(json!([0, 0])), 9.0).is_err());
        assert!(compare("y", &float(json!(["Infinity", 0])), &float(json!(["-Infinity", 0])), 9.0).is_err());
        let long = |data| tensor("INT64", &[1], data).unwrap();
        let message = text(&long(json!([9_007_199_254_740_993_i64])), &long(json!([9_007_199_254_740_992_i64])), 1.0);
        assert!(message.ends_with("element 0 is 9007199254740993, expected 9007199254740992"), "{message}");
        assert!(text(&long(json!([-1])), &a, 1.0).ends_with("is INT64, expected FP32"));
        assert!(text(&float(json!([[1, 2]])), &tensor("FP32", &[1, 2], json!([1, 2])).unwrap(), 1.0).contains("shape [2]"));
    }

    #[test]
    fn an_unknown_key_is_named_and_the_protocols_own_pass() {
        let read = |sample: &Value| serde_json::from_value::<Sample>(sample.clone()).map(drop).map_err(|error| error.to_string());
        let tensor = json!({ "name": "x", "datatype": "FP32", "shape": [1], "data": [1], "parameters": {} });
        let good = json!({
            "request": { "id": "7", "parameters": {}, "inputs": [tensor], "outputs": [{ "name": "y" }] },
            "response": { "id": "7", "model_name": "m", "model_version": "1", "parameters": {}, "outputs": [tensor] },
            "tolerance": 0.1,
        });
        assert_eq!(read(&good), Ok(()));
        for (place, key) in [("", "tolerence"), ("/request", "input"), ("/response", "output"), ("/request/inputs/0", "dtype")] {
            let mut bad = good.clone();
            bad.pointer_mut(place).unwrap()[key] = json!(1);
            let error = read(&bad).unwrap_err();
            assert!(error.starts_with(&format!("unknown field `{key}`, expected ")), "{error}");
        }
    }

    #[test]
    fn bad_data_is_named() {
        for (datatype, data, message) in [
            ("FP32", json!(["one", 2]), "request.inputs 'x': element 0 is \"one\"; expected FP32"),
            ("UINT8", json!([1, 300]), "request.inputs 'x': element 1 is 300; expected UINT8"),
            ("INT8", json!([1, 1.5]), "request.inputs 'x': element 1 is 1.5; expected INT8"),
            ("FP32", json!([1]), "request.inputs 'x': shape [2] of FP32 needs 8 bytes, found 4"),
            ("FLOAT", json!([1, 2]), "unknown datatype 'FLOAT'"),
            ("BYTES", json!([1, 2]), "request.inputs 'x': 1 is not a string"),
        ] {
            let error = tensor(datatype, &[2], data).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }
}
