//! Counts of several replicas, added up by model.

use serde_json::Value;

/// Adds one replica's counts of a model to those of the others.
pub(super) fn add_model(models: &mut Vec<Value>, one: Value) {
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
