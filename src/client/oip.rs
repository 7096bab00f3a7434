//! The Open Inference Protocol over REST: JSON, and the binary tensor extension.

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use modelyard_wire::json::{Cursor, Elements, JsonError, write};
use modelyard_wire::{DataType, Tensor};

use super::{Answer, ClientError, ModelName, Prepared, Reply};

/// Bytes of JSON before the binary tensors, in requests and answers.
const JSON_LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");

/// A request whose tensors are JSON numbers.
pub(super) fn prepare_json(model: &ModelName, inputs: &[(String, Tensor)]) -> Result<Prepared, ClientError> {
    let mut body = Vec::new();
    head(&mut body, inputs, |body, name, tensor| {
        if let Some(raw) = tensor.to_f64().filter(|_| is_float(tensor.datatype()))
            && raw.iter().any(|value| !value.is_finite())
        {
            return Err(ClientError::Request(format!(
                "input '{name}' holds NaN or an infinity, which JSON has not; use --protocol binary"
            )));
        }
        body.extend_from_slice(b",\"data\":");
        write::flat(body, tensor, write::Text::Utf8)
            .map_err(|error| ClientError::Request(format!("input '{name}': {error}; use --protocol binary")))
    })?;
    body.push(b'}');
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(Prepared { method: Method::POST, path: format!("/v2{}/infer", model.path()), headers, body: body.into() })
}

/// The form that an answer shall have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outputs {
    Json,
    Binary,
}

/// A request whose tensors follow a head of JSON.
pub(super) fn prepare_binary(model: &ModelName, inputs: &[(String, Tensor)], outputs: Outputs) -> Result<Prepared, ClientError> {
    let mut json = Vec::new();
    head(&mut json, inputs, |json, _, tensor| {
        json.extend_from_slice(b",\"parameters\":{\"binary_data_size\":");
        write::integer(json, tensor.raw_len());
        json.push(b'}');
        Ok(())
    })?;
    json.extend_from_slice(match outputs {
        Outputs::Json => b"}",
        Outputs::Binary => b",\"parameters\":{\"binary_data_output\":true}}",
    });
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(JSON_LENGTH, HeaderValue::from(json.len()));
    let mut body = BytesMut::from(json.as_slice());
    inputs.iter().for_each(|(_, tensor)| body.extend_from_slice(&tensor.to_raw()));
    Ok(Prepared { method: Method::POST, path: format!("/v2{}/infer", model.path()), headers, body: body.freeze() })
}

const fn is_float(datatype: DataType) -> bool {
    matches!(datatype, DataType::Fp32 | DataType::Fp64)
}

/// `{"inputs":[...]` with each input's rest from `rest`; the object is left open.
fn head(
    out: &mut Vec<u8>,
    inputs: &[(String, Tensor)],
    mut rest: impl FnMut(&mut Vec<u8>, &str, &Tensor) -> Result<(), ClientError>,
) -> Result<(), ClientError> {
    out.extend_from_slice(b"{\"inputs\":[");
    for (index, (name, tensor)) in inputs.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(b"{\"name\":");
        write::string(out, name);
        out.extend_from_slice(b",\"shape\":");
        write::shape(out, tensor.shape().iter().copied());
        out.extend_from_slice(b",\"datatype\":");
        write::string(out, tensor.datatype().as_str());
        rest(out, name, tensor)?;
        out.push(b'}');
    }
    out.push(b']');
    Ok(())
}

/// 200, or the refusal in the server's own words.
pub(super) fn verdict(reply: &Reply) -> Result<(), ClientError> {
    if reply.status == StatusCode::OK {
        return Ok(());
    }
    let message = serde_json::from_slice::<serde_json::Value>(&reply.body)
        .ok()
        .and_then(|body| Some(body.get("error")?.as_str()?.to_owned()))
        .unwrap_or_else(|| String::from_utf8_lossy(&reply.body).chars().take(400).collect());
    Err(ClientError::Refused { status: reply.status.as_u16().to_string(), message })
}

