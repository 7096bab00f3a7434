//! What a client may have meant by a path that nothing serves.

use super::shown;

/// What each protocol begins with that itself answers.
const KNOWN: [&str; 7] =
    ["/v2/models", "/v2/health/ready", "/v2/health/live", "/v2/repository/index", "/v1/models", "/openapi.json", "/docs"];

/// What other servers serve under another path: `(theirs, ours)`.
const ELSEWHERE: [(&str, &str); 9] = [
    ("/metrics", "metrics are at /metrics on the admin port"),
    ("/livez", "liveness is at /livez on the admin port, and at /v2/health/live here"),
    ("/readyz", "readiness is at /readyz on the admin port, and at /v2/health/ready here"),
    ("/healthz", "health is at /livez and /readyz on the admin port, and at /v2/health/ready here"),
    ("/health", "health is at /livez and /readyz on the admin port, and at /v2/health/ready here"),
    ("/ping", "health is at /livez and /readyz on the admin port, and at /v2/health/ready here"),
    ("/invocations", "predictions are at /v2/models/NAME/infer and /v1/models/NAME:predict"),
    ("/predict", "predictions are at /v2/models/NAME/infer and /v1/models/NAME:predict"),
    ("/models", "models are at /v2/models/NAME and /v1/models/NAME"),
];

/// A clause that says where to look instead.
pub(super) fn advice(path: &str) -> String {
    if let Some(advice) = of_model(path).or_else(|| of_repository(path)) {
        return advice;
    }
    let path = path.to_ascii_lowercase();
    let elsewhere = ELSEWHERE
        .iter()
        .find(|(theirs, _)| path.strip_prefix(theirs).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', ':'])));
    if let Some((_, where_it_is)) = elsewhere {
        return (*where_it_is).to_owned();
    }
    // Edits count by the length of what they lead to: four make any word of "/docs".
    let mut ranked: Vec<_> = KNOWN.iter().map(|known| (distance(&path, known) * 100 / known.len(), known)).collect();
    ranked.sort_by_key(|(far, _)| *far);
    format!("the nearest known are {} and {}", ranked[0].1, ranked[1].1)
}

/// Of a path below a model of the Open Inference Protocol.
fn of_model(path: &str) -> Option<String> {
    let (name, rest) = path.strip_prefix("/v2/models/")?.split_once('/').filter(|(name, _)| !name.is_empty())?;
    let version = rest.strip_prefix("versions/").and_then(|rest| rest.split('/').next()).filter(|version| !version.is_empty());
    let versions = version.map(|version| format!("/versions/{}", shown(version))).unwrap_or_default();
    let model = format!("/v2/models/{}{versions}", shown(name));
    Some(format!("predictions are at {model}/infer, and beside it are /ready, /config and /stats"))
}

/// Of a path below a model that is to be loaded or unloaded.
fn of_repository(path: &str) -> Option<String> {
    let name = path.strip_prefix("/v2/repository/models/")?.split('/').next().filter(|name| !name.is_empty())?;
    let model = format!("/v2/repository/models/{}", shown(name));
    Some(format!("models are loaded at {model}/load and unloaded at {model}/unload"))
}

/// Edits that turn the beginning of `path` into `known` (Levenshtein's distance to the best prefix of `path`).
fn distance(path: &str, known: &str) -> usize {
    // What lies beyond the longest known prefix and a few letters to spare cannot bring the two nearer.
    let path: Vec<u8> = path.bytes().take(known.len() + 4).collect();
    let mut row: Vec<usize> = (0..=known.len()).collect();
    let mut best = known.len();
    for (at, found) in path.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], at + 1);
        for (column, want) in known.bytes().enumerate() {
            let replaced = diagonal + usize::from(*found != want);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
        best = best.min(row[known.len()]);
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_path() {
        for (path, want) in [
            ("/v2models/mnist", "/v2/models"),
            ("/v3/models/mnist/infer", "/v2/models"),
            ("/v1model/mnist", "/v1/models"),
            ("/openapi.yaml", "/openapi.json"),
            ("/doc", "/docs"),
            ("/v1:predict", "/v1/models"),
            ("/v2/health", "/v2/health/live and /v2/health/ready"),
            ("/v2/health/", "/v2/health/ready"),
            ("/v2/helth/ready", "/v2/health/ready and"),
            ("/v2/repository", "/v2/repository/index"),
            ("/v2/repository/models/mnist", "/v2/repository/models/mnist/load"),
            ("/v2/models/mnist/predict", "predictions are at /v2/models/mnist/infer,"),
            ("/v2/models/Mnist/versions/3/generate", "/v2/models/Mnist/versions/3/infer,"),
            ("/v2/models//infer", "/v2/models"),
            ("/metrics", "admin port"),
            ("/Models/mnist", "/v2/models/NAME"),
            ("/predict", ":predict"),
            ("", "/v2/models"),
            ("/\u{fffd}\u{fffd}", "/v2/models"),
        ] {
            assert!(advice(path).contains(want), "{path}: {}", advice(path));
        }
    }

    #[test]
    fn nobody_is_sent_where_nothing_is() {
        for path in ["/v2/health", "/v2/repository", "/v2/healthy", "/v2/repositories"] {
            let advice = format!("{} ", advice(path));
            assert!(!advice.contains("/v2/health ") && !advice.contains("/v2/repository "), "{path}: {advice}");
        }
    }

    #[test]
    fn the_best_prefix_counts() {
        assert_eq!(distance("/v2/models/some/long/tail", "/v2/models"), 0);
        assert_eq!(distance("/v2/modls/x", "/v2/models"), 1);
        assert_eq!(distance("", "/docs"), 5);
    }
}
