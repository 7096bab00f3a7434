//! TensorFlow Serving's services.

use modelyard_wire::proto::tensorflow::{DataType as Dtype, TensorProto};
use modelyard_wire::proto::tensorflow_serving::model_spec::VersionChoice;
use modelyard_wire::proto::tensorflow_serving::{self as tfs, ModelSpec, PredictRequest};
use prost::Message;

use crate::house::{PREDICT, call, floats, predict, predict_with, refused, service, version};

#[tokio::test]
async fn tensorflow_clients_predict() {
    let service = service();
    let content = predict_with(|request| {
        let x = request.inputs.get_mut("x").unwrap();
        x.tensor_content = floats(&std::mem::take(&mut x.float_val));
    });
    for request in [predict(), content, predict_with(|request| request.model_spec = version(VersionChoice::Version(3)))] {
        let answer: tfs::PredictResponse = call(&service, PREDICT, &request).await.only();
        assert_eq!(answer.outputs["doubled"].float_val, [2.0, -4.0, 1.0]);
        assert_eq!(answer.outputs.len(), 2);
        let spec = answer.model_spec.unwrap();
        assert_eq!((&*spec.name, &*spec.signature_name), ("m", "serving_default"));
        assert_eq!(spec.version_choice, Some(VersionChoice::Version(3)));
    }
    let filled = predict_with(|request| {
        request.inputs.get_mut("x").unwrap().float_val = vec![4.0];
        request.output_filter = vec!["same".into()];
    });
    let answer: tfs::PredictResponse = call(&service, PREDICT, &filled).await.only();
    assert_eq!((answer.outputs.len(), &answer.outputs["same"].float_val[..]), (1, &[4.0; 3][..]));
}

#[tokio::test]
async fn faults_of_predict_name_what_was_found() {
    let service = service();
    let x = |request: &mut PredictRequest, change: fn(&mut TensorProto)| change(request.inputs.get_mut("x").unwrap());
    for (request, expected) in [
        (predict_with(|request| request.model_spec = None), (3, "model_spec.name is missing")),
        (predict_with(|request| request.model_spec.as_mut().unwrap().name = "nobody".into()), (5, "unknown model")),
        (predict_with(|request| request.model_spec = version(VersionChoice::Version(9))), (5, "no version '9'")),
        (
            predict_with(|request| request.model_spec = version(VersionChoice::VersionLabel("blue".into()))),
            (3, "version label: blue"),
        ),
        (predict_with(|request| request.model_spec.as_mut().unwrap().signature_name = "other".into()), (3, "signature_name")),
        (predict_with(|request| request.inputs.clear()), (3, "input 'x' is missing")),
        (predict_with(|request| request.output_filter = vec!["y".into()]), (3, "unknown output 'y'")),
        (predict_with(|request| request.output_filter = vec!["same".into(), "same".into()]), (3, "named twice")),
        (
            predict_with(|request| x(request, |x| x.dtype = Dtype::DtInt32.into())),
            (3, "input 'x': DT_INT32 takes int_val, found float_val"),
        ),
        (
            predict_with(|request| x(request, |x| x.float_val.push(1.0))),
            (3, "input 'x': shape [1, 3] of FP32 needs 12 bytes, found 16"),
        ),
        (
            predict_with(|request| {
                x(request, |x| {
                    x.float_val.truncate(1);
                    x.tensor_shape.as_mut().unwrap().dim[0].size = 1 << 30;
                });
            }),
            (8, "one value for"),
        ),
    ] {
        refused(&service, PREDICT, &request, expected).await;
    }
}

#[tokio::test]
async fn tensorflow_clients_ask_for_metadata_and_status() {
    let service = service();
    let path = "/tensorflow.serving.PredictionService/GetModelMetadata";
    let asked = |fields: &[&str]| tfs::GetModelMetadataRequest {
        model_spec: predict().model_spec,
        metadata_field: fields.iter().map(|&one| one.to_owned()).collect(),
    };
    let found: tfs::GetModelMetadataResponse = call(&service, path, &asked(&["signature_def"])).await.only();
    let packed = &found.metadata["signature_def"];
    assert_eq!(packed.type_url, "type.googleapis.com/tensorflow.serving.SignatureDefMap");
    let map = tfs::SignatureDefMap::decode(&packed.value[..]).unwrap();
    let info = &map.signature_def["serving_default"].inputs["x"];
    let sizes: Vec<_> = info.tensor_shape.as_ref().unwrap().dim.iter().map(|dim| dim.size).collect();
    assert_eq!((info.dtype(), &sizes[..]), (Dtype::DtFloat, &[-1, 3][..]));
    refused(&service, path, &asked(&[]), (3, "metadata_field is empty")).await;
    refused(&service, path, &asked(&["graph"]), (3, "expected 'signature_def', found 'graph'")).await;

    let path = "/tensorflow.serving.ModelService/GetModelStatus";
    for (name, state) in [("m", tfs::model_version_status::State::Available), ("late", tfs::model_version_status::State::Start)] {
        let request = tfs::GetModelStatusRequest { model_spec: Some(ModelSpec { name: name.into(), ..Default::default() }) };
        let found: tfs::GetModelStatusResponse = call(&service, path, &request).await.only();
        assert_eq!(found.model_version_status[0].state(), state);
    }
    let request = tfs::GetModelStatusRequest { model_spec: version(VersionChoice::Version(8)) };
    refused(&service, path, &request, (5, "no version '8'")).await;
}
