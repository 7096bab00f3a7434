//! How long ago, in as many words as kubectl uses.

use jiff::Timestamp;

/// `12s`, `5m`, `3h`, `12d`; small numbers with the next smaller unit, such as `2m10s` and `1d4h`.
pub(crate) fn age(since: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(since).as_secs().max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let both = |big: i64, unit: &str, small: i64, smaller: &str| {
        if small == 0 { format!("{big}{unit}") } else { format!("{big}{unit}{small}{smaller}") }
    };
    match seconds {
        0..120 => format!("{seconds}s"),
        120..600 => both(minutes, "m", seconds % 60, "s"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => both(hours, "h", minutes % 60, "m"),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => both(days, "d", hours % 24, "h"),
        _ => format!("{days}d"),
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn ages_are_kubectls() {
        let now: Timestamp = "2026-05-01T12:00:00Z".parse().unwrap();
        for (seconds, text) in [
            (-5, "0s"),
            (7, "7s"),
            (119, "119s"),
            (130, "2m10s"),
            (180, "3m"),
            (660, "11m"),
            (10_800 + 300, "3h5m"),
            (30_000, "8h"),
            (180_000, "2d2h"),
            (864_000, "10d"),
        ] {
            assert_eq!(age(now - SignedDuration::from_secs(seconds), now), text);
        }
    }
}
