//! TensorFlow Serving's REST predict, and the serialised request that its gRPC clients save.

use bytes::Bytes;
use http::Method;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use modelyard_wire::json::{Cursor, Elements, JsonError, Kind, write};
use modelyard_wire::proto::tensorflow::{self, TensorProto, TensorShapeProto, serving, tensor_shape_proto::Dim};
use modelyard_wire::{Data, DataType, Tensor};
use prost::Message;

use super::{Answer, ClientError, Metadata, ModelName, Prepared, Reply, TensorSpec};

/// `instances` where every input has the same number of rows, else `inputs`.
pub(super) fn prepare(model: &ModelName, inputs: &[(String, Tensor)]) -> Result<Prepared, ClientError> {
    let mut body = Vec::new();
    match rows(inputs) {
        Some(rows) => instances(&mut body, inputs, rows)?,
        None => columns(&mut body, inputs)?,
    }
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(Prepared { method: Method::POST, path: format!("/v1{}:predict", model.path()), headers, body: body.into() })
}

fn rows(inputs: &[(String, Tensor)]) -> Option<usize> {
    let rows = inputs.first()?.1.shape().first().copied()?;
    let same = inputs.iter().all(|(_, tensor)| tensor.shape().first() == Some(&rows));
    (same && rows > 0).then_some(rows)
}

fn instances(body: &mut Vec<u8>, inputs: &[(String, Tensor)], rows: usize) -> Result<(), ClientError> {
    body.extend_from_slice(b"{\"instances\":[");
    for row in 0..rows {
        body.extend_from_slice(if row > 0 { b"," } else { b"" });
        if let [(name, tensor)] = inputs {
            write::row(body, tensor, row, text(tensor)).map_err(|error| no_json(name, &error))?;
            continue;
        }
        for (index, (name, tensor)) in inputs.iter().enumerate() {
            body.push(if index > 0 { b',' } else { b'{' });
            write::string(body, name);
            body.push(b':');
            write::row(body, tensor, row, text(tensor)).map_err(|error| no_json(name, &error))?;
        }
        body.push(b'}');
    }
    body.extend_from_slice(b"]}");
    Ok(())
}

fn columns(body: &mut Vec<u8>, inputs: &[(String, Tensor)]) -> Result<(), ClientError> {
    body.extend_from_slice(b"{\"inputs\":{");
    for (index, (name, tensor)) in inputs.iter().enumerate() {
        body.extend_from_slice(if index > 0 { b"," } else { b"" });
        write::string(body, name);
        body.push(b':');
        write::nested(body, tensor, text(tensor)).map_err(|error| no_json(name, &error))?;
    }
    body.extend_from_slice(b"}}");
    Ok(())
}

/// Bytes that are no text travel as base64.
fn text(tensor: &Tensor) -> write::Text {
    match tensor.data() {
        Data::Strings(strings) if strings.iter().any(|one| std::str::from_utf8(one).is_err()) => write::Text::Base64,
        _ => write::Text::Utf8,
    }
}

fn no_json(name: &str, error: &write::WriteError) -> ClientError {
    ClientError::Request(format!("input '{name}': {error}; use --protocol binary"))
}

/// The tensors of an answer; the datatypes come from the model's metadata, since JSON does not tell them.
pub(super) fn decode(reply: &Reply, metadata: &Metadata) -> Result<Answer, ClientError> {
    let mut outputs = None;
    let mut document = Cursor::new(&reply.body);
    document
        .object(|key, cursor| {
            outputs = match &*key {
                "predictions" => Some(predictions(cursor, &metadata.outputs)?),
                "outputs" => Some(named(cursor, &metadata.outputs)?),
                _ => {
                    cursor.skip_value()?;
                    return Ok::<_, Unread>(());
                }
            };
            Ok(())
        })
        .map_err(|unread| ClientError::Reply(unread.0))?;
    let outputs = outputs.ok_or_else(|| ClientError::Reply("neither predictions nor outputs".to_owned()))?;
    Ok(Answer { version: None, outputs })
}

/// Why an answer was not understood.
struct Unread(String);

impl From<JsonError> for Unread {
    fn from(error: JsonError) -> Self {
        Self(error.to_string())
    }
}

type Outputs = Vec<(String, Tensor)>;

