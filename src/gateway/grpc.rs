//! gRPC: calls of any service, each routed by the name of the model in its first message.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Response};
use modelyard_wire::proto::inference::{ModelReadyRequest, RepositoryIndexRequest, ServerLiveRequest, ServerReadyRequest};
use prost::{Message, Name};
use tokio::time::Instant;

use super::body::Inbound;
use super::ended::Ended;
use super::fault::{Fault, Kind};
use super::message::{self, Encoding, HEAD};
use super::peek::{self, Look, MAX_PEEK};
use super::relay::{Errand, route};
use super::reply::Reply;
use super::{DEFAULT_LIMIT, Gateway, REPLAYABLE_BYTES};

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
    /// By the gateway: whether requests can be sent here.
    Ready,
    /// By a replica of the model, if it has one; that it has none is an answer, too.
    ModelReady,
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
            "ModelReady" => Call::ModelReady,
            "ModelMetadata" | "ModelConfig" => UNARY,
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
            "Predict" | "GetModelMetadata" => Call::Named { path: &[1, 1], waits: true, repeatable: true, streams: false },
            // The others are declined, whatever they name.
            _ => Call::Any,
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
        let encoding = Encoding::of_request(&parts.headers)?;
        match call(parts.uri.path()) {
            Call::Live => {
                only::<ServerLiveRequest>(encoding, any, &mut body).await?;
                Ok(flag(true))
            }
            Call::Ready => {
                only::<ServerReadyRequest>(encoding, any, &mut body).await?;
                Ok(flag(self.table().is_ready()))
            }
            Call::ModelReady => {
                let asked: ModelReadyRequest = only(encoding, any, &mut body).await?;
                if self.table().models.get(&asked.name).is_none_or(|route| route.backends.is_empty()) {
                    return Ok(flag(false));
                }
                let errand = Errand { model: Some(&asked.name), waits: false, repeatable: true, bounded: true, http2: true };
                match self.relay(&errand, parts, body).await {
                    // Its last replica went meanwhile.
                    Err(fault) if matches!(fault.kind, Kind::Unavailable | Kind::NotFound) => Ok(flag(false)),
                    outcome => outcome,
                }
            }
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
                let name = in_time(any, model(path, encoding, &mut body)).await??;
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
                if streams && in_time(any, body.is_empty()).await?? {
                    return Ok(ended_well(None));
                }
                let name = in_time(any, model(path, encoding, &mut body)).await??;
                let Some(name) = name.filter(|name| !name.is_empty()) else {
                    return Err(Fault::new(Kind::Invalid, "the message names no model"));
                };
                let control = parts.uri.path().contains("/RepositoryModel");
                if control && !self.table().models.contains_key(&name) {
                    return Err(super::rest::no_control());
                }
                let within = route(&self.table(), &name)?.timeout;
                if streams {
                    body.pace(within);
                } else {
                    in_time((received + within, within), body.gather(REPLAYABLE_BYTES)).await??;
                }
                let errand = Errand { model: Some(&name), waits, repeatable, bounded: !streams, http2: true };
                let response = self.relay(&errand, parts, body).await?;
                // An answer that is refused has its status in the head.
                let refused = control && response.headers().get("grpc-status").is_some_and(|status| status == "7");
                if refused { Err(super::rest::no_control()) } else { Ok(response) }
            }
        }
    }
}

/// The one message of a call that the gateway itself answers.
async fn only<M: Message + Default + Name>(
    encoding: Encoding,
    until: (Instant, Duration),
    body: &mut Inbound,
) -> Result<M, Fault> {
    body.limit(REPLAYABLE_BYTES);
    in_time(until, body.gather(REPLAYABLE_BYTES)).await??;
    message::only(&body.whole()?, encoding)
}

/// The model that the first message names; reads no more of it than that takes.
async fn model(path: &[u64], encoding: Encoding, body: &mut Inbound) -> Result<Option<String>, Fault> {
    let mut seen: Vec<u8> = Vec::new();
    let mut read = body.taken();
    loop {
        let next = if read.is_empty() { body.read_on().await? } else { Some(read) };
        read = Bytes::new();
        let Some(piece) = next else {
            return Err(Fault::new(Kind::Invalid, "the call ends before its first message does"));
        };
        let looked = if seen.is_empty() { peek::look(&piece, path, encoding) } else { Look::More };
        let looked = match looked {
            Look::More => {
                seen.extend_from_slice(&piece);
                peek::look(&seen, path, encoding)
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
    ended_well(Some(framed))
}

/// A good answer of one framed message, or of none.
fn ended_well(framed: Option<Bytes>) -> Response<Reply> {
    let trailers = HeaderMap::from_iter([(http::HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"))]);
    let mut response = Response::new(Reply::Own(framed, Some(trailers)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}
