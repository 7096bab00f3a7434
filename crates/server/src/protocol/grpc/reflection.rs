//! `grpc.reflection`, v1 and v1alpha: which services there are, and the files that declare them, for grpcurl and its like.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use bytes::Bytes;
use http::Response;
use modelyard_wire::proto::DESCRIPTORS;
use modelyard_wire::proto::reflection::server_reflection_request::MessageRequest;
use modelyard_wire::proto::reflection::server_reflection_response::MessageResponse;
use modelyard_wire::proto::reflection::{
    ErrorResponse, ExtensionNumberResponse, FileDescriptorResponse, ListServiceResponse, ServerReflectionRequest,
    ServerReflectionResponse, ServiceResponse,
};
use prost::Message;
use prost_types::{DescriptorProto, FileDescriptorSet};

use super::super::Reply;
use super::exchange::{Exchange, Replies};
use super::frame::Messages;
use super::{decode, shown, unknown_method};
use crate::fault::Fault;

/// The services' names in paths: two versions with the same messages.
pub(super) const SERVICE: &str = "grpc.reflection.v1.ServerReflection";
pub(super) const SERVICE_ALPHA: &str = "grpc.reflection.v1alpha.ServerReflection";

/// The files of the protocols, indexed.
#[derive(Default)]
struct Catalogue {
    files: BTreeMap<String, File>,
    /// The file that declares each service, method, message and enum.
    symbols: BTreeMap<String, String>,
    messages: BTreeSet<String>,
    services: Vec<String>,
}

struct File {
    encoded: Bytes,
    imports: Vec<String>,
}

/// The services that this server has.
pub(super) fn services() -> &'static [String] {
    &catalogue().services
}

fn catalogue() -> &'static Catalogue {
    static CATALOGUE: OnceLock<Catalogue> = OnceLock::new();
    // The set is our own, written by the build; a test reads it.
    CATALOGUE.get_or_init(|| Catalogue::of(FileDescriptorSet::decode(DESCRIPTORS).unwrap_or_default()))
}

impl Catalogue {
    fn of(set: FileDescriptorSet) -> Self {
        let mut all = Self::default();
        for file in set.file {
            let (name, scope) = (file.name().to_owned(), file.package());
            for service in &file.service {
                let path = format!("{scope}.{}", service.name());
                all.symbols.extend(service.method.iter().map(|one| (format!("{path}.{}", one.name()), name.clone())));
                all.symbols.insert(path.clone(), name.clone());
                all.services.push(path);
            }
            for message in &file.message_type {
                all.add_message(message, scope, &name);
            }
            for one in &file.enum_type {
                all.symbols.insert(format!("{scope}.{}", one.name()), name.clone());
            }
            all.files.insert(name, File { encoded: file.encode_to_vec().into(), imports: file.dependency.clone() });
        }
        all.services.sort();
        all
    }

    fn add_message(&mut self, message: &DescriptorProto, scope: &str, file: &str) {
        let path = format!("{scope}.{}", message.name());
        for nested in &message.nested_type {
            self.add_message(nested, &path, file);
        }
        for one in &message.enum_type {
            self.symbols.insert(format!("{path}.{}", one.name()), file.to_owned());
        }
        self.symbols.insert(path.clone(), file.to_owned());
        self.messages.insert(path);
    }

    /// The file, and every file that it needs.
    fn with_imports(&self, name: &str) -> Option<Vec<Bytes>> {
        let mut names = vec![self.files.get_key_value(name)?];
        let mut next = 0;
        while let Some((_, file)) = names.get(next) {
            for import in &file.imports {
                if let Some(found) = self.files.get_key_value(import)
                    && !names.iter().any(|(known, _)| *known == found.0)
                {
                    names.push(found);
                }
            }
            next += 1;
        }
        Some(names.into_iter().map(|(_, file)| file.encoded.clone()).collect())
    }

