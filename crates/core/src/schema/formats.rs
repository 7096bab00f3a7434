//! Formats of strings that our schemas use; a format that is unknown here is not checked, as the API server does not either.

/// What the format expects, where the text is something else.
pub(super) fn refuse(format: &str, text: &str) -> Option<&'static str> {
    let (fits, expected) = match format {
        "date-time" => (text.parse::<jiff::Timestamp>().is_ok(), "a date and time such as 2006-01-02T15:04:05Z"),
        "duration" => (text.parse::<jiff::SignedDuration>().is_ok(), "a duration such as 1m30s"),
        _ => return None,
    };
    (!fits).then_some(expected)
}
