//! The Open Inference Protocol: inference, and what is asked around it.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use modelyard_wire::proto::inference::infer_parameter::ParameterChoice;
use modelyard_wire::proto::inference::model_infer_request::InferRequestedOutputTensor;
use modelyard_wire::proto::inference::{self as oip, InferParameter, InferTensorContents};
use modelyard_wire::proto::tensorflow_serving as tfs;
use modelyard_wire::{DataType, Tensor};
use prost::Message;

use crate::house::{INFER, call, floats, framed, int, raw, refused, request, send, service, service_with, typed, with};

#[tokio::test]
async fn raw_and_typed_requests_are_answered_raw() {
    let service = service();
    for request in [raw(), typed()] {
        let answer: oip::ModelInferResponse = call(&service, INFER, &request).await.only();
        assert_eq!((&*answer.model_name, &*answer.model_version, &*answer.id), ("m", "3", "seven"));
        let names: Vec<_> = answer.outputs.iter().map(|one| (&*one.name, &*one.datatype, &one.shape[..])).collect();
        assert_eq!(names, [("doubled", "FP32", &[1, 3][..]), ("same", "FP32", &[1, 3])]);
        assert!(answer.outputs.iter().all(|one| one.contents.is_none()));
        assert_eq!(answer.raw_output_contents, [floats(&[2.0, -4.0, 1.0]), floats(&[1.0, -2.0, 0.5])]);
    }
}

#[tokio::test]
async fn outputs_are_chosen_and_classified() {
    let service = service();
    let request = with(|request| {
        request.outputs = vec![
            InferRequestedOutputTensor { name: "same".into(), ..Default::default() },
            InferRequestedOutputTensor {
                name: "doubled".into(),
                parameters: BTreeMap::from([("classification".into(), int(2))]),
            },
        ];
    });
    let answer: oip::ModelInferResponse = call(&service, INFER, &request).await.only();
    let names: Vec<_> = answer.outputs.iter().map(|one| (&*one.name, &*one.datatype, &one.shape[..])).collect();
    assert_eq!(names, [("same", "FP32", &[1, 3][..]), ("doubled", "BYTES", &[1, 2])]);
    let best = Tensor::new(DataType::Bytes, vec![1, 2], answer.raw_output_contents[1].clone()).unwrap();
    let texts = [Bytes::from_static(b"2.000000:0:zero"), Bytes::from_static(b"1.000000:2")];
    assert_eq!(best, Tensor::strings(vec![1, 2], texts.to_vec()).unwrap());
}

#[tokio::test]
async fn faults_of_infer_name_what_was_found() {
    let service = service();
    let typed_list = InferTensorContents { fp32_contents: vec![1.0; 3], ..Default::default() };
    for (request, expected) in [
        (with(|request| request.model_name = "nobody".into()), (5, "unknown model 'nobody'; this server has m, late")),
        (with(|request| request.model_version = "9".into()), (5, "model 'm' has no version '9'; it has 3")),
        (with(|request| request.model_version = "x".into()), (5, "model 'm' has no version 'x'")),
        (with(|request| request.model_name = "late".into()), (14, "model 'late' is loading")),
        (with(|request| request.inputs.clear()), (3, "raw_input_contents: expected 0 entries, one per input, found 1")),
        (
            with(|request| request.inputs[0].contents = Some(typed_list)),
            (3, "input 'x': it has fp32_contents, and the request has raw"),
        ),
        (with(|request| request.raw_input_contents.push(Bytes::new())), (3, "expected 1 entries, one per input, found 2")),
        (with(|request| request.raw_input_contents[0].truncate(8)), (3, "needs 12 bytes, found 8")),
        (with(|request| request.raw_input_contents.clear()), (3, "input 'x': it has no data")),
        (with(|request| request.inputs[0].datatype = "INT64".into()), (3, "needs 24 bytes, found 12")),
        (with(|request| request.inputs[0].datatype = "FLOAT".into()), (3, "unknown datatype 'FLOAT'")),
        (with(|request| request.inputs[0].shape = vec![-1, 3]), (3, "dimension 0 of its shape is -1")),
        (with(|request| request.inputs[0].shape = vec![3, 1]), (3, "expected shape [-1, 3] (-1 is any size), found [3, 1]")),
        (with(|request| request.inputs[0].name = "z".into()), (3, "unknown input 'z'; the model has 'x'")),
        (
            with(|request| request.outputs = vec![InferRequestedOutputTensor { name: "y".into(), ..Default::default() }]),
            (3, "unknown output 'y'"),
        ),
        (
            with(|request| request.parameters = BTreeMap::from([("a".into(), InferParameter::default())])),
            (3, "parameter 'a' has no value"),
        ),
        (
            with(|request| request.parameters = BTreeMap::from([("timeout".into(), int(-1))])),
            (3, "parameter 'timeout': expected a whole number"),
        ),
        (
            with(|request| {
                request.outputs = vec![InferRequestedOutputTensor {
                    name: "same".into(),
                    parameters: BTreeMap::from([("classification".into(), int(0))]),
                }];
            }),
            (3, "output 'same': classification: expected 1 or more"),
        ),
        (
            with(|request| {
                request.inputs[0].parameters = BTreeMap::from([("shared_memory_region".into(), int(1))]);
            }),
            (12, "input 'x': this server has no shared memory"),
        ),
    ] {
        refused(&service, INFER, &request, expected).await;
    }
}