    fn answer(&self, question: Option<&MessageRequest>) -> Result<MessageResponse, Fault> {
        let files = |name: Option<&str>, what: &str, asked: &str| {
            let found = name.and_then(|name| self.with_imports(name));
            found
                .map(|file_descriptor_proto| {
                    MessageResponse::FileDescriptorResponse(FileDescriptorResponse { file_descriptor_proto })
                })
                .ok_or_else(|| Fault::not_found(format!("unknown {what} '{}'", shown(asked))))
        };
        match question {
            Some(MessageRequest::ListServices(_)) => {
                let service = self.services.iter().map(|name| ServiceResponse { name: name.clone() }).collect();
                Ok(MessageResponse::ListServicesResponse(ListServiceResponse { service }))
            }
            Some(MessageRequest::FileByFilename(name)) => files(Some(name), "file", name),
            Some(MessageRequest::FileContainingSymbol(symbol)) => {
                files(self.symbols.get(symbol).map(String::as_str), "symbol", symbol)
            }
            Some(MessageRequest::FileContainingExtension(asked)) => {
                let (of, number) = (shown(&asked.containing_type), asked.extension_number);
                Err(Fault::not_found(format!("message '{of}' has no extension {number}; proto3 has none")))
            }
            Some(MessageRequest::AllExtensionNumbersOfType(name)) if self.messages.contains(name) => {
                let response = ExtensionNumberResponse { base_type_name: name.clone(), extension_number: Vec::new() };
                Ok(MessageResponse::AllExtensionNumbersResponse(response))
            }
            Some(MessageRequest::AllExtensionNumbersOfType(name)) => {
                Err(Fault::not_found(format!("unknown message '{}'", shown(name))))
            }
            None => Err(Fault::invalid("the request asks for nothing; expected one of its questions")),
        }
    }
}

/// Opens the stream of questions.
///
/// # Errors
/// `UNIMPLEMENTED` for a method that there is not.
pub(super) fn answer(call: Exchange<'_>, method: &str) -> Result<Response<Reply>, Fault> {
    if method != "ServerReflectionInfo" {
        return Err(unknown_method(SERVICE, method));
    }
    let (messages, replies, response) = call.stream();
    tokio::spawn(async move {
        let outcome = serve(messages, &replies).await;
        replies.end(outcome).await;
    });
    Ok(response)
}

async fn serve(mut messages: Messages, replies: &Replies) -> Result<(), Fault> {
    loop {
        let bytes = tokio::select! {
            fault = replies.over() => return Err(fault),
            next = messages.next() => match next? {
                Some(bytes) => bytes,
                None => return Ok(()),
            },
        };
        let request: ServerReflectionRequest = decode::message(bytes)?;
        let answer = catalogue().answer(request.message_request.as_ref()).unwrap_or_else(|fault| {
            MessageResponse::ErrorResponse(ErrorResponse { error_code: fault.code.grpc(), error_message: fault.message })
        });
        let response = ServerReflectionResponse {
            valid_host: request.host.clone(),
            original_request: Some(request),
            message_response: Some(answer),
        };
        replies.send(&response).await?;
    }
}

#[cfg(test)]
mod tests {
    use prost_types::FileDescriptorProto;

    use super::*;

    #[test]
    fn every_service_and_its_imports_are_there() {
        let catalogue = catalogue();
        for service in [
            "inference.GRPCInferenceService",
            "tensorflow.serving.PredictionService",
            "tensorflow.serving.ModelService",
            "grpc.health.v1.Health",
            SERVICE,
            SERVICE_ALPHA,
        ] {
            assert!(catalogue.services.iter().any(|one| one == service), "{service}");
        }
        for (name, file) in &catalogue.files {
            assert!(file.imports.iter().all(|import| catalogue.files.contains_key(import)), "{name}");
        }
        let with_imports = catalogue.with_imports("tensorflow_serving/prediction_service.proto").unwrap();
        let names: Vec<_> =
            with_imports.iter().map(|one| FileDescriptorProto::decode(&one[..]).unwrap().name().to_owned()).collect();
        assert!(names.contains(&"google/protobuf/wrappers.proto".to_owned()), "{names:?}");
    }

    #[test]
    fn symbols_are_found_at_every_depth() {
        let symbols = &catalogue().symbols;
        for (symbol, file) in [
            ("inference.GRPCInferenceService.ModelInfer", "inference/service.proto"),
            ("inference.ModelInferRequest.InferInputTensor", "inference/service.proto"),
            ("inference.DataType", "inference/model_config.proto"),
            ("grpc.health.v1.HealthCheckResponse.ServingStatus", "grpc/health.proto"),
        ] {
            assert_eq!(symbols.get(symbol).map(String::as_str), Some(file), "{symbol}");
        }
    }
}