/// `predictions`: bare rows of the only output, or objects with a value for each.
fn predictions(cursor: &mut Cursor<'_>, specs: &[TensorSpec]) -> Result<Outputs, Unread> {
    if let [spec] = specs {
        let value = cursor.clone();
        return match tensor(cursor, spec) {
            Ok(tensor) => Ok(vec![(spec.name.clone(), tensor)]),
            Err(unread) => {
                *cursor = value;
                rows_by_name(cursor, specs).map_err(|_| unread)
            }
        };
    }
    rows_by_name(cursor, specs)
}

fn rows_by_name(cursor: &mut Cursor<'_>, specs: &[TensorSpec]) -> Result<Outputs, Unread> {
    let mut parts: Vec<(Elements, Vec<usize>)> = specs.iter().map(|spec| (elements(spec.datatype), Vec::new())).collect();
    let mut rows = 0;
    cursor.array(|cursor| {
        rows += 1;
        cursor.object(|key, cursor| {
            let at = specs.iter().position(|spec| spec.name == *key).ok_or_else(|| Unread(format!("unknown output '{key}'")))?;
            let (elements, shape) = &mut parts[at];
            *shape = elements.read(cursor)?.shape().map_err(|at| Unread(format!("byte {at}: a ragged list")))?;
            Ok::<_, Unread>(())
        })
    })?;
    let finish = |(spec, (elements, shape)): (&TensorSpec, (Elements, Vec<usize>))| {
        let tensor = elements.finish([&[rows], shape.as_slice()].concat());
        Ok((spec.name.clone(), tensor.map_err(|error| Unread(format!("output '{}': {error}", spec.name)))?))
    };
    specs.iter().zip(parts).map(finish).collect()
}

/// `outputs`: the only tensor bare, or tensors by name.
fn named(cursor: &mut Cursor<'_>, specs: &[TensorSpec]) -> Result<Outputs, Unread> {
    if cursor.kind()? != Kind::Object {
        let [spec] = specs else { return Err(Unread(format!("one output without a name, of {}", specs.len()))) };
        return Ok(vec![(spec.name.clone(), tensor(cursor, spec)?)]);
    }
    let mut outputs = Vec::new();
    cursor.object(|key, cursor| {
        let spec = specs.iter().find(|spec| spec.name == *key).ok_or_else(|| Unread(format!("unknown output '{key}'")))?;
        outputs.push((spec.name.clone(), tensor(cursor, spec)?));
        Ok::<_, Unread>(())
    })?;
    Ok(outputs)
}

fn tensor(cursor: &mut Cursor<'_>, spec: &TensorSpec) -> Result<Tensor, Unread> {
    let mut elements = elements(spec.datatype);
    let shape = elements.read(cursor)?.shape().map_err(|at| Unread(format!("byte {at}: a ragged list")))?;
    elements.finish(shape).map_err(|error| Unread(format!("output '{}': {error}", spec.name)))
}

fn elements(datatype: DataType) -> Elements {
    Elements::new(datatype).with_base64()
}

/// A serialised `PredictRequest`, as people save it for curl.
pub(super) fn prepare_serialised(model: &ModelName, inputs: &[(String, Tensor)]) -> Result<Prepared, ClientError> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
    let (path, body) = (format!("/v1{}:predict", model.path()), predict_request(model, inputs)?);
    Ok(Prepared { method: Method::POST, path, headers, body })
}

fn predict_request(model: &ModelName, inputs: &[(String, Tensor)]) -> Result<Bytes, ClientError> {
    let version_choice = model.version.as_ref().map(|version| match version.parse() {
        Ok(number) => serving::model_spec::VersionChoice::Version(number),
        Err(_) => serving::model_spec::VersionChoice::VersionLabel(version.clone()),
    });
    let spec = serving::ModelSpec { name: model.name.clone(), version_choice, ..Default::default() };
    let inputs =
        inputs.iter().map(|(name, tensor)| Ok((name.clone(), tensor_proto(tensor)?))).collect::<Result<_, ClientError>>()?;
    let request = serving::PredictRequest { model_spec: Some(spec), inputs, ..Default::default() };
    Ok(request.encode_to_vec().into())
}