#[tokio::test]
async fn unknown_parameters_pass_and_versions_match() {
    let service = service();
    let request = with(|request| {
        request.model_version = "3".into();
        request.parameters = BTreeMap::from([("anything".into(), int(1)), ("timeout".into(), int(5_000_000))]);
    });
    assert_eq!(call(&service, INFER, &request).await.status, 0);
}

fn choice(choice: ParameterChoice) -> InferParameter {
    InferParameter { parameter_choice: Some(choice) }
}

#[tokio::test]
async fn a_sequence_is_refused_alone_and_in_a_stream() {
    use ParameterChoice::{BoolParam, DoubleParam, Int64Param, StringParam, Uint64Param};
    let service = service();
    let said = |name: &str, value: &ParameterChoice| {
        with(|request| request.parameters = BTreeMap::from([(name.to_owned(), choice(value.clone()))]))
    };
    for (name, value) in [
        ("sequence_id", Int64Param(7)),
        ("sequence_id", Uint64Param(7)),
        ("sequence_id", DoubleParam(7.0)),
        ("sequence_id", StringParam("a".into())),
        ("sequence_start", BoolParam(true)),
        ("sequence_end", BoolParam(true)),
    ] {
        let message = format!("parameter '{name}': this model keeps no sequence state; leave the parameter out");
        refused(&service, INFER, &said(name, &value), (3, &message)).await;
        let body = framed(0, &said(name, &value).encode_to_vec());
        let found = send(&service, request("/inference.GRPCInferenceService/ModelStreamInfer", body)).await;
        let answer: oip::ModelStreamInferResponse = found.only();
        assert!(answer.error_message.contains(&message), "{}", answer.error_message);
    }
    for (name, value) in [
        ("sequence_id", Int64Param(0)),
        ("sequence_id", Uint64Param(0)),
        ("sequence_id", StringParam(String::new())),
        ("sequence_start", BoolParam(false)),
        ("sequence_end", BoolParam(false)),
    ] {
        assert_eq!(call(&service, INFER, &said(name, &value)).await.status, 0, "{name} {value:?}");
    }
}

