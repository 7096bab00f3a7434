//! Answers put together from several replicas: lists of all deployments, and counts of all replicas.

use bytes::{BufMut, Bytes, BytesMut};
use http::request::Parts;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use serde_json::Value;

use super::body::{Inbound, Outbound, Reply};
use super::fault::{Fault, Kind, json};
use super::relay::route;
use super::{GRACE, Gateway, grpc};

/// Bytes of one replica's part at most.
const MAX_PART: usize = 16 << 20;

impl Gateway {
    /// Asks one replica of every deployment and merges their JSON: arrays are joined, objects by key.
    pub(super) async fn merged(&self, parts: &Parts, body: &Inbound) -> Result<Response<Reply>, Fault> {
        let table = self.table();
        let mut whole: Option<Value> = None;
        for asked in table.deployments() {
            let Some(backend) = super::pick::pick(&asked.backends, &[], super::pick::random()) else { continue };
            let (status, part) = self.part(&backend, parts, body.outbound()).await?;
            let mut part: Value = match serde_json::from_slice(&part) {
                Ok(value) if status.is_success() => value,
                // A fault of the request is one for all.
                _ => return Ok(verbatim(status, part)),
            };
            // A replica's view of models that its deployment does not own would be wrong: it has none.
            match &mut whole {
                None => whole = Some(part.take()),
                Some(whole) => join(whole, part),
            }
        }
        whole.map(|whole| json(&whole)).ok_or_else(|| Fault::new(Kind::Unavailable, "no replica of any model is ready"))
    }

    /// Asks every replica for its counts, of one model or of all, and sums them.
    pub(super) async fn statistics(&self, model: Option<&str>, parts: &Parts) -> Result<Response<Reply>, Fault> {
        let table = self.table();
        let routes = match model {
            Some(model) => vec![route(&table, model)?],
            None => table.deployments(),
        };
        let mut models: Vec<Value> = Vec::new();
        let mut asked = 0;
        for backend in routes.iter().flat_map(|route| &route.backends) {
            asked += 1;
            let (status, part) = self.part(backend, parts, Outbound::empty()).await?;
            let Ok(Value::Object(mut part)) = serde_json::from_slice(&part) else { return Ok(verbatim(status, part)) };
            match part.remove("model_stats") {
                Some(Value::Array(found)) => found.into_iter().for_each(|one| add_model(&mut models, one)),
                _ => return Ok(verbatim(status, Value::Object(part).to_string().into())),
            }
        }
        if asked == 0 {
            return Err(Fault::new(Kind::Unavailable, "no replica is ready"));
        }
        Ok(json(&serde_json::json!({ "model_stats": models })))
    }

    /// Asks one replica of every deployment and joins their messages: a protobuf list continues where another one ends.
    pub(super) async fn joined(&self, parts: &Parts, body: &Inbound) -> Result<Response<Reply>, Fault> {
        let table = self.table();
        let mut joined = BytesMut::new();
        let deployments = table.deployments();
        if deployments.is_empty() {
            return Err(Fault::new(Kind::Unavailable, "no replica of any model is ready"));
        }
        for asked in deployments {
            let Some(backend) = super::pick::pick(&asked.backends, &[], super::pick::random()) else { continue };
            let lease = backend.lease();
            let failed = |error: &dyn std::fmt::Display| Fault::new(Kind::Broken, format!("a replica did not answer: {error}"));
            let asking = self.ask(&backend, parts, body.outbound(), true);
            let response =
                tokio::time::timeout(GRACE, asking).await.map_err(|late| failed(&late))?.map_err(|error| failed(&error))?;
            let (head, answer) = response.into_parts();
            let answer = Limited::new(answer, MAX_PART).collect().await.map_err(|error| failed(&error))?;
            drop(lease);
            let status = answer.trailers().and_then(|trailers| trailers.get("grpc-status")).or(head.headers.get("grpc-status"));
            let (good, trailers) = (status.is_some_and(|status| status == "0"), answer.trailers().cloned());
            let framed = answer.to_bytes();
            match framed.split_at_checked(5) {
                Some(([0, ..], message)) if good => joined.extend_from_slice(message),
                _ => return Ok(grpc_verbatim(head.headers, framed, trailers)),
            }
        }
        let mut framed = BytesMut::with_capacity(5 + joined.len());
        framed.put_u8(0);
        framed.put_u32(u32::try_from(joined.len()).unwrap_or(u32::MAX));
        framed.extend_from_slice(&joined);
        Ok(grpc::message(framed.freeze()))
    }

