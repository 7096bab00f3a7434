//! gRPC by hand: a frame there, a frame back, the status in the trailers.

use bytes::{BufMut, Bytes, BytesMut};
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use modelyard_wire::proto::inference::model_infer_request::InferInputTensor;
use modelyard_wire::proto::inference::{ModelInferRequest, ModelInferResponse};
use prost::Message;

/// Infers one row of zeros; an error is gRPC's status and message.
pub(crate) async fn infer(url: &str, model: &str, width: usize) -> Result<ModelInferResponse, (String, String)> {
    let input = InferInputTensor {
        name: "pixels".to_owned(),
        datatype: "FP32".to_owned(),
        shape: vec![1, width as i64],
        ..InferInputTensor::default()
    };
    let message = ModelInferRequest {
        model_name: model.to_owned(),
        inputs: vec![input],
        raw_input_contents: vec![vec![0; width * 4].into()],
        ..ModelInferRequest::default()
    };
    let mut framed = BytesMut::new();
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.encoded_len()).unwrap());
    message.encode(&mut framed).unwrap();
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let request = Request::post(format!("{url}/inference.GRPCInferenceService/ModelInfer"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Full::new(framed.freeze()))
        .unwrap();
    let (head, body) = client.request(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap();
    let trailers = body.trailers().cloned().unwrap_or(head.headers);
    let text = |name: &str| trailers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
    match text("grpc-status").as_str() {
        "0" => Ok(ModelInferResponse::decode(&body.to_bytes()[5..]).unwrap()),
        status => Err((status.to_owned(), text("grpc-message"))),
    }
}
