//! What a client may have meant by a path that nothing serves.

/// Where each protocol begins.
const KNOWN: [&str; 6] = ["/v2/models", "/v2/health", "/v2/repository", "/v1/models", "/openapi.json", "/docs"];

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
    fn the_best_prefix_counts() {
        assert_eq!(distance("/v2/models/some/long/tail", "/v2/models"), 0);
        assert_eq!(distance("/v2/modls/x", "/v2/models"), 1);
        assert_eq!(distance("", "/docs"), 5);
    }
}