    async fn part(
        &self,
        backend: &std::sync::Arc<super::Backend>,
        parts: &Parts,
        body: Outbound,
    ) -> Result<(StatusCode, Bytes), Fault> {
        let lease = backend.lease();
        let failed = |error: &dyn std::fmt::Display| Fault::new(Kind::Broken, format!("a replica did not answer: {error}"));
        let mut parts = parts.clone();
        parts.headers.remove(http::header::ACCEPT_ENCODING);
        let asking = self.ask(backend, &parts, body, false);
        let response =
            tokio::time::timeout(GRACE, asking).await.map_err(|late| failed(&late))?.map_err(|error| failed(&error))?;
        let status = response.status();
        let bytes = Limited::new(response.into_body(), MAX_PART).collect().await.map_err(|error| failed(&error))?.to_bytes();
        drop(lease);
        Ok((status, bytes))
    }
}

fn verbatim(status: StatusCode, body: Bytes) -> Response<Reply> {
    let mut response = Response::new(Reply::whole(body));
    *response.status_mut() = status;
    response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    response
}

fn grpc_verbatim(mut headers: HeaderMap, framed: Bytes, trailers: Option<HeaderMap>) -> Response<Reply> {
    super::headers::back(&mut headers);
    let framed = (!framed.is_empty()).then_some(framed);
    let mut response = Response::new(Reply::Own(framed, trailers));
    *response.headers_mut() = headers;
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

/// Adds one replica's counts of a model to those of the others.
fn add_model(models: &mut Vec<Value>, one: Value) {
    match models.iter_mut().find(|other| other["name"] == one["name"] && other["version"] == one["version"]) {
        Some(same) => add(same, one, ""),
        None => models.push(one),
    }
}

/// Counts and times add up, the latest of two moments counts, and lists are joined by batch size or by what they measure.
fn add(whole: &mut Value, part: Value, key: &str) {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            for (key, value) in part {
                match whole.get_mut(&key) {
                    Some(here) => add(here, value, &key),
                    None => drop(whole.insert(key, value)),
                }
            }
        }
        (Value::Array(whole), Value::Array(part)) => {
            for item in part {
                let same = |other: &&mut Value| ["batch_size", "type", "id"].iter().all(|key| other.get(key) == item.get(key));
                match whole.iter_mut().find(same) {
                    Some(here) => add(here, item, ""),
                    None => whole.push(item),
                }
            }
        }
        (whole @ Value::Number(_), Value::Number(part)) => {
            let (mine, other) = (whole.as_u64().unwrap_or(0), part.as_u64().unwrap_or(0));
            *whole = match key {
                "last_inference" => mine.max(other),
                // What tells the items of a list apart is no count.
                "batch_size" | "id" => mine,
                _ => mine.saturating_add(other),
            }
            .into();
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

    #[test]
    fn counts_add_up_by_model() {
        let one = |count: u64, last: u64, size: u64| {
            json!({"name": "m", "version": "1", "last_inference": last, "inference_count": count,
                   "inference_stats": {"success": {"count": count, "ns": 10}},
                   "batch_stats": [{"batch_size": size, "compute_infer": {"count": count, "ns": 5}}]})
        };
        let mut models = Vec::new();
        for part in [one(2, 100, 1), one(3, 90, 1), one(4, 95, 8), json!({"name": "other", "inference_count": 1})] {
            add_model(&mut models, part);
        }
        assert_eq!(models.len(), 2);
        assert_eq!((&models[0]["inference_count"], &models[0]["last_inference"]), (&json!(9), &json!(100)));
        assert_eq!(models[0]["inference_stats"]["success"], json!({"count": 9, "ns": 30}));
        let by_size = json!([{"batch_size": 1, "compute_infer": {"count": 5, "ns": 10}},
                             {"batch_size": 8, "compute_infer": {"count": 4, "ns": 5}}]);
        assert_eq!(models[0]["batch_stats"], by_size);
    }
}
