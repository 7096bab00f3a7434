//! gRPC: calls of any service, each routed by the name of the model in its first message.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Response};
use modelyard_wire::proto::inference::RepositoryIndexRequest;
use prost::Message;
use tokio::time::Instant;

use super::body::Inbound;
use super::ended::Ended;
use super::fault::{Fault, Kind};
use super::peek::{self, Look, MAX_PEEK};
use super::relay::{Errand, route};
use super::reply::Reply;
use super::{DEFAULT_LIMIT, Gateway, REPLAYABLE_BYTES};

/// Bytes before a message: whether it is compressed, and its length.
pub(super) const HEAD: usize = 5;

/// Whether a request is gRPC's.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// How a method is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    /// By a replica of the model whose name is the field at the end of this path.
    Named { path: &'static [u64], waits: bool, repeatable: bool, streams: bool },
    /// As [`Call::Named`], and without a name by all deployments.
    NamedOrAll(&'static [u64]),
    /// By one replica of every deployment: their messages are lists, which join by being written one after another.
    All,
    /// By the gateway: whether it lives.
    Live,
    /// By the gateway: whether every model answers.
    Ready,
    /// By any replica: server metadata, health, reflection, what nobody knows.
    Any,
}

fn call(path: &str) -> Call {
    const INFERENCE: &str = "/inference.GRPCInferenceService/";
    const PREDICTION: &str = "/tensorflow.serving.PredictionService/";
    const UNARY: Call = Call::Named { path: &[1], waits: false, repeatable: true, streams: false };
    if let Some(method) = path.strip_prefix(INFERENCE) {
        return match method {
            "ModelInfer" => Call::Named { path: &[1], waits: true, repeatable: true, streams: false },
            "ModelStreamInfer" => Call::Named { path: &[1], waits: true, repeatable: false, streams: true },
            "ModelReady" | "ModelMetadata" | "ModelConfig" => UNARY,
            "ModelStatistics" => Call::NamedOrAll(&[1]),
            "RepositoryModelLoad" | "RepositoryModelUnload" => {
                Call::Named { path: &[2], waits: false, repeatable: false, streams: false }
            }
            "RepositoryIndex" => Call::All,
            "ServerLive" => Call::Live,
            "ServerReady" => Call::Ready,
            _ => Call::Any,
        };
    }
    if let Some(method) = path.strip_prefix(PREDICTION) {
        return match method {
            "MultiInference" => Call::Named { path: &[1, 1, 1], waits: true, repeatable: true, streams: false },
            _ => Call::Named { path: &[1, 1], waits: true, repeatable: true, streams: false },
        };
    }
    match path {
        "/tensorflow.serving.ModelService/GetModelStatus" => {
            Call::Named { path: &[1, 1], waits: false, repeatable: true, streams: false }
        }
        _ => Call::Any,
    }
}

impl Gateway {
    /// Answers one call.
    pub(super) async fn grpc(&self, parts: Parts, mut body: Inbound) -> Result<Response<Reply>, Fault> {
        let received = Instant::now();
        // Whose it is, and so how long it may take, is known only once its first message is.
        let longest = self.table().models.values().map(|route| route.timeout).max().unwrap_or(DEFAULT_LIMIT);
        let any = (received + longest, longest);
        match call(parts.uri.path()) {
            Call::Live => Ok(flag(true)),
            Call::Ready => Ok(flag(self.table().is_ready())),
            Call::Any => {
                body.pace(longest);
                let errand = Errand { model: None, waits: false, repeatable: false, bounded: false, http2: true };
                self.relay(&errand, parts, body).await
            }
            Call::All => {
                in_time(any, body.gather(REPLAYABLE_BYTES)).await??;
                self.joined(true, &parts, &body).await
            }
            Call::NamedOrAll(path) => {
                let name = in_time(any, model(path, &parts, &mut body)).await??;
                in_time(any, body.gather(REPLAYABLE_BYTES)).await??;
                match name.filter(|name| !name.is_empty()) {
                    None => self.joined(false, &parts, &body).await,
                    Some(name) => {
                        let errand = Errand { model: Some(&name), waits: false, repeatable: true, bounded: true, http2: true };
                        self.relay(&errand, parts, body).await
                    }
                }
            }
            Call::Named { path, waits, repeatable, streams } => {
                let name = in_time(any, model(path, &parts, &mut body)).await??;
                let Some(name) = name.filter(|name| !name.is_empty()) else {
                    return Err(Fault::new(Kind::Invalid, "the message names no model"));
                };
                let within = route(&self.table(), &name)?.timeout;
                if streams {
                    body.pace(within);
                } else {
                    in_time((received + within, within), body.gather(REPLAYABLE_BYTES)).await??;
                }
                let errand = Errand { model: Some(&name), waits, repeatable, bounded: !streams, http2: true };
                self.relay(&errand, parts, body).await
            }
        }
    }
}

/// The model that the first message names; reads no more of it than that takes.
async fn model(path: &[u64], parts: &Parts, body: &mut Inbound) -> Result<Option<String>, Fault> {
    let gzip = parts.headers.get("grpc-encoding").is_some_and(|value| value == "gzip");
    let mut seen: Vec<u8> = Vec::new();
    loop {
        let Some(piece) = body.read_on().await? else {
            return Err(Fault::new(Kind::Invalid, "the call ends before its first message does"));
        };
        let looked = if seen.is_empty() { peek::look(&piece, path, gzip) } else { Look::More };
        let looked = match looked {
            Look::More => {
                seen.extend_from_slice(&piece);
                peek::look(&seen, path, gzip)
            }
            looked => looked,
        };
        match looked {
            Look::Found(name) => return Ok(Some(name)),
            Look::Missing => return Ok(None),
            Look::Malformed(why) => return Err(Fault::new(Kind::Invalid, why)),
            Look::More if seen.len() > MAX_PEEK => {
                let message = format!("expected the model's name within the first {MAX_PEEK} bytes of the message");
                return Err(Fault::new(Kind::Invalid, message));
            }
            Look::More => {}
        }
    }
}

/// What comes of a read, as long as it does by then.
async fn in_time<T>((until, within): (Instant, Duration), reading: impl Future<Output = T>) -> Result<T, Fault> {
    tokio::time::timeout_at(until, reading).await.map_err(|_| Ended::Late(within).into())
}

/// Whether a request for the index is for models that are ready alone.
pub(super) fn is_for_ready(framed: &[u8]) -> bool {
    // One that is compressed, or no such message, its replicas have read, or refused.
    let message = framed.get(HEAD..).unwrap_or_default();
    RepositoryIndexRequest::decode(message).is_ok_and(|asked| asked.ready)
}

/// A message whose field 1 is a flag: protobuf leaves out a false one.
fn flag(set: bool) -> Response<Reply> {
    message(Bytes::from_static(if set { &[0, 0, 0, 0, 2, 8, 1] } else { &[0, 0, 0, 0, 0] }))
}

/// A good answer of one framed message.
pub(super) fn message(framed: Bytes) -> Response<Reply> {
    let trailers = HeaderMap::from_iter([(http::HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"))]);
    let mut response = Response::new(Reply::Own(Some(framed), Some(trailers)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}
