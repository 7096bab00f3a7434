//! What the API server's audit log tells of the operators: who wrote what, when.

use std::fs;
use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// How long who was robbed of the Lease may not know it: it looks every second.
const UNAWARE: SignedDuration = SignedDuration::from_millis(2500);

/// The log from a moment on.
pub(crate) struct Audit {
    path: PathBuf,
    from: usize,
}

/// One call that went well.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    at: Timestamp,
    /// The pod of the operator; none for anybody else.
    pub(crate) by: Option<String>,
    pub(crate) verb: String,
    uri: String,
}

impl Audit {
    /// From now on.
    pub(crate) fn begin() -> Self {
        let path = PathBuf::from(std::env::var_os("OPERATOR_TESTS_AUDIT").expect("tests/faults/run sets it"));
        let from = fs::read(&path).unwrap().len();
        Self { path, from }
    }

    /// The calls so far, as they came.
    pub(crate) fn calls(&self) -> Vec<Call> {
        let log = fs::read(&self.path).unwrap();
        let text = String::from_utf8_lossy(&log[self.from..]);
        let mut calls: Vec<Call> = text.lines().filter_map(|line| call(&serde_json::from_str::<Value>(line).ok()?)).collect();
        calls.sort_by_key(|call| call.at);
        calls
    }
}

fn call(entry: &Value) -> Option<Call> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let went_well = entry["responseStatus"]["code"].as_u64().is_some_and(|code| code < 300);
    went_well.then_some(())?;
    Some(Call {
        at: text(&entry["requestReceivedTimestamp"])?.parse().ok()?,
        by: text(&entry["user"]["extra"]["authentication.kubernetes.io/pod-name"][0]),
        verb: text(&entry["verb"])?,
        uri: text(&entry["requestURI"])?,
    })
}

impl Call {
    fn is_of_lease(&self) -> bool {
        self.uri.contains("/leases")
    }

    fn writes(&self) -> bool {
        !matches!(self.verb.as_str(), "get" | "list" | "watch")
    }
}

/// Writes by an operator that did not hold the Lease, whose holder at the beginning is `holder`; and how many there were in all.
pub(crate) fn usurped(calls: &[Call], holder: &str) -> (Vec<String>, usize) {
    let mut holder = Some(holder.to_owned());
    let mut robbed: Option<(String, Timestamp)> = None;
    let (mut wrong, mut all) = (Vec::new(), 0);
    for call in calls.iter().filter(|call| call.writes()) {
        match (&call.by, call.is_of_lease()) {
            (Some(_), true) => holder = call.by.clone(),
            // Deleting it makes nobody the holder; writing it does.
            (None, true) if call.verb != "delete" => robbed = holder.take().map(|holder| (holder, call.at)),
            (Some(by), false) => {
                all += 1;
                let unaware = robbed.as_ref().is_some_and(|(was, at)| was == by && call.at.duration_since(*at) < UNAWARE);
                if holder.as_ref() != Some(by) && !unaware {
                    wrong.push(format!("{} {by}: {} {} while {holder:?} leads", call.at, call.verb, call.uri));
                }
            }
            _ => {}
        }
    }
    (wrong, all)
}

/// Lists by this operator.
pub(crate) fn lists(calls: &[Call], operator: &str) -> Vec<String> {
    let own = calls.iter().filter(|call| call.verb == "list" && call.by.as_deref() == Some(operator));
    own.map(|call| call.uri.clone()).collect()
}
