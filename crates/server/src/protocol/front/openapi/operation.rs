//! One operation of the document, from what tells it apart from the others.

use serde_json::{Map, Value, json};

/// Statuses that an operation answers beside its success.
#[derive(Clone, Copy)]
pub(super) enum Faults {
    /// It cannot fail.
    None,
    /// Unknown model or version, a path that cannot be read, or a model on its way.
    Ready,
    /// As [`Faults::Ready`], with a body that can be wrong, too large or in an unknown encoding, and a run that can be late.
    Run,
    /// A body that can be wrong.
    Body,
    /// Allowed on servers that were started so.
    Control,
    /// Not ready.
    NotReady,
    /// Never answers anything else.
    Never(u16),
}

impl Faults {
    fn statuses(self) -> &'static [u16] {
        match self {
            Self::None => &[],
            Self::Ready => &[400, 404, 503],
            Self::Run => &[400, 404, 408, 413, 415, 500, 503, 504],
            Self::Body => &[400, 408, 413, 415],
            Self::Control => &[400, 403, 404, 408, 413, 415, 500, 503],
            Self::NotReady => &[503],
            Self::Never(501) => &[400, 404, 413, 415, 501, 503],
            Self::Never(_) => &[400, 404, 413, 415, 503],
        }
    }
}

/// What an operation answers when all is well.
pub(super) enum Success {
    /// JSON of this schema.
    Json(Value),
    /// JSON of this schema, or the same in another media type.
    JsonOr(Value, &'static str),
    /// A page.
    Page,
    /// A page or JSON, as the client prefers.
    JsonOrPage(Value),
    /// There is no success.
    None,
}

/// One operation.
pub(super) struct Operation {
    pub(super) id: String,
    pub(super) tag: String,
    pub(super) summary: &'static str,
    pub(super) success: Success,
    pub(super) faults: Faults,
    /// `requestBody`.
    pub(super) body: Option<Value>,
    /// Headers that a client may send: `(name, schema, meaning)`.
    pub(super) headers: Vec<(&'static str, Value, &'static str)>,
}

impl Operation {
    /// An operation that reads, and cannot fail.
    pub(super) fn read(id: impl Into<String>, tag: impl Into<String>, summary: &'static str, schema: Value) -> Self {
        let (id, tag) = (id.into(), tag.into());
        Self { id, tag, summary, success: Success::Json(schema), faults: Faults::None, body: None, headers: Vec::new() }
    }

    /// The same, with statuses of failure.
    pub(super) fn failing(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// The same, with a body.
    pub(super) fn taking(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    /// The Operation Object at `path`, whose `{name}` parts become parameters.
    pub(super) fn at(self, path: &str) -> Value {
        let mut parameters: Vec<_> =
            path.split('{').skip(1).filter_map(|rest| rest.split('}').next()).map(path_parameter).collect();
        for (name, schema, meaning) in &self.headers {
            parameters.push(json!({ "name": name, "in": "header", "required": false, "schema": schema, "description": meaning }));
        }
        let mut operation = json!({ "operationId": self.id, "tags": [self.tag], "summary": self.summary });
        if !parameters.is_empty() {
            operation["parameters"] = json!(parameters);
        }
        operation["responses"] = Value::Object(responses(self.success, self.faults));
        if let Some(body) = self.body {
            operation["requestBody"] = body;
        }
        operation
    }
}

fn path_parameter(name: &str) -> Value {
    let (schema, meaning, example) = match name {
        "version" => (json!({ "type": "string", "pattern": "^[0-9]+$" }), "Version of the model.", "1"),
        _ => (json!({ "type": "string", "pattern": "^[^/:]+$" }), "Name of the model.", "mnist"),
    };
    json!({ "name": name, "in": "path", "required": true, "schema": schema, "description": meaning, "example": example })
}

fn responses(success: Success, faults: Faults) -> Map<String, Value> {
    let mut responses = Map::new();
    let content = match success {
        Success::Json(schema) => json!({ "application/json": { "schema": schema } }),
        Success::JsonOr(schema, other) => json!({ "application/json": { "schema": schema }, other: {} }),
        Success::Page => json!({ "text/html": {} }),
        Success::JsonOrPage(schema) => json!({ "application/json": { "schema": schema }, "text/html": {} }),
        Success::None => Value::Null,
    };
    if !content.is_null() {
        responses.insert("200".to_owned(), json!({ "description": "Success.", "content": content }));
    }
    for status in faults.statuses() {
        responses.insert(status.to_string(), json!({ "$ref": format!("#/components/responses/{status}") }));
    }
    responses
}