fn tensor_proto(tensor: &Tensor) -> Result<TensorProto, ClientError> {
    let dim = |size: &usize| i64::try_from(*size).map(|size| Dim { size, ..Default::default() });
    let dims = tensor.shape().iter().map(dim).collect::<Result<_, _>>();
    let dims = dims.map_err(|_| ClientError::Request(format!("shape {:?} is too large", tensor.shape())))?;
    let mut proto = TensorProto {
        dtype: i32::from(dtype(tensor.datatype())),
        tensor_shape: Some(TensorShapeProto { dim: dims, ..Default::default() }),
        ..Default::default()
    };
    match tensor.data() {
        Data::Raw(raw) => proto.tensor_content = raw.clone(),
        Data::Strings(strings) => proto.string_val = strings.clone(),
    }
    Ok(proto)
}

const fn dtype(datatype: DataType) -> tensorflow::DataType {
    match datatype {
        DataType::Bool => tensorflow::DataType::DtBool,
        DataType::Uint8 => tensorflow::DataType::DtUint8,
        DataType::Uint16 => tensorflow::DataType::DtUint16,
        DataType::Uint32 => tensorflow::DataType::DtUint32,
        DataType::Uint64 => tensorflow::DataType::DtUint64,
        DataType::Int8 => tensorflow::DataType::DtInt8,
        DataType::Int16 => tensorflow::DataType::DtInt16,
        DataType::Int32 => tensorflow::DataType::DtInt32,
        DataType::Int64 => tensorflow::DataType::DtInt64,
        DataType::Fp16 => tensorflow::DataType::DtHalf,
        DataType::Bf16 => tensorflow::DataType::DtBfloat16,
        DataType::Fp32 => tensorflow::DataType::DtFloat,
        DataType::Fp64 => tensorflow::DataType::DtDouble,
        DataType::Bytes => tensorflow::DataType::DtString,
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    fn metadata(outputs: &[(&str, DataType)]) -> Metadata {
        let spec =
            |(name, datatype): &(&str, DataType)| TensorSpec { name: (*name).into(), datatype: *datatype, shape: vec![-1] };
        Metadata {
            name: "m".into(),
            versions: Vec::new(),
            platform: String::new(),
            inputs: Vec::new(),
            outputs: outputs.iter().map(spec).collect(),
            classes: Vec::new(),
        }
    }

    fn body(inputs: &[(String, Tensor)]) -> serde_json::Value {
        serde_json::from_slice(&prepare(&ModelName { name: "m".into(), version: None }, inputs).unwrap().body).unwrap()
    }

    #[test]
    fn rows_where_they_agree() {
        let a = ("a".to_owned(), Tensor::from_f32(vec![2, 2], &[1.0, 2.0, 3.0, 4.0]).unwrap());
        let b = ("b".to_owned(), Tensor::from_i64(vec![2], &[5, 6]).unwrap());
        let c = ("c".to_owned(), Tensor::from_i64(vec![], &[7]).unwrap());
        assert_eq!(body(std::slice::from_ref(&a)), serde_json::json!({"instances": [[1.0, 2.0], [3.0, 4.0]]}));
        let both = serde_json::json!({"instances": [{"a": [1.0, 2.0], "b": 5}, {"a": [3.0, 4.0], "b": 6}]});
        assert_eq!(body(&[a, b.clone()]), both);
        assert_eq!(body(&[b, c]), serde_json::json!({"inputs": {"b": [5, 6], "c": 7}}));
    }

    #[test]
    fn every_answer_is_read() {
        let two = [("y", DataType::Fp32), ("n", DataType::Int64)];
        for (json, outputs, shapes) in [
            (r#"{"predictions": [[0.5, 1.0]]}"#, &two[..1], vec![vec![1, 2]]),
            (r#"{"predictions": [{"y": [0.5], "n": 3}, {"y": [0.7], "n": 4}]}"#, &two[..], vec![vec![2, 1], vec![2]]),
            (r#"{"outputs": [[1.0]]}"#, &two[..1], vec![vec![1, 1]]),
            (r#"{"outputs": {"y": 1.0, "n": [1]}}"#, &two[..], vec![vec![], vec![1]]),
        ] {
            let reply = Reply {
                status: StatusCode::OK,
                headers: HeaderMap::new(),
                body: Bytes::from_static(json.as_bytes()),
                trailers: HeaderMap::new(),
            };
            let answer = decode(&reply, &metadata(outputs)).unwrap();
            let found: Vec<_> = answer.outputs.iter().map(|(_, tensor)| tensor.shape().to_vec()).collect();
            assert_eq!(found, shapes, "{json}");
        }
    }
}
