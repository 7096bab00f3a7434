//! From a path to what it is about. Only as much is read as decides who answers; the rest is the replica's to judge.

use http::Method;
use percent_encoding::percent_decode_str;
use serde_json::Value;

/// What a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// One model; `waits` for a replica on its way, as inference does and a question for readiness does not.
    Model { name: String, waits: bool, repeatable: bool },
    /// The counts of one model or of all, summed over replicas.
    Stats(Option<String>),
    /// Whether the gateway lives.
    Live,
    /// Whether every model answers.
    Ready,
    /// What this is.
    Front,
    /// Something that each deployment answers for itself: to be asked of one replica of each and merged.
    Merged(List),
    /// Whatever any replica says: server metadata, documentation, paths that nobody knows.
    Any,
}

/// What is put together from the answers of several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum List {
    /// The repository's index: each model and its state.
    Index,
    /// The models' names.
    Models,
    /// The description of every operation.
    Openapi,
}

impl List {
    /// The models that a list names.
    pub(super) fn names(self, list: &Value) -> impl Iterator<Item = &str> {
        let all = if self == Self::Index { list.as_array() } else { list["models"].as_array() };
        all.into_iter().flatten().filter_map(|one| one.as_str().or_else(|| one["name"].as_str()))
    }
}

/// Reads a REST path. `/v1` is matched without case, as TensorFlow Serving does.
pub(super) fn target(method: &Method, path: &str) -> Target {
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    let posts = method == Method::POST;
    let first = parts.first().copied().unwrap_or_default();
    if first.eq_ignore_ascii_case("v1") && parts.get(1).is_some_and(|part| part.eq_ignore_ascii_case("models")) {
        return match parts.get(2).copied().unwrap_or_default() {
            "" => Target::Merged(List::Models),
            named => model(named.split(':').next().unwrap_or_default(), posts, true),
        };
    }
    match *parts.as_slice() {
        [""] => Target::Front,
        ["openapi.json"] => Target::Merged(List::Openapi),
        ["v2", "models"] | ["v2", "models", ""] => Target::Merged(List::Models),
        ["v2", "repository", "index"] | ["v2", "repository", _, "index"] => Target::Merged(List::Index),
        ["v2", "health", "live"] => Target::Live,
        ["v2", "health", "ready"] => Target::Ready,
        ["v2", "models", "stats"] => Target::Stats(None),
        ["v2", "models", name, "stats"] | ["v2", "models", name, "versions", _, "stats"] => Target::Stats(Some(decoded(name))),
        ["v2", "models", name, ..] => model(name, posts, true),
        // Loading and unloading change something: they are not to happen twice.
        ["v2", "repository", "models", name, ..] => model(name, false, false),
        _ => Target::Any,
    }
}

fn model(name: &str, waits: bool, repeatable: bool) -> Target {
    Target::Model { name: decoded(name), waits, repeatable }
}

fn decoded(name: &str) -> String {
    percent_decode_str(name).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_has_its_target() {
        let (get, post) = (Method::GET, Method::POST);
        let of = |name: &str, waits, repeatable| Target::Model { name: name.to_owned(), waits, repeatable };
        for (method, path, expected) in [
            (&post, "/v2/models/m/infer", of("m", true, true)),
            (&post, "/v2/models/m%20n/versions/1/infer", of("m n", true, true)),
            (&get, "/v2/models/m/ready", of("m", false, true)),
            (&get, "/v2/models/m", of("m", false, true)),
            (&post, "/v2/repository/models/m/unload", of("m", false, false)),
            (&post, "/v1/models/m:predict", of("m", true, true)),
            (&post, "/V1/Models/m/versions/2:predict", of("m", true, true)),
            (&get, "/v1/models/m", of("m", false, true)),
            (&get, "/v1/models/m/metadata", of("m", false, true)),
            (&get, "/v2/models/m/stats", Target::Stats(Some("m".to_owned()))),
            (&get, "/v2/models/stats", Target::Stats(None)),
            (&post, "/v2/repository/index", Target::Merged(List::Index)),
            (&get, "/v1/models", Target::Merged(List::Models)),
            (&get, "/v1/models/", Target::Merged(List::Models)),
            (&get, "/v2/models", Target::Merged(List::Models)),
            (&get, "/openapi.json", Target::Merged(List::Openapi)),
            (&get, "/v2/health/live", Target::Live),
            (&get, "/v2/health/ready", Target::Ready),
            (&get, "/", Target::Front),
            (&get, "/v2", Target::Any),
            (&get, "/v2/", Target::Any),
            (&get, "/docs", Target::Any),
            (&get, "/nowhere", Target::Any),
        ] {
            assert_eq!(target(method, path), expected, "{method} {path}");
        }
    }
}