#[tokio::test]
async fn a_stream_keeps_its_order_and_survives_faults() {
    let service = service();
    let mut body = BytesMut::new();
    for index in 0..40 {
        let request = with(|request| {
            request.id = index.to_string();
            if index % 3 == 1 {
                request.model_name = "nobody".into();
            }
        });
        body.extend_from_slice(&framed(0, &request.encode_to_vec()));
    }
    body.extend_from_slice(&framed(0, b"\xff"));
    let found = send(&service, request("/inference.GRPCInferenceService/ModelStreamInfer", body.freeze())).await;
    assert_eq!(found.status, 0);
    let answers: Vec<oip::ModelStreamInferResponse> = found.all();
    assert_eq!(answers.len(), 41);
    for (index, answer) in answers[..40].iter().enumerate() {
        let inner = answer.infer_response.as_ref().unwrap();
        assert_eq!(inner.id, index.to_string());
        assert_eq!(answer.error_message.contains("unknown model"), index % 3 == 1);
        assert_eq!(inner.raw_output_contents.len(), if index % 3 == 1 { 0 } else { 2 });
    }
    assert!(answers[40].error_message.contains("not a valid inference.ModelInferRequest"), "{}", answers[40].error_message);
}

#[tokio::test]
async fn a_stream_that_is_cut_short_answers_what_came() {
    let service = service();
    let mut body = BytesMut::from(&framed(0, &raw().encode_to_vec())[..]);
    body.extend_from_slice(&[0, 0, 0, 0, 9, 1]);
    let found = send(&service, request("/inference.GRPCInferenceService/ModelStreamInfer", body.freeze())).await;
    assert_eq!((found.status, found.frames.len()), (3, 1));
    assert!(found.message.contains("expected 14 bytes with its prefix, found 6"), "{}", found.message);
}

#[tokio::test]
async fn the_small_calls_of_the_protocol_answer() {
    let service = service();
    let path = |method: &str| format!("/inference.GRPCInferenceService/{method}");
    let live: oip::ServerLiveResponse = call(&service, &path("ServerLive"), &oip::ServerLiveRequest {}).await.only();
    assert!(live.live);
    // One model is still on its way.
    let ready: oip::ServerReadyResponse = call(&service, &path("ServerReady"), &oip::ServerReadyRequest {}).await.only();
    assert!(!ready.ready);
    for (name, version, expected) in
        [("m", "", true), ("m", "3", true), ("m", "4", false), ("late", "", false), ("nobody", "", false)]
    {
        let request = oip::ModelReadyRequest { name: name.into(), version: version.into() };
        let found: oip::ModelReadyResponse = call(&service, &path("ModelReady"), &request).await.only();
        assert_eq!(found.ready, expected, "{name} {version}");
    }
    let server: oip::ServerMetadataResponse =
        call(&service, &path("ServerMetadata"), &oip::ServerMetadataRequest {}).await.only();
    assert_eq!(server.name, "modelyard");
    assert!(server.extensions.contains(&"classification".to_owned()));
    let request = oip::ModelMetadataRequest { name: "m".into(), version: String::new() };
    let model: oip::ModelMetadataResponse = call(&service, &path("ModelMetadata"), &request).await.only();
    assert_eq!((&*model.platform, &model.versions[..]), ("onnx_onnxv1", &["3".to_owned()][..]));
    assert_eq!((&*model.inputs[0].name, &model.inputs[0].shape[..]), ("x", &[-1, 3][..]));
    let request = oip::ModelConfigRequest { name: "m".into(), version: String::new() };
    let config = call(&service, &path("ModelConfig"), &request).await.only::<oip::ModelConfigResponse>().config.unwrap();
    assert_eq!((config.max_batch_size, &config.input[0].dims[..]), (0, &[-1, 3][..]));
    assert_eq!(config.output[0].data_type(), oip::DataType::TypeFp32);
    let request = oip::ModelMetadataRequest { name: "m".into(), version: "4".into() };
    refused(&service, &path("ModelMetadata"), &request, (5, "has no version '4'")).await;
}

