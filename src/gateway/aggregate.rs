//! Answers put together from several replicas: lists of all deployments, and counts of all replicas. One that does not answer
//! fails none of them: what it would have said is said to be missing.

use bytes::{BufMut, Bytes, BytesMut};
use http::request::Parts;
use http::{HeaderMap, Method, Response, StatusCode};
use prost::Message;
use serde_json::{Value, json as value};

use super::absent::{Unlisted, is_for_ready, unlisted};
use super::ask::{Part, Said, say_missing};
use super::body::Inbound;
use super::fault::{Fault, Kind, json};
use super::message::HEAD;
use super::relay::route;
use super::reply::Reply;
use super::route::List;
use super::{Gateway, grpc, sums};

impl Gateway {
    /// Asks one replica of every deployment and merges their JSON: arrays are joined, objects by key. Models that no replica
    /// told of are added.
    pub(super) async fn merged(&self, list: List, parts: &Parts, body: &Inbound) -> Result<Response<Reply>, Fault> {
        let sent = body.whole()?;
        let table = self.table();
        let mut said = self.ask_each(&table, parts, body, false).await;
        let mut whole: Option<Value> = None;
        for part in &mut said {
            let Ok(answer) = &part.outcome else { continue };
            match serde_json::from_slice(&answer.body) {
                Ok(value) if answer.head.status.is_success() => match &mut whole {
                    None => whole = Some(value),
                    Some(whole) => join(whole, value),
                },
                // A fault of the request is one for all.
                _ if answer.head.status.is_client_error() => return Ok(verbatim(answer)),
                _ => part.outcome = Err(format!("it answered {}", answer.head.status)),
            }
        }
        let nothing = whole.is_none();
        let mut whole = match (whole, list) {
            (Some(whole), _) => whole,
            // Nobody is there to judge the method.
            (None, List::Index) if parts.method != Method::POST => return Ok(super::rest::not_allowed(&parts.method, "POST")),
            (None, List::Index) => value!([]),
            (None, List::Models) => value!({ "models": [] }),
            (None, List::Openapi) => return Err(none_answered(&said)),
        };
        let listed = |name: &str| list.names(&whole).any(|known| known == name);
        let unlisted = unlisted(&table, &said, |name| match list {
            // Names alone do not say that a replica answers: one of several models that failed is named by those that serve the others.
            List::Models => listed(name) && table.models.get(name).is_some_and(|route| !route.backends.is_empty()),
            List::Index | List::Openapi => listed(name),
        });
        match list {
            // Of those that are ready there is none among them.
            List::Index if is_for_ready(&parts.headers, &sent) => {}
            List::Index => whole.as_array_mut().into_iter().for_each(|all| all.extend(unlisted.iter().map(Unlisted::json))),
            List::Models if !unlisted.is_empty() => {
                if let Some(names) = whole["models"].as_array_mut() {
                    for one in unlisted.iter().map(|one| Value::from(one.name.as_str())) {
                        if !names.contains(&one) {
                            names.push(one);
                        }
                    }
                }
                whole["unavailable"] = unlisted.iter().map(Unlisted::json).collect();
            }
            List::Models | List::Openapi => {}
        }
        let mut response = json(&whole);
        if nothing && table.models.is_empty() {
            return Err(none_answered(&said));
        }
        say_missing(response.headers_mut(), &said);
        Ok(response)
    }

    /// Asks every replica for its counts, of one model or of all, and sums them.
    pub(super) async fn statistics(&self, model: Option<&str>, parts: &Parts) -> Result<Response<Reply>, Fault> {
        let table = self.table();
        let routes = match model {
            Some(model) => vec![route(&table, model)?],
            None => table.deployments(),
        };
        let mut models: Vec<Value> = Vec::new();
        let mut said = self.ask_all(&routes, parts).await;
        for part in &mut said {
            let Ok(answer) = &part.outcome else { continue };
            if answer.head.status.is_client_error() {
                return Ok(verbatim(answer));
            }
            let mut counts = serde_json::from_slice::<Value>(&answer.body).unwrap_or_default();
            match counts["model_stats"].take() {
                Value::Array(found) => found.into_iter().for_each(|one| sums::add_model(&mut models, one)),
                _ => part.outcome = Err(format!("it answered {} without counts", answer.head.status)),
            }
        }
        if said.iter().all(|part| part.outcome.is_err()) {
            return Err(none_answered(&said));
        }
        let mut response = json(&value!({ "model_stats": models }));
        say_missing(response.headers_mut(), &said);
        Ok(response)
    }

