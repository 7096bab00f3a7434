//! A server of one model that echoes, without a socket.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use modelyard_core::server_config::ServerConfig;
use modelyard_server::engine::{Engine, Facts, RunError, Stop};
use modelyard_server::infer::{Measured, Model, Scheduling};
use modelyard_server::load::Loader;
use modelyard_server::protocol::{Inbound, Seen, Service, handle};
use modelyard_server::registry::State;
use modelyard_server::signature::{Signature, TensorSpec};
use modelyard_store::{Limits, Store};
use modelyard_wire::{DataType, Tensor};
use tokio::runtime::Runtime;

struct Echo(Signature, Facts);

impl Engine for Echo {
    fn signature(&self) -> &Signature {
        &self.0
    }

    fn facts(&self) -> &Facts {
        &self.1
    }

    fn run(&self, inputs: &[Tensor], _stop: &Stop) -> Result<Vec<Tensor>, RunError> {
        Ok(inputs.to_vec())
    }
}

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime"));

static SERVICE: LazyLock<Arc<Service>> = LazyLock::new(|| {
    let json = r#"{"models":[{"name":"echo","uri":"file:none"}],"serving":{"maxRequestBytes":1000000}}"#;
    let config = ServerConfig::from_json(json).expect("a configuration");
    let scheduling = Scheduling { threads: 1, queue_length: 8, batching: None, request_timeout: Duration::from_secs(10) };
    let service = Service::new(&config, Loader::new(Store::new("none", Limits::default()), scheduling.clone()), false);
    let spec = |name: &str, datatype, shape: &[i64]| TensorSpec { name: name.to_owned(), datatype, shape: shape.to_vec() };
    let ports = || vec![spec("x", DataType::Fp32, &[-1, 2]), spec("words", DataType::Bytes, &[-1])];
    let signature = Signature { inputs: ports(), outputs: ports(), batched: true };
    let entry = service.registry.entry("echo").expect("the model");
    let engine = Box::new(Echo(signature, Facts::default()));
    entry.enter(State::Ready(Model::new(&entry.config, engine, &scheduling, Measured::default()).expect("a model")));
    service
});

/// Sends a POST and waits for the whole answer.
///
/// # Panics
/// When the answer says that the server is at fault, over HTTP or over gRPC.
pub fn post(path: &str, headers: &[(&str, &str)], body: &[u8]) {
    let mut request = Request::post(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let Ok(request) = request.body(Inbound::Whole(Some(Bytes::copy_from_slice(body)))) else { return };
    RUNTIME.block_on(async {
        let (asked, sent) = request.into_parts();
        let response: Response<_> = handle(&SERVICE, (&asked, sent), &mut Seen::now()).await;
        let (head, body) = response.into_parts();
        assert!(!head.status.is_server_error(), "{}", head.status);
        let collected = body.collect().await.expect("a body");
        let status = collected.trailers().and_then(|trailers| trailers.get("grpc-status")).or(head.headers.get("grpc-status"));
        assert!(status.is_none_or(|status| status != "13" && status != "2"), "grpc-status {status:?}");
    });
}
