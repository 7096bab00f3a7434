//! Models that no replica tells of, since none answers: the lists name them all the same, with their state and the reason.

use std::io::Read;

use http::HeaderMap;
use modelyard_wire::proto::inference::RepositoryIndexResponse;
use modelyard_wire::proto::inference::repository_index_response::ModelIndex;
use serde_json::{Value, json};

use super::ask::Part;
use super::table::{Absent, Route, Table};

pub(super) use modelyard_wire::proto::inference::RepositoryIndexResponse as Index;

/// Bytes of a request for a list that are looked at.
const MAX_ASKED: u64 = 1 << 20;

/// A model that no replica listed.
pub(super) struct Unlisted {
    pub(super) name: String,
    version: Option<i64>,
    /// In the words of the repository's index: `LOADING` or `UNAVAILABLE`.
    state: &'static str,
    reason: String,
}

impl Unlisted {
    /// An entry of the repository's index.
    pub(super) fn json(&self) -> Value {
        let mut entry = json!({ "name": self.name });
        if let Some(version) = self.version {
            entry["version"] = version.to_string().into();
        }
        entry["state"] = self.state.into();
        if !self.reason.is_empty() {
            entry["reason"] = self.reason.as_str().into();
        }
        entry
    }

    /// The same over gRPC.
    pub(super) fn proto(all: Vec<Self>) -> RepositoryIndexResponse {
        let entry = |one: Self| ModelIndex {
            name: one.name,
            version: one.version.map(|version| version.to_string()).unwrap_or_default(),
            state: one.state.to_owned(),
            reason: one.reason,
        };
        RepositoryIndexResponse { models: all.into_iter().map(entry).collect() }
    }
}

/// The models of the table that are not `listed`.
pub(super) fn unlisted(table: &Table, said: &[Part], listed: impl Fn(&str) -> bool) -> Vec<Unlisted> {
    let models = table.models.iter().filter(|(name, _)| !listed(name));
    models
        .map(|(name, route)| {
            let part = said.iter().find(|part| part.deployment == route.deployment);
            let silent = part.and_then(|part| part.outcome.as_ref().err()).filter(|_| !route.backends.is_empty());
            let (state, reason) = match silent {
                Some(why) => ("UNAVAILABLE", format!("a replica was asked: {why}")),
                None => state(route),
            };
            Unlisted { name: name.clone(), version: route.version, state, reason }
        })
        .collect()
}

/// How a model without replicas is.
pub(super) fn state(route: &Route) -> (&'static str, String) {
    match &route.absent {
        Absent::Starting => ("LOADING", String::new()),
        Absent::Retrying(why) => ("LOADING", why.clone()),
        Absent::Zero => ("UNAVAILABLE", "it has no replicas (replicas: 0)".to_owned()),
        Absent::Failing(why) => ("UNAVAILABLE", why.clone()),
    }
}

/// Whether a request for the index is for models that are ready alone. What its replicas could not read they have refused.
pub(super) fn is_for_ready(headers: &HeaderMap, body: &[u8]) -> bool {
    let mut plain = Vec::new();
    if headers.get(http::header::CONTENT_ENCODING).is_some_and(|value| value.as_bytes().ends_with(b"gzip")) {
        // What does not inflate is no body that asks for anything.
        let _ = flate2::read::MultiGzDecoder::new(body).take(MAX_ASKED).read_to_end(&mut plain);
    } else {
        plain.extend_from_slice(body);
    }
    serde_json::from_slice::<Value>(&plain).is_ok_and(|asked| asked["ready"] == true)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn the_filter_is_read_plain_and_compressed() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(b"{\"ready\": true}").unwrap();
        let packed = encoder.finish().unwrap();
        let gzip = HeaderMap::from_iter([(http::header::CONTENT_ENCODING, "gzip".parse().unwrap())]);
        assert!(is_for_ready(&gzip, &packed));
        assert!(is_for_ready(&HeaderMap::new(), b"{\"ready\": true}"));
        for body in [&b""[..], b"{}", b"{\"ready\": false}", b"[true]", &packed] {
            assert!(!is_for_ready(&HeaderMap::new(), body), "{body:?}");
        }
    }
}