    /// Asks one replica of every deployment and joins their messages: a protobuf list continues where another one ends. To an
    /// `index` the models are added that no replica told of.
    pub(super) async fn joined(&self, index: bool, parts: &Parts, body: &Inbound) -> Result<Response<Reply>, Fault> {
        let sent = body.whole()?;
        let table = self.table();
        let mut said = self.ask_each(&table, parts, body, true).await;
        let mut joined = BytesMut::new();
        for part in &mut said {
            let Ok(answer) = &part.outcome else { continue };
            match (answer.grpc_status(), answer.body.split_at_checked(HEAD)) {
                (Some("0"), Some(([0, ..], message))) => joined.extend_from_slice(message),
                // A fault of the request is one for all; that a replica is unavailable, or broke, is its own.
                (Some(status), _) if !matches!(status, "2" | "4" | "13" | "14") => return Ok(grpc_verbatim(answer)),
                (status, _) => part.outcome = Err(format!("it answered status {}", status.unwrap_or("none"))),
            }
        }
        if index && !grpc::is_for_ready(&sent) {
            let known = super::absent::Index::decode(&*joined).unwrap_or_default();
            let unlisted = unlisted(&table, &said, |name| known.models.iter().any(|one| one.name == name));
            joined.extend_from_slice(&Unlisted::proto(unlisted).encode_to_vec());
        }
        if joined.is_empty() && said.iter().all(|part| part.outcome.is_err()) {
            return Err(none_answered(&said));
        }
        let mut framed = BytesMut::with_capacity(HEAD + joined.len());
        framed.put_u8(0);
        framed.put_u32(u32::try_from(joined.len()).unwrap_or(u32::MAX));
        framed.extend_from_slice(&joined);
        let mut response = grpc::message(framed.freeze());
        say_missing(response.headers_mut(), &said);
        Ok(response)
    }
}

/// What to say when there is nothing to put together.
fn none_answered(said: &[Part]) -> Fault {
    match said.iter().find_map(|part| Some((part, part.outcome.as_ref().err()?))) {
        Some((part, why)) => Fault::new(Kind::Broken, format!("no replica answered; of {}: {why}", part.deployment)),
        None => Fault::new(Kind::Unavailable, "no replica of any model is ready"),
    }
}

fn verbatim(answer: &Said) -> Response<Reply> {
    let mut response = Response::new(Reply::whole(answer.body.clone()));
    *response.status_mut() = answer.head.status;
    for name in [http::header::CONTENT_TYPE, http::header::ALLOW] {
        if let Some(value) = answer.head.headers.get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

fn grpc_verbatim(answer: &Said) -> Response<Reply> {
    let mut headers: HeaderMap = answer.head.headers.clone();
    super::headers::back(&mut headers);
    let framed: Option<Bytes> = (!answer.body.is_empty()).then(|| answer.body.clone());
    let mut response = Response::new(Reply::Own(framed, answer.trailers.clone()));
    *response.headers_mut() = headers;
    *response.status_mut() = StatusCode::OK;
    response
}

/// Joins arrays, and objects key by key; of two other values the first stays.
fn join(whole: &mut Value, part: Value) {
    match (whole, part) {
        (Value::Array(whole), Value::Array(part)) => {
            for item in part {
                if !whole.contains(&item) {
                    whole.push(item);
                }
            }
        }
        (Value::Object(whole), Value::Object(part)) => {
            for (key, value) in part {
                match whole.get_mut(&key) {
                    Some(here) => join(here, value),
                    None => drop(whole.insert(key, value)),
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_are_joined() {
        let mut whole = json!({"models": ["a"], "paths": {"/v2/models/a": {}, "/": {"get": 1}}});
        join(&mut whole, json!({"models": ["b"], "paths": {"/v2/models/b": {}, "/": {"get": 2}}}));
        assert_eq!(whole, json!({"models": ["a", "b"], "paths": {"/v2/models/a": {}, "/": {"get": 1}, "/v2/models/b": {}}}));
    }
}
