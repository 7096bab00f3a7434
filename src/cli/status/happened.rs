//! Events as people read them: the newest first, repeated ones once with their number.

use jiff::Timestamp;
use k8s_openapi::api::events::v1::Event;
use serde_json::{Value, json};

/// Events on the screen, at most.
const SHOWN: usize = 8;

/// Something that happened, perhaps more than once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Happened {
    /// The last time.
    pub(super) at: Timestamp,
    /// Whether somebody has to act.
    pub(super) warning: bool,
    /// The reason.
    pub(super) reason: String,
    /// What happened.
    pub(super) note: String,
    /// How often.
    pub(super) count: i64,
}

impl Happened {
    fn of(event: &Event) -> Option<Self> {
        let series = event.series.as_ref();
        let at = series
            .map(|series| series.last_observed_time.0)
            .or_else(|| event.deprecated_last_timestamp.as_ref().map(|time| time.0))
            .or_else(|| event.event_time.as_ref().map(|time| time.0))
            .or_else(|| event.metadata.creation_timestamp.as_ref().map(|time| time.0))?;
        let count = series.map(|series| series.count).or(event.deprecated_count).unwrap_or(1).max(1);
        Some(Self {
            at,
            warning: event.type_.as_deref() == Some("Warning"),
            reason: event.reason.clone().unwrap_or_default(),
            note: event.note.clone().unwrap_or_default(),
            count: i64::from(count),
        })
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "at": self.at.to_string(), "type": if self.warning { "Warning" } else { "Normal" },
            "reason": self.reason, "note": self.note, "count": self.count,
        })
    }
}

/// The newest events, those that say the same together.
pub(super) fn newest(events: &[Event]) -> Vec<Happened> {
    let mut all: Vec<Happened> = Vec::new();
    for one in events.iter().filter_map(Happened::of) {
        let same =
            all.iter_mut().find(|known| (&known.reason, &known.note, known.warning) == (&one.reason, &one.note, one.warning));
        match same {
            Some(known) => {
                known.at = known.at.max(one.at);
                known.count += one.count;
            }
            None => all.push(one),
        }
    }
    all.sort_by_key(|one| std::cmp::Reverse(one.at));
    all.truncate(SHOWN);
    all
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(reason: &str, at: &str, series: Value) -> Event {
        serde_json::from_value(json!({
            "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "x"}, "type": "Warning",
            "eventTime": at, "reason": reason, "note": "n", "series": series,
        }))
        .unwrap()
    }

    #[test]
    fn the_same_is_told_once_with_its_number_and_the_newest_first() {
        let series = json!({"count": 4, "lastObservedTime": "2026-05-01T12:30:00.000000Z"});
        let mut events = vec![
            event("Loading", "2026-05-01T12:10:00.000000Z", Value::Null),
            event("ModelNotFound", "2026-05-01T12:00:00.000000Z", series),
            event("ModelNotFound", "2026-05-01T12:05:00.000000Z", Value::Null),
        ];
        let told = newest(&events);
        assert_eq!(
            told.iter().map(|one| (one.reason.as_str(), one.count)).collect::<Vec<_>>(),
            [("ModelNotFound", 5), ("Loading", 1)]
        );
        assert_eq!(told[0].at, "2026-05-01T12:30:00Z".parse().unwrap());
        for minute in 10..30 {
            events.push(event(&format!("R{minute}"), &format!("2026-05-01T13:{minute}:00.000000Z"), Value::Null));
        }
        assert_eq!(newest(&events).len(), SHOWN);
        assert_eq!(newest(&events)[0].reason, "R29");
    }
}