/// One output of an answer, before its data is found.
struct Output<'a> {
    name: String,
    datatype: DataType,
    shape: Vec<usize>,
    data: Option<Cursor<'a>>,
    binary: Option<usize>,
}

/// The tensors of an answer, of either form.
pub(super) fn decode(reply: &Reply) -> Result<Answer, ClientError> {
    let length = match reply.headers.get(JSON_LENGTH) {
        None => reply.body.len(),
        Some(value) => value
            .to_str()
            .ok()
            .and_then(|text| text.parse().ok())
            .filter(|length| *length <= reply.body.len())
            .ok_or_else(|| ClientError::Reply(format!("Inference-Header-Content-Length is {value:?}")))?,
    };
    let wrong = |error: JsonError| ClientError::Reply(error.to_string());
    let (version, outputs) = parse(&reply.body[..length]).map_err(wrong)?;
    let mut raw = reply.body.slice(length..);
    let mut tensors = Vec::with_capacity(outputs.len());
    for output in outputs {
        let name = output.name.clone();
        let tensor = tensor(output, &mut raw).map_err(|why| ClientError::Reply(format!("output '{name}': {why}")))?;
        tensors.push((name, tensor));
    }
    if !raw.is_empty() {
        return Err(ClientError::Reply(format!("{} bytes after the last tensor", raw.len())));
    }
    Ok(Answer { version, outputs: tensors })
}

fn tensor(output: Output<'_>, raw: &mut Bytes) -> Result<Tensor, String> {
    if let Some(size) = output.binary {
        if size > raw.len() {
            return Err(format!("{size} bytes announced, {} there", raw.len()));
        }
        return Tensor::new(output.datatype, output.shape, raw.split_to(size)).map_err(|error| error.to_string());
    }
    let mut data = output.data.ok_or("neither data nor binary_data_size")?;
    let mut elements = Elements::new(output.datatype);
    elements.read(&mut data).map_err(|error| error.to_string())?;
    elements.finish(output.shape).map_err(|error| error.to_string())
}

type Parsed<'a> = (Option<String>, Vec<Output<'a>>);

fn parse(json: &[u8]) -> Result<Parsed<'_>, JsonError> {
    let (mut version, mut outputs) = (None, Vec::new());
    let mut document = Cursor::new(json);
    document.object(|key, cursor| match &*key {
        "model_version" => {
            version = Some(cursor.string()?.into_owned());
            Ok(())
        }
        "outputs" => cursor.array(|cursor| {
            outputs.push(output(cursor)?);
            Ok::<_, JsonError>(())
        }),
        _ => cursor.skip_value(),
    })?;
    document.end()?;
    Ok((version, outputs))
}