#[tokio::test]
async fn statistics_count_what_was_answered() {
    let service = service();
    let path = "/inference.GRPCInferenceService/ModelStatistics";
    for _ in 0..3 {
        assert_eq!(call(&service, INFER, &raw()).await.status, 0);
    }
    let found: oip::ModelStatisticsResponse = call(&service, path, &oip::ModelStatisticsRequest::default()).await.only();
    assert_eq!(found.model_stats.len(), 1);
    let model = &found.model_stats[0];
    assert_eq!((&*model.name, &*model.version, model.inference_count, model.execution_count), ("m", "3", 3, 3));
    let stats = model.inference_stats.as_ref().unwrap();
    for duration in [stats.success, stats.compute_input, stats.compute_infer, stats.compute_output] {
        assert_eq!(duration.unwrap().count, 3);
    }
    assert_eq!((model.batch_stats.len(), model.batch_stats[0].compute_infer.unwrap().count), (1, 3));
    assert_eq!(model.memory_usage[0].r#type, "CPU");
    let request = oip::ModelStatisticsRequest { name: "nobody".into(), version: String::new() };
    refused(&service, path, &request, (5, "unknown model")).await;
}

#[tokio::test]
async fn the_repository_is_listed_and_controlled_where_allowed() {
    let path = |method: &str| format!("/inference.GRPCInferenceService/Repository{method}");
    let closed = service();
    let index: oip::RepositoryIndexResponse = call(&closed, &path("Index"), &oip::RepositoryIndexRequest::default()).await.only();
    let states: Vec<_> = index.models.iter().map(|one| (&*one.name, &*one.version, &*one.state)).collect();
    assert_eq!(states, [("m", "3", "READY"), ("late", "1", "LOADING")]);
    let ready = oip::RepositoryIndexRequest { ready: true, ..Default::default() };
    assert_eq!(call(&closed, &path("Index"), &ready).await.only::<oip::RepositoryIndexResponse>().models.len(), 1);
    let unload = |name: &str| oip::RepositoryModelUnloadRequest { model_name: name.into(), ..Default::default() };
    let load = |name: &str| oip::RepositoryModelLoadRequest { model_name: name.into(), ..Default::default() };
    refused(&closed, &path("ModelUnload"), &unload("m"), (7, "--allow-control")).await;
    refused(&closed, &path("ModelLoad"), &load("m"), (7, "--allow-control")).await;

    let open = service_with(true);
    refused(&open, &path("ModelUnload"), &unload("nobody"), (5, "unknown model")).await;
    refused(&open, &path("ModelLoad"), &load("nobody"), (5, "unknown model")).await;
    assert_eq!(call(&open, &path("ModelUnload"), &unload("m")).await.status, 0);
    refused(&open, INFER, &raw(), (5, "model 'm' is unloaded")).await;
    let mut changed = load("m");
    changed.parameters.insert("config".into(), oip::ModelRepositoryParameter::default());
    assert_ne!(call(&open, &path("ModelLoad"), &changed).await.status, 0);
    // Its file is nowhere.
    assert!(matches!(call(&open, &path("ModelLoad"), &load("m")).await.status, 9 | 14));
}

#[tokio::test]
async fn what_is_declined_says_why() {
    let service = service();
    for (path, reason) in [
        ("/inference.GRPCInferenceService/SystemSharedMemoryRegister", "no shared memory"),
        ("/inference.GRPCInferenceService/CudaSharedMemoryStatus", "no shared memory"),
        ("/inference.GRPCInferenceService/TraceSetting", "OTEL_EXPORTER_OTLP_ENDPOINT"),
        ("/inference.GRPCInferenceService/LogSettings", "--log-level"),
        ("/inference.GRPCInferenceService/Nothing", "has no method 'Nothing'"),
        ("/tensorflow.serving.PredictionService/Classify", "tf.Example"),
        ("/tensorflow.serving.PredictionService/Regress", "tf.Example"),
        ("/tensorflow.serving.PredictionService/MultiInference", "tf.Example"),
        ("/tensorflow.serving.PredictionService/X", "has no method 'X'"),
        ("/nobody.Service/Method", "unknown service 'nobody.Service'; this server has "),
        ("/", "unknown service"),
    ] {
        refused(&service, path, &oip::ServerLiveRequest {}, (12, reason)).await;
    }
    let path = "/tensorflow.serving.ModelService/HandleReloadConfigRequest";
    refused(&service, path, &tfs::ReloadConfigRequest {}, (7, "spec.models")).await;
}
