//! A model behind a server, ready to be asked.

use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use modelyard_wire::Tensor;
use modelyard_wire::proto::inference::{ModelMetadataRequest, RepositoryIndexRequest, RepositoryIndexResponse};
use serde_json::Value;

use super::connection::Version;
use super::{Answer, ClientError, Connection, Metadata, ModelName, Prepared, Protocol, Reply, Target, grpc, oip};

/// One connection, one model, one protocol.
pub struct Session {
    connection: Connection,
    protocol: Protocol,
    model: ModelName,
    metadata: Metadata,
}

impl Session {
    /// Asks the server for the model's metadata: over gRPC where that is the protocol, else over REST.
    ///
    /// # Errors
    /// When the server cannot be reached, has no such model (the error lists those it has), or is not understood.
    pub async fn open(target: &Target, protocol: Protocol, model: &ModelName, timeout: Duration) -> Result<Self, ClientError> {
        let mut connection = Connection::new(target.clone(), protocol.version(), timeout);
        let metadata = match protocol {
            Protocol::Grpc => over_grpc(&mut connection, model).await,
            _ => over_rest(&mut connection, model).await,
        };
        let metadata = metadata.map_err(|failure| failure.at(target))?;
        Ok(Self { connection, protocol, model: model.clone(), metadata })
    }

    /// A further connection to a model whose metadata is known; opened with its first request.
    #[must_use]
    pub fn with_metadata(target: &Target, protocol: Protocol, model: &ModelName, known: (Metadata, Duration)) -> Self {
        let (metadata, timeout) = known;
        let connection = Connection::new(target.clone(), protocol.version(), timeout);
        Self { connection, protocol, model: model.clone(), metadata }
    }

    /// What the model takes and gives.
    #[must_use]
    pub const fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Sends one inference request.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn infer(&mut self, inputs: &[(String, Tensor)]) -> Result<Answer, ClientError> {
        let prepared = self.protocol.prepare(&self.model, inputs)?;
        let reply = self.connection.send(&prepared).await?;
        self.protocol.decode(&reply, &self.metadata)
    }
}

/// Why there is no metadata.
enum Failure {
    /// A failure of its own.
    Client(ClientError),
    /// What answered is no model server; what it answered.
    Foreign(String),
}

impl Failure {
    fn at(self, target: &Target) -> ClientError {
        match self {
            Self::Client(ClientError::Broken(error)) if error.is_parse() => {
                ClientError::Foreign { url: target.url(), found: format!("no HTTP came back ({error})") }
            }
            Self::Client(error) => error,
            Self::Foreign(found) => ClientError::Foreign { url: target.url(), found },
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

/// What came instead of the protocol, in words.
fn instead(asked: &str, reply: &Reply) -> Failure {
    let kind = reply.headers.get(http::header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("no Content-Type");
    Failure::Foreign(format!("{asked} gave {} with {kind}", reply.status.as_u16()))
}

async fn over_rest(connection: &mut Connection, model: &ModelName) -> Result<Metadata, Failure> {
    let path = format!("/v2{}", model.path());
    let reply = connection.send(&get(path.clone())).await?;
    // Refusals of the protocol are JSON too. What fails with 5xx may be a proxy before the server: its own words are the best.
    if !reply.status.is_server_error() && serde_json::from_slice::<serde::de::IgnoredAny>(&reply.body).is_err() {
        return Err(instead(&format!("GET {path}"), &reply));
    }
    if reply.status == StatusCode::NOT_FOUND {
        let known = index(connection).await?;
        // A known model's version may be the unknown part: the server's own words say so.
        if known.as_ref().is_none_or(|known| !known.contains(&model.name)) {
            return Err(ClientError::UnknownModel { model: model.name.clone(), known }.into());
        }
    }
    oip::verdict(&reply)?;
    Ok(Metadata::from_json(&reply.body)?)
}

/// The models' names, where the server has an index.
async fn index(connection: &mut Connection) -> Result<Option<Vec<String>>, ClientError> {
    let mut headers = HeaderMap::new();
    headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let path = "/v2/repository/index".to_owned();
    let request = Prepared { method: Method::POST, path, headers, body: Bytes::from_static(b"{}") };
    let reply = connection.send(&request).await?;
    if reply.status != StatusCode::OK {
        return Ok(None);
    }
    let Ok(Value::Array(models)) = serde_json::from_slice(&reply.body) else { return Ok(None) };
    let mut names: Vec<String> = models.iter().filter_map(|model| Some(model.get("name")?.as_str()?.to_owned())).collect();
    names.dedup();
    Ok(Some(names))
}

async fn over_grpc(connection: &mut Connection, model: &ModelName) -> Result<Metadata, Failure> {
    let request = ModelMetadataRequest { name: model.name.clone(), version: model.version.clone().unwrap_or_default() };
    let reply = connection.send(&grpc::call("ModelMetadata", &request)?).await?;
    let kind = reply.headers.get(http::header::CONTENT_TYPE);
    if !reply.status.is_server_error() && !kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc")) {
        return Err(instead("gRPC's ModelMetadata", &reply));
    }
    match grpc::metadata(&reply) {
        Err(ClientError::Refused { status, .. }) if status == "NOT_FOUND" && model.version.is_none() => {
            let reply = connection.send(&grpc::call("RepositoryIndex", &RepositoryIndexRequest::default())?).await?;
            let known = grpc::verdict(&reply).and_then(|()| grpc::message::<RepositoryIndexResponse>(&reply)).ok();
            let known = known.map(|index| index.models.into_iter().map(|model| model.name).collect());
            Err(ClientError::UnknownModel { model: model.name.clone(), known }.into())
        }
        outcome => Ok(outcome?),
    }
}

pub(super) fn get(path: String) -> Prepared {
    Prepared { method: Method::GET, path, headers: HeaderMap::new(), body: Bytes::new() }
}

/// Reads a JSON document over REST: the model's configuration, statistics, the server's own metadata.
///
/// # Errors
/// See [`ClientError`].
pub async fn fetch_json(target: &Target, path: String, timeout: Duration) -> Result<Value, ClientError> {
    let mut connection = Connection::new(target.clone(), Version::One, timeout);
    let reply = connection.send(&get(path)).await?;
    oip::verdict(&reply)?;
    serde_json::from_slice(&reply.body).map_err(|error| ClientError::Reply(error.to_string()))
}