fn output<'a>(cursor: &mut Cursor<'a>) -> Result<Output<'a>, JsonError> {
    let at = cursor.position();
    let mut output = Output { name: String::new(), datatype: DataType::Fp32, shape: Vec::new(), data: None, binary: None };
    let mut typed = false;
    cursor.object(|key, cursor| {
        let at = cursor.position();
        match &*key {
            "name" => output.name = cursor.string()?.into_owned(),
            "datatype" => {
                let name = cursor.string()?;
                output.datatype = name.parse().map_err(|_| JsonError::new(at, "a datatype", name.into_owned()))?;
                typed = true;
            }
            "shape" => cursor.array(|cursor| {
                let dim = cursor.u64()?;
                output.shape.push(usize::try_from(dim).map_err(|_| JsonError::new(at, "a dimension", dim.to_string()))?);
                Ok::<_, JsonError>(())
            })?,
            "data" => {
                output.data = Some(cursor.clone());
                cursor.skip_value()?;
            }
            "parameters" => cursor.object(|key, cursor| match &*key {
                "binary_data_size" => {
                    output.binary = usize::try_from(cursor.u64()?).ok();
                    Ok::<_, JsonError>(())
                }
                _ => cursor.skip_value(),
            })?,
            _ => cursor.skip_value()?,
        }
        Ok::<_, JsonError>(())
    })?;
    if typed { Ok(output) } else { Err(JsonError::new(at, "an output with a datatype", "none")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> ModelName {
        ModelName { name: "a b".into(), version: Some("2".into()) }
    }

    #[test]
    fn requests_are_as_the_protocol_says() {
        let inputs = [("x".to_owned(), Tensor::from_f32(vec![1, 2], &[0.5, -1.0]).unwrap())];
        let json = prepare_json(&model(), &inputs).unwrap();
        assert_eq!(json.path, "/v2/models/a%20b/versions/2/infer");
        let body: serde_json::Value = serde_json::from_slice(&json.body).unwrap();
        assert_eq!(
            body,
            serde_json::json!({"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [0.5, -1.0]}]})
        );
        let binary = prepare_binary(&model(), &inputs, Outputs::Binary).unwrap();
        let length: usize = binary.headers[JSON_LENGTH].to_str().unwrap().parse().unwrap();
        let head: serde_json::Value = serde_json::from_slice(&binary.body[..length]).unwrap();
        assert_eq!(head["inputs"][0]["parameters"]["binary_data_size"], 8);
        assert_eq!(binary.body[length..], inputs[0].1.to_raw());
        let nan = [("x".to_owned(), Tensor::from_f32(vec![1], &[f32::NAN]).unwrap())];
        assert!(prepare_json(&model(), &nan).unwrap_err().to_string().contains("use --protocol binary"));
    }

    fn reply(json: &str, raw: &[u8]) -> Reply {
        let mut headers = HeaderMap::new();
        if !raw.is_empty() {
            headers.insert(JSON_LENGTH, HeaderValue::from(json.len()));
        }
        let body = Bytes::from([json.as_bytes(), raw].concat());
        Reply { status: StatusCode::OK, headers, body, trailers: HeaderMap::new() }
    }

    #[test]
    fn answers_of_both_forms_are_read() {
        let json = r#"{"model_name":"m","model_version":"3","outputs":[{"name":"y","datatype":"INT64","shape":[2],"data":[1,9007199254740993]}]}"#;
        let answer = decode(&reply(json, b"")).unwrap();
        assert_eq!(answer.version.as_deref(), Some("3"));
        assert_eq!(answer.outputs, [("y".to_owned(), Tensor::from_i64(vec![2], &[1, 9_007_199_254_740_993]).unwrap())]);
        let head = r#"{"outputs":[{"name":"y","datatype":"UINT8","shape":[2],"parameters":{"binary_data_size":2}}]}"#;
        assert_eq!(decode(&reply(head, &[1, 2])).unwrap().outputs[0].1.to_f64().unwrap(), [1.0, 2.0]);
        for (json, raw, why) in [
            (head, &[1][..], "2 bytes announced, 1 there"),
            (head, &[1, 2, 3], "1 bytes after the last tensor"),
            (r#"{"outputs":[{"name":"y","datatype":"INT64","shape":[3],"data":[1]}]}"#, &[], "needs 3"),
            (r#"{"outputs":[{"name":"y","shape":[1],"data":[1]}]}"#, &[], "an output with a datatype"),
            ("<html>", &[], "expected"),
        ] {
            let error = decode(&reply(json, raw)).unwrap_err().to_string();
            assert!(error.contains(why), "{json}: {error}");
        }
    }

    #[test]
    fn refusals_keep_the_servers_words() {
        let mut refused = reply(r#"{"error": "queue full"}"#, b"");
        refused.status = StatusCode::SERVICE_UNAVAILABLE;
        assert_eq!(verdict(&refused).unwrap_err().to_string(), "the server answered 503: queue full");
    }
}
