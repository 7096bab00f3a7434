//! Failures in words as they happen: what `--until-stopped` is for, beside a rollout or a failover.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

use crate::client::ClientError;

/// Says each class of failure once a second at most.
#[derive(Default)]
pub(super) struct Probe {
    said: Mutex<HashMap<String, (Instant, u64)>>,
}

/// How often the same class is said.
const EVERY: Duration = Duration::from_secs(1);

impl Probe {
    /// Says a failure on stderr.
    pub(super) fn say(&self, error: &ClientError, after: Duration) {
        let now = Instant::now();
        let class = error.class();
        let mut said = self.said.lock();
        let more = match said.get_mut(&class) {
            Some((last, more)) if now - *last < EVERY => {
                *more += 1;
                return;
            }
            Some((last, more)) => {
                *last = now;
                std::mem::take(more)
            }
            None => {
                said.insert(class.clone(), (now, 0));
                0
            }
        };
        let more = if more > 0 { format!(" ({more} more of {class} before)") } else { String::new() };
        crate::cli::say(format_args!("{} after {:.1} ms: {error}{more}", utc(SystemTime::now()), after.as_secs_f64() * 1e3));
    }
}

/// The time of day, UTC, to the millisecond.
fn utc(now: SystemTime) -> String {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let day = since.as_secs() % 86_400;
    format!("{:02}:{:02}:{:02}.{:03}Z", day / 3600, day / 60 % 60, day % 60, since.subsec_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_day() {
        assert_eq!(utc(UNIX_EPOCH + Duration::from_millis(86_400_000 + 3_723_045)), "01:02:03.045Z");
    }
}
