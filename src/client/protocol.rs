//! The protocols, and the one seam between them and everything else: tensors to a prepared request, a reply to tensors.

use modelyard_wire::Tensor;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::connection::Version;
use super::{ClientError, Metadata, Prepared, Reply, grpc, oip, tfs};

/// How a request travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Protocol {
    /// Open Inference Protocol v2, numbers as JSON
    Json,
    /// Open Inference Protocol v2, tensors as bytes after a JSON head
    Binary,
    /// Open Inference Protocol v2 over gRPC
    Grpc,
    /// TensorFlow Serving's REST, numbers as JSON
    Tfs,
}

/// A model, and the version asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelName {
    /// The name in URLs.
    pub name: String,
    /// The version, or whichever the server prefers.
    pub version: Option<String>,
}

/// What a model answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The version that answered, where the protocol tells.
    pub version: Option<String>,
    /// The outputs.
    pub outputs: Vec<(String, Tensor)>,
}

/// What may not stand in a path's segment, and what routers of the field treat on their own.
const SEGMENT: &AsciiSet = &CONTROLS.add(b' ').add(b'/').add(b':').add(b'?').add(b'#').add(b'%').add(b'"').add(b'<').add(b'>');

impl ModelName {
    /// `/models/NAME[/versions/VERSION]`, escaped.
    #[must_use]
    pub fn path(&self) -> String {
        let mut path = format!("/models/{}", utf8_percent_encode(&self.name, SEGMENT));
        if let Some(version) = &self.version {
            path.push_str("/versions/");
            path.extend(utf8_percent_encode(version, SEGMENT));
        }
        path
    }
}

/// A request's form in a file, to be sent by others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The Open Inference Protocol's JSON.
    Json,
    /// The binary tensor extension; the answer comes as JSON, so that it can be read.
    Binary,
    /// TensorFlow Serving's JSON.
    Rows,
    /// A serialised `tensorflow.serving.PredictRequest`.
    PredictRequest,
}

impl Form {
    /// Encodes an inference request.
    ///
    /// # Errors
    /// When the tensors have no such form.
    pub fn prepare(self, model: &ModelName, inputs: &[(String, Tensor)]) -> Result<Prepared, ClientError> {
        match self {
            Self::Json => oip::prepare_json(model, inputs),
            Self::Binary => oip::prepare_binary(model, inputs, oip::Outputs::Json),
            Self::Rows => tfs::prepare(model, inputs),
            Self::PredictRequest => tfs::prepare_serialised(model, inputs),
        }
    }
}

impl Protocol {
    /// The name, as on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Binary => "binary",
            Self::Grpc => "grpc",
            Self::Tfs => "tfs",
        }
    }

    /// The version of HTTP that it needs.
    #[must_use]
    pub const fn version(self) -> Version {
        match self {
            Self::Grpc => Version::Two,
            _ => Version::One,
        }
    }

    /// Encodes an inference request.
    ///
    /// # Errors
    /// When the tensors have no form in the protocol.
    pub fn prepare(self, model: &ModelName, inputs: &[(String, Tensor)]) -> Result<Prepared, ClientError> {
        match self {
            Self::Json => oip::prepare_json(model, inputs),
            Self::Binary => oip::prepare_binary(model, inputs, oip::Outputs::Binary),
            Self::Grpc => grpc::prepare(model, inputs),
            Self::Tfs => tfs::prepare(model, inputs),
        }
    }

    /// Whether the model answered, without looking at the tensors: cheap enough to ask of every answer of a benchmark.
    ///
    /// # Errors
    /// The server's refusal.
    pub fn verdict(self, reply: &Reply) -> Result<(), ClientError> {
        match self {
            Self::Grpc => grpc::verdict(reply),
            _ => oip::verdict(reply),
        }
    }

    /// Decodes an answer.
    ///
    /// # Errors
    /// The server's refusal, or what is not of the protocol.
    pub fn decode(self, reply: &Reply, metadata: &Metadata) -> Result<Answer, ClientError> {
        self.verdict(reply)?;
        match self {
            Self::Json | Self::Binary => oip::decode(reply),
            Self::Grpc => grpc::decode(reply),
            Self::Tfs => tfs::decode(reply, metadata),
        }
    }
}
