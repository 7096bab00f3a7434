//! Health and reflection.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use modelyard_server::protocol::{Seen, handle};
use modelyard_server::registry::State;
use modelyard_wire::proto::{health, reflection};
use prost::Message;

use crate::house::{call, framed, refused, request, send, service};

#[tokio::test]
async fn health_is_checked_listed_and_watched() {
    use health::health_check_response::ServingStatus;
    let service = service();
    let asked = |service: &str| health::HealthCheckRequest { service: service.into() };
    let path = |method: &str| format!("/grpc.health.v1.Health/{method}");
    for name in ["", "inference.GRPCInferenceService", "tensorflow.serving.PredictionService"] {
        let found: health::HealthCheckResponse = call(&service, &path("Check"), &asked(name)).await.only();
        assert_eq!(found.status(), ServingStatus::NotServing, "a model is on its way");
    }
    refused(&service, &path("Check"), &asked("nobody"), (5, "unknown service 'nobody'")).await;
    let list: health::HealthListResponse = call(&service, &path("List"), &health::HealthListRequest {}).await.only();
    assert_eq!(list.statuses.len(), 4);

    for (name, first) in [("", ServingStatus::NotServing), ("nobody", ServingStatus::ServiceUnknown)] {
        let mut seen = Seen::now();
        let (head, watch) = request(&path("Watch"), framed(0, &asked(name).encode_to_vec())).into_parts();
        let mut body = handle(&service, (&head, watch), &mut seen).await.into_body();
        assert_eq!(status_of(body.frame().await).status(), first);
        if first == ServingStatus::NotServing {
            service.registry.entry("late").unwrap().enter(State::Unloaded);
            service.refresh();
            assert_eq!(status_of(body.frame().await).status(), ServingStatus::Serving);
            service.drain();
            assert_eq!(status_of(body.frame().await).status(), ServingStatus::NotServing);
        }
    }
}

fn status_of(frame: Option<Result<http_body::Frame<Bytes>, std::convert::Infallible>>) -> health::HealthCheckResponse {
    let data = frame.unwrap().unwrap().into_data().unwrap();
    health::HealthCheckResponse::decode(data.slice(5..)).unwrap()
}

#[tokio::test]
async fn reflection_lists_and_finds_in_both_versions() {
    use reflection::server_reflection_request::MessageRequest as Ask;
    use reflection::server_reflection_response::MessageResponse as Answer;
    let service = service();
    for version in ["v1", "v1alpha"] {
        let mut body = BytesMut::new();
        for ask in [
            Some(Ask::ListServices(String::new())),
            Some(Ask::FileByFilename("inference/service.proto".into())),
            Some(Ask::FileContainingSymbol("tensorflow.serving.PredictionService.Predict".into())),
            Some(Ask::FileContainingSymbol("nobody.Nothing".into())),
            Some(Ask::AllExtensionNumbersOfType("inference.ModelInferRequest".into())),
            None,
        ] {
            let asked = reflection::ServerReflectionRequest { host: "h".into(), message_request: ask };
            body.extend_from_slice(&framed(0, &asked.encode_to_vec()));
        }
        let path = format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
        let found = send(&service, request(&path, body.freeze())).await;
        let answers: Vec<reflection::ServerReflectionResponse> = found.all();
        assert_eq!((found.status, answers.len()), (0, 6));
        assert!(answers.iter().all(|one| one.valid_host == "h" && one.original_request.is_some()));
        let Some(Answer::ListServicesResponse(list)) = &answers[0].message_response else { panic!("{answers:?}") };
        assert_eq!(list.service.len(), 6);
        for (index, files) in [(1, 2), (2, 6)] {
            let Some(Answer::FileDescriptorResponse(found)) = &answers[index].message_response else { panic!("{answers:?}") };
            assert_eq!(found.file_descriptor_proto.len(), files);
        }
        for (index, code) in [(3, 5), (5, 3)] {
            let Some(Answer::ErrorResponse(error)) = &answers[index].message_response else { panic!("{answers:?}") };
            assert_eq!(error.error_code, code);
        }
    }
}
