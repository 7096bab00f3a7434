//! What a model takes and gives, as its server tells.

use modelyard_wire::DataType;
use serde::Deserialize;
use serde_json::Value;

use super::ClientError;

/// One declared tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorSpec {
    /// Its name.
    pub name: String,
    /// Its element type.
    pub datatype: DataType,
    /// Its dimensions, -1 where any size is taken.
    pub shape: Vec<i64>,
}

/// A model's metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// The model's name.
    pub name: String,
    /// Its versions.
    pub versions: Vec<String>,
    /// `<project>_<format>`, such as `onnx_onnxv1`.
    pub platform: String,
    /// The inputs.
    pub inputs: Vec<TensorSpec>,
    /// The outputs.
    pub outputs: Vec<TensorSpec>,
    /// Class names by index, where the server tells them (`properties.classes`); may be empty.
    pub classes: Vec<String>,
}

#[derive(Deserialize)]
struct Document {
    name: String,
    #[serde(default)]
    versions: Vec<String>,
    #[serde(default)]
    platform: String,
    inputs: Vec<Tensor>,
    outputs: Vec<Tensor>,
    #[serde(default)]
    properties: serde_json::Map<String, Value>,
}

#[derive(Deserialize)]
struct Tensor {
    name: String,
    datatype: String,
    shape: Vec<i64>,
}

impl TensorSpec {
    pub(super) fn new(name: String, datatype: &str, shape: Vec<i64>) -> Result<Self, ClientError> {
        let datatype = datatype.parse().map_err(|error| ClientError::Reply(format!("tensor '{name}': {error}")))?;
        Ok(Self { name, datatype, shape })
    }
}

impl Metadata {
    /// Reads the answer to `GET v2/models/{model}`.
    ///
    /// # Errors
    /// When it is not of the protocol.
    pub fn from_json(body: &[u8]) -> Result<Self, ClientError> {
        let document: Document =
            serde_json::from_slice(body).map_err(|error| ClientError::Reply(format!("model metadata: {error}")))?;
        let specs = |tensors: Vec<Tensor>| {
            tensors.into_iter().map(|one| TensorSpec::new(one.name, &one.datatype, one.shape)).collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            name: document.name,
            versions: document.versions,
            platform: document.platform,
            inputs: specs(document.inputs)?,
            outputs: specs(document.outputs)?,
            classes: document.properties.get("classes").map(classes).unwrap_or_default(),
        })
    }
}

/// Class names: a list, or a string that holds one in JSON or with commas between them.
fn classes(value: &Value) -> Vec<String> {
    match value {
        Value::Array(names) => names.iter().map(|name| name.as_str().map_or_else(|| name.to_string(), str::to_owned)).collect(),
        Value::String(text) => class_list(text),
        _ => Vec::new(),
    }
}

pub(super) fn class_list(text: &str) -> Vec<String> {
    match serde_json::from_str::<Vec<String>>(text) {
        Ok(names) => names,
        Err(_) if text.is_empty() => Vec::new(),
        Err(_) => text.split(',').map(|name| name.trim().to_owned()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_read() {
        let body = br#"{"name":"m","versions":["1"],"platform":"onnx_onnxv1","properties":{"classes":"[\"a\",\"b\"]"},
            "inputs":[{"name":"x","datatype":"FP32","shape":[-1,4]}],"outputs":[]}"#;
        let metadata = Metadata::from_json(body).unwrap();
        assert_eq!(metadata.inputs[0], TensorSpec { name: "x".into(), datatype: DataType::Fp32, shape: vec![-1, 4] });
        assert_eq!(metadata.classes, ["a", "b"]);
        let wrong = br#"{"name":"m","inputs":[{"name":"x","datatype":"FLOAT","shape":[]}],"outputs":[]}"#;
        assert!(Metadata::from_json(wrong).unwrap_err().to_string().contains("tensor 'x': unknown datatype 'FLOAT'"));
    }
}
